"""Threads and event loops on the same stores, while the interpreter switches threads all the time.

    python -m reliability.children.mixer PATH SEED SECONDS

The history goes to stdout. Where nothing moves for 30 s, the stacks go to stderr and it ends.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from threading import Event, Lock, Thread
from time import monotonic, monotonic_ns, sleep

from eventuali import EventStore, OptimisticConcurrencyError, sync
from eventuali.errors import StoreClosedError
from reliability.history import Recorder
from reliability.workload import Plan, query_of, recorded, values_of

THREADS = 3
LOOPS = 3
_WATCHDOG = 30


def main() -> None:
    """Runs the mix for so many seconds, each in rounds that end with a close during saves."""
    path, seed, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    sys.setswitchinterval(1e-6)
    lock, out = Lock(), sys.stdout.buffer

    def sink(line: bytes) -> None:
        with lock:
            out.write(line)

    recorder = Recorder(sink)
    faulthandler.dump_traceback_later(_WATCHDOG, exit=True)
    end, rounds = monotonic() + seconds, 0
    once(path, f"{seed}/first", recorder, 1000, 0.2)
    faulthandler.cancel_dump_traceback_later()  # it is a thread
    gc.collect()
    before = held()
    while monotonic() < end:
        faulthandler.dump_traceback_later(_WATCHDOG + 2, exit=True)
        rounds += 1
        once(path, f"{seed}/{rounds}", recorder, rounds * (THREADS + LOOPS), min(2.0, seconds))
    faulthandler.cancel_dump_traceback_later()  # it is a thread
    for _ in range(100):
        gc.collect()
        if all(now <= then for now, then in zip(held(), before, strict=True)):
            break
        sleep(0.03)
    recorder.line("left", before=before, after=held(), rounds=rounds)
    out.flush()


def held() -> tuple[int, int]:
    """Returns how many descriptors and threads the process has."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def once(path: str, seed: str, recorder: Recorder, base: int, seconds: float) -> None:
    """Lets every thread and loop work, then closes the stores under them, twice."""
    stop = Event()
    blocking = sync.EventStore.create(path)
    shared = asyncio.run(_open(path))
    plans = [Plan(Random(f"{seed}/{n}"), base + n) for n in range(THREADS + LOOPS)]
    work: list[Callable[[], None]] = []
    for number, plan in enumerate(plans):
        if number < THREADS:
            work.append(partial(_in_a_thread, blocking, plan, recorder, stop))
        else:
            work.append(partial(_run_a_loop, shared, plan, recorder, stop))
    threads = [Thread(target=job) for job in work]
    for thread in threads:
        thread.start()
    sleep(seconds)
    chance = Random(seed)
    if chance.random() < 0.5:  # saves go on until they are told
        asyncio.run(shared.close())
        blocking.close()
    else:
        stop.set()
    for thread in threads:
        thread.join()
    for _ in range(2):
        asyncio.run(shared.close())
        blocking.close()


async def _open(path: str) -> EventStore:
    return await EventStore.create(path)


def _in_a_thread(store: sync.EventStore, plan: Plan, recorder: Recorder, stop: Event) -> None:
    with suppress(StoreClosedError):
        while not stop.is_set():
            if plan.chance.random() < 0.1:
                name, begun = plan.stream("s"), monotonic_ns()
                recorder.read(name, begun, values_of(store.read(query_of(name))))
            elif plan.chance.random() < 0.1:
                next(store.read(), None)  # dropped where it stands
            else:
                writes, ask = plan.step("s")
                with suppress(OptimisticConcurrencyError), recorded(recorder, *writes) as told:
                    told(ask(store))


def _run_a_loop(store: EventStore, plan: Plan, recorder: Recorder, stop: Event) -> None:
    asyncio.run(_in_a_loop(store, plan, recorder, stop))


async def _in_a_loop(store: EventStore, plan: Plan, recorder: Recorder, stop: Event) -> None:
    async def save() -> None:
        while not stop.is_set():
            writes, ask = plan.step("s")
            with suppress(OptimisticConcurrencyError), recorded(recorder, *writes) as told:
                told(await ask(store))

    async def read() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.005)
            name, begun = plan.stream("s"), monotonic_ns()
            values = values_of([event async for event in store.read(query_of(name))])
            recorder.read(name, begun, values)
            async for _ in store.read():  # dropped where it stands
                break

    ended = await asyncio.gather(save(), save(), read(), return_exceptions=True)
    for error in ended:
        if error is not None and not isinstance(error, StoreClosedError):
            raise error


if __name__ == "__main__":
    main()
