"""Following the log: the hand-over, what is held, and every way in which it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from random import Random

import pytest
from ledger import Counted, counted
from stores import each_kind, each_shared, gathered, opened, url_of
from support import open_files, output_of, settled, threads

from eventuali import ALL, Event, EventStore, InvalidEventError, Query, UnknownEvent, sync
from eventuali.errors import StoreClosedError, StreamingError, UnknownEventTypeError

EVEN = Query(tags=["even"])


def run(kind, tmp_path, test):
    place = url_of(kind, tmp_path)
    if kind == "postgres":
        place = place.with_max_connections(3)  # so that a pool soon has all that it ever has

    async def main():
        async with opened("async", place) as store:
            await asyncio.wait_for(test(store), 60)

    asyncio.run(main())


async def append(store, *numbers):
    await store.append([Counted(number=n, tags=["even"] * (n % 2 == 0)) for n in numbers])


async def take(events, count):
    return [(await anext(events)).number for _ in range(count)]


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


@each_kind
def test_first_what_is_stored_then_what_comes(kind, tmp_path):
    async def test(store):
        await append(store, *range(2500))  # three pages
        async with store.subscribe() as events:
            assert await take(events, 2500) == list(range(2500))
            assert not events.live, "the last one is not handled yet"
            coming = asyncio.create_task(take(events, 3))
            await events.caught_up()
            assert events.live
            position = events.position
            await append(store, 2500, 2501)
            await append(store, 2502)
            assert await coming == [2500, 2501, 2502]
            assert events.position > position
        (last,) = await gathered(store.read(backwards=True, limit=1))
        assert events.position == last.meta.position
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    run(kind, tmp_path, test)


@each_kind
def test_filters_and_starts(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        await store.save(counted("a", 10, 12))
        fourth = (await gathered(store.read(limit=4)))[-1].meta.position
        cases = [
            (ALL, 0, [*range(10), 10, 12, 20, 21, 14]),
            (EVEN, 0, [0, 2, 4, 6, 8, 20]),
            (EVEN, fourth, [4, 6, 8, 20]),
            (ALL, 2**62, []),
            (Query(aggregate_type="Ledger", aggregate_id="a"), 0, [10, 12, 14]),
        ]
        waiting = [
            asyncio.create_task(take(store.subscribe(query, after=after), len(wanted)))
            for query, after, wanted in cases
        ]
        await asyncio.sleep(0.05)
        await append(store, 20, 21)
        await store.append([Counted(number=14)], stream=("Ledger", "a"))
        for task, (_, _, wanted) in zip(waiting, cases, strict=True):
            assert await task == wanted

    run(kind, tmp_path, test)


@each_kind
def test_started_before_during_and_after_writers(kind, tmp_path):
    async def test(store):
        chance = Random(kind)
        written = []

        async def write(base):
            for n in range(60):
                numbers = [base + n * 10 + k for k in range(chance.randrange(1, 4))]
                await append(store, *numbers)
                written.extend(numbers)

        async def follow(delay):
            await asyncio.sleep(delay)
            events = store.subscribe(EVEN)
            return [event async for event in ended(events)]

        async def ended(events):
            async for event in events:
                if event.number == -2:
                    return
                yield event

        readers = [asyncio.create_task(follow(delay)) for delay in (0, 0, 0.01, 0.03, 0.1)]
        await asyncio.gather(*(write(base * 1000) for base in range(8)))
        readers.append(asyncio.create_task(follow(0)))
        await append(store, -2)
        stored = [e.meta.event_id for e in await gathered(store.read(EVEN))][:-1]
        assert len(stored) == sum(n % 2 == 0 for n in written)
        for reader in readers:
            assert [event.meta.event_id for event in await reader] == stored

    run(kind, tmp_path, test)


@each_kind
def test_a_cancelled_wait_loses_nothing(kind, tmp_path):
    async def test(store):
        events = store.subscribe()
        seen = []
        for number in range(40):
            if number % 3 == 0:
                waiting = asyncio.create_task(anext(events))
                await asyncio.sleep(number % 2 * 0.003)
                writing = asyncio.create_task(append(store, number))
                await asyncio.sleep(number % 4 * 0.0003)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    seen.append((await waiting).number)
                await writing
            else:
                await append(store, number)
        while len(seen) < 40:
            seen.append((await anext(events)).number)
        assert seen == list(range(40))

    run(kind, tmp_path, test)


@each_kind
def test_one_task_at_a_time_takes_events(kind, tmp_path):
    async def test(store):
        events = store.subscribe()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(events)
        await append(store, 1)
        assert (await first).number == 1

    run(kind, tmp_path, test)


@each_kind
def test_closing_it_ends_a_wait(kind, tmp_path):
    async def test(store):
        events = store.subscribe()
        first = asyncio.create_task(gathered(events))
        hoping = asyncio.create_task(store.subscribe().caught_up())
        await events.caught_up()
        await events.aclose()
        await events.aclose()
        assert await first == []
        assert events.closed
        assert await gathered(events) == []
        hoping.cancel()
        never = store.subscribe()
        waiting = asyncio.create_task(never.caught_up())
        await asyncio.sleep(0)
        await never.aclose()
        with pytest.raises(StreamingError):
            await waiting

    run(kind, tmp_path, test)


async def taking(events, pause=0):
    async for _ in events:
        await asyncio.sleep(pause)


@each_kind
@pytest.mark.parametrize("stored", [0, 5])
def test_who_waits_hears_that_the_one_who_takes_was_cancelled(kind, stored, tmp_path):
    async def test(store):
        await append(store, *range(stored))
        # Cancelled before it runs, while it waits for an event, and in its handler.
        for turns in (0, 1, 2, 50):
            events = store.subscribe()
            task = asyncio.create_task(taking(events, 60))
            waiting = asyncio.create_task(events.caught_up())
            for _ in range(turns):
                await asyncio.sleep(0.001)
            before = events.live
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if turns == 0 or events.live or before:
                waiting.cancel()  # nobody has taken any, or it was at the end
                continue
            for heard in (waiting, events.caught_up()):
                with pytest.raises(StreamingError, match="cancelled"):
                    await heard
            # Somebody goes on.
            going_on = asyncio.create_task(taking(events))
            while not events.live:
                await asyncio.sleep(0.001)
            await events.caught_up()
            going_on.cancel()

    run(kind, tmp_path, test)


def test_blocking_who_waits_hears_the_same(tmp_path):
    with sync.EventStore.create("memory://") as store:
        store.append([Counted(number=n) for n in range(5)])
        for error, why in ((ZeroDivisionError, "error"), (KeyboardInterrupt, "interrupted")):
            events = store.subscribe()
            next(events)
            events._held = lambda error=error: (_ for _ in ()).throw(error())
            with pytest.raises(error):
                next(events)
            with pytest.raises(StreamingError, match=why):
                events.caught_up(30)
        events = store.subscribe()
        with pytest.raises(TimeoutError):
            events.caught_up(0)
        for wrong in (-1, -0.5, float("nan")):
            with pytest.raises(InvalidEventError, match="seconds"):
                events.caught_up(wrong)
        for wrong in ("1", True):
            with pytest.raises(TypeError, match="seconds"):
                events.caught_up(wrong)
        events.close()
        with pytest.raises(StreamingError, match="closed"):
            events.caught_up(float("inf"))


@each_kind
def test_what_was_not_handed_out_is_not_behind_its_position(kind, tmp_path):
    async def test(store):
        await append(store, *range(10))
        events = store.subscribe()
        assert await take(events, 3) == [0, 1, 2]
        position = events.position
        await events.aclose()
        assert await gathered(events) == []
        assert events.position == position
        assert await take(store.subscribe(after=events.position), 1) == [3]

    run(kind, tmp_path, test)


@each_kind
def test_closing_the_store_is_no_silent_end(kind, tmp_path):
    async def main():
        store = await EventStore.create(url_of(kind, tmp_path))
        events = store.subscribe()
        waiting = asyncio.create_task(gathered(events))
        await events.caught_up()
        await store.close()
        with pytest.raises(StoreClosedError):
            await waiting
        with pytest.raises(StoreClosedError):
            await anext(events)

    asyncio.run(main())


@each_kind
def test_whatever_is_dropped_leaves_nothing_behind(kind, tmp_path):
    async def test(store):
        await append(store, *range(1500))

        async def broken_off():
            async for event in store.subscribe():
                if event.number == 1200:
                    break

        async def failed():
            async def divide():
                async for event in store.subscribe():
                    1 / event.number

            with pytest.raises(ZeroDivisionError):
                await divide()

        async def cancelled():
            events = store.subscribe(after=2**62)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.001)

        async def forgotten():
            task = asyncio.create_task(anext(store.subscribe(after=2**62)))
            await asyncio.sleep(0.001)
            task.cancel()

        ways = [broken_off, failed, cancelled, forgotten]
        for way in ways * 5:
            await way()
        gc.collect()
        await asyncio.sleep(0.1)
        files, tasks = open_files(), len(asyncio.all_tasks())
        running = threads()
        for way in ways * 10:
            await way()
        gc.collect()
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) == tasks
        assert settled(open_files, files) <= files
        assert settled(threads, running) <= running
        (box,) = store._driver._boxes.values()
        await until(lambda: not box.waiting)

    run(kind, tmp_path, test)


UNKNOWN = """
import asyncio, sys
from eventuali import Event, EventStore
class Gone(Event):
    number: int
class Stays(Event):
    number: int
async def main():
    async with EventStore.create(sys.argv[1]) as store:
        await store.append([Stays(number=1), Gone(number=2), Stays(number=3)])
asyncio.run(main())
"""


@each_shared
def test_an_event_that_cannot_be_decoded_is_not_stepped_over(kind, tmp_path):
    output_of(UNKNOWN, url_of(kind, tmp_path))

    class Stays(Event):
        number: int

    async def test(store):
        store.register_event_class("Stays", Stays)
        events = store.subscribe()
        assert (await anext(events)).number == 1
        hoping = asyncio.create_task(events.caught_up())
        for _ in range(2):
            with pytest.raises(UnknownEventTypeError):
                await anext(events)
        with pytest.raises(StreamingError, match="error"):
            await hoping
        store.register_event_class("Gone", Stays)
        assert await take(events, 2) == [2, 3]
        kinds = [type(await anext(each)) for each in [store.subscribe(raw=True, after=1)]]
        assert kinds == [Stays]
        store._event_types._named.pop("Gone")
        assert type(await anext(store.subscribe(raw=True, after=1))) is UnknownEvent

    run(kind, tmp_path, test)


@each_kind
def test_it_holds_two_pages_at_the_most(kind, tmp_path):
    async def test(store):
        for start in range(0, 6000, 1000):
            await append(store, *range(start, start + 1000))
        sent = []
        events = store.subscribe()
        core = events._core

        class Counting:
            def next(self, *arguments):
                sent.append(arguments)
                return core.next(*arguments)

            def stop(self):
                core.stop()

        events._core = Counting()
        for number in range(3500):
            assert (await anext(events)).number == number
            assert len(sent) <= number // 1000 + 2, "a page in hand, and one on its way"

    run(kind, tmp_path, test)


@each_kind
def test_a_slow_subscriber_only_lags(kind, tmp_path):
    async def test(store):
        slow, fast = store.subscribe(), store.subscribe()
        await append(store, 0)
        assert await take(slow, 1) == [0]  # and then it sleeps
        for number in range(1, 200):
            await append(store, number)
        assert await take(fast, 200) == list(range(200))
        assert await take(slow, 199) == list(range(1, 200))

    run(kind, tmp_path, test)


@each_kind
def test_tenants_see_their_own(kind, tmp_path):
    async def test(store):
        acme, other = store.for_tenant("acme"), store.for_tenant("other")
        waiting = [asyncio.create_task(take(seen.subscribe(), 3)) for seen in (store, acme, other)]
        for number in range(9):
            await append((store, acme, other)[number % 3], number)
        assert [await task for task in waiting] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]

    run(kind, tmp_path, test)


@each_kind
def test_several_loops_follow_one_store(kind, tmp_path):
    store = asyncio.run(made(url_of(kind, tmp_path)))
    seen = {}

    def follow(key):
        async def main():
            seen[key] = await take(store.subscribe(), 60)

        asyncio.run(asyncio.wait_for(main(), 20))

    following = [threading.Thread(target=follow, args=(key,)) for key in range(3)]
    for thread in following:
        thread.start()

    async def write():
        for number in range(60):
            await append(store, number)

    asyncio.run(write())
    for thread in following:
        thread.join()
    assert list(seen.values()) == [list(range(60))] * 3
    asyncio.run(store.close())


async def made(url):
    return await EventStore.create(url)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"after": "1"}, TypeError),
        ({"after": -1}, InvalidEventError),
        ({"after": 1, "name": "n"}, TypeError),
        ({"name": ""}, InvalidEventError),
        ({"name": 7}, TypeError),
        ({"query": "tags"}, TypeError),
        ({"query": Query(tags=["\0"])}, InvalidEventError),
    ],
)
def test_bad_arguments_are_refused(options, error):
    async def main():
        async with EventStore.create("memory://") as store:
            with pytest.raises(error):
                await anext(store.subscribe(**options))

    asyncio.run(main())
    with sync.EventStore.create("memory://") as store, pytest.raises(error):
        next(store.subscribe(**options))


# --- another process ------------------------------------------------------------------------------

WRITE = """
import sys
from eventuali import sync
from ledger import Counted
with sync.EventStore.create(sys.argv[1]) as store:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        store.append([Counted(number=number)])
"""


@each_shared
def test_commits_of_another_process_arrive(kind, tmp_path):
    async def test(store):
        events = store.subscribe()
        coming = asyncio.create_task(take(events, 40))
        await events.caught_up()
        for start in (0, 20):
            await asyncio.to_thread(output_of, WRITE, url_of(kind, tmp_path), start, start + 20)
        assert await coming == list(range(40))

    run(kind, tmp_path, test)


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
from eventuali import sync
from eventuali.errors import ForkedProcessError
from ledger import Counted
store = sync.EventStore.create(sys.argv[1])
store.append([Counted(number=n) for n in range(1500)])
events = store.subscribe()
print(next(events).number)
pid = os.fork()
if pid == 0:
    try:
        for event in events:
            pass
    except ForkedProcessError:
        del events
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(sum(1 for _, _ in zip(range(1499), events)))
store.close()
"""


@each_kind
def test_a_forked_child_is_refused(kind, tmp_path):
    assert output_of(FORK, url_of(kind, tmp_path)).split() == ["0", "7", "1499"]


# --- the blocking twin ----------------------------------------------------------------------------


@each_kind
def test_the_blocking_one_does_the_same(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Counted(number=n) for n in range(1200)])
        seen, errors = [], []
        events = store.subscribe()

        def follow():
            try:
                seen.extend(event.number for event in events)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=follow)
        thread.start()
        events.caught_up(30)
        assert events.live
        assert seen == list(range(1200))
        assert errors == []
        store.append([Counted(number=1200)])
        while len(seen) < 1201:
            threading.Event().wait(0.005)
        events.close()
        thread.join(30)
        assert not thread.is_alive()
        assert errors == []
        assert seen[-1] == 1200
        assert list(events) == []
        with store.subscribe(EVEN) as none:
            with pytest.raises(TimeoutError):
                none.caught_up(0.01)
            closer = threading.Timer(0.05, none.close)
            closer.start()
            assert list(none) == []


def test_the_blocking_one_is_refused_in_a_loop():
    async def main():
        with pytest.raises(RuntimeError, match=r"eventuali\.EventStore"):
            next(events)

    with sync.EventStore.create("memory://") as store:
        events = store.subscribe()
        asyncio.run(main())


CTRL_C = """
import os, signal, sys, threading
from eventuali import sync
from ledger import Counted
with sync.EventStore.create(sys.argv[1]) as store:
    events = store.subscribe(name="n")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        for event in events:
            pass
    except KeyboardInterrupt:
        print("interrupted")
    store.append([Counted(number=n) for n in range(3)])
    print([next(events).number for _ in range(3)])
    events.close()
"""


@each_kind
def test_ctrl_c_ends_a_blocking_wait_and_loses_nothing(kind, tmp_path):
    assert output_of(CTRL_C, url_of(kind, tmp_path)).splitlines() == ["interrupted", "[0, 1, 2]"]


ENDS = """
import asyncio, sys
from eventuali import EventStore
async def main():
    store = await EventStore.create(sys.argv[1])
    events = store.subscribe()
    task = asyncio.create_task(anext(events))
    await events.caught_up()
    print("waits")
asyncio.run(main())
"""


@each_kind
def test_a_program_can_end_with_one_that_waits(kind, tmp_path):
    assert output_of(ENDS, url_of(kind, tmp_path), timeout=20) == "waits\n"
