"""What steps leave that nobody knows, and limits over events that become nothing."""

from __future__ import annotations

import pytest
from older_events import older
from pydantic import ConfigDict, Field
from stores import each_store, gathered, run
from test_upcasting_retired import Ordered, Paid, bought

from eventuali import Aggregate, Event, Query, upcast
from eventuali._engine.read import Reading
from eventuali.errors import UpcastError


class Misspelt(Event, name="up.misspelt", version=2):
    order_id: str
    total_cents: int = 0

    @upcast(1)
    @staticmethod
    def in_cents(data):
        return {"order_id": data["order"], "total_cnts": data["total"] * 100}


class Cart(Aggregate, name="Order"):
    def apply_misspelt(self, event: Misspelt) -> None: ...


class Aliased(Event, name="up.aliased", version=2):
    cents: int = Field(alias="inCents")

    @upcast(1)
    @staticmethod
    def renamed(data):
        return dict(data)


class Open(Event, name="up.open", version=2):
    model_config = ConfigDict(extra="allow")
    cents: int

    @upcast(1)
    @staticmethod
    def same(data):
        return data


class Divided(Event, name="up.divided", retired=True):
    @upcast(1, into=(Paid, Ordered))
    @staticmethod
    def apart(data):
        return {"amount": 1}, {"article": "a", "artikle": "b"}


@each_store
def test_a_field_that_the_class_does_not_know_is_refused_after_a_step(kind, api, tmp_path):
    async def check(store):
        old = older("up.misspelt", 1, {"order": "o", "total": 7})
        await store.append([old], stream=("Order", "m"), expected=0)
        await store.append([older("up.divided", 1, {})])
        for read in (
            lambda: gathered(store.read(limit=1)),
            lambda: store.load(Cart, "m"),
            lambda: store.load_many(Cart, ["m"]),
        ):
            with pytest.raises(UpcastError, match="'total_cnts', which Misspelt") as caught:
                await read()
            assert (caught.value.position, caught.value.path) == (1, "total_cnts")
        with pytest.raises(UpcastError, match="'artikle', which Ordered does not know"):
            await gathered(store.read(after=1))

    run(api, kind, tmp_path, check)


@each_store
def test_what_the_class_knows_or_takes_is_not(kind, api, tmp_path):
    async def check(store):
        await store.append([older("up.aliased", 1, {"cents": 1})])
        await store.append([older("up.open", 1, {"cents": 1, "more": [2]})])
        await store.append([older("up.open", 2, {"cents": 1, "most": 3})])
        wire = Query(event_types=[Open])
        first, second = await gathered(store.read(wire))
        assert (first.model_extra, second.model_extra) == ({"more": [2]}, {"most": 3})
        assert [event.cents for event in await gathered(store.read(limit=1))] == [1]

    run(api, kind, tmp_path, check)


@each_store
@pytest.mark.parametrize("backwards", [False, True])
def test_a_limit_over_events_that_become_nothing_takes_few_requests(
    kind, api, backwards, monkeypatch, tmp_path
):
    requests = []
    begin = Reading._begin

    def counted(self):
        pending = begin(self)
        requests.extend([1] if pending is not None else [])
        return pending

    monkeypatch.setattr(Reading, "_begin", counted)

    async def check(store):
        nothing = [older("up.pinged", 1, {}) for _ in range(3000)]
        some = [Paid(amount=1), bought("tea", 3), *nothing[:7], Paid(amount=2), Paid(amount=3)]
        ends = [nothing[-1]]
        log = [*nothing[7:-1], *some, *ends]
        await store.append(log[::-1] if backwards else log)
        wanted = await gathered(store.read(backwards=backwards))
        for limit, events in ((1, 1), (2, 3), (3, 4), (4, 5), (9, 5)):
            requests.clear()
            reader = store.read(limit=limit, backwards=backwards)
            assert await gathered(reader) == wanted[:events]
            assert len(requests) < 20
            if limit > 4:
                continue
            last = wanted[events - 1].meta.position
            assert reader.position == last
            at = {"before": last} if backwards else {"after": last}
            rest = store.read(limit=9, backwards=backwards, **at)
            assert await gathered(rest) == wanted[events:]

    run(api, kind, tmp_path, check)


def test_each_limit_is_what_a_read_of_all_gives_cut(tmp_path):
    async def check(store):
        for number in range(60):
            nothing = number % 7 in (1, 2, 3) or 20 < number < 45
            await store.append([bought(None, 0 if nothing else number)])
        for backwards in (False, True):
            everything = await gathered(store.read(backwards=backwards))
            for limit in range(len(everything) + 2):
                reader = store.read(limit=limit, backwards=backwards)
                assert await gathered(reader) == everything[:limit]

    run("sync", "memory", tmp_path, check)
