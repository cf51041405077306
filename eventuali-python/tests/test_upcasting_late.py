"""Retired classes that are defined after a query, a store or a runner was made."""

from __future__ import annotations

import asyncio
import pickle
from itertools import islice

import pytest
from older_events import ORDER, followed, older
from stores import Blocking, each_store, gathered, opened, run, url_of

from eventuali import (
    AppendCondition,
    AppendConditionError,
    Event,
    Projection,
    Query,
    ReadModel,
    sync,
    upcast,
)
from eventuali.errors import ProjectionError, StreamingError
from eventuali.event import _registry

OLD = "up.late-bought"


class Billed(Event, name="up.late-billed"):
    amount: int


class Apart(Event, name="up.late-apart"):
    pass


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


async def taken(following, count: int) -> list[Event]:
    if isinstance(following, sync.Subscription):
        return await asyncio.to_thread(lambda: list(islice(following, count)))
    return [await anext(following) for _ in range(count)]


def subscribed(store, *args, **options):
    return getattr(store, "store", store).subscribe(*args, **options)


async def closed(following) -> None:
    if isinstance(following, sync.Subscription):
        await asyncio.to_thread(following.close)
    else:
        await following.aclose()


@pytest.mark.parametrize("name", [None, "up-late"])
@each_store
def test_a_subscription_that_has_begun_stops_and_says_where_to_begin_again(
    kind, api, name, tmp_path
):
    """It has passed over an event that it would have returned, and must not do so in silence."""
    query = Query(event_types=[Billed]) | Query(tags=["none"])
    again = "subscribe again with after=0" if name is None else r"reset_checkpoint\('up-late', 0\)"

    async def check(store):
        await store.append(
            [Billed(amount=1), bought(2), Billed(amount=3)], stream=ORDER, expected=0
        )
        following = subscribed(store, query, name=name)
        assert await taken(following, 2) == [Billed(amount=1), Billed(amount=3)]
        kept = retire()
        await store.append([bought(4), Billed(amount=5)], stream=ORDER, expected=3)
        for _ in range(2):
            with pytest.raises(StreamingError, match=f"the retired {OLD},.*{again}"):
                await taken(following, 1)
        assert following.position == 3
        await closed(following)
        if name is not None:
            await store.reset_checkpoint(name, 0)
        assert await followed(store, 5, query, name=name) == [
            Billed(amount=amount) for amount in range(1, 6)
        ]
        assert kept.__becomes__ == (Billed,)

    run(api, kind, tmp_path, check)


@each_store
def test_a_subscription_goes_on_where_it_passes_over_nothing(kind, api, tmp_path):
    async def check(store):
        some, every = subscribed(store, Query(event_types=[Billed])), subscribed(store)
        await store.append([Billed(amount=1)], stream=ORDER, expected=0)
        assert await taken(some, 1) == await taken(every, 1) == [Billed(amount=1)]

        class Other(Event, name="up.late-other", retired=True):
            @upcast(1, into=Apart)
            @staticmethod
            def apart(data):
                return (data,)

        other = older("up.late-other", 1, {})
        await store.append([other, Billed(amount=2)], stream=ORDER, expected=1)
        assert await taken(some, 1) == [Billed(amount=2)]
        await closed(some)
        assert await taken(every, 2) == [Apart(), Billed(amount=2)]
        kept = retire()
        await store.append([bought(3)], stream=ORDER, expected=3)
        assert await taken(every, 1) == [Billed(amount=3)]
        await closed(every)
        assert (Other.__becomes__, kept.__becomes__) == ((Apart,), (Billed,))

    run(api, kind, tmp_path, check)


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
