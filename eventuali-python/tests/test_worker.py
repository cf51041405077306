"""A worker: signals, what it leaves behind, its exit code, its log, and how it is found."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hosts import closed_port
from postgres_server import Private
from pots import (
    Gate,
    Pot,
    PotMade,
    Pots,
    Poured,
    Sums,
    Total,
    Writer,
    check_pots,
    check_sums,
    everything,
    free,
    make,
    pour,
    put,
)
from stores import each_shared, opened, url_of
from support import TESTS, script

from eventuali import EventStore, Retry, sync
from eventuali.errors import ConfigurationError, SchemaMismatchError
from eventuali.worker import Worker, _report, load

LIMIT = 60
"""After so many seconds a worker has failed; no test passes or fails by it otherwise."""

MOST_DEATHS = 12

SHOP = """
import asyncio, os, pickle, signal, sys, time
from typing import Any
from eventuali import EventStore, Projection, Retry
from eventuali.worker import Worker
from pots import Pot, PotBroken, PotFilled, PotMade, Pots, Poured, Sums, Total

PLACE = pickle.loads(bytes.fromhex(os.environ["PLACE"]))
HOW = os.environ.get("HOW", "")

class Steps:
    count = 0

    def step(self):
        if HOW == "slow":
            self.count += 1
            if self.count == 500:
                print("in the middle", file=sys.stderr, flush=True)
            if self.count >= 500:
                time.sleep(0.001)

class SlowPots(Steps, Pots, name="Pots"):
    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        self.step()
        return super().on_filled(event, doc)

class SlowSums(Steps, Sums, name="Sums"):
    async def on_filled(self, event: PotFilled, docs: Any) -> None:
        self.step()
        await super().on_filled(event, docs)

class Poison(Projection[Total], name="Poison"):
    def key(self, event):
        return "all"

    def on_any(self, event: Poured, doc: Total | None) -> Total:
        if event.amount == 13:
            match HOW:
                case "exit":
                    sys.exit(3)
                case "interrupt":
                    raise KeyboardInterrupt
                case "raise":
                    raise ValueError("thirteen")
                case "hang":
                    print("hanging", file=sys.stderr, flush=True)
                    while True:
                        time.sleep(0.01)
        return Total(events=(doc.events if doc else 0) + 1)

pots = Worker(PLACE, SlowPots(), SlowSums())
poison = Worker(PLACE, Poison())
both = Worker(PLACE, Poison(), Pots(), on_error=Retry(2, backoff=0.001))
"""

RUN = """
import sys
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""


class Process:
    """A worker in a process of its own, and what it has printed to stderr."""

    def __init__(self, place: object, name: str, folder: Path, how: str, code: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        environment = {"PYTHONPATH": str(TESTS), "PLACE": pickle.dumps(place).hex(), "HOW": how}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, f"shop:{name}"],
            cwd=folder,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()

    def has(self, *texts: str) -> bool:
        return all(any(text in line for line in self.lines) for text in texts)

    def wait_for(self, *texts: str) -> None:
        """Waits until each text was printed."""
        with self._more:
            assert self._more.wait_for(lambda: self.has(*texts), LIMIT), self.lines

    def wait_for_any(self, *texts: str) -> None:
        """Waits until one of the texts was printed."""
        with self._more:
            found = self._more.wait_for(lambda: any(map(self.has, texts)), LIMIT)
            assert found, self.lines

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Waits for the end; returns the exit code."""
        try:
            return self.process.wait(LIMIT)
        finally:
            self._reader.join(LIMIT)

    def stop(self) -> int:
        self.tell(signal.SIGTERM)
        return self.ended()


@contextmanager
def process(place: object, name: str, folder: Path, how: str = "", code: str = RUN):
    found = Process(place, name, folder, how, code)
    try:
        yield found
    finally:
        found.process.kill()
        found.ended()
        found.process.stderr.close()


def filled(place: object, *amounts: int) -> int:
    """Stores events; returns the position of the last."""
    with sync.EventStore.create(place) as store:
        return store.append([Poured(amount=amount) for amount in amounts]).positions[-1]


def written(place: object, seed: object, count: int) -> None:
    async def write():
        async with opened("async", place) as store:
            await Writer(seed).write(store, count)

    asyncio.run(write())


async def checked(place: object) -> None:
    async with opened("async", place) as store:
        await check_pots(store)
        await check_sums(store)


def total(place: object) -> int:
    with sync.EventStore.create(place) as store:
        return found.events if (found := store.get(Total, "all")) else 0


# --- signals --------------------------------------------------------------------------------------


@each_shared
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_signal_in_the_middle_loses_and_repeats_nothing(kind, number, tmp_path):
    place = url_of(kind, tmp_path)
    written(place, (kind, number), 4000)
    with process(place, "pots", tmp_path, "slow") as first:
        first.wait_for("in the middle")
        first.tell(number)
        assert first.ended() == 0, first.lines
    assert first.has(f"stopping by {number.name}", "stopped: Pots at position ")
    with pytest.raises(AssertionError):
        asyncio.run(checked(place))  # it was in the middle
    with process(place, "pots", tmp_path) as second:
        second.wait_for("Pots: live", "Sums: live")
        assert second.stop() == 0, second.lines
    asyncio.run(checked(place))


@each_shared
def test_a_second_worker_takes_over(kind, tmp_path):
    place = url_of(kind, tmp_path)
    written(place, kind, 3000)
    with (
        process(place, "pots", tmp_path, "slow") as first,
        process(place, "pots", tmp_path, "slow") as second,
    ):
        first.wait_for("in the middle")
        second.wait_for("in the middle")
        assert first.stop() == 0, first.lines
        second.wait_for("Pots: live", "Sums: live")
        assert second.stop() == 0, second.lines
    asyncio.run(checked(place))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_second_signal_ends_at_once(number, code, tmp_path):
    """Even if a handler hangs, so that the event loop stands still."""
    place = url_of("sqlite", tmp_path)
    end = filled(place, 1, 13, 2)
    with process(place, "poison", tmp_path, "hang") as worker:
        worker.wait_for("hanging")
        worker.tell(number)
        while worker.process.poll() is None:  # two signals at once may come as one
            worker.tell(number)
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(0.2)
        assert worker.ended() == code, worker.lines
    with process(place, "poison", tmp_path) as worker:
        worker.wait_for(f"Poison: live at position {end}")
        assert worker.stop() == 0
    assert total(place) == 3


RESTORES = """
import logging, signal, sys
from threading import Thread
from time import sleep
from eventuali.worker import load
def mine(number, frame): ...
signal.signal(signal.SIGTERM, mine)
before = signal.getsignal(signal.SIGINT)
worker = load(sys.argv[1])
def stop():
    while not worker.status():
        sleep(0.01)
    worker.stop()
stopping = Thread(target=stop)
log = logging.getLogger("eventuali.worker")
stopping.start()
code = worker.run()
stopping.join()
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.getsignal(signal.SIGINT) is before
assert (log.handlers, log.level) == ([], logging.NOTSET)
sys.exit(code)
"""


def test_handlers_of_signals_and_the_log_are_as_before(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 1)
    with process(place, "poison", tmp_path, code=RESTORES) as worker:
        assert worker.ended() == 0, worker.lines
    assert worker.has("stopping by stop()")


# --- handlers that fail, and that end the process -------------------------------------------------


@each_shared
def test_when_all_are_faulted_it_ends(kind, tmp_path):
    place = url_of(kind, tmp_path)
    filled(place, 1, 13, 2)
    with process(place, "poison", tmp_path, "raise") as worker:
        assert worker.ended() == 1
    assert worker.has("Poison: faulted at position 2, Poured: ValueError('thirteen')")
    assert worker.has("no projection is left to run", "stopped: Poison at position 1")
    assert worker.has('raise ValueError("thirteen")')
    assert total(place) == 1


def test_one_that_is_faulted_stops_no_other(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 1, 13)
    with process(place, "both", tmp_path, "raise") as worker:
        worker.wait_for("Poison: faulted", "Pots: live")
        assert worker.has("Poison: failed after position 1, trying again: ValueError('thirteen')")

        async def goes_on():
            async with opened("async", place) as store:
                await make(store, "a", "Ada", 1)
                while not await store.get(Pot, "a"):
                    await asyncio.sleep(0.01)

        asyncio.run(asyncio.wait_for(goes_on(), LIMIT))
        assert worker.stop() == 1
    assert worker.has('raise ValueError("thirteen")')
    assert not worker.has("another exception occurred"), "its traceback is that of the handler"


@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("interrupt", -signal.SIGINT)])
def test_a_handler_that_ends_the_process_ends_it(how, code, tmp_path):
    place = url_of("sqlite", tmp_path)
    end = filled(place, *range(1, 20))
    with process(place, "both", tmp_path, how) as worker:
        assert worker.ended() == code, worker.lines
    assert worker.has("Poison: a handler raised ", "stopped: Poison")
    with process(place, "both", tmp_path) as worker:
        worker.wait_for(f"Poison: live at position {end}")
        assert worker.stop() == 0
    assert total(place) == 19


def test_a_handler_that_always_ends_the_process_is_found(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, *range(1, 20))
    for death in range(MOST_DEATHS):
        with process(place, "both", tmp_path, "exit") as worker:
            worker.wait_for_any("Poison: faulted at position 13, Poured", "a handler raised")
            if worker.has("Poison: faulted"):
                worker.wait_for("Pots: live")
                assert worker.stop() == 1
                break
            assert worker.ended() == 3, worker.lines
    assert worker.has("Poison: faulted"), worker.lines
    assert death > 0
    assert total(place) == 12


def test_a_handler_that_was_cancelled_has_failed(caplog):
    async def cancelled(event, docs):
        raise asyncio.CancelledError

    async def test(store):
        await pour(store, 1)
        worker = Worker(kept(store), free(store, cancelled))
        assert await worker.serve() == 1

    served(test)
    assert "ended without being told to" in caplog.text


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


CONFIGURED = """
import logging, sys
logging.basicConfig(format="MINE %(message)s", level=logging.INFO)
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""

QUIET = """
import logging, sys
logging.getLogger("eventuali.worker").addHandler(logging.NullHandler())
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""

LATE = """
import logging, sys
from pots import PotMade, Pots
import shop
def loud(self, event: PotMade, doc: None) -> shop.Pot:
    logging.warning("loud")
    return shop.Pot(owner=event.owner)
class Loud(Pots):
    on_made = loud
sys.exit(shop.Worker(shop.PLACE, Loud()).run())
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (RUN, r"\d+-\d+-\d+ \d+:\d+:\d+,\d+ (INFO|ERROR) +\S"),
        (CONFIGURED, "MINE "),
        (QUIET, None),
    ],
)
def test_lines_are_printed_if_nobody_has_configured_the_log(code, printed, tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 13)
    with process(place, "poison", tmp_path, "raise", code) as worker:
        assert worker.ended() == 1
    if printed is None:
        assert worker.lines == []
        return
    texts = (" starts on ", ": faulted at", "no projection is left", "stopped: ")
    for text in texts:
        (line,) = [line for line in worker.lines if text in line]
        assert re.match(printed, line)


def test_a_handler_that_configures_the_log_doubles_no_line(tmp_path):
    place = url_of("sqlite", tmp_path)
    with sync.EventStore.create(place) as store:
        store.append([PotMade(owner="Ada")], stream=("Pot", "a"))
    with process(place, "", tmp_path, code=LATE) as worker:
        worker.wait_for("Loud: live")
        assert worker.stop() == 0
    for text in ("loud", "Loud: live", "stopped: "):
        assert len([line for line in worker.lines if text in line]) == 1, worker.lines


# --- opening the store ----------------------------------------------------------------------------


def test_a_server_that_is_still_starting_is_waited_for(tmp_path):
    server = Private()
    try:
        url = server.url.replace("postgres@", "postgres:hush@") + "?connect_timeout=1"
        with process(url, "both", tmp_path) as worker:
            worker.wait_for("the store can't be opened, next attempt in 0.4 s: ")
            server.start()
            worker.wait_for("Poison: live", "Pots: live")
            assert worker.stop() == 0
    finally:
        server.remove()
    assert not worker.has("hush")


def test_who_waits_for_a_server_can_be_stopped(tmp_path):
    with closed_port() as port:
        url = f"postgresql://app:hush@127.0.0.1:{port}/shop?connect_timeout=1"
        with process(url, "both", tmp_path) as worker:
            worker.wait_for("the store can't be opened")
            assert worker.stop() == 0, worker.lines
    assert not worker.has("hush")


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


# --- its name -------------------------------------------------------------------------------------

MODULE = """
from eventuali.worker import Worker
from pots import Pots
app = Worker("memory://", Pots())
number = 5
def factory():
    return Worker("memory://", Pots())
async def coroutine():
    return app
def failing():
    raise ZeroDivisionError("mine")
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Makes modules in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "market").mkdir()
    (tmp_path / "market" / "__init__.py").write_text("")
    (tmp_path / "market" / "views.py").write_text(MODULE)
    (tmp_path / "market" / "broken.py").write_text("import market.missing")
    (tmp_path / "market" / "wrong.py").write_text("from pots import nothing_of_this_name")
    yield
    for name in set(sys.modules) - before:
        if name.startswith("market"):
            del sys.modules[name]


def test_a_worker_is_found_by_its_name(modules):
    assert load("market.views:app") is sys.modules["market.views"].app
    assert isinstance(load("market.views:factory"), Worker)
    assert load("market.views:factory") is not load("market.views:factory")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("market.views", "must be a module, a colon and a name"),
        ("market/views.py:app", "must be a module, a colon and a name"),
        ("market.views:factory()", "must be a module, a colon and a name"),
        (":app", "must be a module, a colon and a name"),
        ("supermarket.views:app", "there is no module 'supermarket' in "),
        ("market.viws:app", "there is no module 'market.viws' in "),
        ("market.views.app:app", "there is no module 'market.views.app' in "),
        ("market.views:apq", "market.views has no 'apq'; there is app"),
        ("market:app", "market has no 'app'"),
        ("market.views:number", "market.views:number is 5, not a Worker; write number = Worker"),
        ("market.views:coroutine", "is a coroutine function"),
    ],
)
def test_a_name_that_leads_nowhere_is_explained(text, message, modules):
    with pytest.raises(ConfigurationError) as raised:
        load(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("market.broken:app", ModuleNotFoundError, "No module named 'market.missing'"),
        ("market.wrong:app", ImportError, "cannot import name 'nothing_of_this_name'"),
        ("market.views:failing", ZeroDivisionError, "mine"),
    ],
)
def test_an_error_inside_of_the_module_is_its_own(text, error, message, modules):
    with pytest.raises(error, match=message) as raised:
        load(text)
    assert raised.type is error


def test_the_current_directory_is_on_the_path_as_for_a_module(tmp_path):
    """A console script has its own folder there instead."""
    (tmp_path / "market.py").write_text(MODULE)
    code = """
import os, sys
sys.path[:] = [each for each in sys.path if each not in ("", os.getcwd())]
from eventuali.worker import load
load("market:app")
load("market:app")
assert sys.path.count(os.getcwd()) == 1
"""
    done = script(code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
