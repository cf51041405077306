"""What waits, waits no longer than a clock of a test says, nor longer than the real one."""

import asyncio
import threading
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from time import sleep

import pytest
from stores import each_backend, url_of

import eventuali
from eventuali import Event, EventStore, Projection, ReadModel, Retry, sync, worker
from eventuali._engine.asyncio_limit import pause, within
from eventuali._engine.limit import Limit, _waiting, followed
from eventuali._engine.projecting import Pause, Projecting
from eventuali.asgi import EventStreams
from eventuali.errors import StorageUnavailableError
from eventuali.projection import MemoryView
from eventuali.testing import Clock
from eventuali.worker import Worker

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEVER = 10_000
"""A position that no test comes to."""
TOO_LONG = 60
"""Seconds after which a test has failed that would otherwise hang for an hour."""

each_way = pytest.mark.parametrize("way", ["given", "entered"])


class Rung(Event, name="clock_waits.rung"):
    times: int = 1


class Rings(ReadModel, name="clock_waits_rings"):
    total: int = 0


class Bell(Projection[Rings], name="clock_waits_bell"):
    """Fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def key(self, event: Event, /) -> str:
        return "all"

    def on_rung(self, event: Rung, doc: Rings | None) -> Rings:
        if self.failures:
            self.failures -= 1
            raise ValueError(f"it is broken, {self.failures} times to come")
        return Rings(total=(doc.total if doc else 0) + event.times)


@contextmanager
def clocks(way):
    """A clock, the options of a store, and, where it isn't given, within its block."""
    clock = Clock(START)
    with clock if way == "entered" else nullcontext():
        yield clock, {"clock": clock} if way == "given" else {}


async def moved_until(clock, done):
    async with asyncio.timeout(TOO_LONG):
        while not done():
            clock.advance(HOUR)
            await asyncio.sleep(0.001)


def moved_beside(clock, call):
    """Calls something that blocks, and moves the clock until it returns."""
    result = []

    def called():
        try:
            result.append(call())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=called, daemon=True)
    thread.start()
    for _ in range(TOO_LONG * 1000):
        if not thread.is_alive():
            break
        clock.advance(HOUR)
        sleep(0.001)
    return result[0]


# --- on every backend, in both APIs ---------------------------------------------------------------


@each_way
@each_backend
def test_a_handler_is_tried_again_once_the_clock_is_there(kind, way, tmp_path):
    async def main():
        with clocks(way) as (clock, options):
            async with EventStore.create(url_of(kind, tmp_path), **options) as store:
                committed = await store.append([Rung()])
                async with store.run(Bell(1), on_error=Retry(1, backoff=3600)) as running:
                    async with asyncio.timeout(TOO_LONG):
                        while not running.status()[0].error:
                            await asyncio.sleep(0.001)
                        clock.advance(HOUR)  # once: whoever hears of the error ends the pause
                        await running.wait_for(committed, timeout=3600)
                assert await store.get(Rings, "all") == Rings(total=1)

    asyncio.run(main())


@each_way
@each_backend
def test_so_it_is_in_a_thread(kind, way, tmp_path):
    with (
        clocks(way) as (clock, options),
        sync.EventStore.create(url_of(kind, tmp_path), **options) as store,
    ):
        committed = store.append([Rung()])
        with store.run(Bell(1), on_error=Retry(1, backoff=3600)) as running:
            while not running.status()[0].error:
                sleep(0.001)
            clock.advance(HOUR)
            running.wait_for(committed, timeout=TOO_LONG)
        assert store.get(Rings, "all") == Rings(total=1)


@each_way
@each_backend
def test_pauses_that_grow_end_one_by_one(kind, way, tmp_path):
    with (
        clocks(way) as (clock, options),
        sync.EventStore.create(url_of(kind, tmp_path), **options) as store,
    ):
        store.append([Rung()])
        status = moved_beside(
            clock, lambda: store.rebuild(Bell(4), on_error=Retry(4, backoff=3600))
        )
        assert status.state == "stopped"
        assert store.get(Rings, "all") == Rings(total=1)


@each_way
@each_backend
def test_a_wait_for_a_projection_ends_at_its_timeout(kind, way, tmp_path):
    async def main():
        with clocks(way) as (clock, options):
            async with EventStore.create(url_of(kind, tmp_path), **options) as store:
                await store.append([Rung()])
                retry = Retry(10**9, backoff=3600)
                async with store.run(Bell(10**9), on_error=retry) as running:
                    for wait in (
                        running.wait_for(1, timeout=1800),
                        running.wait_for(NEVER, timeout=1800),
                        running.caught_up(timeout=1800),
                    ):
                        task = asyncio.create_task(wait)
                        await moved_until(clock, task.done)
                        with pytest.raises(TimeoutError, match="clock_waits_bell is at position 0"):
                            await task

    asyncio.run(main())
    assert not _waiting


@each_way
@each_backend
def test_so_does_one_that_blocks(kind, way, tmp_path):
    with (
        clocks(way) as (clock, options),
        sync.EventStore.create(url_of(kind, tmp_path), **options) as store,
    ):
        store.append([Rung()])
        with store.run(Bell(10**9), on_error=Retry(10**9, backoff=3600)) as running:
            for wait in (
                lambda: running.wait_for(1, timeout=1800),
                lambda: running.wait_for(NEVER, timeout=1800),
                lambda: running.caught_up(timeout=1800),
                lambda: store.subscribe().caught_up(1800),
            ):
                assert isinstance(moved_beside(clock, wait), TimeoutError)
    assert not _waiting


@each_way
@each_backend
def test_a_clock_that_stands_lets_the_real_time_pass(kind, way, tmp_path):
    with (
        clocks(way) as (_, options),
        sync.EventStore.create(url_of(kind, tmp_path), **options) as store,
    ):
        committed = store.append([Rung()])
        with store.run(Bell(2), on_error=Retry(2, backoff=0.001)) as running:
            with pytest.raises(TimeoutError):
                running.wait_for(NEVER, timeout=0.01)
            running.wait_for(committed, timeout=TOO_LONG)


@each_way
@each_backend
def test_an_event_stream_is_kept_alive(kind, way, tmp_path):
    async def main():
        with clocks(way) as (clock, options):
            async with (
                EventStore.create(url_of(kind, tmp_path), **options) as store,
                EventStreams(keep_alive=3600) as streams,
            ):
                stream = streams.open(store)
                assert await anext(stream) == b":\n\n"  # with which it begins
                task = asyncio.create_task(anext(stream))
                await moved_until(clock, task.done)
                assert await task == b":\n\n"
                await store.append([Rung()])
                task = asyncio.create_task(anext(stream))
                async with asyncio.timeout(TOO_LONG):
                    assert b"clock_waits.rung" in await task

    asyncio.run(main())


def test_waiting_without_an_end_has_none_by_a_clock_either(tmp_path):
    async def main():
        clock = Clock(START)
        async with EventStore.create("memory://", clock=clock) as store:
            await store.append([Rung()])
            async with store.run(Bell(1), on_error=Retry(1, backoff=3600)) as running:
                task = asyncio.create_task(running.caught_up())
                async with asyncio.timeout(TOO_LONG):
                    while not running.status()[0].error:
                        await asyncio.sleep(0.001)
                clock.set(datetime.max.replace(tzinfo=UTC))
                async with asyncio.timeout(TOO_LONG):
                    await task

    asyncio.run(main())


# --- a worker -------------------------------------------------------------------------------------


@each_way
def test_a_worker_tries_again_to_open_its_store(way, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_SOON", 3600.0)
    monkeypatch.setattr(worker, "_LATER", 3600.0)
    failures = [StorageUnavailableError("it is away")] * 3
    begin = eventuali.store.begin

    def failing(*arguments):
        if failures:
            raise failures.pop()
        return begin(*arguments)

    monkeypatch.setattr(eventuali.store, "begin", failing)

    async def main():
        with clocks(way) as (clock, options):
            app = Worker(EventStore.create(url_of("sqlite", tmp_path), **options), Bell(0))
            task = asyncio.create_task(app.serve())
            await moved_until(clock, lambda: not failures and app.status())
            app.stop()
            async with asyncio.timeout(TOO_LONG):
                assert await task == 0

    asyncio.run(main())


# --- the parts ------------------------------------------------------------------------------------


def test_a_limit_is_reached_by_either_clock():
    clock = Clock(START)
    with clock:
        limit = Limit(3600, followed())
        clock.advance(HOUR - timedelta(microseconds=1))
        assert limit.left() > 0
        clock.set(START - HOUR)
        assert limit.left() > 0
        clock.set(START + HOUR)
        assert limit.left() == 0
        assert Limit(0, followed()).left() == 0
        endless = Limit(threading.TIMEOUT_MAX, followed())
        clock.set(datetime.max.replace(tzinfo=UTC))
        assert endless.left() > 0
        assert Limit(3600).left() > 0, "who does not follow a clock has the real time"


def test_whose_clock_counts():
    own, outer, inner = Clock(START), Clock(START + HOUR), Clock(START + 2 * HOUR)
    assert followed() is None
    with (
        sync.EventStore.create("memory://", clock=own) as given,
        sync.EventStore.create("memory://") as plain,
    ):
        assert followed(plain._store) is None
        with outer:
            with inner:
                assert followed()() == followed(plain._store)() == inner._core.now()
                assert followed(given._store)() == own._core.now()
                assert followed(clock=own)() == own._core.now()
            assert followed()() == outer._core.now()
        assert followed(given.for_tenant("acme")._store)() == own._core.now()
        assert followed(plain._store) is None


def test_a_limit_that_was_reached_before_it_is_awaited_ends_at_once():
    async def main():
        with Clock(START) as clock:
            limit = Limit(3600, followed())
            clock.advance(HOUR)
            async with asyncio.timeout(TOO_LONG):
                await pause(limit)
                with pytest.raises(TimeoutError):
                    async with within(limit):
                        await asyncio.sleep(3600)
                async with within(Limit(3600, followed())) as timeout:
                    clock.advance(HOUR)  # and the block ends before the loop hears of that
                assert not timeout.expired()
                await asyncio.sleep(0)

    asyncio.run(main())
    assert not _waiting


def test_a_wait_that_is_cancelled_is_no_timeout():
    async def main():
        with Clock(START) as clock:
            task = asyncio.create_task(pause(Limit(3600, followed())))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            clock.advance(HOUR)

    asyncio.run(main())
    assert not _waiting


def test_a_loop_that_was_closed_in_the_middle_of_a_wait_stops_no_clock():
    with Clock(START) as clock:
        loop = asyncio.new_event_loop()
        task = loop.create_task(pause(Limit(3600, followed())))
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert _waiting
        loop.close()
        clock.advance(HOUR)
        assert not task.done()
        task._log_destroy_pending = False
        task.get_coro().close()
    assert not _waiting


def test_other_processes_are_judged_by_the_real_time(tmp_path):
    """Whether a rebuild stands still says only real time: the clock is that of this process."""
    clock = Clock(START)
    with sync.EventStore.create("memory://", clock=clock) as store, clock:
        store.append([Rung()])
        projecting = Projecting(
            store._store, Bell(0), on_error=Retry(), changes=None, tell=lambda: None
        )
        steps = projecting.sweep()
        step = steps.send(None)
        while not isinstance(step, Pause):
            step = steps.send(step.wait())
        assert not step.limit.follows
        steps.close()


# --- what time it is ------------------------------------------------------------------------------


def test_now_is_what_an_event_gets():
    before = datetime.now(UTC)
    now = eventuali.now()
    assert before.replace(microsecond=before.microsecond) <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC
    with Clock(START) as clock:
        assert eventuali.now() == Rung().timestamp == START
        clock.advance(timedelta(microseconds=7))
        assert eventuali.now() == Rung().timestamp == clock.now
        with Clock(START + HOUR):
            assert eventuali.now() == START + HOUR
        assert eventuali.now() == clock.now
    assert eventuali.now() >= before


def test_views_in_memory_follow_it_too():
    with Clock(START) as clock, sync.EventStore.create("memory://") as store:
        committed = store.append([Rung()])
        view = MemoryView(Bell(1))
        with store.run(view, on_error=Retry(1, backoff=3600)) as running:
            while not running.status()[0].error:
                sleep(0.001)
            clock.advance(HOUR)
            running.wait_for(committed, timeout=TOO_LONG)
        assert view.get("all") == Rings(total=1)
