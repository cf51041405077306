"""A worker in this process: `serve`, threads, its log, its store, and what is refused."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import threading
from contextlib import asynccontextmanager
from typing import Any

import pytest
from lines import check, owned
from pots import (
    Gate,
    Pots,
    Poured,
    Sums,
    Total,
    check_pots,
    check_sums,
    everything,
    free,
    make,
    pour,
    put,
    until,
)
from stores import opened, url_of
from workers import LIMIT, filled

from eventuali import EventStore, Retry, sync
from eventuali.errors import ConfigurationError, SchemaMismatchError
from eventuali.projection import ProjectionStatus
from eventuali.worker import Worker, _report

# --- without signals ------------------------------------------------------------------------------


class Kept(EventStore):
    """A store that the worker does not close."""

    async def close(self) -> None: ...


def kept(store: EventStore):
    async def opening():
        return Kept(store._store, store._event_types, store._driver)

    return opening


def served(test) -> None:
    async def limited():
        async with asyncio.timeout(LIMIT), opened("async", "memory://") as store:
            await test(store)

    asyncio.run(limited())


async def until_state(worker: Worker, *states: str) -> None:
    while [each.state for each in worker.status()] != list(states):
        await asyncio.sleep(0.002)


@asynccontextmanager
async def serving(worker: Worker, code: int = 0):
    task = asyncio.create_task(worker.serve())
    try:
        yield task
    finally:
        worker.stop()
        assert await task == code


@pytest.fixture
def said(caplog):
    """Returns what was logged: the levels and the texts."""
    caplog.set_level(logging.INFO, "eventuali.worker")
    return lambda: [(each.levelname, each.getMessage()) for each in caplog.records]


def test_in_a_loop_of_somebody_else(said):
    async def test(store):
        await make(store, "a", "Ada", 1, 2)
        worker = Worker(kept(store), Pots(), Sums())
        assert worker.status() == []
        before = signal.getsignal(signal.SIGTERM)
        async with serving(worker):
            await until_state(worker, "live", "live")
            await until(lambda: len(said()) == 3)
            assert signal.getsignal(signal.SIGTERM) is before
        await until_state(worker, "stopped", "stopped")
        await check_pots(store)
        await check_sums(store)

    served(test)
    pid = os.getpid()
    begun, *live, stopping, stopped = said()
    assert begun == ("INFO", f"process {pid} starts on memory://: Pots version 1, Sums version 1")
    assert sorted(live) == [
        ("INFO", "Pots: live at position 3"),
        ("INFO", "Sums: live at position 3"),
    ]
    assert stopping == ("INFO", "stopping by stop()")
    assert stopped == ("INFO", "stopped: Pots at position 3, Sums at position 3")


def test_who_is_cancelled_has_stored_what_was_handled():
    gate = Gate()

    async def handler(event, docs):
        await gate.passed()
        docs.put(str(event.amount), Total())

    async def test(store):
        await pour(store, 1)
        task = asyncio.create_task(Worker(kept(store), free(store, handler)).serve())
        await gate.reached()
        task.cancel()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(await everything(store, Total)) == ["1"]

    served(test)


def test_in_a_thread_it_leaves_signals_alone(tmp_path):
    place = url_of("sqlite", tmp_path)
    end = filled(place, 1, 2)
    codes = []
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with sync.EventStore.create(place) as store:
        worker = Worker(place, Pots(), free(store_of_loop(), count))
        thread = threading.Thread(target=lambda: codes.append(worker.run()))
        thread.start()
        waits = threading.Event()
        while not worker.status() or any(each.position < end for each in worker.status()):
            waits.wait(0.01)
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
        worker.stop()
        thread.join(LIMIT)
        assert codes == [0]
        worker.stop()  # it has ended
        assert store.get(Total, "1") is not None


def store_of_loop() -> Any:
    """`free` makes coroutines for whatever does not block."""
    return None


async def count(event, docs):
    docs.put(str(event.amount), Total(events=1))


def test_who_is_told_to_stop_before_ends_at_once(said):
    worker = Worker("sqlite:////nonexistent/is/not/opened.db", Pots())
    worker.stop()
    assert worker.run() == 0
    assert said() == []


def test_a_worker_runs_once_and_never_in_a_running_loop():
    worker = Worker("memory://", Pots())

    async def in_a_loop():
        with pytest.raises(RuntimeError, match="serve"):
            worker.run()

    asyncio.run(in_a_loop())
    worker.stop()
    assert worker.run() == 0
    with pytest.raises(RuntimeError, match="once"):
        worker.run()


def test_a_handler_that_was_cancelled_has_failed(caplog):
    async def cancelled(event, docs):
        raise asyncio.CancelledError

    async def test(store):
        await pour(store, 1)
        worker = Worker(kept(store), free(store, cancelled))
        assert await worker.serve() == 1

    served(test)
    assert "ended without being told to" in caplog.text


# --- the log --------------------------------------------------------------------------------------


def test_retries_and_faults_are_logged(said, caplog):
    failing = [True, True, False]

    async def handler(event, docs):
        if event.amount == 1 and failing.pop(0):
            raise ValueError("not yet")
        if event.amount == 2:
            raise ValueError("never")

    async def test(store):
        await put(store, "a", Poured(amount=0), Poured(amount=1), Poured(amount=2))
        worker = Worker(kept(store), free(store, handler), on_error=Retry(2, backoff=0))
        assert await worker.serve() == 1

    served(test)
    assert said()[1:] == [
        ("WARNING", "Free: failed after position 1, trying again: ValueError('not yet')"),
        ("INFO", "Free: works again, at position 2"),
        ("WARNING", "Free: failed after position 2, trying again: ValueError('never')"),
        ("ERROR", "Free: faulted at position 3, Poured of Pot a: ValueError('never')"),
        ("ERROR", "no projection is left to run"),
        ("INFO", "stopped: Free at position 2"),
    ]
    (fault,) = [each for each in caplog.records if each.exc_info]
    assert str(fault.exc_info[1]) == "never"


def test_a_fault_without_a_retry_is_logged_once(said):
    async def handler(event, docs):
        raise ValueError("never")

    async def test(store):
        await pour(store, 1)
        assert await Worker(kept(store), free(store, handler)).serve() == 1

    served(test)
    assert [text for level, text in said() if level != "INFO"] == [
        "Free: faulted at position 1, Poured: ValueError('never')",
        "no projection is left to run",
    ]


def test_progress_is_logged_while_it_catches_up(said, monkeypatch):
    gates = [Gate(), Gate()]

    async def handler(event, docs):
        if event.amount in (500, 1500):
            await gates[event.amount // 1000].passed()

    async def seen(text):
        while not any(text in each for _, each in said()):
            await asyncio.sleep(0.002)

    async def test(store):
        for first in range(0, 5000, 500):
            await pour(store, *range(first, first + 500))
        worker = Worker(kept(store), free(store, handler), Pots())
        async with serving(worker):
            await gates[0].reached()
            await seen("Pots: live at position 5000")
            await until_state(worker, "catching up", "live")
            await seen("Free: catching up, at position 0, 5000 behind, ")
            gates[0].open()
            await gates[1].reached()
            await seen("Free: catching up, at position 1000, 4000 behind, ")
            gates[1].open()
            await seen("Free: live at position 5000")

    monkeypatch.setattr(_report, "PROGRESS", 0.01)
    served(test)
    lines = [text for _, text in said() if text.startswith("Free: catching up, at position 1000")]
    assert lines[-1].endswith(" s left")
    assert "events/s" in lines[-1]
    assert not any(text.startswith("Pots: catching up, at position 5000") for _, text in said())


class Known:
    """Stands for a projection whose state the test sets."""

    name, position, error = "Known", 7, None

    def __init__(self) -> None:
        self.state = "catching up"
        self._all = [self]  # it stands for what runs them, too

    def status(self) -> Any:
        return ProjectionStatus("Known", 1, self.state, True, 7, 3, None, 0.0, 7, None, None)


def test_who_is_behind_for_a_moment_is_not_reported(said, monkeypatch):
    now = 100.0
    monkeypatch.setattr(_report, "monotonic", lambda: now)
    known = Known()
    report = _report.Report(None, known, lambda: None)
    moments = [
        (101, "live"), (103, "catching up"), (106, "live"), (107, "catching up"), (111, "live"),
        (112, "catching up"), (116, "catching up"), (121, "catching up"), (123, "live"),
    ]  # fmt: skip
    line = "catching up beside the live documents, at position 7, 3 behind, 0 events/s"
    wanted = {101: "live at position 7", 121: line, 123: "live at position 7"}
    for now, known.state in moments:
        before = len(said())
        report.look()
        asyncio.run(report.news())
        new = [text for _, text in said()[before:]]
        assert new == ([f"Known: {wanted[now]}"] if now in wanted else []), now


def test_tables_of_yours(said, tmp_path):
    """The page in hand is written, though the worker is told to stop in the middle of it."""
    gate = Gate()

    async def test():
        async with owned("threads", "sqlite", tmp_path) as own:
            place = url_of("sqlite", tmp_path)
            async with opened("async", place) as store:
                await pour(store, *range(10))
                worker = Worker(place, own.into(gates={5: gate}))
                async with serving(worker):
                    await gate.reached()
                    worker.stop()
                    gate.open()
                await check(store, own)
                assert own.sum()[0] == 10

    asyncio.run(asyncio.wait_for(test(), LIMIT))
    assert said()[-1] == ("INFO", "stopped: Lines at position 10")


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("sqlite:////nonexistent/shop.db", ConfigurationError),
        ("mysql://app:hush@db/shop", ConfigurationError),
        ("other.db", SchemaMismatchError),
    ],
)
def test_a_store_that_is_wrong_is_an_error(place, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE theirs (id)")
    other.close()
    with pytest.raises(error) as raised:
        Worker(place, Pots()).run()
    assert "hush" not in str(raised.value)


def test_a_store_with_options(tmp_path, said):
    place = url_of("sqlite", tmp_path)

    async def coroutine():
        return await EventStore.create(place, tenant="acme")

    async def wrong():
        return place

    sources = [
        EventStore.create(place, tenant="acme"),
        coroutine,
        lambda: EventStore.create(place, tenant="acme"),
    ]

    async def test(number, source):
        async with opened("async", place, tenant="acme") as store:
            committed = await make(store, f"a{number}", "Ada", 1)
            worker = Worker(source, Pots())
            async with serving(worker):
                while not worker.status() or worker.status()[0].position < committed.position:
                    await asyncio.sleep(0.002)
            await check_pots(store)

    for number, source in enumerate(sources):
        asyncio.run(asyncio.wait_for(test(number, source), LIMIT))
    assert f"on {place}, tenant acme: Pots version 1" in said()[0][1]
    for source in (wrong, lambda: None):
        with pytest.raises(TypeError, match=r"must be a coroutine function that returns an event"):
            Worker(source, Pots()).run()


def test_a_timeout_of_the_function_that_opens_is_its_own():
    async def opening():
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        Worker(opening, Pots()).run()


# --- what is refused ------------------------------------------------------------------------------


def test_what_can_not_be_run_is_refused():
    with pytest.raises(TypeError, match="at least one"):
        Worker("memory://")
    with pytest.raises(ValueError, match="two projections"):
        Worker("memory://", Pots(), Pots())
    with pytest.raises(TypeError, match=r"write Pots\(\)"):
        Worker("memory://", Pots)
    with pytest.raises(TypeError, match="could not be read"):
        Worker("memory://", Pots().in_memory())
    with pytest.raises(TypeError, match="on_error must be a Retry"):
        Worker("memory://", Pots(), on_error=3)
    with (
        sync.EventStore.create("memory://") as store,
        pytest.raises(TypeError, match="opens its store itself"),
    ):
        Worker(store, Pots())
    assert repr(Worker("postgresql://app:hush@db/x", Pots(), Sums())) == "<Worker Pots, Sums>"
