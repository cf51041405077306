"""Consumers that store positions, where a stored event has become several."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice

import pytest
from older_events import ORDER
from stores import Blocking, each_api, each_store, gathered, opened, run
from test_upcasting_parts import Crash
from test_upcasting_retired import PARTS, POSITIONS, Ordered, Paid, bought, fill

from eventuali import Event, Query, Tracking, by_position
from eventuali.errors import TrackingConflictError


class Copied(Event, name="up.copied"):
    text: str


async def lists_of(store, query: Query, after: int) -> list[list[Event]]:
    """Reads the events of each position together, as either store does."""
    if isinstance(store, Blocking):
        return await asyncio.to_thread(
            lambda: list(by_position(store.store.read(query, after=after)))
        )
    return [events async for events in by_position(store.read(query, after=after))]


async def one_by_one(store, query: Query, after: int) -> list[list[Event]]:
    return [[event] for event in await gathered(store.read(query, after=after))]


async def copy(shop, target, lists, query: Query, crash: int = 0) -> None:
    """Copies what is new; dies before the commit of the list with a number."""
    after = await target.tracked("shop") or 0
    for number, events in enumerate(await lists(shop, query, after), 1):
        copies = [Copied(text=f"{event!r}") for event in events]
        if number == crash:
            raise Crash
        await target.append(copies, tracking=Tracking("shop", events[0].position))


@each_store
def test_an_importer_that_dies_anywhere_copies_every_part_once(kind, api, tmp_path):
    async def check(shop):
        await fill(shop)
        for query in (Query(), Query(event_types=[Paid]), Query(event_types=[Ordered])):
            wanted = [repr(event) for event in await gathered(shop.read(query))]
            for crash in range(1, len(POSITIONS) + 1):
                target = shop.for_tenant(f"copy-{len(wanted)}-{crash}")
                with suppress(Crash):
                    await copy(shop, target, lists_of, query, crash)
                await copy(shop, target, lists_of, query)
                assert [e.text for e in await gathered(target.read())] == wanted

    run(api, kind, tmp_path, check)


@each_api
def test_one_by_one_a_part_is_refused_or_lost(api, tmp_path):
    """What `by_position` is for; and that the test above would see it."""

    async def check(shop):
        await fill(shop)
        async with opened(api, "memory://") as target:
            with pytest.raises(TrackingConflictError):
                await copy(shop, target, one_by_one, Query())
        async with opened(api, "memory://") as target:
            with pytest.raises(Crash):
                await copy(shop, target, one_by_one, Query(), crash=2)
            with pytest.raises(TrackingConflictError):
                await copy(shop, target, one_by_one, Query())
            texts = [event.text for event in await gathered(target.read())]
            assert repr(PARTS[1]) not in texts

    run(api, "memory", tmp_path, check)


@each_store
def test_a_subscription_gives_positions_together_without_waiting_for_the_next(kind, api, tmp_path):
    async def take(store, count: int, *, crash: bool) -> list[list[Event]]:
        query, seen = Query(aggregate_id="o-1"), []
        if isinstance(store, Blocking):

            def blocking() -> None:
                with store.store.subscribe(query, name="up-lists") as following:
                    seen.extend(islice(by_position(following), count))
                    if crash:
                        raise Crash

            with suppress(Crash):
                await asyncio.to_thread(blocking)
            return seen
        with suppress(Crash):
            async with store.subscribe(query, name="up-lists") as following:
                lists = by_position(following)
                seen += [await anext(lists) for _ in range(count)]
                if crash:
                    raise Crash
        return seen

    async def check(store):
        await store.append([bought("one", 1), bought("two", 2)], stream=ORDER, expected=0)
        one = [Ordered(article="one"), Paid(amount=1)]
        two = [Ordered(article="two"), Paid(amount=2)]
        assert await take(store, 1, crash=True) == [one]
        assert await take(store, 2, crash=True) == [one, two]
        assert await take(store, 1, crash=False) == [two]  # and none is behind it

    run(api, kind, tmp_path, check)


@each_store
def test_backwards_and_with_a_limit_parts_stay_together(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        if isinstance(store, Blocking):
            read = store.store.read(backwards=True, limit=3)
            lists = await asyncio.to_thread(lambda: list(by_position(read)))
        else:
            lists = [each async for each in by_position(store.read(backwards=True, limit=3))]
        assert lists == [[PARTS[6]], [PARTS[5], PARTS[4]], [PARTS[3]]]

    run(api, kind, tmp_path, check)


def test_a_cancelled_wait_loses_no_part():
    class Slow:
        def __init__(self, events):
            self.events, self.stops = list(events), 1

        def __aiter__(self):
            return self

        async def __anext__(self):
            if len(self.events) == 1 and self.stops:
                self.stops -= 1
                raise asyncio.CancelledError
            if not self.events:
                raise StopAsyncIteration
            return self.events.pop(0)

    async def check(store):
        await store.append([bought("one", 1)])
        parts = await gathered(store.read())
        lists = by_position(Slow(parts))
        with pytest.raises(asyncio.CancelledError):
            await anext(lists)
        assert await anext(lists) == parts
        assert [each async for each in lists] == []

    async def main():
        async with opened("async", "memory://") as store:
            await check(store)

    asyncio.run(main())


def test_what_is_no_iterator_is_refused():
    with pytest.raises(TypeError, match="by_position takes what read or subscribe returns"):
        by_position(7)
