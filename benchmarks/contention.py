"""One aggregate that everybody changes: `transact` beside the best loop that is written by hand.

python -m benchmarks.contention   some minutes; prints a table and writes nothing
make bench ARGS=--contention      the same; writes docs/benchmarks-contention.md
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventuali import Aggregate, Event, EventStoreConfig, OptimisticConcurrencyError
from eventuali.sync import EventStore, UnitOfWork

PROCESSES = 4
THREADS = 16
INCREMENTS = 2000
ROUNDS = 5


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
    "by hand, up to 10 ms": by_hand(lambda attempts: 0.01),
    "by hand, up to 50 ms": by_hand(lambda attempts: 0.05),
    "by hand, up to 250 ms": by_hand(lambda attempts: 0.25),
    "by hand, 2 ms, then doubled up to 250 ms": by_hand(
        lambda attempts: min(0.001 * 2**attempts, 0.25)
    ),
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


def measure(way: str, place: Any, processes: int, threads: int, increments: int) -> Round:
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


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the value below which a share of sorted values lies."""
    return values[min(int(len(values) * share), len(values) - 1)]


def told(rounds: Sequence[Round]) -> str:
    """Returns a line about the rounds of a way: medians."""

    def median(of: Callable[[Round], float]) -> float:
        return statistics.median(map(of, rounds))

    rate = median(lambda r: len(r.calls) / r.seconds)
    return (
        f"{rate:6.0f}/s; attempts p50 {median(lambda r: percentile(r.attempts, 0.5)):.0f}"
        f" p99 {median(lambda r: percentile(r.attempts, 0.99)):.0f}"
        f" max {max(r.attempts[-1] for r in rounds)}"
        f"; call max/median {median(lambda r: r.calls[-1] / percentile(r.calls, 0.5)):.1f}"
        f"; caller max/median {median(lambda r: r.callers[-1] / percentile(r.callers, 0.5)):.2f}"
    )


def main() -> None:
    """Measures and tells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--increments", type=int, default=INCREMENTS)
    parser.add_argument("--only", default="")
    parser.add_argument("--backend", default="sqlite")
    given = parser.parse_args()
    ways = [way for way in WAYS if given.only in way]
    found: dict[str, list[Round]] = {way: [] for way in ways}
    import psycopg

    for number in range(given.rounds):
        for way in ways if number % 2 else reversed(ways):
            with tempfile.TemporaryDirectory(dir="target") as folder:
                schema = f"contention_{number}"
                url = "postgresql://postgres@127.0.0.1/postgres"
                place: Any = f"sqlite:///{Path(folder).resolve() / 'hot.db'}"
                if given.backend == "postgres":
                    with psycopg.connect(url, autocommit=True) as connection:
                        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                    place = EventStoreConfig.postgres(url).with_schema(schema)
                found[way].append(measure(way, place, PROCESSES, THREADS, given.increments))
                print(f"{way}: {told(found[way][-1:])}", flush=True)
    for way, rounds in found.items():
        print(f"{way:42} {told(rounds)}")


if __name__ == "__main__":
    main()
