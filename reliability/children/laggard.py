"""Appends large events, or follows them, fast or asleep.

    python -m reliability.children.laggard URL append EVENTS
    python -m reliability.children.laggard URL follow SLEEP_MS STOP

A follower ends at the last event, or once the file STOP is there, and says how far it came, by how
many bytes its process has grown since it began to wait, and after how many seconds at the most it
had an event, counted from before that was appended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from time import monotonic_ns

from eventuali import Event, EventStore

BYTES, EACH, TASKS = 4096, 50, 8
"""Of an event; events of a commit; commits at a time."""


class Heavy(Event):
    """A number, when it was appended, and 4 KiB."""

    number: int
    at: int
    text: str


async def append(store: EventStore, events: int) -> None:
    """Appends so many events, and then a last one, of number -1."""
    left = iter(range(0, events, EACH))

    async def some() -> None:
        for first in left:
            at = monotonic_ns()
            numbers = range(first, min(first + EACH, events))
            await store.append([Heavy(number=n, at=at, text="x" * BYTES) for n in numbers])

    await asyncio.gather(*(some() for _ in range(TASKS)))
    await store.append([Heavy(number=-1, at=monotonic_ns(), text="")])


async def follow(store: EventStore, sleep_s: float, stop: Path) -> None:
    """Follows, and says what it was like."""
    seen, lag, grown = 0, 0, 0
    async with store.subscribe() as events:
        waiting = asyncio.create_task(anext(events))
        await events.caught_up()
        begun = resident()
        print("ready", flush=True)
        event = await waiting
        while isinstance(event, Heavy) and event.number >= 0 and not stop.exists():
            seen += 1
            lag = max(lag, monotonic_ns() - event.at)
            if seen % 20 == 0:
                grown = max(grown, resident() - begun)
            if sleep_s:
                await asyncio.sleep(sleep_s)
            event = await anext(events)
    grown = max(grown, resident() - begun)
    print(json.dumps({"seen": seen, "grown": grown, "lag_s": lag / 1e9}), flush=True)


def resident() -> int:
    """Returns how many bytes of memory the process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def main() -> None:
    """Does what it is told."""
    url, what, number, *stop = sys.argv[1:]
    async with EventStore.create(url) as store:
        if what == "append":
            await append(store, int(number))
        else:
            await follow(store, int(number) / 1000, Path(*stop))


if __name__ == "__main__":
    asyncio.run(main())
