"""Three writers and a reader on one file, until they are killed.

    python -m reliability.children.writer URL SEED BASE

BASE numbers the process: its values and streams are its own. Every line on stdout is a line of a
`Recorder`, written in one call and unbuffered.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from random import Random
from threading import Lock, Thread
from time import monotonic_ns, sleep

from eventuali import EventStore, OptimisticConcurrencyError, sync
from eventuali.errors import StorageFullError
from reliability.history import Recorder
from reliability.workload import Plan, query_of, recorded, values_of

WRITERS = 3
REFUSED = (OptimisticConcurrencyError, StorageFullError)


async def in_tasks(url: str, base: int, plans: list[Plan], recorder: Recorder) -> None:
    """The writers are tasks of one loop."""
    async with EventStore.create(url) as store:
        recorder.line("ready")

        async def write(plan: Plan) -> None:
            while True:
                writes, ask = plan.step(base)
                with suppress(*REFUSED), recorded(recorder, *writes) as told:
                    told(await ask(store))

        async def read(chance: Random) -> None:
            while True:
                await asyncio.sleep(chance.uniform(0.005, 0.05))
                name, begun = f"{base}-{chance.randrange(4)}", monotonic_ns()
                values = values_of([event async for event in store.read(query_of(name))])
                recorder.read(name, begun, values)

        await asyncio.gather(*map(write, plans), read(Random(base)))


def in_threads(url: str, base: int, plans: list[Plan], recorder: Recorder) -> None:
    """The writers are threads."""
    store = sync.EventStore.create(url)
    recorder.line("ready")

    def write(plan: Plan) -> None:
        while True:
            writes, ask = plan.step(base)
            with suppress(*REFUSED), recorded(recorder, *writes) as told:
                told(ask(store))

    for plan in plans:
        Thread(target=write, args=(plan,)).start()
    chance = Random(base)
    while True:
        sleep(chance.uniform(0.005, 0.05))
        name, begun = f"{base}-{chance.randrange(4)}", monotonic_ns()
        recorder.read(name, begun, values_of(store.read(query_of(name))))


def main() -> None:
    """Writes until it is killed."""
    url, seed, base = sys.argv[1], sys.argv[2], int(sys.argv[3])
    lock = Lock()

    def sink(line: bytes) -> None:
        with lock:  # more than PIPE_BUF bytes of two threads could mingle
            os.write(1, line)

    recorder = Recorder(sink)
    plans = [Plan(Random(f"{seed}/{n}"), base * WRITERS + n) for n in range(WRITERS)]
    in_a_loop = Random(seed).random() < 0.5
    recorder.line("opening", loop=in_a_loop)
    if in_a_loop:
        asyncio.run(in_tasks(url, base, plans, recorder))
    else:
        in_threads(url, base, plans, recorder)


if __name__ == "__main__":
    main()
