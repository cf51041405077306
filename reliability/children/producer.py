"""Appends numbered events from several tasks, for followers, and says what it was told.

    python -m reliability.children.producer URL SEED NUMBER TASKS EVENTS

NUMBER is that of the process: its values are its own. Ends once EVENTS are acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from random import Random

from eventuali import EventStore
from reliability.following import STREAMS, events_with_tags
from reliability.history import Recorder
from reliability.workload import recorded, stream_of, writes_from

MOST = 50
"""Events of a commit."""


async def main() -> None:
    """Appends."""
    url, seed, number, tasks, events = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    recorder = Recorder(lambda line: os.write(1, line))
    async with EventStore.create(url) as store:
        recorder.line("ready")

        async def append(task: int) -> None:
            chance = Random(f"{seed}/{number}/{task}")
            make = writes_from(number * tasks + task, chance)
            left = events // tasks
            while left > 0:
                write = make(chance.choice(STREAMS), min(MOST, left))
                with recorded(recorder, write) as told:
                    given = events_with_tags(write.values)
                    told(await store.append(given, stream=stream_of(write.stream)))
                left -= write.size
                if chance.random() < 0.02:
                    await asyncio.sleep(chance.uniform(0, 0.02))

        await asyncio.gather(*map(append, range(tasks)))


if __name__ == "__main__":
    asyncio.run(main())
