"""Saves that are repeated, shared, copied or refused: nothing is forgotten, nothing comes twice."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle

import pytest
from pydantic import field_serializer
from stores import BACKENDS, url_of

from eventuali import (
    Aggregate,
    Committed,
    Event,
    EventStore,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    Query,
    sync,
)
from eventuali.errors import OutcomeUnknownError, SerializationError, StoreClosedError


class Jotted(Event):
    text: str


class Notes(Aggregate):
    texts: tuple[str, ...] = ()

    def apply_jotted(self, event: Jotted) -> None:
        self.texts += (event.text,)


def notes(key: str, *texts: str) -> Notes:
    aggregate = Notes(id=key)
    for text in texts:
        aggregate.apply(Jotted(text=text))
    return aggregate


async def cut_off(store: EventStore, *aggregates: Notes) -> None:
    """Begins a save and stops waiting for it at once."""
    task = asyncio.ensure_future(store.save(*aggregates))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def stored(store: EventStore, key: str) -> tuple[str, ...]:
    return (await store.load_one(Notes, key)).texts


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return url_of(request.param, tmp_path)


def run(url, test):
    async def main():
        async with EventStore.create(url) as store:
            await test(store)

    asyncio.run(main())


def test_two_tasks_that_save_one_aggregate_lose_nothing(url):
    async def test(store):
        one = notes("a", "1")
        await cut_off(store, one)
        one.apply(Jotted(text="2"))
        saves = [asyncio.ensure_future(store.save(one)) for _ in range(2)]
        await asyncio.sleep(0)
        one.apply(Jotted(text="3"))
        await asyncio.gather(*saves)
        await store.save(one)
        assert await stored(store, "a") == ("1", "2", "3")
        assert not one.has_uncommitted_events()

    run(url, test)


def test_what_an_aggregate_no_longer_keeps_is_not_taken_from_it(url):
    async def test(store):
        x, y = notes("x", "1"), notes("y", "1")
        await cut_off(store, x, y)
        x.mark_events_as_committed()
        x.apply(Jotted(text="2"))
        await store.save(y)
        assert [event.text for event in x.get_uncommitted_events()] == ["2"]
        await store.save(x)
        assert await stored(store, "x") == ("1", "2")

    run(url, test)


def test_aggregates_of_one_save_can_be_settled_one_by_one(url):
    async def test(store):
        x, y = notes("x", "1"), notes("y", "1")
        await cut_off(store, x, y)
        await store.save(y)
        y.apply(Jotted(text="2"))
        await store.save(y)
        x.apply(Jotted(text="2"))
        await store.save(x)
        assert await stored(store, "x") == await stored(store, "y") == ("1", "2")

    run(url, test)


def test_a_repeated_save_gives_the_first_answer(url):
    async def test(store):
        one = notes("a", "1", "2")
        await cut_off(store, one)
        first = await store.save(one)
        assert first.positions == (1, 2)
        assert first.versions == (2,)
        assert first.recorded_at is not None
        await cut_off(store, other := notes("b", "1"))
        other.apply(Jotted(text="2"))
        both = await store.save(other)
        assert both.positions == (3, 4)
        assert both.versions == (2,)
        assert await store.save(other) == Committed()

    run(url, test)


def test_a_store_that_is_closed_says_nothing_of_the_save_before(tmp_path):
    async def main():
        url = str(tmp_path / "notes.db")
        one = notes("a", "1")
        store = await EventStore.create(url)
        await cut_off(store, one)
        await store.close()
        with pytest.raises(StoreClosedError):
            await store.save(one)
        async with EventStore.create(url) as store:
            one.apply(Jotted(text="2"))
            await store.save(one)
            assert await stored(store, "a") == ("1", "2")

    asyncio.run(main())


def test_a_save_that_was_refused_can_be_made_again(url):
    async def test(store):
        one, other = notes("a", "1"), notes("a", "2")
        await store.save(one)
        for _ in range(2):
            with pytest.raises(OptimisticConcurrencyError):
                await store.save(other)
        assert [event.text for event in other.get_uncommitted_events()] == ["2"]
        assert await stored(store, "a") == ("1",)

    run(url, test)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_settles_for_itself(url, duplicate):
    async def test(store):
        one = notes("a", "1")
        await cut_off(store, one)
        other = duplicate(one)
        other.apply(Jotted(text="2"))
        await store.save(other)
        assert not other.has_uncommitted_events()
        assert await stored(store, "a") == ("1", "2")

    run(url, test)


def test_an_aggregate_whose_save_was_cut_off_survives_pickling(url):
    async def test(store):
        one = notes("a", "1")
        await cut_off(store, one)
        other = pickle.loads(pickle.dumps(one))
        other.apply(Jotted(text="2"))
        await store.save(other)
        assert await stored(store, "a") == ("1", "2")

    run(url, test)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if "memory" not in name])
def test_an_unknown_event_is_copied_as_it_is(backend, tmp_path):
    url = url_of(backend, tmp_path)

    async def written(store):  # by a store that is gone, and with it what it knew
        class Ticked(Event, name="no class claims this any more"):
            n: int

        await store.append([Ticked(n=7)], stream=("T", "t"))

    async def test(store):
        raw = [event async for event in store.read(raw=True)]
        async with EventStore.create("memory://") as other:
            await other.append(raw, stream=("T", "t"))
            (found,) = [event async for event in other.read(raw=True)]
            assert found.payload == b'{"n":7}'
            assert found.meta.event_type == "no class claims this any more"
            assert found.meta.event_id == raw[0].meta.event_id

    run(url, written)
    gc.collect()
    run(url, test)


def test_an_event_that_was_read_stays_what_it_is(url):
    async def test(store):
        await store.save(notes("a", "1"))
        (event,) = [event async for event in store.read()]
        before = event.meta
        with pytest.raises(IdempotencyConflictError):
            await store.append([event], stream=("Other", "b"))
        assert event.meta == before
        assert (await store.append([event], stream=("Notes", "a"))).positions == (1,)
        assert event.meta == before

    run(url, test)


def test_an_event_whose_append_was_refused_is_free_and_keeps_its_id(url):
    async def test(store):
        plain, given = Jotted(text="1"), Jotted(text="2", correlation_id="c")
        for event in (plain, given):
            with pytest.raises(OptimisticConcurrencyError):
                await store.append([event], stream=("Notes", "a"), expected=9)
        ids = [plain.event_id, given.event_id]
        one = Notes(id="a")
        one.apply(plain)
        one.apply(given)
        await store.save(one)
        found = [event.meta.event_id async for event in store.read()]
        assert found == ids

    run(url, test)


def test_an_event_that_waits_in_an_aggregate_is_not_appended(url):
    async def test(store):
        one = notes("a", "1")
        with pytest.raises(InvalidEventError) as caught:
            await store.append(one.get_uncommitted_events())
        assert caught.value.field == "event"
        await store.save(one)

    run(url, test)


def test_appended_events_know_where_they_are(url):
    async def test(store):
        await store.append([Jotted(text="0")], stream=("Notes", "a"))
        events = [Jotted(text="1"), Jotted(text="2", user_id="u")]
        await store.append(events, stream=("Notes", "a"))
        found = [
            (e.aggregate_type, e.aggregate_id, e.aggregate_version, e.position) for e in events
        ]
        assert found == [("Notes", "a", 2, 2), ("Notes", "a", 3, 3)]

    run(url, test)


def test_everybody_who_closes_waits_and_nobody_is_forgotten(tmp_path):
    async def main():
        store = await EventStore.create(tmp_path / "notes.db")
        saves = [asyncio.ensure_future(store.save(notes(str(n), "1"))) for n in range(50)]
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await asyncio.gather(store.close(), store.close(), *saves)
            with pytest.raises(StoreClosedError):
                await store.save(notes("late", "1"))

    asyncio.run(main())


def test_a_store_reads_the_file_it_opened_wherever_the_process_goes(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        monkeypatch.chdir(folder)
        with sync.EventStore.create("notes.db") as store:
            store.save(notes("a", folder.name))
    monkeypatch.chdir(here)
    with sync.EventStore.create("notes.db") as store:
        monkeypatch.chdir(there)
        assert store.load_one(Notes, "a").texts == ("here",)
        store.save(notes("b", "1"))
        assert store.load_one(Notes, "b").texts == ("1",)


def test_opening_in_vain_and_dropping_leave_no_descriptors(tmp_path):
    def count():
        gc.collect()
        return len(os.listdir("/dev/fd"))

    async def main():
        await (await EventStore.create("memory://")).close()
        before = count()
        for _ in range(20):
            with pytest.raises(ValueError, match="directory"):
                await EventStore.create(tmp_path)
            store = await EventStore.create("memory://")
            await store.save(notes("a", "1"))
            del store
            opening = asyncio.ensure_future(EventStore.create("memory://")._open())
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        for _ in range(100):
            await asyncio.sleep(0.01)
            if count() <= before:
                return
        raise AssertionError(f"{count()} descriptors, {before} before")

    if not os.path.isdir("/dev/fd"):
        pytest.skip("descriptors can't be counted here")
    asyncio.run(main())


def test_a_long_stream_is_read_page_by_page_from_anywhere(url):
    async def test(store):
        for start in range(0, 4000, 500):
            events = [Jotted(text=str(n)) for n in range(start, start + 500)]
            await store.append(events, stream=("Notes", "long"))
            await store.append([Jotted(text="between")], stream=("Notes", "other"))
        one = Query(aggregate_type="Notes", aggregate_id="long")
        forward = [int(event.text) async for event in store.read(one)]
        assert forward == list(range(4000))
        assert [int(e.text) async for e in store.read(one, backwards=True)] == forward[::-1]
        tail = [int(event.text) async for event in store.read(one, after=3500, limit=3)]
        assert tail == [3494, 3495, 3496]  # six others lie between
        assert len(await store.load_events("long", from_version=3990)) == 11

    run(url, test)


class Restless(Aggregate, name="Notes"):
    """A handler that applies events itself is refused, live and when it is replayed."""

    def apply_jotted(self, event: Jotted) -> None:
        if event.text != "2":
            self.apply(Jotted(text="2"))


def test_a_handler_that_applies_events_is_refused_at_load(url):
    async def test(store):
        await store.save(notes("a", "1"))
        with pytest.raises(InvalidEventError) as caught:
            await store.load(Restless, "a")
        assert caught.value.field == "event"

    run(url, test)


# --- parts of a batch -----------------------------------------------------------------------------


class Interrupted:
    """A store whose next commit is cut off before it is sent."""

    def __init__(self, store):
        self._store, self.cut = store, False

    def commit(self, *arguments, **options):
        if self.cut:
            self.cut = False
            raise OutcomeUnknownError("cut off", event_ids=[])
        return self._store.commit(*arguments, **options)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def unsure(url):
    """Gives a store, and a function that appends without anybody knowing whether it did."""
    with sync.EventStore.create(url) as store:
        store._store = Interrupted(store._store)

        def append_unsure(events):
            store._store.cut = True
            with pytest.raises(OutcomeUnknownError):
                store.append(events, stream=STREAM)

        yield store, append_unsure


STREAM = ("Notes", "n")


def jotted(*texts):
    return [Jotted(text=text) for text in texts]


def assert_as_stored(store, *events):
    """What the events say of themselves is what the store says of them."""
    found = {event.text: event.meta for event in store.load_events("n", "Notes")}
    assert [event.meta for event in events] == [found[event.text] for event in events]


def test_events_in_doubt_can_be_appended_one_by_one(unsure):
    store, append_unsure = unsure
    a, b, c = events = jotted("a", "b", "c")
    append_unsure(events)
    store.append([b], stream=STREAM)
    assert (a.position, c.position) == (None, None)
    store.append([c], stream=STREAM)
    store.append([a], stream=STREAM)
    assert_as_stored(store, a, b, c)


def test_an_event_among_those_in_doubt_keeps_its_own_id(unsure):
    store, append_unsure = unsure
    a, b, c = events = jotted("a", "b", "c")
    append_unsure(events)
    (new,) = jotted("new")
    store.append([a, new, c], stream=STREAM)
    store.append([b], stream=STREAM)
    assert_as_stored(store, a, new, c, b)
    assert len({event.event_id for event in (a, b, c, new)}) == 4


def test_events_in_doubt_can_be_appended_in_another_order(unsure):
    store, append_unsure = unsure
    a, b, c, d = events = jotted("a", "b", "c", "d")
    append_unsure(events)
    ids = [event.event_id for event in events]
    store.append([a, c, b, d], stream=STREAM)
    assert [event.event_id for event in events] == ids
    assert_as_stored(store, a, c, b, d)


def test_events_that_are_refused_have_ids_of_their_own(unsure):
    store, append_unsure = unsure
    a, _, c = events = jotted("a", "b", "c")
    append_unsure(events)
    new = jotted("x", "y")
    for event in new:
        with pytest.raises(OptimisticConcurrencyError):
            store.append([a, event, c], stream=STREAM, expected=5)
    assert len({event.event_id for event in (*events, *new)}) == 5
    assert all(event.event_id.version == 7 for event in new)


def test_a_shallow_copy_saves_its_own_part(url):
    with sync.EventStore.create(url) as store:
        one, other = notes("one", "1", "2"), notes("other", "1")
        twin = copy.copy(one)
        one.apply(Jotted(text="3"))
        last = one.get_uncommitted_events()[-1]
        store.save(twin, other)
        assert (last.position, last.recorded_at) == (None, None)
        assert other.version == 1
        with pytest.raises(IdempotencyConflictError):
            store.save(one)


def test_a_refusal_takes_nothing_from_another_append_of_the_same_events(url):
    async def test(store):
        events = jotted("a", "b")
        good = asyncio.ensure_future(store.append(events, stream=STREAM))
        bad = asyncio.ensure_future(store.append(events, stream=STREAM, expected=7))
        await asyncio.wait([good, bad])
        committed = good.result()
        assert [event.position for event in events] == list(committed.positions)
        assert [event.aggregate_version for event in events] == [1, 2]

    run(url, test)


class Picked(Event):
    currency: str

    @field_serializer("currency")
    def pick(self, value: str) -> str:
        return next(name for name in ("EUR", "GBP") if name == value)


def test_a_serializer_that_runs_out_is_refused_and_drops_nothing(url):
    with sync.EventStore.create(url) as store:
        events = [Picked(currency=name) for name in ("EUR", "USD", "EUR")]
        with pytest.raises(SerializationError, match=r"Picked\.currency.*StopIteration"):
            store.append(events)
        assert store.stats().last_position == 0
        assert len(store.append([events[0], events[2]]).positions) == 2


def test_a_save_of_two_commits_has_one_version_for_each_stream(url):
    async def test(store):
        one, two, three = notes("one", "a"), notes("two", "a", "b"), notes("three", "a")
        await cut_off(store, one, two)
        two.apply(Jotted(text="c"))
        three.apply(Jotted(text="b"))
        committed = await store.save(one, two, three)
        assert len(committed.positions) == 6
        assert committed.versions == (1, 3, 2) == (one.version, two.version, three.version)
        one.apply(Jotted(text="b"))
        await cut_off(store, one)
        for text in "cd":
            one.apply(Jotted(text=text))
        assert (await store.save(one)).versions == (4,)

    run(url, test)
