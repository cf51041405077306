"""How fast this machine saves and loads, beside an event store in plain Python.

    uv run python examples/04_performance_testing.py

# What it measures

Events a second, in one thread: medians of rounds in which the two sides take turns, and how far the
ratios of the rounds lie apart. A save is timed from the deposit until its event is on the disk of
the temporary directory (`TMPDIR` chooses it). A load is timed until the account is rebuilt, from a
file that the system has in its cache. `make bench` measures more: writers at once, PostgreSQL.

Plain Python is what one writes in an afternoon: dataclasses, `json`, `sqlite3`. It checks no types,
and its metadata are an id and a time.
"""

import gc
import json
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, time_ns
from typing import Any
from uuid import uuid4

from eventuali import Aggregate, Event
from eventuali.sync import EventStore

ROUNDS = 9


class Deposited(Event):
    amount: int
    note: str


class Account(Aggregate):
    balance: int = 0

    def deposit(self, amount: int, note: str) -> None:
        self.apply(Deposited(amount=amount, note=note))

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount


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
        self.waiting.append(PlainDeposited(amount, note))
        self.apply(self.waiting[-1])

    def apply(self, event: PlainDeposited) -> None:
        self.balance += event.amount
        self.version += 1


class PlainStore:
    def __init__(self, file: Path) -> None:
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER,
                id TEXT, type TEXT, time INTEGER, data TEXT, UNIQUE (stream, version))""")

    def save(self, account: PlainAccount) -> None:
        first = account.version - len(account.waiting) + 1
        rows = [
            (account.id, version, str(uuid4()), "Deposited", event.time,
             json.dumps({"amount": event.amount, "note": event.note}))
            for version, event in enumerate(account.waiting, first)
        ]  # fmt: skip
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?)", rows)
        self.db.execute("COMMIT")
        account.waiting.clear()

    def load(self, id: str) -> PlainAccount:
        account = PlainAccount(id)
        query = "SELECT time, data FROM events WHERE stream = ? ORDER BY version"
        for time, data in self.db.execute(query, (id,)):
            account.apply(PlainDeposited(**json.loads(data), time=time))
        return account


def compare(title: str, count: int, ours: Callable[[], int], plain: Callable[[], int]) -> None:
    """Prints how fast both handle `count` events; each returns the balance it ends with."""
    rounds: list[dict[Callable[[], int], float]] = [{} for _ in range(ROUNDS)]
    for number, seconds in enumerate(rounds):
        for side in (ours, plain) if number % 2 else (plain, ours):
            gc.collect()
            began = perf_counter()
            balance = side()
            seconds[side] = perf_counter() - began
            assert balance == sum(range(count)), f"{title}: the balance is {balance}"
    rate, other = [count / median(seconds[side] for seconds in rounds) for side in (ours, plain)]
    ratios = sorted(seconds[plain] / seconds[ours] for seconds in rounds)
    shown = f"{median(ratios):8.1f}x  {ratios[0]:.1f}–{ratios[-1]:.1f}"
    print(f"{title:28} {rate:>11,.0f}  {other:>13,.0f}  {shown}", flush=True)


def fill(new: Callable[[], Any], save: Callable[[Any], object], count: int, size: int) -> int:
    """Makes an account and `count` deposits, with a save after every `size` of them."""
    account: Account | PlainAccount = new()
    for number in range(count):
        account.deposit(number, "rent")
        if (number + 1) % size == 0:
            save(account)
    return account.balance


def main(folder: Path) -> None:
    print(f"system       {platform.system()}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"Python       {platform.python_version()}, sqlite3 with SQLite {sqlite3.sqlite_version}")
    print("durability   full on both sides (WAL, synchronous=FULL): what is saved is on the disk")
    print(f"\nEvents a second, medians of {ROUNDS} rounds\n")
    print(f"{'':28} {'Eventuali':>11}  {'plain Python':>13}  {'ratio':>9}  rounds")
    plain = PlainStore(folder / "plain.db")
    with EventStore.create(folder / "ours.db", durability="full") as ours:
        for size, count in ((1, 100), (100, 1_000), (1_000, 5_000)):
            mine = partial(fill, Account, ours.save, count, size)
            other = partial(fill, PlainAccount, plain.save, count, size)
            compare(f"save, {size:,} a commit", count, mine, other)
        for id, count in (("small", 1_000), ("large", 10_000)):
            fill(partial(Account, id=id), ours.save, count, 1_000)
            fill(partial(PlainAccount, id), plain.save, count, 1_000)
            mine = partial(lambda id: ours.load_one(Account, id).balance, id)
            other = partial(lambda id: plain.load(id).balance, id)
            compare(f"load an account of {count:,}", count, mine, other)
    plain.db.close()
    print("\nA ratio above 1 is in favour of Eventuali, which checks each value and adds metadata.")


with tempfile.TemporaryDirectory() as directory:
    main(Path(directory))
