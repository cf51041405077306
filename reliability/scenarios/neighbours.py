"""Other SQLite libraries on the store's file, in its process and beside it: nothing is lost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from eventuali import sync
from eventuali.errors import EventualiError
from reliability.checker import check
from reliability.children.neighbour import TABLES
from reliability.history import History
from reliability.processes import Child, HangError
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import log_of

_SECONDS = 1.0
_PARTS = (("neighbour", "all"), ("neighbour", "sqlite3"), ("contender", ""))


def run(job: Job) -> None:
    """Lets three processes use one file, of which one uses it through several libraries."""
    for number in range(job.cycles):
        path = job.folder / f"{number}.db"
        try:
            _cycle(job, path, number)
        except HangError as hang:
            job.report.find("hangs", str(hang))
        for file in job.folder.glob(f"{number}.db*"):
            file.unlink()
        job.report.cycle()


def _cycle(job: Job, path: Path, number: int) -> None:
    with sync.EventStore.create(path):
        pass
    db = sqlite3.connect(path)
    for table in TABLES:
        db.execute(f"CREATE TABLE {table} (x INTEGER)")
    db.commit()
    db.close()
    children = []
    for part, (module, kind) in enumerate(_PARTS):
        words = (path, f"{job.seed}/{number}", 10 + part, _SECONDS, *filter(None, [kind]))
        module = f"reliability.children.{module}"
        children.append(Child("-m", module, *words, package=job.package, env=job.env))
    history, rows = History(), Counter[str]()
    for part, child in enumerate(children):
        ended = child.end(120)
        job.report.expect((ended.code, ended.stderr) == (0, ""), f"{_PARTS[part]}: {ended[::2]}")
        for line in ended.stdout.splitlines():
            entry = history.feed(line, part)
            if entry["is"] == "rows":
                rows.update({table: entry[table] for table in TABLES})
    _judge(job, path, history, rows)


def _judge(job: Job, path: Path, history: History, rows: Counter[str]) -> None:
    verdict = job.report.verdict
    try:
        with sync.EventStore.create(path) as store:
            log = log_of(store)
        found = _beside(path)
    except (EventualiError, sqlite3.DatabaseError) as error:  # whatever it says: all of it is gone
        verdict.find("lost", f"unreadable: {error}", sum(a.size for a in history.appends))
        return
    verdict.add(check(history, log))
    for table in TABLES:
        text = f"{table}: {rows[table]} rows promised, {found[table]} there"
        if found[table] < rows[table]:
            verdict.find("lost", text)
        job.report.expect(found[table] <= rows[table], text)
        job.report.count(f"rows_of_{table}", found[table])


def _beside(path: Path) -> dict[str, int]:
    """How many rows each table has; refuses a file that is not sound."""
    with closing(sqlite3.connect(path)) as db:
        (whole,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if whole != "ok":
            raise sqlite3.DatabaseError(whole)
        counts = "SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM pooled)"
        return dict(zip(TABLES, db.execute(counts).fetchone(), strict=True))


SCENARIO = Scenario(
    name="neighbours",
    about="sqlite3, SQLAlchemy and stores on one file in one process, two processes beside it",
    run=run,
    cycles=100,
    quick=4,
    faults=(Fault("process-locks", 3),),
)
