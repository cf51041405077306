"""A consumer group's backlog, by the number of its members.

make bench ARGS=--consumer-groups   some minutes; writes docs/benchmarks-groups.md
"""

from __future__ import annotations

import asyncio
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
COMMIT = 10_000
SECONDS = 0.001
"""How long a handler takes."""
ROUNDS = 3
LEAST = 0.6
"""With twice as many members, a backlog lasts so many times as long at the most."""
PATIENCE = 600
LOOK = 0.002
PAGE = ROOT / "docs" / "benchmarks-groups.md"


class Placed(Event, name="benchmarks.placed"):
    """Something to handle."""

    number: int


def member(place: Any, way: str, number: int, handled: Any, owned: Any, stop: Any) -> None:
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
                await asyncio.sleep(0.05)

    asyncio.run(work())


def worked_off(place: Path | EventStoreConfig, way: str, members: int) -> float:
    """Returns the seconds from the beginning of the append until everything is handled."""
    spawn = multiprocessing.get_context("spawn")
    handled, owned = spawn.RawArray("Q", members), spawn.RawArray("Q", members)
    stop = spawn.Event()
    with sync.EventStore.create(place) as store:
        running = [
            spawn.Process(target=member, args=(place, way, number, handled, owned, stop))
            for number in range(members)
        ]
        for process in running:
            process.start()
        try:
            wait_until(lambda: all(each == PARTITIONS // members for each in owned), "shares")
            begun = time.perf_counter()
            for first in range(0, EVENTS, COMMIT):
                numbers = range(first, min(first + COMMIT, EVENTS))
                store.append([Placed(number=number) for number in numbers])
            wait_until(lambda: sum(handled) >= EVENTS, "the last event")
            seconds = time.perf_counter() - begun
        finally:
            stop.set()
            for process in running:
                process.join()
    if sum(handled) != EVENTS:
        raise SystemExit(f"{sum(handled)} events were handled, not {EVENTS}")
    return seconds


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
    kinds = [("keeps", members) for members in MEMBERS] + [("waits", 1), ("nothing", 1)]
    for backend in (SQLITE, POSTGRES) if url else (SQLITE,):
        found: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
        progress = Progress(len(kinds), ROUNDS - 1)
        for number in range(ROUNDS):
            for way, members in kinds if number % 2 else reversed(kinds):
                place = _place(folder, url, backend, f"r{number}_{way}{members}")
                found[way, members].append(worked_off(place, way, members))
                progress.step(number, f"{backend}: {members} members")
        progress.end()
        rows += lines(backend, found)
    return rows


def lines(backend: str, found: dict[tuple[str, int], list[float]]) -> list[Line]:
    """Returns the rows of a backend."""
    seconds = {members: found["keeps", members] for members in MEMBERS}
    rows: list[Line] = [(f"{backend}: 1 member", shown(seconds[1]), "", "", "")]
    for before, after in pairwise(MEMBERS):
        ratios = [b / a for a, b in zip(seconds[before], seconds[after], strict=True)]
        ratio = statistics.median(ratios)
        title = f"{backend}: {after} members, compared with {before}"
        target = f"≤ {LEAST}x"
        rows.append(line(title, shown(seconds[after]), ratio, target, met=ratio <= LEAST))
    for way, title in (
        ("waits", "1 member, whose handlers wait for 1 ms and leave the loop to others"),
        ("nothing", "1 member, whose handlers do nothing"),
    ):
        rows.append((f"{backend}: {title}", shown(found[way, 1]), "", "", ""))
    return rows


def shown(seconds: Sequence[float]) -> str:
    """Returns a median, and what that is in events a second."""
    middle = statistics.median(seconds)
    return f"{middle:.2f} s, {EVENTS / middle:,.0f} events/s"


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
        "then more members make a backlog no shorter until one of them has no time left."
    )
    acceptance.run("consumer-groups", "consumer groups", method, measure, data, page)
