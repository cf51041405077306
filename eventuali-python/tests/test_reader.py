"""What `read` gives: how far it looked, ranges of times, tags, and a correlation in its order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from ledger import Counted, Ledger
from stores import each_api, each_kind, each_store, gathered, run

from eventuali import ALL, Event, EventStore, Query, sync


async def fill(store, count=30) -> list[int]:
    """Events of two kinds of streams, every third with a tag; returns their positions."""
    positions = []
    for number in range(count):
        tags = ["third"] if number % 3 == 0 else []
        stream = ("Ledger", "a") if number % 2 else ("Other", "b")
        committed = await store.append([Counted(number=number, tags=tags)], stream=stream)
        positions.append(committed.position)
    return positions


# --- how far it looked ----------------------------------------------------------------------------


@each_store
def test_a_reader_says_how_far_it_looked(kind, api, tmp_path):
    async def test(store):
        positions = await fill(store)
        first, last = positions[0], positions[-1]
        for query in (ALL, Query(tags=["third"]), Query(tags=["nobody"]), Query(aggregate_id="b"),
                      Query(event_types=["Elsewhere"]), Query(correlation_id="nobody"),
                      Query(aggregate_type="Nothing")):  # fmt: skip
            reader = store.read(query)
            assert reader.position == 0
            await gathered(reader)
            assert reader.position == last, query
            reader = store.read(query, after=positions[9], before=positions[20])
            assert reader.position == positions[9]
            await gathered(reader)
            assert reader.position == positions[20] - 1, query
            reader = store.read(query, backwards=True, before=positions[20])
            assert reader.position == positions[20]
            await gathered(reader)
            assert 1 <= reader.position <= first, query
        reader = store.read(after=last)
        assert await gathered(reader) == []
        assert reader.position == last

    run(api, kind, tmp_path, test)


@each_store
def test_reading_goes_on_where_the_last_reader_stopped(kind, api, tmp_path):
    async def test(store):
        await fill(store)
        for query in (ALL, Query(tags=["third"]), Query(aggregate_type=Ledger)):
            whole = await gathered(store.read(query))
            for backwards in (False, True):
                found, reader = [], store.read(query, backwards=backwards, limit=4)
                while events := await gathered(reader):
                    if len(events) == 4:  # else it has looked to the end
                        assert reader.position == events[-1].position
                    found += events
                    bound = "before" if backwards else "after"
                    options = {bound: reader.position, "backwards": backwards, "limit": 4}
                    reader = store.read(query, **options)
                assert found == (whole[::-1] if backwards else whole)

    run(api, kind, tmp_path, test)


@each_store
def test_in_the_middle_the_position_is_that_of_the_last_event_given(kind, api, tmp_path):
    async def test(store):
        positions = await fill(store)
        reader = store.read(Query(tags=["third"]))
        for number in (0, 3, 6):
            assert (await anext(reader)).number == number
            assert reader.position == positions[number]
        await reader.aclose()
        assert reader.position == positions[6]
        with pytest.raises(StopAsyncIteration):
            await anext(reader)

    run(api, kind, tmp_path, test)


class Broken(Event, name="reader.broken"):
    number: int


@each_store
def test_an_event_that_cannot_be_given_is_not_passed(kind, api, tmp_path):
    async def test(store):
        positions = await fill(store, 3)

        class Strict(Event, name="reader.broken"):
            text: str

        await store.append([Broken(number=1)])
        store.register_event_class("reader.broken", Strict)
        reader = store.read()
        with pytest.raises(Exception, match=r"reader\.broken"):
            await gathered(reader)
        assert reader.position == positions[-1]
        reader = store.read(after=positions[-1])
        with pytest.raises(Exception, match=r"reader\.broken"):
            await gathered(reader)
        assert reader.position == positions[-1]

    run(api, kind, tmp_path, test)


def test_a_loop_that_ends_early_leaves_the_reader_where_it_is():
    async def main():
        async with EventStore.create("memory://") as store:
            await fill(store)
            reader = store.read()
            async for event in reader:
                if event.number == 4:
                    break
            assert reader.position == event.position
            assert [event.number async for event in reader][:2] == [5, 6]
            assert reader.position == store.stats().last_position

    asyncio.run(main())
    with sync.EventStore.create("memory://") as store:
        store.append([Counted(number=n) for n in range(9)])
        reader = store.read()
        for event in reader:
            if event.number == 4:
                break
        assert reader.position == event.position
        assert next(reader).number == 5
        reader.close()
        assert list(reader) == []
        assert reader.position == event.position + 1


@each_api
def test_a_reader_begins_when_the_first_event_is_asked_for(api, tmp_path):
    async def test(store):
        reader = store.read()
        await fill(store, 3)
        assert len(await gathered(reader)) == 3

    run(api, "memory", tmp_path, test)


# --- times ----------------------------------------------------------------------------------------


@each_store
def test_a_range_of_times_begins_at_since_and_ends_before_until(kind, api, tmp_path):
    async def test(store):
        await fill(store, 12)
        await store.append([Counted(number=n, tags=["third"]) for n in (12, 13, 14)])
        events = await gathered(store.read())
        times = [event.meta.recorded_at for event in events]
        assert times == sorted(times)
        tick = timedelta.resolution
        moments = {times[0], times[4], times[9], times[-1]}
        moments |= {moment + tick for moment in moments} | {moment - tick for moment in moments}
        moments |= {datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)}
        for query in (ALL, Query(tags=["third"]), Query(aggregate_type="Ledger", aggregate_id="a"),
                      Query(aggregate_id="b")):  # fmt: skip
            whole = await gathered(store.read(query))
            for one in moments:
                later = [e for e in whole if e.meta.recorded_at >= one]
                earlier = [e for e in whole if e.meta.recorded_at < one]
                assert await gathered(store.read(query, since=one)) == later
                assert await gathered(store.read(query, until=one)) == earlier
                backwards = store.read(query, since=one, backwards=True)
                assert await gathered(backwards) == later[::-1]
                backwards = store.read(query, until=one, backwards=True)
                assert await gathered(backwards) == earlier[::-1]
                for other in (times[4], times[9]):
                    wanted = [e for e in later if e.meta.recorded_at < other]
                    assert await gathered(store.read(query, since=one, until=other)) == wanted
        both = store.read(since=times[4], after=events[6].position, limit=2)
        assert await gathered(both) == events[7:9]

    run(api, kind, tmp_path, test)


@each_store
def test_a_range_of_times_that_ends_says_how_far_it_looked(kind, api, tmp_path):
    """Whoever goes on from there misses nothing."""

    async def test(store):
        positions = await fill(store, 9)
        events = await gathered(store.read())
        reader = store.read(until=events[4].meta.recorded_at)
        found = await gathered(reader)
        rest = await gathered(store.read(after=reader.position))
        assert events[len(found)].position > reader.position or rest == []
        reader = store.read(since=datetime(9999, 1, 1, tzinfo=UTC))
        assert await gathered(reader) == []
        assert reader.position == positions[-1]

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("bound", ["since", "until"])
@each_api
def test_a_time_has_a_zone(api, bound, tmp_path):
    async def test(store):
        with pytest.raises(ValueError, match=f"{bound} .* has no time zone"):
            await gathered(store.read(**{bound: datetime(2026, 1, 1)}))
        for wrong in ("2026-01-01", 1, datetime(2026, 1, 1, tzinfo=UTC).date()):
            with pytest.raises(TypeError, match=f"{bound} must be a datetime"):
                await gathered(store.read(**{bound: wrong}))
        zone = datetime.now().astimezone().tzinfo
        assert await gathered(store.read(**{bound: datetime(2026, 1, 1, tzinfo=zone)})) == []

    run(api, "memory", tmp_path, test)


# --- a correlation --------------------------------------------------------------------------------


@each_store
def test_a_correlation_is_read_in_causal_order(kind, api, tmp_path):
    async def test(store):
        request, ids = uuid4(), []
        for number in range(12):
            cause: dict[str, Any] = {"causation_id": ids[number // 2]} if ids else {}
            event = Counted(number=number, correlation_id=request, **cause)
            ids.append(event.event_id)
            await store.append([event], stream=("Ledger", f"s{number % 3}"))
            await store.append([Counted(number=-1, correlation_id=uuid4())])
        found = await gathered(store.read(Query(correlation_id=request)))
        assert [event.number for event in found] == list(range(12))
        seen = set()
        for event in found:
            assert event.meta.causation_id in seen | {None}
            seen.add(event.event_id)

    run(api, kind, tmp_path, test)


@each_store
def test_a_correlation_is_found_however_it_is_written(kind, api, tmp_path):
    async def test(store):
        one = UUID(int=77)
        odd = [
            'a "b"',
            "back\\slash",
            "é ü 漢",
            "🎉",
            "a/b",
            "%_",
            "{}",
            str(one).upper(),
            one,
            "x" * 255,
        ]
        for correlation in odd:
            await store.append([Counted(number=0), Counted(number=1, correlation_id=correlation)])
        for correlation in odd:
            found = await gathered(store.read(Query(correlation_id=correlation)))
            assert [event.meta.correlation_id for event in found] == [correlation]
            both = Query(correlation_id=correlation, aggregate_type="Nothing")
            assert await gathered(store.read(both)) == []
        assert len(await gathered(store.read(Query(correlation_id=str(one))))) == 1
        # What looks like a correlation elsewhere is none.
        await store.append([Counted(number=2, headers={"correlation_id": "h"}, user_id='"h"')])
        assert await gathered(store.read(Query(correlation_id="h"))) == []

    run(api, kind, tmp_path, test)


@each_kind
def test_what_no_index_finds_is_found_among_many(kind, tmp_path):
    """More events than are passed at once, and matches that are rare, frequent and everywhere."""

    def correlation(n):
        return "rare" if n % 1999 == 7 else "often" if n % 8 == 1 else None

    def stream(n):
        first = n - n % 1000
        return "Odd" if first % 16_000 == 3000 else "Even", f"s{first % 7000}"

    async def test(store):
        for first in range(0, 70_000, 1000):
            numbers = range(first, first + 1000)
            events = [Counted(number=n, correlation_id=correlation(n)) for n in numbers]
            await store.append(events, stream=stream(first))
        for query, match in [
            (Query(correlation_id="rare"), lambda n: correlation(n) == "rare"),
            (Query(correlation_id="often"), lambda n: correlation(n) == "often"),
            (Query(aggregate_type="Odd"), lambda n: stream(n)[0] == "Odd"),
            (Query(aggregate_id="s2000"), lambda n: stream(n)[1] == "s2000"),
            (Query(aggregate_id="s2000", correlation_id="rare"),
             lambda n: (stream(n)[1], correlation(n)) == ("s2000", "rare")),
            (Query(aggregate_type="Odd") | Query(correlation_id="rare"),
             lambda n: stream(n)[0] == "Odd" or correlation(n) == "rare"),
        ]:  # fmt: skip
            wanted = [n for n in range(70_000) if match(n)]
            for backwards in (False, True):
                found = [e.number for e in await gathered(store.read(query, backwards=backwards))]
                assert found == (wanted[::-1] if backwards else wanted)
                first = await gathered(store.read(query, backwards=backwards, limit=3))
                assert [event.number for event in first] == found[:3]

    run("sync", kind, tmp_path, test)


@each_store
def test_several_aggregate_types_are_several_items(kind, api, tmp_path):
    async def test(store):
        await fill(store, 6)
        await store.append([Counted(number=6)], stream=("Third", "c"))
        either = Query(aggregate_type="Third") | Query(aggregate_type=Ledger)
        assert [e.number for e in await gathered(store.read(either))] == [1, 3, 5, 6]

    run(api, kind, tmp_path, test)
