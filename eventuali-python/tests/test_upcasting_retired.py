"""Event types that are no longer stored: their events become nothing, or other events."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid5

import pytest
from older_events import ORDER, followed, older
from stores import SHARED, each_store, gathered, opened, run, url_of

from eventuali import (
    Aggregate,
    Event,
    InvalidEventError,
    Projection,
    Query,
    ReadModel,
    UnknownEvent,
    upcast,
)
from eventuali.errors import UnknownEventTypeError, UpcastError


class Pinged(Event, name="up.pinged", version=2, retired=True):
    pass


class Ordered(Event, name="up.ordered"):
    article: str


class Paid(Event, name="up.settled"):
    amount: int


class Refunded(Paid, name="up.refunded"):
    pass


class Bought(Event, name="up.bought", version=2, retired=True, formerly="up.got"):
    @upcast(1)
    @staticmethod
    def in_cents(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "amount": data["amount"] * 100}

    @upcast(2, into=(Ordered, Paid))
    @staticmethod
    def apart(data: dict[str, Any]) -> tuple[dict[str, Any] | None, ...]:
        ordered = {"article": data["article"]} if "article" in data else None
        return ordered, {"amount": data["amount"]} if data["amount"] else None


class Basket(Aggregate, name="Order"):
    articles: tuple[str, ...] = ()
    paid: int = 0

    def apply_ordered(self, event: Ordered) -> None:
        self.articles = (*self.articles, event.article)

    def apply_paid(self, event: Paid) -> None:
        self.paid += event.amount


class Ledger(ReadModel):
    paid: int = 0
    entries: int = 0


class OfPaid(Projection[Ledger], name="up.ledger"):
    def on_paid(self, event: Paid, doc: Ledger | None) -> Ledger:
        doc = doc or Ledger()
        return Ledger(paid=doc.paid + event.amount, entries=doc.entries + 1)


class OfBoth(Projection[Ledger], name="up.ledger.inline", inline=True):
    def on_each(self, event: Paid | Ordered, doc: Ledger | None) -> Ledger:
        doc = doc or Ledger()
        paid = event.amount if isinstance(event, Paid) else 0
        return Ledger(paid=doc.paid + paid, entries=doc.entries + 1)


def bought(article: str | None, amount: int, version: int = 2) -> UnknownEvent:
    data: dict[str, object] = {"amount": amount}
    return older("up.bought", version, data | ({"article": article} if article else {}))


def log() -> list[UnknownEvent | Event]:
    return [
        bought("tea", 300),
        older("up.pinged", 1, {}),
        bought(None, 200),
        bought("mug", 0),
        older("up.got", 1, {"article": "pot", "amount": 5}),
        bought(None, 0),
        Paid(amount=1),
    ]


PARTS = [
    Ordered(article="tea"),
    Paid(amount=300),
    Paid(amount=200),
    Ordered(article="mug"),
    Ordered(article="pot"),
    Paid(amount=500),
    Paid(amount=1),
]
POSITIONS = [1, 1, 3, 4, 5, 5, 7]
PAID = [part for part in PARTS if isinstance(part, Paid)]


async def fill(store) -> list[UnknownEvent | Event]:
    events = log()
    await store.append(events, stream=ORDER, expected=0)
    return events


@each_store
def test_retired_events_become_others_or_nothing(kind, api, tmp_path):
    async def check(store):
        events = await fill(store)
        found = await gathered(store.read())
        assert found == PARTS
        assert [event.meta.position for event in found] == POSITIONS
        assert [event.position for event in found] == POSITIONS
        assert [event.meta.aggregate_version for event in found] == POSITIONS
        assert found[1].event_type == found[1].meta.event_type == "up.bought"
        first = events[0].meta.event_id
        assert found[0].meta.event_id == first
        assert found[1].meta.event_id == uuid5(first, "1")
        assert found[2].meta.event_id == events[2].meta.event_id  # the only one keeps it, too
        assert len({event.meta.event_id for event in found}) == len(found)
        again = await gathered(store.read())
        assert [event.meta for event in again] == [event.meta for event in found]
        backwards = await gathered(store.read(backwards=True))
        assert backwards == PARTS[::-1]
        assert [event.meta for event in backwards] == [event.meta for event in found[::-1]]

    run(api, kind, tmp_path, check)


@each_store
def test_a_query_shows_the_parts_that_it_asks_for(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        assert await gathered(store.read(Query(event_types=[Paid]))) == PAID
        one = Query(event_types=[Ordered])
        assert await gathered(store.read(one)) == [e for e in PARTS if isinstance(e, Ordered)]
        (second, *_) = await gathered(store.read(Query(event_types=[Paid])))
        assert second.meta.event_id != second.meta.position
        both = Query(event_types=[Paid], aggregate_id="nobody") | Query(event_types=[Ordered])
        assert await gathered(store.read(both)) == [e for e in PARTS if isinstance(e, Ordered)]
        anything = Query(event_types=[Paid]) | Query(aggregate_id="o-1")
        assert await gathered(store.read(anything)) == PARTS
        # By its name, and by the retired class, it is the stored event that is asked for.
        bought = [part for part, at in zip(PARTS, POSITIONS, strict=True) if at not in (5, 7)]
        assert await gathered(store.read(Query(event_types=["up.bought"]))) == bought
        assert await gathered(store.read(Query(event_types=[Bought]))) == PARTS[:-1]
        assert await gathered(store.read(Query(event_types=[Refunded]))) == []
        assert await gathered(store.read(Query(event_types=["up.settled"]))) == PARTS[-1:]

    run(api, kind, tmp_path, check)


@each_store
@pytest.mark.parametrize("backwards", [False, True])
def test_a_limit_is_of_stored_events_of_which_something_is_shown(kind, api, backwards, tmp_path):
    async def check(store):
        await fill(store)
        query = Query(event_types=[Paid])
        wanted = PAID[::-1] if backwards else PAID
        for limit in range(6):
            found = await gathered(store.read(query, limit=limit, backwards=backwards))
            assert found == wanted[:limit]
        (first,) = {e.position for e in await gathered(store.read(limit=1, backwards=backwards))}
        assert first == (7 if backwards else 1)
        # Page by page, nothing is left out and nothing comes twice.
        paged, reader = [], store.read(query, limit=1, backwards=backwards)
        while part := await gathered(reader):
            paged += part
            at = {"before": reader.position} if backwards else {"after": reader.position}
            reader = store.read(query, limit=1, backwards=backwards, **at)
        assert paged == wanted

    run(api, kind, tmp_path, check)


@each_store
@pytest.mark.parametrize("backwards", [False, True])
def test_a_reader_that_stops_between_parts_has_not_passed_them(kind, api, backwards, tmp_path):
    async def check(store):
        await fill(store)
        wanted = PARTS[::-1] if backwards else PARTS
        for count in range(1, len(PARTS)):
            reader = store.read(backwards=backwards)
            seen = [await anext(reader) for _ in range(count)]
            at = {"before": reader.position} if backwards else {"after": reader.position}
            rest = await gathered(store.read(backwards=backwards, **at))
            assert (seen + rest)[:count] == wanted[:count]
            assert rest[-len(wanted) + count :] == wanted[count:]
            assert len(seen + rest) <= len(wanted) + 1  # one part comes again

    run(api, kind, tmp_path, check)


@each_store
def test_many_events_that_become_nothing(kind, api, tmp_path):
    async def check(store):
        many = [older("up.pinged", 1, {}) for _ in range(2500)]
        await store.append([*many, Paid(amount=1), *many[:0], bought(None, 7), bought("a", 0)])
        assert len(await gathered(store.read())) == 3
        assert await gathered(store.read(limit=1)) == [Paid(amount=1)]
        assert await gathered(store.read(limit=2)) == [Paid(amount=1), Paid(amount=7)]
        assert await gathered(store.read(limit=2, backwards=True)) == [
            Ordered(article="a"), Paid(amount=7)]  # fmt: skip
        assert await gathered(store.read(limit=9)) == await gathered(store.read())
        assert len(await followed(store, 3)) == 3

    run(api, kind, tmp_path, check)


@each_store
def test_an_aggregate_applies_every_part(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        basket = await store.load_one(Basket, "o-1")
        assert (basket.articles, basket.paid, basket.version) == (("tea", "mug", "pot"), 1001, 7)
        assert (await store.load_one(Basket, "o-1", at_version=1)).paid == 300
        steps = await gathered(store.history(Basket, "o-1"))
        assert [step.event for step in steps] == PARTS
        assert [step.state.version for step in steps] == POSITIONS
        assert steps[-1].state == basket
        basket.apply(Paid(amount=9))
        await store.save(basket)
        assert (await store.load_one(Basket, "o-1")).paid == 1010

    run(api, kind, tmp_path, check)


@each_store
def test_read_models_get_every_part_once(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        await store.rebuild(OfPaid())
        assert await store.get(Ledger, "o-1") == Ledger(key="o-1", paid=1001, entries=4)

    run(api, kind, tmp_path, check)


@each_store
def test_an_inline_projection_gets_every_part_once(kind, api, tmp_path):
    async def main():
        place = url_of(kind, tmp_path)
        if kind in SHARED:
            async with opened(api, place) as store:
                await fill(store)
                await store.rebuild(OfBoth())
                assert (await store.get(Ledger, "o-1")).entries == len(PARTS)
        async with opened(api, place, inline=[OfBoth()]) as store:
            # Who copies a log appends such events, and a stream may have both.
            await store.append([bought("tea", 3, 1)], stream=("Order", "o-2"), expected=0)
            await store.append([Paid(amount=1)], stream=("Order", "o-2"), expected=1)
            found = await store.get(Ledger, "o-2")
            assert found == Ledger(key="o-2", paid=301, entries=3)

    asyncio.run(main())


@each_store
def test_raw_gives_what_is_stored(kind, api, tmp_path):
    async def check(store):
        events = await fill(store)
        for raw in (True, "all"):
            found = await gathered(store.read(raw=raw))
            assert [event.meta.event_id for event in found] == [e.meta.event_id for e in events]
            assert all(isinstance(event, UnknownEvent) for event in found[:-1])
        assert await store.count(Query(event_types=[Paid])) == 6  # stored events

    run(api, kind, tmp_path, check)


@each_store
def test_a_copy_of_the_log_is_the_same_log(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        async with opened("async", "memory://") as target:
            for event in await gathered(store.read(raw="all")):
                await target.append([event], stream=ORDER, expected=event.aggregate_version - 1)
            assert await gathered(target.read()) == PARTS
            one, other = (
                await gathered(store.read(raw="all")),
                await gathered(target.read(raw="all")),
            )
            assert [(e.payload, e.meta.event_version, e.meta.event_id) for e in one] == [
                (e.payload, e.meta.event_version, e.meta.event_id) for e in other]  # fmt: skip

    run(api, kind, tmp_path, check)


@each_store
def test_no_event_of_a_retired_class_is_stored(kind, api, tmp_path):
    async def check(store):
        with pytest.raises(InvalidEventError, match="Pinged is retired"):
            await store.append([Pinged()])
        assert await gathered(store.read()) == []

    run(api, kind, tmp_path, check)


@each_store
def test_what_a_retired_class_can_not_read_is_refused(kind, api, tmp_path):
    async def check(store):
        await store.append([older("up.pinged", 3, {})])
        await store.append([older("up.bought", 1, {"amount": "x"})])
        await store.append([older("up.bought", 2, {"amount": "x"})])
        with pytest.raises(UnknownEventTypeError, match="stored in version 3"):
            await gathered(store.read(limit=1))
        with pytest.raises(UpcastError, match=r"at position 2.*does not fit amount of Paid"):
            await gathered(store.read(after=1))
        with pytest.raises(UpcastError) as caught:
            await gathered(store.read(after=2))
        assert (caught.value.position, caught.value.path) == (3, "amount")

    run(api, kind, tmp_path, check)


@pytest.mark.parametrize("answer", [None, {}, ({},), ({}, {}, {}), ({}, 7), "ab"])
def test_the_last_step_gives_a_dict_or_none_for_each_class(answer, tmp_path):
    class Torn(Event, name="up.torn", retired=True):
        @upcast(1, into=(Pair, Pair))
        @staticmethod
        def apart(data: dict[str, Any]) -> Any:
            return answer

    async def check(store):
        store.register_event_class("up.torn", Torn)
        await store.append([older("up.torn", 1, {})])
        with pytest.raises(UpcastError, match="the step from version 1 returned"):
            await gathered(store.read())

    run("sync", "memory", tmp_path, check)


class Pair(Event, name="up.pair"):
    pass
