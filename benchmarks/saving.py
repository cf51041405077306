"""Saves while read models or followers are at work in the same process."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import fmean, median
from typing import Any

from benchmarks.folding import totals
from benchmarks.subjects.ours import Account, Added, add
from eventuali import Event, EventStore, Projection, Query, ReadModel

SLICES = 4
"""How often those that are compared take turns in a round."""
KINDS = ("alone", "projection", "follower", "idle projection", "idle follower")


class Silence(Event):
    """An event that nobody saves."""


class Heard(ReadModel):
    """A document that nobody makes."""


class Hearing(Projection[Heard]):
    """A projection that nothing concerns."""

    def on_silence(self, event: Silence, doc: Heard | None) -> Heard:
        """Is not called."""
        return Heard()


async def prepared(store: EventStore, events: int, repeat: int) -> list[Account]:
    """Returns accounts that are stored, each with events that are not."""
    accounts = [Account() for _ in range(repeat)]
    for account in accounts:
        add(account, 1)
    await store.save(*accounts)
    for account in accounts:
        add(account, events)
    gc.collect()
    return accounts


@asynccontextmanager
async def at_work(store: EventStore, kind: str) -> AsyncIterator[None]:
    """Lets somebody follow the log, who has come to its end when the block begins."""
    head = store.stats().last_position
    event: type[Event] = Silence if kind.startswith("idle") else Added
    if kind.endswith("projection"):
        projection: Projection[Any] = Hearing() if event is Silence else totals("Saved")
        async with store.run(projection) as running:
            await running.wait_for(head)
            while running.status()[0].state != "live":
                await asyncio.sleep(0.001)
            yield
    elif kind.endswith("follower"):
        async with store.subscribe(Query(event_types=[event]), after=head) as events:

            async def follow() -> None:
                async for _ in events:
                    pass

            following = asyncio.create_task(follow())
            await asyncio.sleep(0.01)
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    else:
        yield


async def saves(store: EventStore, number: int, events: int, repeat: int) -> dict[str, float]:
    """Returns the seconds of a save beside each of those that may be at work."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(number, number + SLICES):
        for kind in reversed(KINDS) if turn % 2 else KINDS:
            accounts = await prepared(store, events, repeat)
            async with at_work(store, kind):
                begun = time.perf_counter()
                for account in accounts:
                    await store.save(account)
                found[kind].append((time.perf_counter() - begun) / repeat)
    return {f"save {events}, {kind}": fmean(values) for kind, values in found.items()}


async def shown(store: EventStore, number: int, repeat: int) -> dict[str, float]:
    """Returns the median seconds of a save, and of one until a read model shows it."""
    found: dict[str, list[float]] = {"commit": [], "shown": []}
    for turn in range(number, number + SLICES):
        for kind in reversed(found) if turn % 2 else found:
            accounts = await prepared(store, 1, repeat)
            if kind == "commit":
                for account in accounts:
                    begun = time.perf_counter()
                    await store.save(account)
                    found[kind].append(time.perf_counter() - begun)
                continue
            async with store.run(totals("Shown")) as running:
                await running.wait_for(store.stats().last_position)
                for account in accounts:
                    begun = time.perf_counter()
                    await running.wait_for(await store.save(account))
                    found[kind].append(time.perf_counter() - begun)
    return {kind: median(values) for kind, values in found.items()}
