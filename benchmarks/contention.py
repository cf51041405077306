"""One aggregate that everybody changes: `transact` beside the best loop that is written by hand.

make bench ARGS=--contention   a quarter of an hour; writes docs/benchmarks-contention.md
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import acceptance
from benchmarks.acceptance import POSTGRES, SQLITE, Line, line
from benchmarks.progress import Progress
from benchmarks.report import percentile
from benchmarks.workers import ROOT
from eventuali import Aggregate, Event, EventStoreConfig, OptimisticConcurrencyError
from eventuali.sync import EventStore, UnitOfWork

PROCESSES = 4
THREADS = 16
INCREMENTS = 2000
ROUNDS = 3
MANY = 500
"""Aggregates that are loaded at once."""
PAGE = ROOT / "docs" / "benchmarks-contention.md"


class Incremented(Event, name="benchmarks.incremented"):
    """One more."""


class Counter(Aggregate, name="benchmarks.counter"):
    """The aggregate that everybody wants."""

    value: int = 0

    def apply_incremented(self, event: Incremented) -> None:
        """Counts."""
        self.value += 1


Way = Callable[[EventStore], int]
"""Adds one, and returns how many attempts that took."""


def by_transact(store: EventStore) -> int:
    """Lets the store repeat."""
    attempts = 0

    def increment(work: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        work.load_one(Counter, "hot").apply(Incremented())

    store.transact(increment)
    return attempts


def by_hand(pause: Callable[[int], float]) -> Way:
    """Loads, changes, saves, and pauses after a conflict."""

    def increment(store: EventStore) -> int:
        attempts = 0
        while True:
            attempts += 1
            counter = store.load_one(Counter, "hot")
            counter.apply(Incremented())
            try:
                store.save(counter)
            except OptimisticConcurrencyError:
                time.sleep(random.random() * pause(attempts))  # noqa: S311
            else:
                return attempts

    return increment


WAYS: dict[str, Way] = {
    "transact": by_transact,
    "by hand, pauses up to 250 ms": by_hand(lambda attempts: 0.25),
    "by hand, pauses from 2 to 250 ms": by_hand(lambda attempts: min(0.001 * 2**attempts, 0.25)),
}


@dataclass(frozen=True)
class Round:
    """What came of one round: the attempts and the seconds of each call, and of each thread."""

    seconds: float
    attempts: list[int]
    calls: list[float]
    callers: list[float]


def work(way: str, place: Any, threads: int, calls: int, barrier: Any, queue: Any) -> None:
    """Adds in threads, `calls` times in all; puts what each thread has measured."""
    measured: list[tuple[float, list[int], list[float]]] = []
    with EventStore.create(place) as store:
        store.load_one(Counter, "hot")
        barrier.wait(60)

        def caller(share: int) -> None:
            attempts, seconds = [], []
            begun = time.perf_counter()
            for _ in range(share):
                start = time.perf_counter()
                attempts.append(WAYS[way](store))
                seconds.append(time.perf_counter() - start)
            measured.append((time.perf_counter() - begun, attempts, seconds))

        shares = [calls // threads + (number < calls % threads) for number in range(threads)]
        running = [threading.Thread(target=caller, args=(share,)) for share in shares]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    queue.put(measured)


def raced(way: str, place: Any, processes: int, threads: int, increments: int) -> Round:
    """Adds in new processes to a new counter, and checks the sum."""
    with EventStore.create(place) as store:
        counter = Counter(id="hot")
        counter.apply(Incremented())
        store.save(counter)
    spawn = multiprocessing.get_context("spawn")
    barrier, queue = spawn.Barrier(processes + 1), spawn.Queue()
    calls = increments // processes
    arguments = (way, place, threads, calls, barrier, queue)
    running = [spawn.Process(target=work, args=arguments) for _ in range(processes)]
    for process in running:
        process.start()
    barrier.wait(60)
    begun = time.perf_counter()
    found = [one for _ in running for one in queue.get(timeout=600)]
    seconds = time.perf_counter() - begun
    for process in running:
        process.join()
    with EventStore.create(place) as store:
        value = store.load_one(Counter, "hot").value
    if value != calls * processes + 1:
        raise SystemExit(f"{way}: the sum is {value}, not {calls * processes + 1}")
    return Round(
        seconds,
        sorted(number for _, attempts, _ in found for number in attempts),
        sorted(number for _, _, seconds in found for number in seconds),
        sorted(total for total, _, _ in found),
    )


def median(rounds: Sequence[Round], of: Callable[[Round], float]) -> float:
    """Returns the median over the rounds."""
    return statistics.median(map(of, rounds))


def rate(one: Round) -> float:
    """Returns increments per second."""
    return len(one.calls) / one.seconds


def attempts(one: Round) -> float:
    """Returns the 99th percentile of the attempts."""
    return percentile(one.attempts, 0.99)


def slowest_call(one: Round) -> float:
    """Returns how many times as long as the median the slowest call took."""
    return one.calls[-1] / percentile(one.calls, 0.5)


def slowest_caller(one: Round) -> float:
    """Returns how many times as long as the median the slowest thread took for its share."""
    return one.callers[-1] / percentile(one.callers, 0.5)


def lines(backend: str, found: dict[str, list[Round]]) -> list[Line]:
    """Returns the rows of a backend."""
    ours = found.pop("transact")
    best = max(found, key=lambda way: median(found[way], rate))
    theirs = found[best]
    ratio = median(ours, rate) / median(theirs, rate)
    speed = f"{median(ours, rate):.0f}/s; {best} {median(theirs, rate):.0f}/s"
    rows = [line(f"{backend}: increments", speed, ratio, "≥ 1x", met=ratio >= 1)]
    for title, of, limit, unit in (
        ("attempts, p99", attempts, 12, ""),
        ("slowest call, compared with the median", slowest_call, 5, "x"),
        ("slowest thread, compared with the median", slowest_caller, 5, "x"),
    ):
        one, other = median(ours, of), median(theirs, of)
        places = 1 if unit else 0
        text = f"{one:.{places}f}{unit}; by hand {other:.{places}f}{unit}"
        verdict = "met" if one <= limit else "missed"
        rows.append((f"{backend}: {title}", text, "", f"≤ {limit}{unit}", verdict))
    most, least = max(one.attempts[-1] for one in ours), median(ours, lambda r: r.attempts[0])
    spread = f"{least:.0f} to {most}; by hand up to {max(one.attempts[-1] for one in theirs)}"
    p50 = median(ours, lambda one: percentile(one.attempts, 0.5))
    rows.append((f"{backend}: attempts, p50 and range", f"{p50:.0f}; {spread}", "", "", ""))
    return rows


def loading(place: Path | EventStoreConfig) -> float:
    """Returns how many times as fast `load_many` is as one `load` after the other."""
    with EventStore.create(place) as store:
        ids = [f"many-{number}" for number in range(MANY)]
        for key in ids:
            events = [Incremented() for _ in range(10)]
            store.append(events, stream=("benchmarks.counter", key))
        ratios = []
        for _ in range(5):
            begun = time.perf_counter()
            for key in ids:
                store.load_one(Counter, key)
            middle = time.perf_counter()
            store.load_many(Counter, ids)
            ratios.append((middle - begun) / (time.perf_counter() - middle))
    return statistics.median(ratios)


def measure(folder: Path, url: str | None) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    rows: list[Line] = []
    for backend in (SQLITE, POSTGRES) if url else (SQLITE,):
        found: dict[str, list[Round]] = {way: [] for way in WAYS}
        progress = Progress(len(WAYS), ROUNDS - 1)
        for number in range(ROUNDS):
            for count, way in enumerate(WAYS if number % 2 else reversed(WAYS)):
                place = _place(folder, url, backend, f"r{number}_{count}")
                found[way].append(raced(way, place, PROCESSES, THREADS, INCREMENTS))
                progress.step(number, f"{backend}: {way}")
        progress.end()
        rows += lines(backend, found)
        ratio = loading(_place(folder, url, backend, "many"))
        title = f"{backend}: {MANY} aggregates by load_many, compared with a loop of load"
        rows.append((title, "", f"{ratio:.2f}x", "", ""))
    return rows


def _place(folder: Path, url: str | None, backend: str, name: str) -> Path | EventStoreConfig:
    if backend == POSTGRES and url is not None:
        return EventStoreConfig.postgres(url).with_schema(name)
    return folder / f"{name}.db"


def run(data: Path, page: Path = PAGE) -> None:
    """Measures in a folder, and writes the page."""
    rounds = "of 1 round" if ROUNDS == 1 else f"medians of {ROUNDS} rounds"
    method = (
        f"{PROCESSES} processes of {THREADS} threads add one to the same aggregate, "
        f"{INCREMENTS:,} times in all; the sum was exact in each run. The figures are {rounds}, "
        "taking turns. By hand, a loop loads, changes and saves, and after a conflict pauses for a "
        "random time; of several such loops, the fastest is shown. Every commit is flushed before "
        "it is acknowledged."
    )
    acceptance.run("contention", "one hot aggregate", method, measure, data, page)
