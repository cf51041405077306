"""Retired classes that are defined after a query, a store or a runner was made."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from older_events import ORDER, older
from stores import Blocking, each_store, gathered, opened, run, url_of

from eventuali import (
    AppendCondition,
    AppendConditionError,
    Event,
    Projection,
    Query,
    ReadModel,
    upcast,
)
from eventuali.errors import ProjectionError
from eventuali.event import _registry

OLD = "up.late-bought"


class Billed(Event, name="up.late-billed"):
    amount: int


class Bill(ReadModel):
    amount: int = 0


class Inline(Projection[Bill], name="up.late-inline", inline=True):
    def on_billed(self, event: Billed, doc: Bill | None) -> Bill:
        return Bill(amount=(doc.amount if doc else 0) + event.amount)


class Followed(Projection[Bill], name="up.late-followed"):
    def on_billed(self, event: Billed, doc: Bill | None) -> Bill:
        return Bill(amount=(doc.amount if doc else 0) + event.amount)


@pytest.fixture(autouse=True)
def forgotten():
    claims = _registry.LocalClaims()
    yield
    claims.restore()


def retire() -> type[Event]:
    class LateBought(Event, name=OLD, retired=True):
        @upcast(1, into=Billed)
        @staticmethod
        def as_bill(data):
            return ({"amount": data["amount"]},)

    return LateBought


def bought(amount: int) -> Event:
    return older(OLD, 1, {"amount": amount})


@each_store
def test_a_query_that_was_made_before_finds_it(kind, api, tmp_path):
    query = Query(event_types=[Billed])
    either = query | Query(tags=["none"])
    same = Query(event_types=[Billed])

    async def check(store):
        await store.append([bought(1), Billed(amount=2)], stream=ORDER, expected=0)
        assert len(await gathered(store.read(query))) == 1
        retired = retire()
        for each in (query, either, pickle.loads(pickle.dumps(query))):
            assert await gathered(store.read(each)) == [Billed(amount=1), Billed(amount=2)]
        assert await store.count(query) == 2
        assert query == same
        await store.append([bought(3)], stream=ORDER, expected=2)
        with pytest.raises(AppendConditionError):
            await store.append([Billed(amount=9)], condition=AppendCondition(query, after=2))
        assert retired.__becomes__ == (Billed,)

    run(api, kind, tmp_path, check)


@each_store
def test_an_inline_projection_of_a_store_that_was_opened_before_has_it(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path), inline=[Inline()]) as store:
            await store.append([Billed(amount=2)], stream=("Order", "o-0"), expected=0)
            retired = retire()
            await store.append([bought(1)], stream=ORDER, expected=0)
            await store.append([Billed(amount=2)], stream=ORDER, expected=1)
            assert (await store.get(Bill, "o-1")).amount == 3
            assert retired.__becomes__ == (Billed,)

    asyncio.run(main())


@each_store
def test_a_projection_that_has_begun_stops_and_says_why(kind, api, tmp_path):
    def blocking(store):
        with store.run(Followed()) as running:
            store.append([Billed(amount=2)], stream=ORDER, expected=0)
            running.wait_for(1)
            kept = retire()
            store.append([Billed(amount=3)], stream=ORDER, expected=1)
            with pytest.raises(ProjectionError, match="faulted at position 1") as caught:
                running.wait_for(2)
            assert kept.__qualname__ in str(caught.value.__cause__)
            assert "start again, and rebuild" in str(caught.value.__cause__)

    async def check(store):
        if isinstance(store, Blocking):
            await asyncio.to_thread(blocking, store.store)
            return
        async with store.run(Followed()) as running:
            await store.append([Billed(amount=2)], stream=ORDER, expected=0)
            await running.wait_for(1)
            kept = retire()
            await store.append([Billed(amount=3)], stream=ORDER, expected=1)
            with pytest.raises(ProjectionError, match="faulted at position 1") as caught:
                await running.wait_for(2)
            assert kept.__qualname__ in str(caught.value.__cause__)

    run(api, kind, tmp_path, check)
