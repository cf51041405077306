"""The parts of a stored event: followed, resumed, and told apart by their ids."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from uuid import uuid5

from older_events import ORDER, followed, older
from stores import Blocking, each_shared, each_store, gathered, run
from test_upcasting_retired import PARTS, Basket, Ordered, Paid, bought, fill

from eventuali import Event, Projection, Query, ReadModel
from eventuali.asgi._streams import message


class Crash(Exception):
    pass


async def handled(store, count: int, *, crash: bool) -> list[Event]:
    """Takes so many events of a named subscription; the handler of the last one may fail."""
    query, name = Query(aggregate_id="o-1"), "up-parts"
    seen: list[Event] = []
    if isinstance(store, Blocking):

        def take() -> None:
            with store.store.subscribe(query, name=name) as following:
                seen.extend(islice(following, count))
                if crash:
                    raise Crash

        with suppress(Crash):
            await asyncio.to_thread(take)
        return seen
    with suppress(Crash):
        async with store.subscribe(query, name=name) as following:
            seen += [await anext(following) for _ in range(count)]
            if crash:
                raise Crash
    return seen


@each_store
def test_a_checkpoint_passes_a_stored_event_with_its_last_part(kind, api, tmp_path):
    async def check(store):
        await store.append([bought("one", 1), bought("two", 2)], stream=ORDER, expected=0)
        parts = [
            Ordered(article="one"), Paid(amount=1), Ordered(article="two"), Paid(amount=2),
        ]  # fmt: skip
        # The first part alone is no progress, whether it is handled or not, and neither is the
        # second one while it is being handled.
        assert await handled(store, 1, crash=True) == parts[:1]
        assert await handled(store, 1, crash=False) == parts[:1]
        assert await handled(store, 2, crash=True) == parts[:2]
        assert await handled(store, 3, crash=True) == parts[:3]
        assert await handled(store, 1, crash=False) == parts[2:3]
        assert await handled(store, 2, crash=False) == parts[2:]
        await store.append([Paid(amount=3)], stream=ORDER, expected=2)
        assert await handled(store, 1, crash=False) == [Paid(amount=3)]

    run(api, kind, tmp_path, check)


@each_shared
def test_parts_come_again_with_the_same_ids(kind, tmp_path):
    async def check(store):
        await fill(store)
        once = await followed(store, len(PARTS), name="up-a")
        twice = await followed(store, len(PARTS), name="up-b")
        assert [event.meta.event_id for event in once] == [e.meta.event_id for e in twice]

    run("async", kind, tmp_path, check)


def test_a_stream_of_messages_can_be_resumed_between_parts(tmp_path):
    async def check(store):
        await fill(store)
        first, second, third, *_ = await gathered(store.read())
        assert message(first, {}) == b"event: up.ordered\ndata: {}\n\n"
        assert message(second, {}) == b"id: 1\nevent: up.settled\ndata: {}\n\n"
        assert message(third, {}) == b"id: 3\nevent: up.settled\ndata: {}\n\n"

    run("sync", "memory", tmp_path, check)


def test_the_ids_of_parts_do_not_depend_on_the_query(tmp_path):
    async def check(store):
        event = bought("tea", 1)
        await store.append([event])
        (paid,) = await gathered(store.read(Query(event_types=[Paid])))
        assert paid.meta.event_id == uuid5(event.meta.event_id, "1")

    run("sync", "memory", tmp_path, check)


class Entry(ReadModel):
    amount: int = 0


class Entries(Projection[Entry], name="up.entries"):
    def key(self, event: Event) -> str:
        return str(event.event_id)

    def on_paid(self, event: Paid, doc: Entry | None) -> Entry:
        return Entry(amount=(doc.amount if doc else 0) + event.amount)


@each_store
def test_parts_are_told_apart_by_their_ids_and_found_by_that_of_the_stored_event(
    kind, api, tmp_path
):
    async def check(store):
        event = older("up.bought", 2, {"article": "tea", "amount": 1}, tags=("a",))
        await store.append([event, Paid(amount=2)], stream=ORDER, expected=0)
        first, second, paid = await gathered(store.read())
        assert (first.meta.tags, second.meta.tags) == (("a",), ("a",))
        assert await gathered(store.read(Query(tags=["a"]))) == [first, second]
        by_first = Query(event_ids=[first.event_id])
        assert await gathered(store.read(by_first)) == [first, second]
        assert await gathered(store.read(Query(event_ids=[second.event_id]))) == []
        await store.rebuild(Entries())
        for each in (second, paid):
            assert (await store.get(Entry, str(each.event_id))).amount == each.amount
        steps = await gathered(store.history(Basket, "o-1", limit=1))
        assert [step.event for step in steps] == [first, second]

    run(api, kind, tmp_path, check)
