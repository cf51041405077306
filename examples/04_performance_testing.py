"""How fast it is on this machine: creation, saving, loading and memory, against plain Python.

    uv run python examples/04_performance_testing.py

The other side is an event store as one writes it in an afternoon: dataclasses, `json`, `sqlite3`.
It checks no types and knows no metadata but a time and an id. `make bench` measures much more.
"""

import gc
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, time_ns
from typing import Any, Protocol
from uuid import uuid4

from eventuali import Aggregate, Event
from eventuali.sync import EventStore

ROUNDS = 5
KEPT = 50_000  # events whose memory is measured

# --- with Eventuali -------------------------------------------------------------------------------


class Deposited(Event):
    amount: int
    note: str


class Account(Aggregate):
    balance: int = 0

    def deposit(self, amount: int, note: str) -> None:
        self.apply(Deposited(amount=amount, note=note))

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount


# --- in plain Python, which is all of the other side ----------------------------------------------


@dataclass(frozen=True, slots=True)
class PlainDeposited:
    amount: int
    note: str
    time: int = field(default_factory=time_ns)


class PlainAccount:
    def __init__(self, id: str = "") -> None:
        self.id, self.version, self.balance = id or str(uuid4()), 0, 0
        self.waiting: list[PlainDeposited] = []

    def deposit(self, amount: int, note: str) -> None:
        event = PlainDeposited(amount=amount, note=note)
        self.apply(event)
        self.waiting.append(event)

    def apply(self, event: PlainDeposited) -> None:
        self.balance += event.amount
        self.version += 1


class PlainStore:
    def __init__(self, file: str) -> None:
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, stream TEXT,"
            " version INTEGER, id TEXT, type TEXT, time INTEGER, data TEXT,"
            " UNIQUE (stream, version))"
        )

    def save(self, account: PlainAccount) -> None:
        first = account.version - len(account.waiting) + 1
        rows = [
            (account.id, version, str(uuid4()), "Deposited", event.time,
             json.dumps({"amount": event.amount, "note": event.note}))
            for version, event in enumerate(account.waiting, first)
        ]  # fmt: skip
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(
            "INSERT INTO events (stream, version, id, type, time, data) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        self.db.execute("COMMIT")
        account.waiting.clear()

    def load_events(self, id: str) -> list[PlainDeposited]:
        rows = self.db.execute(
            "SELECT time, data FROM events WHERE stream = ? ORDER BY version", (id,)
        )
        return [PlainDeposited(**json.loads(data), time=time) for time, data in rows]

    def load(self, id: str) -> PlainAccount:
        account = PlainAccount(id)
        for event in self.load_events(id):
            account.apply(event)
        return account

    def close(self) -> None:
        self.db.close()


# --- the measurements -----------------------------------------------------------------------------


def create(cls: type[Deposited | PlainDeposited], count: int) -> int:
    return len([cls(amount=number, note="rent") for number in range(count)])


def deposit(account: Account | PlainAccount, count: int) -> int:
    for number in range(count):
        account.deposit(number, "rent")
    return account.version


class Store(Protocol):
    def save(self, account: Any, /) -> object: ...
    def load_events(self, id: str, /) -> Sized: ...
    def close(self) -> None: ...


def save(store: Store, new: Callable[[], Account | PlainAccount], commits: int, size: int) -> int:
    """Saves the events of a new account, some in each commit."""
    account = new()
    for _ in range(commits):
        deposit(account, size)
        store.save(account)
    return account.version


def compare(title: str, count: int, ours: Callable[[], int], plain: Callable[[], int]) -> None:
    """Prints the median rates of both, each of which handles `count` events a round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        order = [0, 1] if number % 2 else [1, 0]  # so that neither always goes first
        for side in order:
            gc.collect()
            began = perf_counter()
            handled = (ours, plain)[side]()
            seconds[side].append(perf_counter() - began)
            assert handled == count, f"{title}: {handled} of {count} events"
    rate, other = count / median(seconds[0]), count / median(seconds[1])
    row(title, rate, other, rate / other)


def row(title: str, ours: float, plain: float, ratio: float) -> None:
    print(f"{title:34} {ours:>11,.0f}  {plain:>13,.0f}  {ratio:>8.1f}x", flush=True)


def memory(kind: str, file: Path) -> float:
    """Returns by how many KiB a fresh process grows for 10,000 events that it loads and keeps."""
    command = [sys.executable, __file__, kind, str(file)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603
    count, grown = map(int, printed.split())
    assert count == KEPT
    return grown / 1024 * 10_000 / KEPT


def grow(kind: str, file: str) -> None:
    """Loads the events in this process, and prints how many there are and what they take."""
    store: Store = PlainStore(file) if kind == "plain" else EventStore.create(file)
    store.load_events("small")  # so that what is needed once does not count
    gc.collect()
    before = resident()
    events = store.load_events("large")
    print(len(events), resident() - before)
    store.close()


def resident() -> int:
    """Returns the memory of this process in bytes; its peak where the system does not say more."""
    import resource

    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def machine() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return {
        "processor": f"{name}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_version()}, sqlite3 with SQLite {sqlite3.sqlite_version}",
        "durability": "WAL, synchronous=FULL on both sides: a save returns when it is on the disk",
    }


def main(folder: Path) -> None:
    for name, value in machine().items():
        print(f"{name:12} {value}")
    print(f"\nEvents a second, medians of {ROUNDS} rounds\n")
    print(f"{'':34} {'Eventuali':>11}  {'plain Python':>13}  {'ratio':>9}")

    n = 20_000
    compare("create", n, lambda: create(Deposited, n), lambda: create(PlainDeposited, n))
    compare(
        "create and apply", n, lambda: deposit(Account(), n), lambda: deposit(PlainAccount(), n)
    )

    ours, plain = EventStore.create(folder / "ours.db"), PlainStore(str(folder / "plain.db"))
    for size, commits in ((1, 100), (100, 10), (1000, 5)):
        compare(
            f"save, {size:,} a commit",
            size * commits,
            partial(save, ours, Account, commits, size),
            partial(save, plain, PlainAccount, commits, size),
        )

    for id, size in (("small", 1_000), ("medium", 10_000), ("large", KEPT)):
        save(ours, partial(Account, id=id), size // 1_000, 1_000)
        save(plain, partial(PlainAccount, id), size // 1_000, 1_000)
    compare(
        "load an account of 1,000",
        1_000,
        lambda: ours.load_one(Account, "small").version,
        lambda: plain.load("small").version,
    )
    compare(
        "load an account of 10,000",
        10_000,
        lambda: ours.load_one(Account, "medium").version,
        lambda: plain.load("medium").version,
    )

    stored = sum(1 for _ in ours.read()), plain.db.execute("SELECT count(*) FROM events").fetchone()
    ours.close()
    plain.close()
    assert stored[0] == stored[1][0], "the two stores hold the same number of events"

    print("\nKiB that a process grows by\n")
    mine, others = memory("ours", folder / "ours.db"), memory("plain", folder / "plain.db")
    row("10,000 events, loaded and kept", mine, others, others / mine)
    print("\nA ratio above 1 is in favour of Eventuali, which checks each value and adds metadata.")


if __name__ == "__main__":
    if len(sys.argv) == 3:  # the other process
        grow(*sys.argv[1:])
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(Path(directory))
