"""Projections that are killed at any moment: in what they made, each event counts once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

from eventuali import ReadModel, sync
from reliability import server
from reliability.broken import REBUILDS
from reliability.course import Course, Kept, Nursery, Writer
from reliability.hoarding import hoard
from reliability.poisoning import poison
from reliability.processes import Child
from reliability.projecting import IN_THE_STORE, MODELS, PAGE, Batches, Judge, Seen, log_of
from reliability.scenario import Fault, Job, Scenario

_EVENTS_A_CYCLE = 1_000 / 3
_LEAST_EVENTS = 2_000
_BEFORE = 0.6
"""The part of the log that is there when the first process begins."""

Rows = Callable[[str], list[Any]]
"""Asks the database beside the store."""


class InTheStore:
    """Documents in the store."""

    tables = IN_THE_STORE
    rebuilds = 0.25
    kinds = (0.5, 0.8, 0.93)
    most = 200
    longest_ms = 400

    def __init__(self, url: str, rows: Rows, models: Sequence[type[ReadModel]] = MODELS) -> None:
        """Looks with a store of its own, and beside it."""
        self.url = url
        self._rows = rows
        self._models = models

    def find(self, model: type[ReadModel]) -> Sequence[ReadModel]:
        """Returns all documents of a model."""
        with sync.EventStore.create(self.url) as store:
            return list(store.find(model, limit=PAGE))

    def look_at_tables(self, job: Job) -> None:
        """Finds what there is beside the live documents."""
        states = self._rows("SELECT key, bytes FROM records WHERE space = 'projection'")
        allowed = {"projection", "read model"}
        for name, value in states:
            state = json.loads(bytes(value))
            number, models = state["live"]["number"], state["live"]["models"]
            allowed |= {f"{name}@{number}", *(f"{name}@{number}/{model}" for model in models)}
            left = {key: state[key] for key in ("building", "leaving") if state[key]}
            job.report.expect(not left, f"{name} has generations that nobody fills: {left}")
        records = dict(self._rows("SELECT space, count(*) FROM records GROUP BY space"))
        stored = dict(self._rows("SELECT space, count(*) FROM record_index GROUP BY space"))
        for table, counts in (("records", records), ("record_index", stored)):
            for space, count in counts.items():
                text = f"{count} rows are left of {space!r} in {table}; live are {sorted(allowed)}"
                job.report.expect(space in allowed, text)
        for model in self._models:
            count = len(self.find(model)) * len(model.__indexed__)
            found = sum(
                n for space, n in stored.items() if space.endswith(f"/{model.__model_name__}")
            )
            job.report.expect(
                found == count or not all(space in allowed for space in stored),
                f"{found} entries of {model.__model_name__} in the index, not {count}",
            )


def run(job: Job, nursery: Nursery, kept: Kept) -> None:
    """Kills as many processes as there are cycles, lets one run to the end, and judges."""
    report, chance = job.report, job.chance("writer")
    stop, file = job.folder / "stop", job.folder / "seen"
    events = max(_LEAST_EVENTS, round(_EVENTS_A_CYCLE * job.cycles))
    with sync.EventStore.create(kept.url) as store:
        writer = Writer(store, Batches(job.chance("events")))
        writer.append(round(events * _BEFORE))
        course = Course(job, nursery, kept, writer)
        words = ("-m", "reliability.children.onlooker", kept.url, kept.tables, file, stop)
        onlooker = Child(*words, package=job.package)
        try:
            report.expect(onlooker.line() == "ready\n", onlooker.stderr)
            while course.kills < job.cycles:
                if job.fault in REBUILDS or chance.random() < 1 / 3:
                    report.count("beside_writer")
                    part = round(events * (1 - _BEFORE) / (0.2 * job.cycles))
                    with writer.beside(min(part, events - len(writer.acked))):
                        course.cycle()
                else:
                    course.cycle()
            writer.append(events - len(writer.acked))
            statuses = course.finish(max(writer.acked.values()))
            stop.touch()
            ended = onlooker.end()
            report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        finally:
            if onlooker.process.poll() is None:
                onlooker.kill()
        log = log_of(store)
    writer.check(job, log)
    judge = Judge(report.verdict, log)
    _judge_reads(job, judge, course, kept, file)
    for model in MODELS:
        found = kept.find(model)
        judge.last(model, found, course.version)
        judge.prefix(Seen.of(model, found))
        report.count("documents", len(found))
    report.extras |= {
        "versions": course.version,
        "handled_last": {each["name"]: each["handled"] for each in statuses},
        "killed_while": course.killed_while(),
    }
    kept.look_at_tables(job)


def _judge_reads(job: Job, judge: Judge, course: Course, kept: Kept, file: Path) -> None:
    """Judges what the onlooker saw."""
    before: dict[str, float] = {}  # when each model was read last
    reads, due = [], []
    for line in file.read_text().splitlines():
        at, *words = json.loads(line)
        if isinstance(words[0], int):
            judge.share(*words)
            continue
        seen = Seen._make((*words[:4], tuple(words[4])))
        reads.append(seen)
        # A rebuild of tables of the user's empties them first.
        in_place = kept.tables != IN_THE_STORE
        due.append(0 if in_place else course.due(before.get(seen.model, 0.0)))
        before[seen.model] = at
        for position in words[5:]:
            judge.at(seen, position)
    job.report.extras["went_back"] = judge.course(reads, due)


@contextmanager
def _sqlite(path: Path) -> Iterator[Rows]:
    sync.EventStore.create(path).close()
    with closing(sqlite3.connect(path)) as beside:
        yield lambda statement: beside.execute(statement).fetchall()


@contextmanager
def _postgres(url: str) -> Iterator[Rows]:
    sync.EventStore.create(url).close()
    with server.connect(url) as beside:
        for table in ("records", "record_index"):  # as they are called on SQLite
            view = SQL("CREATE TEMP VIEW {} AS SELECT * FROM {}")
            beside.execute(view.format(Identifier(table), Identifier(f"events_{table}")))
        yield lambda statement: beside.execute(statement.encode()).fetchall()


def on_sqlite(job: Job) -> None:
    """On one file, and on others."""
    with Nursery(job) as nursery:
        if job.fault != KEEP.name:
            path = job.folder / "events.db"
            with _sqlite(path) as rows:
                run(job, nursery, InTheStore(str(path), rows))
        if not job.fault:
            path = job.folder / "poisoned.db"
            with _sqlite(path) as rows:
                poison(job, nursery, InTheStore(str(path), rows))
        if job.fault in ("", KEEP.name):
            hoard(job, str(job.folder / "hoarded.db"), ("pure", "free"))


def on_postgres(job: Job) -> None:
    """On one database, and on others."""
    job.report.backend = "postgres"
    try:
        with Nursery(job) as nursery:
            with server.database(job.folder) as url, _postgres(url) as rows:
                run(job, nursery, InTheStore(url, rows))
            if not job.fault:
                with server.database(job.folder, "_poisoned") as url, _postgres(url) as rows:
                    poison(job, nursery, InTheStore(url, rows))
                with server.database(job.folder, "_hoarded") as url:
                    hoard(job, url, ("pure", "free"))
    except server.NoServerError as error:
        job.report.not_run = str(error)


APART = (
    Fault("documents-first", 15, "duplicated", built=False),
    Fault("cursor-first", 30, "lost", built=False),
)
"""Documents and cursor in two commits."""
KEEP = Fault("keep-documents", 300, "wrong", built=False)
_REBUILT = (
    Fault(REBUILDS[0], 6, "skipped", built=False),
    Fault(REBUILDS[1], 12, "skipped", built=False),
)


def _scenario(
    name: str, about: str, run: Callable[[Job], None], faults: Sequence[Fault]
) -> Scenario:
    return Scenario(name=name, about=about, run=run, cycles=300, quick=12, faults=tuple(faults))


SCENARIO = _scenario(
    "project",
    "kill -9 on projections that run or are rebuilt, one process or two; events they can't handle",
    on_sqlite,
    (*APART, *_REBUILT, KEEP),
)
ON_POSTGRES = _scenario(
    "project-postgres", "the same on PostgreSQL", on_postgres, (*APART, *_REBUILT)
)
