"""Saves until Ctrl-C.

    python -m reliability.children.interrupted PATH SEED MANNER

MANNER: `sync` or `async` let the interrupt end the program, `again` repeats the save it cut off.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from random import Random

from eventuali import EventStore, sync
from reliability.history import Recorder
from reliability.workload import Plan, recorded


def main() -> None:
    """Saves on and on."""
    path, seed, manner = sys.argv[1:]
    # A shell starts what runs in the background with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    recorder = Recorder(lambda line: os.write(1, line))
    plan = Plan(Random(seed), 1, streams=2_000_000_000)  # nothing is refused
    if manner == "async":
        asyncio.run(in_a_loop(path, plan, recorder))
    store = sync.EventStore.create(path)
    recorder.line("ready")
    while True:
        writes, ask = plan.step("s")
        try:
            with recorded(recorder, *writes) as told:
                told(ask(store))
        except KeyboardInterrupt:
            if manner == "sync":
                raise
            with recorded(recorder, *writes) as told:
                told(ask(store))
            store.close()
            recorder.line("repeated")
            return


async def in_a_loop(path: str, plan: Plan, recorder: Recorder) -> None:
    """Saves from three tasks."""
    async with EventStore.create(path) as store:
        recorder.line("ready")

        async def save() -> None:
            while True:
                writes, ask = plan.step("s")
                with recorded(recorder, *writes) as told:
                    told(await ask(store))

        await asyncio.gather(save(), save(), save())


if __name__ == "__main__":
    main()
