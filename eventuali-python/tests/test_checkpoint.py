"""Going on by name: what is written down and when, and whose it is."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, suppress
from itertools import islice
from uuid import UUID, uuid4

import psycopg
import pytest
from ledger import Counted
from postgres_server import server_url
from stores import each_kind, each_shared, gathered, opened, schema_of, url_of
from support import script

from eventuali import Event, Query, sync
from eventuali._engine.checkpoint import flushed
from eventuali.errors import (
    CheckpointMismatchError,
    DatabaseError,
    StorageCorruptedError,
    StreamingError,
)

EVEN = Query(tags=["even"])
SPACE = "checkpoint"
UNWRITTEN = 1000


class Passed(Event):
    pass


def run(kind, tmp_path, test):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            await asyncio.wait_for(test(store), 20)

    asyncio.run(main())


async def append(store, *numbers):
    await store.append([Counted(number=n, tags=["even"] * (n % 2 == 0)) for n in numbers])


async def take(events, count):
    return [(await anext(events)).number for _ in range(count)]


async def checkpoint(store, name):
    """Returns what is written down: (version, position), or None."""
    found = await store._driver.answer(store._store.record(SPACE, name))
    return found and (found[0], json.loads(found[1])["position"])


async def put(store, name, value, expected=None):
    """Writes a checkpoint past whoever follows."""
    await store._driver.answer(store._store.put_record(SPACE, name, expected, value, uuid4()))


async def moved(store, name):
    """Moves a checkpoint as another process does that follows under the same name."""
    version, value = await store._driver.answer(store._store.record(SPACE, name))
    await put(store, name, value, version)


async def slowly(events):
    async for _ in events:
        await asyncio.sleep(0.01)


async def until(condition):
    while not await condition():
        await asyncio.sleep(0.005)


@each_kind
def test_it_goes_on_where_it_was(kind, tmp_path):
    async def test(store):
        await append(store, *range(2500))
        seen = []
        for count in (1, 0, 999, 1, 1000, 3, 496):
            async with store.subscribe(name="audit") as events:
                assert events.name == "audit"
                seen += await take(events, count)
            assert events.position == (await checkpoint(store, "audit") or (0, 0))[1]
        assert seen == list(range(2500))
        async with store.subscribe(EVEN, name="even") as other:
            assert await take(other, 2) == [0, 2], "names don't know each other"
        assert await take(store.subscribe(name="new"), 1) == [0]

    run(kind, tmp_path, test)


@each_kind
def test_an_event_counts_once_its_handler_has_returned(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        with suppress(ZeroDivisionError):
            async with store.subscribe(name="n") as events:
                async for event in events:
                    if event.number == 4:
                        1 / 0  # noqa: B018
        async with store.subscribe(name="n") as events:
            assert await take(events, 1) == [4]
            # Another task closes it while 4 is in hand.
            await asyncio.create_task(events.aclose())
        async with store.subscribe(name="n") as events:
            assert await take(events, 1) == [5], "the end of `async with` was this task's"
        events = store.subscribe(name="n")
        assert await take(events, 1) == [6]
        await asyncio.create_task(events.aclose())
        assert await take(store.subscribe(name="n"), 1) == [6], "nobody said that it is handled"
        assert await gathered(events) == []
        assert await take(store.subscribe(name="n"), 1) == [7], "asking for the next one says so"

    run(kind, tmp_path, test)


@each_shared
def test_a_blocking_event_counts_once_its_handler_has_returned(kind, tmp_path):
    with (
        sync.EventStore.create(url_of(kind, tmp_path)) as store,
        ThreadPoolExecutor(1) as other,
    ):
        store.append([Counted(number=n) for n in range(10)])

        def first():
            events = store.subscribe(name="n")
            return events, next(events).number

        with suppress(ZeroDivisionError), store.subscribe(name="n") as events:
            for event in events:
                if event.number == 4:
                    1 / 0  # noqa: B018
        with store.subscribe(name="n") as events:
            assert next(events).number == 4
            other.submit(events.close).result()  # while 4 is in hand
        events, number = first()
        assert number == 5, "the end of `with` was this thread's"
        events.close()
        events, number = other.submit(first).result()
        assert number == 6
        events.close()
        assert first()[1] == 6, "nobody said that it is handled"
        assert other.submit(list, events).result() == []
        assert first()[1] == 7, "asking for the next one says so"


@each_kind
def test_it_is_written_while_a_slow_handler_runs(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        events = store.subscribe(name="n")
        assert await take(events, 4) == [0, 1, 2, 3]
        await until(at(store, "n", 3))
        assert not await at(store, "n", 4)(), "it is in hand"
        assert await take(store.subscribe(name="n"), 1) == [3]

    run(kind, tmp_path, test)


@each_kind
def test_it_is_written_while_a_blocking_handler_runs(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Counted(number=n) for n in range(10)])
        events = store.subscribe(name="n")
        for n in range(4):
            assert next(events).number == n
        while store._store.record(SPACE, "n").wait() is None:
            pass
        while json.loads(store._store.record(SPACE, "n").wait()[1])["position"] < 3:
            pass
        third = list(store.read(limit=3))[-1].meta.position
        assert json.loads(store._store.record(SPACE, "n").wait()[1])["position"] == third


def test_a_checkpoint_that_takes_long_keeps_nobody_waiting_before_a_thousand(tmp_path):
    async def main():
        place, seen = url_of("postgres", tmp_path), []

        async def follow(events):
            async for event in events:
                seen.append(event.number)

        async with opened("async", place) as store, asyncio.timeout(60):
            await append(store, *range(3000))
            async with store.subscribe(name="n") as events:
                with psycopg.connect(server_url()) as other:
                    other.execute(f"LOCK TABLE {schema_of(tmp_path)}.events_records")
                    task = asyncio.create_task(follow(events))
                    while len(seen) < UNWRITTEN:
                        await asyncio.sleep(0.001)
                    for _ in range(50):
                        await asyncio.sleep(0.001)
                    assert len(seen) == UNWRITTEN, "more would come again after a crash"
                await events.caught_up()
                assert seen == list(range(3000))
                task.cancel()

    asyncio.run(main())


def test_a_write_that_fails_is_told_to_who_waits_and_tried_again(tmp_path):
    async def main():
        schema = schema_of(tmp_path)
        async with opened("async", url_of("postgres", tmp_path)) as store, asyncio.timeout(60):
            await append(store, *range(3))
            events = store.subscribe(name="n")
            with psycopg.connect(server_url(), autocommit=True) as admin:
                assert await take(events, 3) == [0, 1, 2]
                admin.execute(
                    f"CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS "
                    "'BEGIN RAISE ''no''; END'"
                )
                admin.execute(
                    f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {schema}.events_records "
                    f"FOR EACH ROW EXECUTE FUNCTION {schema}.fail()"
                )
                with pytest.raises(DatabaseError):
                    await anext(events)
                admin.execute(f"DROP TRIGGER fail ON {schema}.events_records")
            await append(store, 3)
            assert await take(events, 1) == [3]
            await events.aclose()
            assert await at(store, "n", 4)()

    asyncio.run(main())


@each_kind
def test_one_that_was_dropped_is_waited_for(kind, tmp_path):
    async def test(store):
        await append(store, *range(51))
        for n in range(50):
            assert await take(store.subscribe(name="n"), 2) == [n, n + 1]

    run(kind, tmp_path, test)


@each_kind
def test_what_comes_behind_is_not_passed_over(kind, tmp_path):
    async def test(store):
        await append(store, *[1] * 1500)
        passed = (await gathered(store.read(backwards=True, limit=1)))[0].meta.position
        await append(store, 2, 3)
        checkpoint = store._store.subscribe(list(EVEN.items), 1000).checkpoint("n")
        assert await store._driver.answer(checkpoint.begin(False)) == 0
        checkpoint.looked(passed)
        await store._driver.answer(checkpoint.flush())
        async with store.subscribe(EVEN, name="n") as events:
            assert events.position == passed
            assert await take(events, 1) == [2]

    run(kind, tmp_path, test)


def at(store, name, number):
    """Whether the checkpoint is at the event of a number, once asked."""

    async def look():
        found = await checkpoint(store, name)
        if found is None:
            return False
        (event,) = await gathered(store.read(limit=1, after=found[1] - 1))
        return event.number == number - 1

    return look


@each_kind
def test_what_is_passed_over_is_not_looked_at_again(kind, tmp_path):
    async def test(store):
        await append(store, 0)
        await store.append([Passed() for _ in range(5000)])
        last = (await gathered(store.read(backwards=True, limit=1)))[0].meta.position
        async with store.subscribe(EVEN, name="n") as events:
            assert await take(events, 1) == [0]
            waiting = asyncio.create_task(take(events, 2))
            await events.caught_up()
            assert events.position == last
            await store.append([Passed() for _ in range(1500)])
            (passed,) = await gathered(store.read(backwards=True, limit=1))
            await until(lambda: reached(store, passed.meta.position))
            await append(store, 2, 4)
            assert await waiting == [2, 4]
        async with store.subscribe(EVEN, name="n") as events:
            assert events.position >= passed.meta.position

    async def reached(store, position):
        return (await checkpoint(store, "n") or (0, 0))[1] == position

    run(kind, tmp_path, test)


@each_kind
def test_a_checkpoint_that_does_not_fit_the_log_is_refused(kind, tmp_path):
    async def test(store):
        await append(store, *range(3))
        third = (await gathered(store.read()))[-1].meta
        for n, (position, event_id) in enumerate(
            [(third.position + 7, third.event_id), (third.position, UUID(int=7))]
        ):
            value = json.dumps({"position": position, "event_id": str(event_id)}).encode()
            await put(store, f"n{n}", value)
            events = store.subscribe(name=f"n{n}")
            for _ in range(2):
                with pytest.raises(CheckpointMismatchError) as caught:
                    await anext(events)
                error = caught.value
                assert (error.name, error.position) == (f"n{n}", position)
                assert error.event_id == event_id
            with pytest.raises(CheckpointMismatchError):
                async with store.subscribe(name=f"n{n}"):
                    pass
            assert await checkpoint(store, f"n{n}") == (1, position)

    run(kind, tmp_path, test)


def test_a_restored_copy_goes_on_from_its_own_checkpoint(tmp_path):
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"

    def follow(*numbers):
        with sync.EventStore.create(path) as store:
            store.append([Counted(number=n) for n in numbers])
            with store.subscribe(name="n") as events:
                return [next(events).number for _ in numbers]

    assert follow(0, 1) == [0, 1]
    shutil.copy(path, copy)
    assert follow(2, 3, 4) == [2, 3, 4]
    shutil.copy(copy, path)
    assert follow(5) == [5]


DAMAGED = [
    b"",
    b"\xff\xfe",
    b"{",
    b"[]",
    b"7",
    b"null",
    b"{}",
    b'{"position": 1}',
    b'{"position": "1", "event_id": "%s"}' % str(UUID(int=7)).encode(),
    b'{"position": true, "event_id": "%s"}' % str(UUID(int=7)).encode(),
    b'{"position": -1, "event_id": "%s"}' % str(UUID(int=7)).encode(),
    b'{"position": 0, "event_id": "%s"}' % str(UUID(int=7)).encode(),
    b'{"position": 1e400, "event_id": "%s"}' % str(UUID(int=7)).encode(),
    b'{"position": 1, "event_id": 7}',
    b'{"position": 1, "event_id": "seven"}',
]


@each_kind
def test_a_damaged_checkpoint_is_named(kind, tmp_path):
    async def test(store):
        await append(store, *range(3))
        for n, value in enumerate(DAMAGED):
            await put(store, f"audit-{n}", value)
            with pytest.raises(StorageCorruptedError, match=f"audit-{n}"):
                await anext(store.subscribe(name=f"audit-{n}"))
        for n, position in enumerate((2**63 - 1, 2**63, 2**64 - 1)):
            value = json.dumps({"position": position, "event_id": str(UUID(int=7))}).encode()
            await put(store, f"far-{n}", value)
            with pytest.raises(CheckpointMismatchError) as caught:
                await anext(store.subscribe(name=f"far-{n}"))
            assert (caught.value.name, caught.value.position) == (f"far-{n}", position)

    run(kind, tmp_path, test)


@each_kind
def test_a_second_follower_is_found_out(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        followers = [store.subscribe(name="n") for _ in range(2)]
        told: list[str] = []
        for events in followers * 4:
            try:
                await take(events, 1)
                await store._driver.run(flushed(events._checkpoint))
            except CheckpointMismatchError as error:
                told.append(error.name)
                break
        assert told == ["n"]
        for events in followers:
            with suppress(CheckpointMismatchError):
                await events.aclose()
        async with store.subscribe(name="n") as events:
            (first,) = await take(events, 1)
            assert first <= 4, "nothing that nobody has handled is passed over"

    run(kind, tmp_path, test)


@each_kind
def test_one_that_waits_hears_that_somebody_else_follows(kind, tmp_path):
    async def test(store):
        await append(store, *range(3))
        events = store.subscribe(name="n")
        await take(events, 2)
        await until(at(store, "n", 1))
        await moved(store, "n")
        await take(events, 1)
        with pytest.raises(CheckpointMismatchError):
            await anext(events)
        with pytest.raises(CheckpointMismatchError):
            await anext(events)

    run(kind, tmp_path, test)


@each_kind
def test_who_waits_for_a_follower_that_failed_hears_of_it(kind, tmp_path):
    async def test(store):
        await append(store, *range(2000))
        events = store.subscribe(name="n")
        await take(events, 2)
        await until(at(store, "n", 1))
        await moved(store, "n")
        with pytest.raises(CheckpointMismatchError):
            await slowly(events)
        with pytest.raises(StreamingError):
            await events.caught_up()

    run(kind, tmp_path, test)


@each_kind
def test_tenants_have_their_own(kind, tmp_path):
    async def test(store):
        acme = store.for_tenant("acme")
        await append(store, 1, 2)
        await append(acme, 3, 4)
        for seen, first in ((store, 1), (acme, 3)):
            async with seen.subscribe(name="n") as events:
                assert await take(events, 1) == [first]
        for seen, second in ((store, 2), (acme, 4)):
            async with seen.subscribe(name="n") as events:
                assert await take(events, 1) == [second]

    run(kind, tmp_path, test)


@each_kind
def test_checkpoints_wake_no_subscriber(kind, tmp_path):
    async def test(store):
        await append(store, *range(3))
        events, other = store.subscribe(name="n"), store.subscribe()
        await take(events, 3)
        await take(other, 3)
        waiting = [asyncio.create_task(anext(each)) for each in (events, other)]
        await until(at(store, "n", 3))
        before = await checkpoint(store, "n")
        for n in range(20):
            await put(store, f"another-{n}", b"{}")
        assert not any(task.done() for task in waiting)
        await append(store, 3)
        assert [(await task).number for task in waiting] == [3, 3]
        assert await checkpoint(store, "n") == before, "written once, and not since"

    run(kind, tmp_path, test)


@each_kind
def test_the_blocking_one_goes_on_too(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Counted(number=n) for n in range(2500)])
        seen = []
        for count in (1, 1200, 1299):
            with store.subscribe(name="n") as events:
                seen += [next(events).number for _ in range(count)]
        with suppress(ZeroDivisionError), store.subscribe(name="other") as events:
            for event in events:
                1 / (event.number - 7)
        with store.subscribe(name="other") as events:
            assert next(events).number == 7
        assert seen == list(range(2500))


KILLED = """
import os, sys
from eventuali import sync
from ledger import Counted
store = sync.EventStore.create(sys.argv[1])
for event in store.subscribe(name="n"):
    os.write(1, b"%d\\n" % event.number)
    if event.number == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
"""


@each_shared
def test_a_crash_repeats_the_last_page_at_the_most(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url) as store:
        for start in range(0, 5000, 1000):
            store.append([Counted(number=n) for n in range(start, start + 1000)])
    lives = []
    for last in (700, 2600, 4999):
        done = script(KILLED, url, last)
        assert done.returncode == -9
        assert not done.stderr
        lives.append([int(line) for line in done.stdout.split()])
    first, second, third = lives
    assert first == list(range(701))
    assert second == list(range(second[0], 2601))
    assert second[0] <= 701
    assert third == list(range(third[0], 5000))
    assert 2601 - UNWRITTEN <= third[0] <= 2601


async def by_aclosing(store):
    async with aclosing(store.subscribe(name="n")) as events:
        async for event in events:
            if event.number == 2:
                1 / 0  # noqa: B018


async def by_finally(store):
    events = store.subscribe(name="n")
    try:
        async for event in events:
            if event.number == 2:
                1 / 0  # noqa: B018
    finally:
        await events.aclose()


async def by_cancellation(store):
    events = store.subscribe(name="n")
    try:
        async for event in events:
            if event.number == 2:
                asyncio.current_task().cancel()
                await asyncio.sleep(60)
    finally:
        await events.aclose()


@each_kind
@pytest.mark.parametrize("leave", [by_aclosing, by_finally, by_cancellation])
def test_an_event_whose_handler_raised_comes_again_however_it_is_closed(kind, leave, tmp_path):
    async def test(store):
        await append(store, *range(5))
        with suppress(ZeroDivisionError, asyncio.CancelledError):
            await asyncio.create_task(leave(store))
        async with store.subscribe(name="n") as events:
            assert await take(events, 1) == [2]

    run(kind, tmp_path, test)


def test_closing_blocking_while_an_error_flies_handles_nothing(tmp_path):
    with sync.EventStore.create("memory://") as store:
        store.append([Counted(number=n) for n in range(5)])
        with suppress(ZeroDivisionError), closing(store.subscribe(name="n")) as events:
            for event in events:
                if event.number == 2:
                    1 / 0  # noqa: B018
        with store.subscribe(name="n") as events:
            assert next(events).number == 2


@each_kind
def test_a_close_that_is_cancelled_leaves_no_write_behind(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        for number in range(10):
            taken = asyncio.Event()
            task = asyncio.create_task(one(store, number, taken))
            await taken.wait()
            for _ in range(3):  # as a time-out and a task group do
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task

    async def one(store, number, taken):
        async with store.subscribe(name="n") as events:
            assert await take(events, 1) == [number]
            taken.set()

    run(kind, tmp_path, test)


def test_a_blocking_close_that_is_interrupted_leaves_no_write_behind(tmp_path):
    def interrupted(steps):
        next(steps)
        again = steps.throw(KeyboardInterrupt)
        steps.send(again.wait())

    with sync.EventStore.create(url_of("sqlite", tmp_path)) as store:
        store.append([Counted(number=n) for n in range(10)])
        for number in range(10):
            events = store.subscribe(name="n")
            assert next(events).number == number
            events._acknowledge()
            with pytest.raises(KeyboardInterrupt):
                interrupted(flushed(events._checkpoint))


def test_a_thread_that_follows_and_one_that_closes_do_not_fence_each_other():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with sync.EventStore.create("memory://") as store, ThreadPoolExecutor(1) as closer:
            store.append([Counted(number=n) for n in range(3)])
            for n in range(3000):
                events = store.subscribe(name=f"n{n}")
                next(events)
                closing = closer.submit(events.close)
                list(islice(events, 2))
                events.close()
                closing.result()
    finally:
        sys.setswitchinterval(interval)


@each_kind
def test_an_error_is_not_replaced_by_that_of_the_checkpoint(kind, tmp_path):
    async def test(store):
        await append(store, *range(5))

        async def fenced():
            async with store.subscribe(name="n") as events:
                await take(events, 3)
                await until(at(store, "n", 2))
                await moved(store, "n")
                await take(events, 1)
                1 / 0  # noqa: B018

        with pytest.raises(ZeroDivisionError) as raised:
            await fenced()
        assert any("checkpoint of 'n'" in note for note in raised.value.__notes__)

    run(kind, tmp_path, test)


def test_nothing_is_handed_out_once_it_is_closed():
    with sync.EventStore.create("memory://") as store:
        store.append([Counted(number=1)])
        events = store.subscribe()
        steps = events._advance()
        pending = next(steps)
        page = pending.wait()
        events.close()
        with pytest.raises(StopIteration) as end:
            steps.send(page)
        assert end.value.value is False
        assert list(events) == []


@each_kind
def test_a_cancellation_that_is_repeated_ends_a_close(kind, tmp_path):
    """As anyio's scopes do, in each turn of the loop until the task has ended."""

    async def follow(store):
        async with store.subscribe(name="n") as events:
            async for _ in events:
                pass

    async def main():
        loop, turns = asyncio.get_running_loop(), 0
        async with opened("async", url_of(kind, tmp_path)) as store:
            await store.append([Counted(number=n) for n in range(3)])
            task = asyncio.create_task(follow(store))
            await asyncio.sleep(0.05)

            def deliver():
                nonlocal turns
                turns += 1
                if not task.done() and turns < 100_000:
                    task.cancel()
                    loop.call_soon(deliver)

            deliver()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert turns < 100_000

    asyncio.run(main())


def test_a_checkpoint_above_the_horizon_is_no_mismatch(tmp_path):
    async def main():
        place = url_of("postgres", tmp_path)
        with psycopg.connect(server_url(), autocommit=True) as stuck:
            async with opened("async", place) as store:
                await store.append([Counted(number=n) for n in range(10)])
                async with store.subscribe(name="n") as events:
                    for _ in range(10):
                        await anext(events)

                    async def later():
                        await asyncio.sleep(0.5)  # it is live
                        # A writer that has published its bound and drawn nothing yet.
                        sequence = f"'{schema_of(tmp_path)}.events_position'::regclass"
                        key = f"{sequence}::oid::bigint::bit(32)::integer"
                        stuck.execute(f"SELECT pg_advisory_lock_shared({key}, 10)")
                        await store.append([Counted(number=10)])

                    task = asyncio.create_task(later())
                    assert (await anext(events)).number == 10
                    await task
            async with opened("async", place) as store:
                events = store.subscribe(name="n")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 1)

    asyncio.run(main())
