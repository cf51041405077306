"""What read models cost: folding the log, rebuilding, finding documents, and saving beside it.

make bench ARGS=--read-models   half an hour, 6 GB of disk; writes docs/benchmarks-read-models.md
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, TypeAlias

from reliability.server import connect

from benchmarks import acceptance, folding, rebuilding, saving
from benchmarks.acceptance import POSTGRES, SQLITE, Line
from benchmarks.folding import BATCH, Place, Sale, Sales, names, sale
from benchmarks.progress import Progress
from benchmarks.raw_documents import Raw, RawPostgres, RawSqlite, SaleRow
from benchmarks.read_model_rows import FOUND, IN_MEMORY, SIZES, Figures, Sizes, lines, method
from benchmarks.subjects import timed
from benchmarks.subjects.ours import Added
from benchmarks.workers import ROOT
from eventuali import EventStore, EventStoreConfig, Projection
from eventuali.sync import EventStore as SyncEventStore

PAGE = ROOT / "docs" / "benchmarks-read-models.md"
Task: TypeAlias = Callable[[int], dict[str, float]]
"""Measures in the round of a number, and returns the seconds by name."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where a backend keeps what is measured.

    Attributes:
        folded: The store whose events are folded.
        large: The store that is rebuilt and searched.
        saved: The store that is written to.
        where: The path or URL of the large one, for another process.
        table: The name of its table, if it has one.
        raw: The same documents without a store.
        peer: An application of `eventsourcing`; None where that is not installed.
    """

    folded: Place
    large: Place
    saved: Place
    where: str
    table: str
    raw: Raw
    peer: Any


def on_sqlite(folder: Path) -> Database:
    """Returns files in a folder."""
    folded, large, saved, raw, theirs = (
        folder / f"{name}.db" for name in ("folded", "large", "saved", "raw", "theirs")
    )
    return Database(folded, large, saved, str(large), "", RawSqlite(raw), peer("on_sqlite", theirs))


def on_postgres(url: str) -> Database:
    """Returns tables in a database."""
    config = EventStoreConfig.postgres(url)
    folded, large, saved = map(config.with_table_name, ("folded", "large", "saved"))
    raw = RawPostgres(url)
    return Database(folded, large, saved, url, "large", raw, peer("on_postgres", url))


def peer(kind: str, place: Path | str) -> Any:
    """Returns an application of `eventsourcing`, which only `make bench` installs; else None."""
    try:
        from benchmarks.subjects import sourcing_projection
    except ImportError as error:
        print(f"eventsourcing is left out: {error}", file=sys.stderr)
        return None
    return getattr(sourcing_projection, kind)(place)


def sale_rows(sizes: Sizes) -> list[SaleRow]:
    """Returns the rows of the documents among which is searched."""
    found = []
    for number, product in enumerate(names(sizes.large, sizes.keys)):
        made = sale(number, product)
        found.append((str(number), product, made.cents, made.model_dump_json().encode()))
    return found


def filled(databases: Sequence[Database], sizes: Sizes, runner: asyncio.Runner) -> None:
    """Stores what is measured."""
    progress = Progress(len(databases) * ((sizes.events + sizes.large) // BATCH + 4), 1)
    for each in databases:
        folding.fill(each.folded, sizes.events, sizes.keys, progress)
        folding.fill(each.large, sizes.large, sizes.keys, progress)
        with analyzing(each.where if each.table else None):
            runner.run(built(each.large))
        progress.step(1, "building documents")
        each.raw.sell(sale_rows(sizes))
        progress.step(1, "storing the same documents without a store")
        if each.peer is not None:
            each.peer.fill(sizes.events, sizes.keys)
        progress.step(1, "storing events in eventsourcing")
    progress.end()
    os.sync()  # what was stored on the way is not to be flushed by those who are timed
    for each in databases:
        analyze(each, "VACUUM (ANALYZE)", "CHECKPOINT")


def analyze(database: Database, *statements: LiteralString) -> None:
    """Lets PostgreSQL do what else would begin of itself meanwhile."""
    if database.table:
        with connect(database.where) as beside:
            for statement in statements:
                beside.execute(statement)


@contextmanager
def analyzing(url: str | None) -> Iterator[None]:
    """Lets PostgreSQL look at its tables every other second, as autovacuum does after a while."""
    if url is None:
        yield
        return
    done = threading.Event()

    def analyze() -> None:
        with connect(url) as beside:
            while not done.wait(2.0):
                beside.execute("ANALYZE")

    thread = threading.Thread(target=analyze)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def built(place: Place) -> None:
    """Builds the documents that are found and read."""
    async with EventStore.create(place, durability="relaxed") as store:
        for projection in (Sales(), rebuilding.Buckets()):
            await folding.built(store, projection)


def finds(store: SyncEventStore, raw: Raw, sizes: Sizes) -> Task:
    """Returns what finds pages of documents by two indexes, and the same without a store."""
    validate = Sale.model_validate_json

    def task(number: int) -> dict[str, float]:
        draw = random.Random(number)  # noqa: S311
        products = draw.choices(sorted(set(names(sizes.large, sizes.keys))), k=sizes.finds)
        cents = [draw.randrange(1_000_000 - 2_000) for _ in range(sizes.finds)]
        ranges = [(low, low + 2_000_000_000 // sizes.large) for low in cents]
        work: dict[str, Callable[[], object]] = {
            "equal": lambda: [store.find(Sale, product=each, limit=FOUND) for each in products],
            "range": lambda: [
                store.find(Sale, cents__ge=low, cents__le=high, limit=FOUND) for low, high in ranges
            ],
            "raw equal": lambda: [
                [validate(json) for _, json in raw.equal(each, FOUND)] for each in products
            ],
            "raw range": lambda: [
                [validate(json) for _, json in raw.between(low, high, FOUND)]
                for low, high in ranges
            ],
        }
        return {name: timed(do, sizes.finds) for name, do in work.items()}

    return task


def tasks(
    each: Database, sizes: Sizes, payloads: list[bytes], runner: asyncio.Runner, stack: ExitStack
) -> dict[str, Task]:
    """Returns what is measured on a backend, by name."""

    def opened(place: Place) -> EventStore:
        store = runner.run(opening(place))
        stack.callback(lambda: runner.run(store.close()))
        return store

    folded, large, saved = map(opened, (each.folded, each.large, each.saved))
    reading, finding = (
        stack.enter_context(SyncEventStore.create(place)) for place in (each.folded, each.large)
    )
    rows = folding.single_rows(sizes.events)
    in_memory = IN_MEMORY

    def fold(name: str, make: Callable[[object], Projection[Any]]) -> Task:
        return lambda number: {name: runner.run(folding.built(folded, make(number)))}

    def upserts(_: int) -> dict[str, float]:
        each.raw.fresh()
        return {"upserts": timed(lambda: each.raw.upsert(rows), 1)}

    def rebuild(_: int) -> dict[str, float]:
        work = rebuilding.rebuild(large, each.where, each.table, sizes.keys, sizes.quiet)
        return runner.run(work)

    found: dict[str, Task] = {
        "plain": lambda _: folding.plain(payloads),
        "fold": fold("fold", folding.totals),
        "free": fold("free", folding.free_totals),
        "distinct": fold("distinct", folding.singles),
        "upserts": upserts,
        "by hand": lambda _: {"by hand": folding.by_hand(reading)},
        "rebuild": rebuild,
        "find": finds(finding, each.raw, sizes),
        "shown": lambda number: runner.run(saving.shown(saved, number, sizes.commits)),
        "save 1": lambda number: runner.run(saving.saves(saved, number, 1, sizes.commits)),
        "save 100": lambda number: runner.run(
            saving.saves(saved, number, 100, max(sizes.commits // 4, 1))
        ),
    }
    if in_memory is not None:
        found["in memory"] = fold("in memory", lambda number: in_memory(folding.totals(number)))
    if each.peer is not None:
        found["theirs"] = lambda _: {"theirs": each.peer.projected(sizes.tracked) * sizes.events}
        found["theirs in memory"] = lambda _: {
            "theirs in memory": each.peer.in_memory() * sizes.events
        }
    return found


def payload(number: int, name: str) -> bytes:
    """Returns an event as JSON, as it is stored."""
    return Added(amount=number, note=name).model_dump_json().encode()


async def opening(place: Place) -> EventStore:
    """Opens a store."""
    return await EventStore.create(place)


def measure(
    folder: Path, url: str | None, sizes: Sizes = SIZES, *, runner: asyncio.Runner
) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    databases = {SQLITE: on_sqlite(folder)} | ({POSTGRES: on_postgres(url)} if url else {})
    filled(list(databases.values()), sizes, runner)
    drawn = enumerate(names(sizes.events, sizes.keys))
    payloads = [
        Added(amount=number, note=name).model_dump_json().encode() for number, name in drawn
    ]
    figures: dict[str, Figures] = {backend: {} for backend in databases}
    with ExitStack() as stack:
        work: dict[tuple[str, str], Task] = {}
        for backend, each in databases.items():
            stack.callback(each.raw.close)
            found = tasks(each, sizes, payloads, runner, stack)
            work |= {(backend, name): do for name, do in found.items()}
        progress = Progress(len(work), sizes.rounds)
        for number in range(sizes.rounds + 1):
            for each in databases.values():
                analyze(each, "ANALYZE")
            for backend, name in reversed(work) if number % 2 else work:
                for key, seconds in work[backend, name](number).items():
                    if number:  # the first round warms up
                        figures[backend].setdefault(key, []).append(seconds)
                progress.step(number, f"{backend}: {name}")
    progress.end()
    return [row for backend in figures for row in lines(backend, figures[backend], sizes)]


def run(data: Path, page: Path = PAGE, sizes: Sizes = SIZES) -> None:
    """Measures in a folder, and writes the page."""
    with asyncio.Runner() as runner:
        measuring = partial(measure, sizes=sizes, runner=runner)
        acceptance.run("read-models", "read models", method(sizes), measuring, data, page)
