"""What snapshots cost a save, and spare a load.

python -m benchmarks.snapshots [--rounds 9] [--url postgresql://…]

Both sides of a pair take turns, each round against the same round. On PostgreSQL, the tables go
into a schema of their own, `bench_snapshots`, which is to be dropped by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from statistics import median
from uuid import uuid4

from eventuali import Aggregate, Event, EventStore, EventStoreConfig, SnapshotPolicy

EVENTS = 10_000
EVERY = 100
SAVES = 1_000
"""Saves of one event in each turn: ten snapshots."""


class Deposited(Event):
    """An event of some fields, as they are in practice."""

    amount: int
    note: str
    tags: list[str]


class Account(Aggregate):
    """A state of some fields."""

    balance: int = 0
    notes: list[str] = []  # noqa: RUF012

    def apply_deposited(self, event: Deposited) -> None:
        """Adds it up."""
        self.balance += event.amount
        self.notes = [*self.notes[-20:], event.note]


def deposit(account: Account, count: int) -> None:
    """Applies new events."""
    for amount in range(count):
        account.apply(Deposited(amount=amount, note=f"deposit {amount}", tags=["a", "b"]))


async def loads(store: EventStore, repeat: int) -> float:
    """Returns the seconds of a load of 10,000 events."""
    begun = time.perf_counter()
    for _ in range(repeat):
        await store.load_one(Account, "hot")
    return (time.perf_counter() - begun) / repeat


async def saves(store: EventStore, count: int) -> float:
    """Returns the seconds of a save of one event, with all snapshots that belong to them."""
    account = Account(id=str(uuid4()))
    deposit(account, 1)
    await store.save(account)
    gc.collect()
    taken = 0.0
    for _ in range(count):
        deposit(account, 1)
        begun = time.perf_counter()
        await store.save(account)
        taken += time.perf_counter() - begun
    return taken / count


def places(folder: str, url: str | None) -> Iterator[tuple[str, list[str | EventStoreConfig]]]:
    """Yields each backend, and a place without snapshots and one with."""
    yield "memory", ["memory://", "memory://"]
    yield "sqlite", [f"sqlite:///{folder}/{name}.db" for name in ("without", "with")]
    if url is not None:
        config = EventStoreConfig.postgres(url).with_schema("bench_snapshots")
        yield "postgres", [config.with_table_name(name) for name in ("without", "kept")]


async def measure(
    where: Sequence[str | EventStoreConfig], rounds: int, events: int, count: int
) -> list[str]:
    """Returns what is to be told of a backend."""
    async with AsyncExitStack() as stack:
        policies = (None, SnapshotPolicy(every=EVERY))
        stores = [
            await stack.enter_async_context(EventStore.create(place, snapshots=policy))
            for place, policy in zip(where, policies, strict=True)
        ]
        for store in stores:
            account = Account(id="hot")
            for size in (events - EVERY, EVERY - 1):
                deposit(account, size)
                await store.save(account)
        took: dict[tuple[str, int], list[float]] = {}
        for turn in range(rounds + 1):
            for side in (0, 1) if turn % 2 else (1, 0):
                for what in ("load", "save"):
                    if what == "load":
                        seconds = await loads(stores[side], 10 if side else 1)
                    else:
                        seconds = await saves(stores[side], count)
                    if turn:
                        took.setdefault((what, side), []).append(seconds)
        return [told(what, took[what, 0], took[what, 1]) for what in ("load", "save")]


def told(what: str, without: Sequence[float], kept: Sequence[float]) -> str:
    """Returns a line: the medians, and the median of the ratios of the rounds."""
    ratios = sorted(one / other for one, other in zip(kept, without, strict=True))
    figures = [f"{median(values) * 1e6:10,.0f} µs" for values in (without, kept)]
    ratio = f"{median(ratios):.3f} ({ratios[0]:.3f} … {ratios[-1]:.3f})"
    return f"{what}: without {figures[0]}, with {figures[1]}, ratio {ratio}"


def main() -> None:
    """Measures all backends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--url", help="a PostgreSQL database")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--saves", type=int, default=SAVES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-", dir=".") as folder:
        for backend, where in places(folder, given.url):
            for line in asyncio.run(measure(where, given.rounds, given.events, given.saves)):
                print(f"{backend:8} {line}", flush=True)


if __name__ == "__main__":
    main()
