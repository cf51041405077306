"""What consumer groups cost: beside a named subscription, and shared among processes.

make bench ARGS=--groups   some minutes; writes docs/benchmarks-groups.md
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import acceptance
from benchmarks.acceptance import POSTGRES, SQLITE, Line, line
from benchmarks.progress import Progress
from benchmarks.subjects import note
from benchmarks.subjects.ours import Added
from benchmarks.workers import ROOT
from eventuali import Event, EventStore, Group

PAGE = ROOT / "docs" / "benchmarks-groups.md"
ROUNDS = 3
STORED = 100_000
BACKLOG = 20_000
"""Events that are handled in a millisecond each."""
STREAMS, MIXED = 200, 50
PARTITIONS = 8
PAUSE = 0.001
Figures = dict[str, list[float]]
_numbers = count()


async def fill(store: EventStore, events: int) -> None:
    """Appends events to many streams, a few at a time, so that they are mixed."""
    for number in range(events // MIXED):
        pending = [Added(amount=n, note=note(n)) for n in range(MIXED)]
        await store.append(pending, stream=("Tally", f"t-{number % STREAMS}"))


async def subscribed(store: EventStore) -> float:
    """Returns how long a named subscription takes for everything, in seconds."""
    gc.collect()
    begun, left = time.perf_counter(), STORED
    async with store.subscribe(name=f"all-{next(_numbers)}") as subscription:
        async for _ in subscription:
            left -= 1
            if not left:
                break
        return time.perf_counter() - begun


async def joined(store: EventStore, partitions: int) -> float:
    """Returns how long a group of one member takes for everything, in seconds."""
    gc.collect()
    left, done = STORED, asyncio.Event()

    async def handle(event: Event) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    begun = time.perf_counter()
    group = Group(f"alone-{next(_numbers)}", handle, partitions=partitions)
    async with store.join(group):
        await done.wait()
        return time.perf_counter() - begun


def shared(place: str, events: int, members: int, pause: float, runner: asyncio.Runner) -> float:
    """Returns how long processes take for new events, once each has its share, in seconds."""
    words = [place, f"shared-{next(_numbers)}", str(members), str(pause)]
    command = [sys.executable, "-m", "benchmarks.groups", *words]
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(members)
        ]
        hear(children, "ready")
        runner.run(filling(place, events))
        begun = time.perf_counter()
        tell(children)
        hear(children, "done")
        took = time.perf_counter() - begun
        tell(children)
    return took


def tell(children: list[subprocess.Popen[str]]) -> None:
    """Tells all of them to go on."""
    for child in children:
        assert child.stdin is not None  # noqa: S101
        child.stdin.write("go\n")
        child.stdin.flush()


def hear(children: list[subprocess.Popen[str]], word: str) -> None:
    """Waits until all of them have said a word."""
    for child in children:
        assert child.stdout is not None  # noqa: S101
        if (said := child.stdout.readline().strip()) != word:
            raise RuntimeError(f"a member of the group said {said!r} instead of {word!r}")


async def be_member(place: str, name: str, members: str, pause: str) -> None:
    """Is one of the processes: stands still until it is told that there are events."""
    seconds = float(pause)

    async def handle(event: Event) -> None:
        if seconds:
            time.sleep(seconds)

    group = Group(name, handle, partitions=PARTITIONS, start="end")
    async with EventStore.create(place) as store, store.join(group) as member:
        while (status := member.status()).members != int(members) or (
            len(status.owned) != PARTITIONS // int(members)
        ):
            await asyncio.sleep(0.01)
        await member.caught_up()  # it knows that the others are there, too
        print("ready", flush=True)
        sys.stdin.readline()  # it keeps the event loop, and its lease
        await member.caught_up()
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def measure(folder: Path, url: str | None, runner: asyncio.Runner) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    run = runner.run
    places = {SQLITE: str(folder / "groups.db")} | ({POSTGRES: url} if url else {})
    found: dict[str, Figures] = {name: {} for name in places}
    progress = Progress(3 * len(places), ROUNDS)
    for name, place in places.items():
        store = run(opening(place))
        run(fill(store, STORED))
        for number in range(ROUNDS + 1):
            figures = {"named": run(subscribed(store))}
            figures |= {f"{size} here": run(joined(store, size)) for size in (1, PARTITIONS)}
            progress.step(number, f"{name}, one process")
            for size in (1, 4):
                figures[f"{size} apart"] = shared(place, STORED, size, 0.0, runner)
            progress.step(number, f"{name}, processes")
            for size in (1, 2, 4, 8):
                figures[f"{size} slow"] = shared(place, BACKLOG, size, PAUSE, runner)
            progress.step(number, f"{name}, backlog")
            if number:  # the first one warms up
                for title, seconds in figures.items():
                    found[name].setdefault(title, []).append(seconds)
        run(store.close())
    progress.end()
    return [each for name, figures in found.items() for each in lines(name, figures)]


def lines(name: str, figures: Figures) -> list[Line]:
    """Returns the rows of a backend."""

    def ratio(one: str, other: str) -> float:
        pairs = zip(figures[one], figures[other], strict=True)
        return statistics.median(first / second for first, second in pairs)

    def rate(title: str) -> str:
        return f"{STORED / statistics.median(figures[title]):,.0f} events/s"

    def took(title: str) -> str:
        return f"{statistics.median(figures[title]):.2f} s"

    one, all_here, apart = ratio("named", "1 here"), ratio("named", "8 here"), "4 apart"
    faster = ratio("1 apart", apart)
    rows = [
        line(
            f"{name}: a group of one partition, compared with a named subscription",
            f"{rate('1 here')}; {rate('named')}",
            one,
            "≥ 0.8x",
            met=one >= 0.8,
        ),
        line(
            f"{name}: {PARTITIONS} partitions in one process, compared with the same",
            f"{rate('8 here')}; {rate('named')}",
            all_here,
        ),
        line(
            f"{name}: {PARTITIONS} partitions in four processes, compared with one",
            f"{rate(apart)}; {rate('1 apart')}",
            faster,
            "≥ 2x",
            met=faster >= 2,
        ),
    ]
    for fewer, more in ((1, 2), (2, 4), (4, 8)):
        shorter = ratio(f"{more} slow", f"{fewer} slow")
        rows.append(
            line(
                f"{name}: {BACKLOG:,} events of 1 ms, {more} members, compared with {fewer}",
                f"{took(f'{more} slow')}; {took(f'{fewer} slow')}",
                shorter,
                "≤ 0.6x",
                met=shorter <= 0.6,
            )
        )
    return rows


async def filling(place: str, events: int) -> None:
    """Appends events to a store that others follow."""
    async with EventStore.create(place) as store:
        await fill(store, events)


async def opening(place: str) -> EventStore:
    """Opens a store."""
    return await EventStore.create(place)


def run(data: Path, page: Path = PAGE) -> None:
    """Measures in a folder, and writes the page."""
    method = (
        f"The figures are medians of {ROUNDS} rounds, taking turns. {STORED:,} events of "
        f"{STREAMS} streams are stored; the handler is a coroutine function that does nothing, or "
        "keeps its event loop for a millisecond. *Processes* are told to begin once each has its "
        "share. A process alone uses two cores: one reads the log, on the other the handlers run."
    )
    with asyncio.Runner() as runner:
        measuring = partial(measure, runner=runner)
        acceptance.run("groups", "consumer groups", method, measuring, data, page)


if __name__ == "__main__":
    asyncio.run(be_member(*sys.argv[1:]))
