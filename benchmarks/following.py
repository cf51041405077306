"""What following costs: from a commit to a handler, catching up, conditions beside UmaDB.

make bench ARGS=--following   about a minute; writes docs/benchmarks-following.md
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import acceptance
from benchmarks.acceptance import POSTGRES, SQLITE, Line, line
from benchmarks.progress import Progress
from benchmarks.report import duration, percentile
from benchmarks.subjects import SAVERS, in_threads, note, timed
from benchmarks.subjects.ours import Added
from benchmarks.subjects.uma import Uma, query, written
from benchmarks.workers import ROOT, built
from eventuali import AppendCondition, EventStore, Query
from eventuali._engine.decode import Decoders
from eventuali.sync import EventStore as SyncEventStore

PAGE = ROOT / "docs" / "benchmarks-following.md"
ROUNDS = 5
WAKES = 300
"""Commits a round whose way to a handler is timed."""
PAUSE = 0.002
"""Seconds between them, in which everybody falls asleep."""
PAUSE_BETWEEN = 0.01
"""The same between processes: until whoever was woken has looked for what else there is."""
STORED = 100_000
REPEAT = 40
"""Appends and reads of each of 64 callers."""
CHANNEL = "bare"
Figures = dict[str, list[float]]


async def bare_wakeups() -> list[float]:
    """Returns how long an idle event loop takes to run what another thread calls."""
    loop, found = asyncio.get_running_loop(), []
    for _ in range(WAKES):
        woken: asyncio.Future[float] = loop.create_future()
        await asyncio.sleep(PAUSE)

        def wake(woken: asyncio.Future[float] = woken) -> None:
            begun = time.perf_counter()
            loop.call_soon_threadsafe(lambda: woken.set_result(time.perf_counter() - begun))

        threading.Thread(target=wake).start()
        found.append(await woken)
    return found


async def handler_wakeups(store: EventStore) -> tuple[list[float], ...]:
    """Returns how long after the answer to a commit a handler in the same loop runs.

    Then how long commits take that nobody follows, and those that it follows.
    """
    seen: asyncio.Queue[float] = asyncio.Queue()
    found = []
    alone = await answers(store)
    followed = []
    async with store.subscribe(after=(await store.horizon()).position) as events:

        async def follow() -> None:
            async for _ in events:
                seen.put_nowait(time.perf_counter())

        following = asyncio.create_task(follow())
        for number in range(WAKES):
            await asyncio.sleep(PAUSE)
            begun = time.perf_counter()
            await store.append([Added(amount=number, note="wake")])
            acknowledged = time.perf_counter()
            followed.append(acknowledged - begun)
            found.append(await seen.get() - acknowledged)
    await following
    return found, alone, followed


async def answers(store: EventStore) -> list[float]:
    """Returns how long commits take that nobody follows."""
    found = []
    for number in range(WAKES):
        await asyncio.sleep(PAUSE)
        begun = time.perf_counter()
        await store.append([Added(amount=number, note="wake")])
        found.append(time.perf_counter() - begun)
    return found


async def catching_up(store: EventStore) -> float:
    """Returns the seconds an event that a handler which does nothing is told of takes."""
    gc.collect()
    left, begun = STORED, time.perf_counter()
    async with store.subscribe() as events:
        async for _ in events:
            left -= 1
            if not left:
                break
    return (time.perf_counter() - begun) / STORED


def decoding(place: Path) -> float:
    """Returns the seconds that decoding an event of pages that lie in memory takes."""
    pages = []
    with SyncEventStore.create(place) as store:
        decoders, after = Decoders(store._event_types, raw=False), 0
        while len(pages) * 1000 < STORED:
            pages.append(store._store.read([], after=after, limit=1000).wait())
            after = pages[-1].looked_to

    def work() -> None:
        for page in pages:
            for _ in decoders.events(page.columns()):
                pass

    return timed(work, STORED)


async def appends(store: EventStore, tags: Sequence[str]) -> float:
    """Returns the seconds of an append on condition of a tag, from 64 tasks."""
    head = store.stats().last_position

    async def caller(mine: Sequence[str]) -> None:
        for tag in mine:
            condition = AppendCondition(Query(tags=[tag]), after=head)
            await store.append([Added(amount=1, note="x", tags=[tag])], condition=condition)

    return await by_callers(caller, tags)


async def reads(store: EventStore, tags: Sequence[str]) -> float:
    """Returns the seconds of reading the events of a tag, from 64 tasks."""

    async def caller(mine: Sequence[str]) -> None:
        for tag in mine:
            count = 0
            async for _ in store.read(Query(tags=[tag])):
                count += 1
            assert count  # noqa: S101

    return await by_callers(caller, tags)


async def by_callers(caller: Callable[[Sequence[str]], Any], tags: Sequence[str]) -> float:
    """Returns the seconds a tag takes where 64 tasks share them."""
    gc.collect()
    begun = time.perf_counter()
    await asyncio.gather(*(caller(tags[first::SAVERS]) for first in range(SAVERS)))
    return (time.perf_counter() - begun) / len(tags)


def uma_appends(uma: Uma, tags: Sequence[str]) -> float:
    """The same from 64 threads, at UmaDB."""
    from umadb import AppendCondition as Condition

    head = uma.client.head()

    def caller(mine: Sequence[str]) -> None:
        for tag in mine:
            uma.client.append(written(tag, 1), condition=Condition(query(tag), after=head))

    return timed(lambda: in_threads(caller, tags), len(tags))


def uma_reads(uma: Uma, tags: Sequence[str]) -> float:
    """The same from 64 threads, at UmaDB; its events are not decoded."""

    def caller(mine: Sequence[str]) -> None:
        for tag in mine:
            assert list(uma.client.read(query(tag)))  # noqa: S101

    return timed(lambda: in_threads(caller, tags), len(tags))


def beside_uma(store: EventStore, uma: Uma, run: Callable[[Any], Any], number: int) -> Figures:
    """Measures appends with conditions, and reads of what was appended, in turns."""
    tags = [f"{number}-{n}" for n in range(SAVERS * REPEAT)]
    ours = [lambda: run(appends(store, tags)), lambda: run(reads(store, tags))]
    theirs = [lambda: uma_appends(uma, tags), lambda: uma_reads(uma, tags)]
    found: Figures = {}
    for name, mine, other in zip(("append", "read"), ours, theirs, strict=True):
        first, second = (mine, other) if number % 2 else (other, mine)
        one, two = first(), second()
        found[name] = [one, two] if number % 2 else [two, one]
    return found


def in_child(command: Sequence[str]) -> subprocess.Popen[str]:
    """Starts a program, and waits until it listens."""
    child = subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None  # noqa: S101
    assert child.stdout.readline() == "ready\n"  # noqa: S101
    time.sleep(0.5)
    return child


def to_another_process(command: Sequence[str], send: Callable[[int], float]) -> list[float]:
    """Returns how long after each of the times that `send` returns a program tells of it first."""
    child = in_child([*command])
    spans = []
    for number in range(WAKES):
        time.sleep(PAUSE_BETWEEN)
        begun = time.time()
        spans.append((begun, send(number)))
    told = [float(at) for at in child.communicate(timeout=60)[0].split()]
    # A store may wake its waiters twice for one commit: the first time counts.
    first = [told[bisect(told, begun)] for begun, _ in spans]
    return [at - since for at, (_, since) in zip(first, spans, strict=True)]


def follow(url: str) -> None:
    """Tells when each event arrives at a handler."""

    async def following() -> list[float]:
        arrived = []
        async with EventStore.create(url) as store:
            after = store.stats().last_position
            async with store.subscribe(after=after) as events:
                print("ready", flush=True)
                async for _ in events:
                    arrived.append(time.time())
                    if len(arrived) == WAKES:
                        break
        return arrived

    print(*asyncio.run(following()))


def between_processes(url: str, program: str) -> Figures:
    """Measures commit to waking, to a handler, and a bare NOTIFY, through one server."""
    with psycopg.connect(url, autocommit=True) as bare, SyncEventStore.create(url) as store:

        def notify(_: int) -> float:
            begun = time.time()
            bare.execute(f"NOTIFY {CHANNEL}")
            return begun

        def commit(number: int) -> float:
            store.append([Added(amount=number, note="wake")])
            return time.time()

        lasting = f"{1.5 + WAKES * (PAUSE_BETWEEN + 0.01):.0f}"
        return {
            "bare": to_another_process([program, url, lasting, CHANNEL], notify),
            "woken": to_another_process([program, url, lasting], commit),
            "followed": to_another_process(
                [sys.executable, "-m", "benchmarks.following", url], commit
            ),
        }


def wake_lines(waking: Figures) -> list[Line]:
    """Returns the rows about the same process."""
    bare = statistics.median(waking["bare"])
    rows = []
    for name in (SQLITE, POSTGRES):
        if name in waking:
            half = max(statistics.median(waking[name]), 0.0)
            text = f"{half * 1e6:.0f} µs; wake-up {bare * 1e6:.0f} µs"
            title = f"commit to handler in the same process, p50, {name}, compared with a wake-up"
            rows.append(line(title, text, half / bare, "≤ 4x", met=half <= 4 * bare))
            alone, followed = (
                statistics.median(waking[f"{name}, {how}"]) for how in ("alone", "followed")
            )
            text = f"{duration(followed)}; without a subscription {duration(alone)}"
            title = f"a commit with a subscription in the same process, p50, {name}"
            rows.append(line(title, text, followed / alone))
    return rows


def between_lines(between: Figures) -> list[Line]:
    """Returns the rows about another process: woken, and with the event in hand."""
    rows = []
    for name, what in (("woken", "waking"), ("followed", "a handler in")):
        for part, limit in ((0.5, 1.5), (0.99, 5.0)):
            bare, told = (percentile(between[each], part) for each in ("bare", name))
            title = f"PostgreSQL: commit to {what} another process, p{part * 100:.0f}"
            text = f"{told * 1e6:.0f} µs; NOTIFY {bare * 1e6:.0f} µs"
            row = f"{title}, compared with NOTIFY"
            rows.append(line(row, text, told / bare, f"≤ {limit}x", met=told <= limit * bare))
    return rows


def catch_up_line(following: Sequence[float], decoded: Sequence[float]) -> Line:
    """Returns the row about catching up."""
    ratio = statistics.median(d / f for d, f in zip(decoded, following, strict=True))
    one, other = (statistics.median(values) * 1e6 for values in (following, decoded))
    text = f"{one:.2f} µs an event; decoding {other:.2f} µs"
    title = f"catching up with {STORED:,} stored events, compared with decoding them from memory"
    return line(title, text, ratio, "≥ 0.5x", met=ratio >= 0.5)


def uma_lines(beside: dict[str, list[list[float]]]) -> list[Line]:
    """Returns the rows beside UmaDB."""
    rows = []
    titles = {"append": "appending with a condition on a tag", "read": "reading the event of a tag"}
    for name, rounds in beside.items():
        ours, theirs = (statistics.median(one) for one in zip(*rounds, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in rounds)
        text = f"{ours * 1e6:.0f} µs; UmaDB {theirs * 1e6:.0f} µs"
        title = f"{titles[name]}, 64 callers, compared with UmaDB"
        rows.append(line(title, text, ratio, "≥ 1x", met=ratio >= 1))
    return rows


def measure(folder: Path, url: str | None, runner: asyncio.Runner) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    run = runner.run
    waking: Figures = {"bare": []}
    following, decoded = [], []
    beside: dict[str, list[list[float]]] = {"append": [], "read": []}
    between: Figures = {"bare": [], "woken": [], "followed": []}
    program = built("wake") if url else ""
    progress = Progress(4, ROUNDS)
    uma = Uma()
    with ExitStack() as stack:
        stack.callback(uma.close)
        uma.fresh(folder)
        with SyncEventStore.create(folder / "stored.db", durability="relaxed") as store:
            for first in range(0, STORED, 1000):
                store.append([Added(amount=n, note=note(n)) for n in range(first, first + 1000)])
        stores = {SQLITE: str(folder / "wake.db")} | ({POSTGRES: url} if url else {})
        opened = {name: run(opening(place)) for name, place in stores.items()}
        stored = run(opening(str(folder / "stored.db")))
        for number in range(ROUNDS + 1):
            figures = {"bare": run(bare_wakeups())}
            for name, store in opened.items():
                found = run(handler_wakeups(store))
                names = (name, f"{name}, alone", f"{name}, followed")
                figures |= dict(zip(names, found, strict=True))
            progress.step(number, "waking")
            took, memory = run(catching_up(stored)), decoding(folder / "stored.db")
            progress.step(number, "catching up")
            uma_found = beside_uma(opened[SQLITE], uma, run, number)
            progress.step(number, "conditions")
            processes = between_processes(url, program) if url else {}
            progress.step(number, "another process")
            if number:  # the first one warms up
                for name, values in figures.items():
                    waking.setdefault(name, []).extend(values)
                following.append(took)
                decoded.append(memory)
                for name, pair in uma_found.items():
                    beside[name].append(pair)
                for name, values in processes.items():
                    between[name].extend(values)
        for store in (*opened.values(), stored):
            run(store.close())
    progress.end()
    rows = [*wake_lines(waking), catch_up_line(following, decoded), *uma_lines(beside)]
    return rows + (between_lines(between) if url else [])


async def opening(place: str) -> EventStore:
    """Opens a store."""
    return await EventStore.create(place)


def run(data: Path, page: Path = PAGE) -> None:
    """Measures in a folder, and writes the page."""
    method = (
        f"The figures are medians of {ROUNDS} rounds, taking turns. *Commit to handler* is the "
        "time from the acknowledgement of a commit to the first line of the handler, "
        f"{WAKES} times a round. A handler may run before the acknowledgement arrives; the time is "
        "then 0, and the row below shows how much longer the commit takes. A *wake-up* is the time "
        "that an idle event loop takes to run a callback from another thread. A *NOTIFY* is the "
        "time from sending to receiving it between two programs that do nothing else. *Waking "
        "another process* is the time from the acknowledgement of a commit until the store of that "
        "process signals that there may be new events; the announcement is already under way at "
        "the acknowledgement. A *handler in another process* has also read the event. Every commit "
        "is flushed before it is acknowledged."
    )
    with asyncio.Runner() as runner:
        measuring = partial(measure, runner=runner)
        acceptance.run("following", "following the log", method, measuring, data, page)


if __name__ == "__main__":
    follow(sys.argv[1])
