"""What the other processes of the concurrency tests do."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from ledger import Counted, Ledger, Other

from eventuali import (
    AppendCondition,
    AppendConditionError,
    OptimisticConcurrencyError,
    Query,
    sync,
)

SPAWN = multiprocessing.get_context("spawn")


def race(target: Any, count: int, *arguments: Any) -> list[Any]:
    """Runs `target(number, barrier, *arguments)` in new processes; returns what each put."""
    barrier = SPAWN.Barrier(count)
    queue = SPAWN.Queue()
    processes = [
        SPAWN.Process(target=_run, args=(queue, target, number, barrier, *arguments))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    try:
        answers = [queue.get(timeout=90) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=20)
            if process.is_alive():
                process.kill()
                process.join()
        queue.close()
        queue.join_thread()
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.close()
    failures = [answer for kind, answer in answers if kind == "failed"]
    assert not failures, "\n".join(failures)
    assert codes == [0] * count
    return [answer for _, answer in answers]


def _run(queue: Any, target: Any, number: int, barrier: Any, *arguments: Any) -> None:
    try:
        queue.put(("done", target(number, barrier, *arguments)))
    except BaseException:
        barrier.abort()
        queue.put(("failed", traceback.format_exc()))


def save_same_version(number: int, barrier: Any, url: Any, rounds: int) -> list[tuple]:
    """In each round every process saves the same aggregate at the same version."""
    outcomes: list[tuple] = []
    with sync.EventStore.create(url) as store:
        for turn in range(rounds):
            ledger = Ledger(id=f"new-{turn}") if turn % 2 else store.load_one(Ledger, "old")
            version = ledger.version
            ledger.apply(Counted(number=turn * 100 + number))
            barrier.wait(30)
            try:
                committed = store.save(ledger)
                outcomes.append(("won", ledger.id, version, committed.versions))
            except OptimisticConcurrencyError as error:
                found = store.get_aggregate_version(ledger.id, Ledger)
                outcomes.append(
                    ("lost", ledger.id, version, error.stream, error.expected_version,
                     error.actual_version, found)
                )  # fmt: skip
                assert ledger.version == version + 1
                assert len(ledger.get_uncommitted_events()) == 1
            barrier.wait(30)
    return outcomes


def append_on_condition(number: int, barrier: Any, url: Any, rounds: int) -> list[bool]:
    """In each round every process decides on the same tag as it was at the same position."""
    won = []
    with sync.EventStore.create(url) as store:
        for turn in range(rounds):
            tag = f"seat:{turn}"
            after = store.stats().last_position
            event = Counted(number=turn * 100 + number, tags=[tag])
            condition = AppendCondition(Query(tags=[tag]), after=after if turn % 2 else 0)
            barrier.wait(30)
            try:
                store.append([event], condition=condition)
                won.append(True)
            except AppendConditionError:
                won.append(False)
            barrier.wait(30)
    return won


def decide_seats(number: int, barrier: Any, url: Any, threads: int, limit: int) -> int:
    """In each thread, decides to take a seat until there are none; returns how many it got."""

    class Full(Exception):
        pass

    def enrol(events: list[Any]) -> Counted:
        if len(events) >= limit:
            raise Full
        return Counted(number=number, tags=["course:1"])

    def take(_: int) -> int:
        for taken in count():
            try:
                store.decide(Query(tags=["course:1"]), enrol, attempts=200)
            except Full:
                return taken
        raise AssertionError

    with sync.EventStore.create(url) as store, ThreadPoolExecutor(threads) as pool:
        barrier.wait(30)
        return sum(pool.map(take, range(threads)))


def append_blindly(number: int, barrier: Any, url: Any, limit: int) -> int:
    """Takes a seat without a condition, at the moment when there is still one."""
    with sync.EventStore.create(url) as store:
        for taken in count():
            barrier.wait(30)
            seen = len(list(store.read(Query(tags=["course:1"]))))
            barrier.wait(30)
            if seen >= limit:
                return taken
            store.append([Counted(number=number, tags=["course:1"])])
    raise AssertionError


def save_for(number: int, barrier: Any, url: Any, seconds: float) -> tuple[list[int], list[int]]:
    """Saves to a stream of its own and to one that all share; returns what was acknowledged."""
    acknowledged: list[int] = []
    shared: list[int] = []
    with sync.EventStore.create(url) as store:
        ledger = Other(id=f"own-{number}")
        barrier.wait(30)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            one = number * 1_000_000 + len(acknowledged)
            ledger.apply(Counted(number=one))
            store.save(ledger)
            acknowledged.append(one)
            if len(acknowledged) % 4 == 0:
                other = 500_000 + number * 1_000_000 + len(shared)
                store.append([Counted(number=other)], stream=("Other", "shared"))
                shared.append(other)
    return acknowledged, shared


def open_fresh(number: int, barrier: Any, folder: str, rounds: int) -> list[int]:
    """In each round every process opens the same file, which does not exist yet, and appends."""
    versions = []
    for turn in range(rounds):
        barrier.wait(30)
        with sync.EventStore.create(f"{folder}/{turn}.db") as store:
            committed = store.append([Counted(number=number)], stream=("Other", "shared"))
            versions.append(committed.versions[0])
    return versions


def open_same(number: int, barrier: Any, places: list[Any]) -> list[int]:
    """Every process opens each of the places, where nothing is yet, and appends to one stream."""
    versions = []
    for place in places:
        barrier.wait(30)
        with sync.EventStore.create(place) as store:
            committed = store.append([Counted(number=number)], stream=("Other", "shared"))
            versions.append(committed.versions[0])
    return versions
