"""Where a reading ends, what a number may be, and how much of an argument is looked at."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import count

import pytest
from ledger import Counted
from stores import Blocking, each_api, each_store, gathered, opened, run, url_of

from eventuali import (
    NO_STREAM,
    STREAM_EXISTS,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    EventualiError,
    InvalidEventError,
    OptimisticConcurrencyError,
    Query,
)
from eventuali._eventuali import Kind
from eventuali.errors import PayloadTooLargeError, StoreClosedError

MANY = 2500


class Count(Aggregate):
    number: int = -1

    def apply_counted(self, event: Counted) -> None:
        self.number = event.number


def numbers(start, stop):
    return [Counted(number=n) for n in range(start, stop)]


@each_store
def test_a_reading_ends_where_the_log_ended(kind, api, tmp_path):
    stream = ("Count", "c")

    async def test(store):
        await store.append(numbers(0, MANY), stream=stream)
        for options in (
            {},
            {"query": Query(aggregate_type="Count", aggregate_id="c")},
            {"query": Query(event_types=[Counted])},
            {"limit": 10 * MANY},
        ):
            before = (await store.horizon()).last_position
            reader, seen = store.read(**options), 0
            async for event in reader:
                assert event.position <= before
                seen += 1
                if seen % 500 == 1 or seen > MANY - 20:
                    await store.append(numbers(0, 1), stream=stream)
            assert seen >= MANY
            assert reader.position == before
            assert len(await gathered(store.read(after=before))) >= 20

    run(api, kind, tmp_path, test)


@each_api
def test_a_history_ends_where_the_log_ended(api, tmp_path):
    async def test(store):
        await store.append(numbers(0, 1001), stream=("Count", "c"))
        seen = 0
        async for step in store.history(Count, "c"):
            seen += 1
            assert step.state.version == seen <= 1001
            await store.append(numbers(0, 1), stream=("Count", "c"))
        assert seen == 1001

    run(api, "memory", tmp_path, test)


@each_store
def test_a_listing_ends_where_the_log_ended(kind, api, tmp_path):
    async def test(store):
        counts = [Count(id=f"a{n:04}") for n in range(1100)]
        for start in range(0, 1100, 100):
            for one in counts[start : start + 100]:
                one.apply(Counted(number=1))
            await store.save(*counts[start : start + 100])
        listed = []
        async for stream in store.streams():
            listed.append(stream.aggregate_id)
            if len(listed) % 300 == 1 or len(listed) > 1090:
                # One more that sorts last, and one that is to be listed goes on.
                await store.append(numbers(0, 2), stream=("Count", f"z{len(listed):04}"))
                await store.append(numbers(0, 1), stream=("Count", "a1099"))
        assert listed == [f"a{n:04}" for n in range(1100)]
        assert len(await gathered(store.streams())) > 1110

    run(api, kind, tmp_path, test)


@each_store
def test_an_earlier_state_is_bounded_on_every_page(kind, api, tmp_path):
    async def test(store):
        times = []
        for start in range(0, MANY, 100):
            done = await store.append(numbers(start, start + 100), stream=("Count", "c"))
            times.append(done.recorded_at)
        for version in (1, 999, 1000, 1001, 1500, 1999, 2000, 2001, MANY):
            state = await store.load(Count, "c", at_version=version)
            assert (state.version, state.number) == (version, version - 1)
        for n in (9, 10, 14, 19, 20, 24):
            last = max(i for i, time in enumerate(times) if time <= times[n])
            state = await store.load(Count, "c", at_time=times[n])
            assert state.version == state.number + 1 == 100 * (last + 1)
        events = await store.load_events("c", "Count")
        for version in (999, 1000, 1001, 1500, MANY):
            time = events[version - 1].timestamp
            state = await store.load(Count, "c", at_time=time, by="timestamp")
            assert state.version == max(e.aggregate_version for e in events if e.timestamp <= time)

    run(api, kind, tmp_path, test)


@each_store
def test_a_version_is_exact(kind, api, tmp_path):
    async def test(store):
        await store.append(numbers(0, 3), stream=("Count", "c"))
        for version in (4, 9, 2**63 - 1):
            for load in (store.load, store.load_one):
                with pytest.raises(InvalidEventError, match="is at version 3") as caught:
                    await load(Count, "c", at_version=version)
                assert caught.value.field == "at_version"
        assert (await store.load(Count, "c", at_version=0)).version == 0
        assert await store.load(Count, "nobody", at_version=9) is None
        with pytest.raises(TypeError, match="not both"):
            await store.load(Count, "c", at_version=1, at_time=datetime.now().astimezone())

    run(api, kind, tmp_path, test)


@each_store
def test_numbers_count_from_0_and_are_refused_by_one_class(kind, api, tmp_path):
    async def test(store):
        await store.append(numbers(0, 3), stream=("Count", "c"))
        assert await gathered(store.read(limit=0)) == []
        assert await gathered(store.read(limit=0, backwards=True)) == []
        assert len(await gathered(store.read(limit=10**30))) == 3
        calls = {
            "limit": lambda n: gathered(store.read(limit=n)),
            "after": lambda n: gathered(store.read(after=n)),
            "before": lambda n: gathered(store.read(before=n)),
            "from_version": lambda n: store.load_events("c", "Count", n),
            "at_version": lambda n: store.load(Count, "c", at_version=n),
            "expected": lambda n: store.append(numbers(0, 1), stream=("Count", "c"), expected=n),
            "attempts": lambda n: store.decide(Query(), lambda _: None, attempts=n),
        }
        for field, call in calls.items():
            too_many = () if field in ("limit", "attempts") else (2**63, 2**70)
            for wrong in (-1, -(2**70), *too_many):
                with pytest.raises(InvalidEventError, match=field) as caught:
                    await call(wrong)
                assert caught.value.field == field
            for wrong in (1.0, "1", True, float("nan")):
                with pytest.raises(TypeError, match="int"):
                    await call(wrong)
        condition = AppendCondition(Query(tags=["a"]), after=-1)
        with pytest.raises(InvalidEventError, match="after"):
            await store.append(numbers(0, 1), condition=condition)
        naive = datetime(2026, 1, 1)
        for call in (
            lambda: gathered(store.read(since=naive)),
            lambda: gathered(store.read(until=naive)),
            lambda: store.load(Count, "c", at_time=naive),
        ):
            with pytest.raises(InvalidEventError, match="time zone"):
                await call()

    run(api, kind, tmp_path, test)


@each_store
def test_an_append_of_nothing_is_judged(kind, api, tmp_path):
    async def test(store):
        await store.append(numbers(0, 3), stream=("Count", "c"))
        stored = (await store.horizon()).last_position
        for options, error in [
            ({"condition": AppendCondition(Query(event_types=[Counted]))}, AppendConditionError),
            ({"stream": ("Count", "c"), "expected": 7}, OptimisticConcurrencyError),
            ({"stream": ("Count", "c"), "expected": NO_STREAM}, OptimisticConcurrencyError),
            ({"stream": ("Count", "d"), "expected": STREAM_EXISTS}, OptimisticConcurrencyError),
            ({"expected": 7}, InvalidEventError),
            ({"stream": ("Count", "")}, InvalidEventError),
            ({"stream": "nonsense"}, TypeError),
            ({"condition": Query()}, TypeError),
        ]:
            for events in ([], iter(()), numbers(0, 1)):
                with pytest.raises(error):
                    await store.append(events, **options)
        for options in (
            {},
            {"stream": ("Count", "c"), "expected": 3},
            {"condition": AppendCondition(Query(event_types=[Counted]), after=stored)},
        ):
            assert (await store.append([], **options)).positions == ()
        assert (await store.horizon()).last_position == stored

    run(api, kind, tmp_path, test)


@each_store
def test_what_never_ends_is_refused_at_the_limit(kind, api, tmp_path):
    async def test(store):
        taken = count()

        def endless():
            for n in taken:
                yield Counted(number=n)

        for call in (
            lambda: store.append(endless()),
            lambda: store.append(endless(), stream=("Count", "c")),
            lambda: store.decide(Query(), lambda _: endless()),
        ):
            before = next(taken)
            with pytest.raises(PayloadTooLargeError) as caught:
                await call()
            assert caught.value.limit == 10_000
            assert next(taken) - before < 10_100
        assert await gathered(store.read()) == []

    run(api, kind, tmp_path, test)


@each_store
def test_what_the_store_knows_at_a_glance(kind, api, tmp_path):
    async def test(store):
        assert store.stats().last_position == 0
        await store.append(numbers(0, 5))
        last = (await store.horizon()).last_position
        assert store.stats().last_position == last
        if kind in ("sqlite", "postgres"):
            async with opened(api, url_of(kind, tmp_path)) as other:
                await gathered(other.read(backwards=True, limit=3))
                assert other.stats().last_position == last
            async with opened(api, url_of(kind, tmp_path)) as other:
                await gathered(other.read())
                assert other.stats().last_position == last
        await store.close()
        with pytest.raises(StoreClosedError):
            store.stats()

    run(api, kind, tmp_path, test)


@each_store
def test_an_event_of_an_unknown_codec_is_refused_by_name(kind, api, tmp_path):
    async def test(store):
        inner = store.store if isinstance(store, Blocking) else store
        kinds = [Kind("Counted", 1, "json"), Kind("Counted", 1, "zstd")]
        runs = [(k, bytes(15) + bytes([n]), [0], [b'{"number": 1}'], None)
                for n, k in enumerate(kinds, 1)]  # fmt: skip
        write = ("Count", "c", 0, runs)
        pending = inner._store.commit([write], [])
        await asyncio.to_thread(pending.wait)
        for raw in (False, True):
            reader = store.read(raw=raw)
            assert (await anext(reader)).event_type == "Counted", "what comes before is given"
            with pytest.raises(EventualiError, match="zstd") as caught:
                await anext(reader)
            assert caught.value.event_type == "Counted"
        for call in (
            lambda: store.load(Count, "c"),
            lambda: store.load_events("c"),
            lambda: gathered(store.history(Count, "c")),
        ):
            with pytest.raises(EventualiError, match="zstd"):
                await call()
        assert (await store.load(Count, "c", at_version=1)).number == 1

    run(api, kind, tmp_path, test)


@each_store
def test_a_time_that_no_datetime_can_have_is_an_error_of_the_tree(kind, api, tmp_path):
    times = [2**62, -(2**62), 253_402_300_800_000_000, -62_135_596_800_000_001]

    async def test(store):
        inner = store.store if isinstance(store, Blocking) else store
        for n, time in enumerate(times, 1):
            run = (
                Kind("Counted", 1, "json"),
                bytes(15) + bytes([n]),
                [time],
                [b'{"number": 1}'],
                None,
            )
            pending = inner._store.commit([("Count", f"c{n}", 0, [run])], [])
            await asyncio.to_thread(pending.wait)
        events = await gathered(store.read(Query(aggregate_type="Count")))
        for n, event in enumerate(events, 1):
            with pytest.raises(EventualiError, match=f"at position {event.position}") as caught:
                event.meta  # noqa: B018
            assert caught.value.event_type == "Counted", n

    run(api, kind, tmp_path, test)
