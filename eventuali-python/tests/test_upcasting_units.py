"""Parts of retired events where code decides: in units of work, in decisions and in tests."""

from __future__ import annotations

import pytest
from older_events import ORDER, older
from stores import each_store, gathered, run
from test_upcasting_retired import PAID, Basket, Bought, Ordered, Paid, bought, fill
from units import fit

from eventuali import Aggregate, Event, Query, upcast
from eventuali.errors import UnknownEventTypeError
from eventuali.testing import given
from eventuali.testing._decisions import matches


@each_store
def test_a_unit_of_work_shows_the_parts_that_a_query_asks_for(kind, api, tmp_path):
    async def check(store):
        await fill(store)

        async def read(work):
            return [
                await work.read(Query(event_types=[Paid])),
                await work.read(Query(event_types=[Paid]) | Query(event_types=[Basket.__name__])),
                await work.read(Query(event_types=["up.bought"], aggregate_id="nobody")),
            ]

        paid, joined, nothing = (await store.transact(fit(api, read))).value
        assert (paid, joined, nothing) == (PAID, PAID, [])
        stored = await gathered(store.read(Query(event_types=[Paid])))
        assert [e.meta.event_id for e in paid] == [e.meta.event_id for e in stored]

    run(api, kind, tmp_path, check)


@each_store
def test_a_decision_under_test_sees_what_a_store_shows(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        stored = await gathered(store.read())
        for query in (
            Query(event_types=[Paid]),
            Query(event_types=[Ordered]),
            Query(event_types=[Bought]),
            Query(event_types=["up.bought"]),
            Query(event_types=["up.settled"]),
            Query(),
        ):
            seen = [event for event in stored if matches(query, event)]
            assert seen == await gathered(store.read(query))
        amounts = []
        given(*stored).when(
            lambda seen: amounts.extend(event.amount for event in seen) or [],
            query=Query(event_types=[Paid]),
        ).then_nothing()
        assert amounts == [event.amount for event in PAID]

    run(api, kind, tmp_path, check)


class Halved(Event, name="up.halved"):
    amount: int


class Whole(Event, name="up.whole", retired=True):
    @upcast(1, into=(Paid, Halved))
    @staticmethod
    def apart(data):
        return {"amount": data["amount"]}, {"amount": data["amount"] // 2}


class Half(Aggregate, name="Order"):
    def apply_paid(self, event: Paid) -> None: ...


@each_store
def test_a_part_without_a_handler_is_told_as_an_event_without_one(kind, api, tmp_path):
    async def check(store):
        events = [bought(None, 5), older("up.whole", 1, {"amount": 4})]
        await store.append(events, stream=ORDER, expected=0)
        for read in (
            lambda: store.load(Half, "o-1"),
            lambda: store.load_many(Half, ["o-1"]),
        ):
            with pytest.raises(UnknownEventTypeError) as caught:
                await read()
            text = str(caught.value)
            assert text.startswith("Half can't replay version 2 of 'o-1', a 'up.whole', which has ")
            assert "Half has no handler for Halved" in text
            assert caught.value.event_type == "up.whole"
        assert (await store.load_one(Half, "o-1", at_version=1)).version == 1
        with pytest.raises(UnknownEventTypeError, match="has no handler for Halved"):
            await gathered(store.history(Half, "o-1"))

    run(api, kind, tmp_path, check)


NAME = "up.claimed"


@each_store
def test_an_active_class_without_a_handler_is_not_stepped_over(kind, api, tmp_path):
    class Claimed(Event, name=NAME):
        amount: int

    class Old(Event, name=NAME, retired=True):
        pass

    class Taker(Aggregate, name="Order"):
        def apply_paid(self, event: Paid) -> None: ...

    async def check(store):
        await store.append([older(NAME, 1, {"amount": 1})], stream=ORDER, expected=0)
        with pytest.raises(UnknownEventTypeError, match=r"no handler for .*Claimed"):
            await store.load(Taker, "o-1")

    run(api, kind, tmp_path, check)
    assert Claimed.__becomes__ is None
    assert Old.__becomes__ == ()
