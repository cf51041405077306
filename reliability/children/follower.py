"""Follows a log by name and writes down each event before it asks for the next one.

    python -m reliability.children.follower URL NAME FILTER SEED FILE

Closes its subscription at random, and goes on by its name. Ends at the first of the last events.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from eventuali import Event, EventStore, Query, sync
from reliability.following import END, KILLED, LEFT, query_for
from reliability.workload import values_of

Note: TypeAlias = Callable[[Event], bool]
"""Writes an event down; whether it was the last one."""


def main() -> None:
    """Follows, in a loop or without one."""
    url, name, which, seed, file = sys.argv[1:]
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    chance, query = Random(seed), query_for(which)

    def note(event: Event) -> bool:
        (value,) = values_of([event])
        os.write(out, f"{event.meta.position} {value}\n".encode())
        return value >= END

    os.write(out, KILLED)
    if chance.random() < 0.5:
        asyncio.run(in_a_loop(url, name, query, chance, out, note))
    else:
        blocking(url, name, query, chance, out, note)


async def in_a_loop(
    url: str, name: str, query: Query, chance: Random, out: int, note: Note
) -> None:
    """Follows as a task."""
    async with EventStore.create(url) as store:
        while True:
            left = chance.randint(1, 3000)
            async with store.subscribe(query, name=name) as events:
                async for event in events:
                    if note(event):
                        return
                    left -= 1
                    if not left:
                        break
            os.write(out, LEFT)


def blocking(url: str, name: str, query: Query, chance: Random, out: int, note: Note) -> None:
    """Follows without a loop."""
    with sync.EventStore.create(url) as store:
        while True:
            left = chance.randint(1, 3000)
            with store.subscribe(query, name=name) as events:
                for event in events:
                    if note(event):
                        return
                    left -= 1
                    if not left:
                        break
            os.write(out, LEFT)


if __name__ == "__main__":
    main()
