"""A consumer group beside a named subscription, and its backlog by the number of its members.

make bench ARGS=--consumer-groups   some minutes; writes docs/benchmarks-groups.md
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import acceptance
from benchmarks.acceptance import POSTGRES, SQLITE, Line, line
from benchmarks.progress import Progress
from benchmarks.workers import ROOT
from eventuali import Event, EventStore, EventStoreConfig, Query, sync
from eventuali.group import Group

MEMBERS = (1, 2, 4, 8)
PARTITIONS = 8
EVENTS = 20_000
MANY = 100_000
"""Events of which each takes no time."""
COMMIT = 10_000
SECONDS = 0.001
"""How long a handler takes."""
ROUNDS = 3
LEAST = 0.6
"""With twice as many members, a backlog lasts so many times as long at the most."""
ALONE, APART = 0.8, 2.0
"""How fast a group of one partition is, at least, compared with a named subscription; and four
processes, compared with one, whose handlers do nothing."""
PATIENCE = 600
LOOK = 0.002
STILL = 1_000_000
"""What a member that stands still says to own."""
BESIDE = (
    (("here", 1), ("named", 0)),
    (("here", PARTITIONS), ("named", 0)),
    (("nothing", 4), ("nothing", 1)),
)
PAGE = ROOT / "docs" / "benchmarks-groups.md"


class Placed(Event, name="benchmarks.placed"):
    """Something to handle."""

    number: int


def member(
    place: Any, way: str, number: int, handled: Any, owned: Any, still: Any, stop: Any
) -> None:
    """Is a member of the group, in a process of its own, until it is told to leave."""

    async def keeps_the_loop(_: Placed) -> None:
        time.sleep(SECONDS)
        handled[number] += 1

    async def waits(_: Placed) -> None:
        await asyncio.sleep(SECONDS)
        handled[number] += 1

    async def does_nothing(_: Placed) -> None:
        handled[number] += 1

    async def work() -> None:
        handlers = {"keeps": keeps_the_loop, "waits": waits, "nothing": does_nothing}
        query = Query(event_types=[Placed])
        group = Group("crew", handlers[way], query, partitions=PARTITIONS, lease=30)
        async with EventStore.create(place) as store, store.join(group) as joined:
            while not stop.is_set():
                owned[number] = len(joined.status().owned)
                while still.value:
                    owned[number] = STILL
                    time.sleep(LOOK)  # it keeps the event loop, and its lease
                await asyncio.sleep(0.05)

    asyncio.run(work())


def worked_off(place: Path | EventStoreConfig, way: str, members: int) -> float:
    """Returns the seconds from the beginning of the append until everything is handled."""
    spawn = multiprocessing.get_context("spawn")
    handled, owned = spawn.RawArray("Q", members), spawn.RawArray("Q", members)
    still, stop = spawn.RawValue("b", 0), spawn.Event()
    events = MANY if way == "nothing" else EVENTS
    with sync.EventStore.create(place) as store:
        running = [
            spawn.Process(target=member, args=(place, way, number, handled, owned, still, stop))
            for number in range(members)
        ]
        for process in running:
            process.start()
        try:
            wait_until(lambda: all(each == PARTITIONS // members for each in owned), "shares")
            if way == "nothing":  # to store them would take as long
                still.value = 1
                wait_until(lambda: all(each == STILL for each in owned), "a stop")
                fill(store, events)
            begun = time.perf_counter()
            if way == "nothing":
                still.value = 0
            else:
                fill(store, events)
            wait_until(lambda: sum(handled) >= events, "the last event")
            seconds = time.perf_counter() - begun
        finally:
            still.value = 0
            stop.set()
            for process in running:
                process.join()
    if sum(handled) != events:
        raise SystemExit(f"{sum(handled)} events were handled, not {events}")
    return seconds


def fill(store: sync.EventStore, events: int) -> None:
    """Appends events, each with a key of its own."""
    for first in range(0, events, COMMIT):
        numbers = range(first, min(first + COMMIT, events))
        store.append([Placed(number=number) for number in numbers])


async def alone(place: Path | EventStoreConfig) -> dict[tuple[str, int], float]:
    """Returns how long one process takes for what is stored, by each of several ways."""
    found: dict[tuple[str, int], float] = {}
    async with EventStore.create(place) as store:
        left = MANY
        gc.collect()
        begun = time.perf_counter()
        async with store.subscribe(name="named") as subscription:
            async for _ in subscription:
                left -= 1
                if not left:
                    break
            found["named", 0] = time.perf_counter() - begun
        for partitions in (1, PARTITIONS):
            found["here", partitions] = await joined(store, partitions)
    return found


async def joined(store: EventStore, partitions: int) -> float:
    """Returns how long the one member of a group takes, from joining."""
    left, done = MANY, asyncio.Event()

    async def handle(_: Event) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    gc.collect()
    begun = time.perf_counter()
    async with store.join(Group(f"of {partitions}", handle, partitions=partitions)):
        await done.wait()
        return time.perf_counter() - begun


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Waits for something that members do."""
    limit = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > limit:
            raise SystemExit(f"{what}: not in {PATIENCE} s")
        time.sleep(LOOK)


def measure(folder: Path, url: str | None) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    rows: list[Line] = []
    kinds = [("keeps", members) for members in MEMBERS]
    kinds += [("waits", 1), ("nothing", 1), ("nothing", 4)]
    for backend in (SQLITE, POSTGRES) if url else (SQLITE,):
        found: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
        progress = Progress(len(kinds) + 1, ROUNDS - 1)
        for number in range(ROUNDS):
            place = _place(folder, url, backend, f"r{number}_alone")
            with sync.EventStore.create(place) as store:
                fill(store, MANY)
            for kind, seconds in asyncio.run(alone(place)).items():
                found.setdefault(kind, []).append(seconds)
            progress.step(number, f"{backend}: one process")
            for way, members in kinds if number % 2 else reversed(kinds):
                place = _place(folder, url, backend, f"r{number}_{way}{members}")
                found[way, members].append(worked_off(place, way, members))
                progress.step(number, f"{backend}: {members} members")
        progress.end()
        rows += lines(backend, found)
    return rows


def lines(backend: str, found: dict[tuple[str, int], list[float]]) -> list[Line]:
    """Returns the rows of a backend."""

    def ratio(one: tuple[str, int], other: tuple[str, int]) -> float:
        pairs = zip(found[one], found[other], strict=True)
        return statistics.median(first / second for first, second in pairs)

    def compared(title: str, ours: tuple[str, int], other: tuple[str, int], least: float) -> Line:
        text = f"{rate(found[ours], MANY)}; {rate(found[other], MANY)}"
        faster = ratio(other, ours)
        limit = f"≥ {least}x" if least else ""
        return line(f"{backend}: {title}", text, faster, limit, met=faster >= least)

    rows = [
        compared("a group of 1 partition, compared with a named subscription", *BESIDE[0], ALONE),
        compared(f"{PARTITIONS} partitions in 1 process, compared with the same", *BESIDE[1], 0),
        compared("4 members whose handlers do nothing, compared with 1", *BESIDE[2], APART),
    ]
    rows.append((f"{backend}: 1 member", shown(found["keeps", 1]), "", "", ""))
    for before, after in pairwise(MEMBERS):
        shorter = ratio(("keeps", after), ("keeps", before))
        title = f"{backend}: {after} members, compared with {before}"
        text, limit = shown(found["keeps", after]), f"≤ {LEAST}x"
        rows.append(line(title, text, shorter, limit, met=shorter <= LEAST))
    title = f"{backend}: 1 member, whose handlers wait for 1 ms and leave the loop to others"
    return [*rows, (title, shown(found["waits", 1]), "", "", "")]


def shown(seconds: Sequence[float]) -> str:
    """Returns a median, and what that is in events a second."""
    return f"{statistics.median(seconds):.2f} s, {rate(seconds, EVENTS)}"


def rate(seconds: Sequence[float], events: int) -> str:
    """Returns how many events that is in a second."""
    return f"{events / statistics.median(seconds):,.0f} events/s"


def _place(folder: Path, url: str | None, backend: str, name: str) -> Path | EventStoreConfig:
    if backend == POSTGRES and url is not None:
        return EventStoreConfig.postgres(url).with_schema(name)
    return folder / f"{name}.db"


def run(data: Path, page: Path = PAGE) -> None:
    """Measures in a folder, and writes the page."""
    rounds = "of 1 round" if ROUNDS == 1 else f"medians of {ROUNDS} rounds"
    method = (
        f"A group of {PARTITIONS} partitions handles {EVENTS:,} events, in two commits, as soon as "
        f"they are stored; its handler takes {SECONDS * 1000:.0f} ms, for which it keeps the event "
        "loop of its member, as work for the processor does. Each member is a process of its own, "
        "and owns its share before the first event is stored. The time runs from the beginning of "
        f"the append until the last event is handled. The figures are {rounds}; the ratios are "
        "those of the same round. Handlers that wait overlap within a member, a partition each; "
        "then more members make a backlog no shorter until one of them has no time left. Where "
        f"handlers do nothing, {MANY:,} events are stored before; a process alone then uses two "
        "cores, one to read the log and one for the handlers, and each of several reads all of it."
    )
    acceptance.run("consumer-groups", "consumer groups", method, measure, data, page)
