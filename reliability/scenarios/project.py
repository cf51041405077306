"""Projections that are killed at any moment: in what they made, each event counts once."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from random import Random
from signal import SIGABRT, SIGKILL
from threading import Thread
from time import sleep
from typing import Any, NamedTuple, Self

from psycopg.sql import SQL, Identifier

from eventuali import sync
from reliability import server
from reliability.processes import Child, HangError
from reliability.projecting import (
    MODELS,
    PAGE,
    Batches,
    Judge,
    Logged,
    Seen,
    compare,
    folded,
    log_of,
)
from reliability.scenario import Fault, Job, Scenario

_SPARE = 2
_EVENTS_A_CYCLE = 1_000 / 3
_LEAST_EVENTS = 2_000
_BEFORE = 0.6
"""The part of the log that is there when the first process begins."""
_SOON, _WORKING = 0.6, 0.9
"""So many kills come a while after the beginning; so many, less those, after some events were
handled; the others when everything was."""
_SUPERSEDED = "is live or being built, and this is version"
_POISONED_EVENTS = 800
_NAMES = ("tallies", "shares")

Rows = Callable[[str], list[Any]]
"""Asks the database beside the store."""


class _Life(NamedTuple):
    """A process that runs the projections."""

    child: Child
    version: int
    how: str
    older: bool = False
    """Whether a newer version may be live, so that it has nothing to do."""


class _Writer:
    """Appends to the log, in a thread or in this one."""

    def __init__(self, store: sync.EventStore, batches: Batches) -> None:
        self._store = store
        self._batches = batches
        self.acked: dict[int, int] = {}  # number → position

    def append(self, events: int) -> None:
        """Appends so many events or a few more."""
        end = len(self.acked) + events
        while len(self.acked) < end:
            first = self._batches.numbers + 1
            key, batch = self._batches.next()
            answer = self._store.append(batch, stream=("Account", key))
            self.acked.update(zip(range(first, first + len(batch)), answer.positions, strict=True))

    def check(self, job: Job, log: Sequence[Logged]) -> None:
        """Holds what was acknowledged against the log."""
        verdict = job.report.verdict
        verdict.acked += len(self.acked)
        lie = {event.number: event.position for event in log}
        missing = self.acked.items() - lie.items()
        if missing:
            verdict.find("lost", f"not where it was acknowledged: {sorted(missing)[:5]}")
        job.report.expect(len(log) == len(self.acked), f"{len(log)} events in the log")


class _Nursery:
    """Processes that have begun, and wait to be told what to do."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting: deque[Child] = deque()

    def __enter__(self) -> Self:
        for _ in range(_SPARE):
            self._more()
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._waiting:
            child.kill()

    def _more(self) -> None:
        words = ("-m", "reliability.children.projector")
        child = Child(*words, package=self._job.package, env=self._job.env, told=True)
        self._waiting.append(child)

    def tell(self, *words: object) -> Child:
        """Tells one of them what to do."""
        child = self._waiting.popleft()
        self._more()
        child.tell(" ".join(map(str, words)))
        return child


class _Course:
    """The processes, one after the other or two at once, and the version that they run."""

    def __init__(self, job: Job, nursery: _Nursery, url: str) -> None:
        self._job = job
        self._nursery = nursery
        self._url = url
        self._lives = 0
        self.version = 1
        self.kills = 0

    def start(self, how: str, version: int, *poison: object) -> _Life:
        """Starts a process."""
        self._lives += 1
        seed = f"{self._job.seed}/life/{self._lives}"
        child = self._nursery.tell(self._url, version, how, seed, *poison)
        return _Life(child, version, how)

    def cycle(self) -> None:
        """Lets one or two processes live for a while."""
        job = self._job
        chance, report = job.chance("cycle", self.kills), job.report
        lives = [self._draw()]
        if not job.fault and chance.random() < 0.3 and self.kills + 1 < job.cycles:
            lives.append(self._draw(older=chance.random() < 0.3))
            report.count("pairs")
        try:
            for life in lives:
                self._begin(life)
            live = False
            for life in chance.sample(lives, len(lives)):
                live |= self._wait(life, chance)
                life.child.kill()
                code = life.child.process.returncode
                report.expect(code in (-SIGKILL, -SIGABRT), f"ended by itself with {code}")
                live |= self._take(life)
                self.kills += 1
                report.cycle()
        finally:
            for life in lives:
                life.child.kill()
        report.count("live", int(live))
        if live and not job.fault and chance.random() < 0.5:
            self.version += 1

    def _draw(self, *, older: bool = False) -> _Life:
        chance = self._job.chance("how", self._lives)
        how = "rebuild" if not self._job.fault and chance.random() < 0.25 else "run"
        version = self.version - (older and self.version > 1)
        if older:
            how = "run"
        self._job.report.count(how)
        return self.start(how, version)._replace(older=older)

    def _begin(self, life: _Life) -> None:
        """Waits until there is something to kill."""
        self._job.report.expect(life.child.line() == "ready\n", life.child.stderr)
        if life.how == "rebuild":
            while (line := life.child.line()) is not None:
                self._note(life, line)
                if line.startswith(("rebuilding", "faulted", "refused")):
                    return

    def _wait(self, life: _Life, chance: Random) -> bool:
        """Waits for the moment to kill: a while, or something done; whether both were live."""
        kind = 0.0 if life.older or self._job.fault else chance.random()
        target = 0 if kind < _SOON else 20 * 200 ** chance.random() if kind < _WORKING else inf
        sleep(0.001 * 400 ** chance.random() if target == 0 else 0)
        live = False
        while target and not live:
            try:
                line = life.child.line()
            except HangError as hang:
                self._job.report.find("hangs", f"{life}: {hang}")
                return False
            if line is None:
                return False
            live = self._note(life, line)
            word, *rest = line.split()
            if word in ("rebuilt", "faulted", "refused") or (
                word == "worked" and int(rest[0]) >= target
            ):
                break
        sleep(chance.uniform(0, 0.03) if target else 0)
        return live

    def _take(self, life: _Life) -> bool:
        """Takes the last words of a process; whether both of its projections were live."""
        live = [self._note(life, line) for line in life.child.end().stdout.splitlines(True)]
        if life.child.process.returncode == -SIGKILL:
            self._job.report.expect(not life.child.stderr, life.child.stderr)
        return any(live)

    def _note(self, life: _Life, line: str) -> bool:
        if line.startswith("faulted") and life.older and _SUPERSEDED in line:
            self._job.report.count("superseded")
        elif line.startswith("faulted"):
            self._job.report.find("wrong", f"version {life.version}: {line.strip()}")
            self.version = max(self.version, life.version + 1)  # or it would stay so
        elif line.startswith("refused"):
            self._job.report.find("wrong", f"version {life.version}: {line.strip()}")
        elif line.startswith("rebuilt"):
            self._job.report.count("rebuilt")
        return line == "live\n"

    def finish(self, until: int) -> list[dict[str, Any]]:
        """Lets a process run to its end; gives where the projections stand."""
        life = self.start(str(until), self.version)
        ended = life.child.end(180)
        lines = ended.stdout.splitlines()
        report = self._job.report
        report.expect((ended.code, ended.stderr) == (0, ""), ended)
        faulted = [line for line in lines if line.startswith("faulted")]
        refused = [line for line in lines if line.startswith("refused")]
        report.expect(not faulted + refused, (faulted, Counter(refused)))
        statuses: list[dict[str, Any]] = json.loads(lines[-1]) if lines[1:] else []
        return statuses


def run(job: Job, nursery: _Nursery, url: str, rows: Rows) -> None:
    """Kills as many processes as there are cycles, lets one run to the end, and judges."""
    report, chance = job.report, job.chance("writer")
    stop, file = job.folder / "stop", job.folder / "seen"
    events = max(_LEAST_EVENTS, round(_EVENTS_A_CYCLE * job.cycles))
    course = _Course(job, nursery, url)
    with sync.EventStore.create(url) as store:
        writer = _Writer(store, Batches(job.chance("events")))
        writer.append(round(events * _BEFORE))
        words = ("-m", "reliability.children.onlooker", url, file, stop)
        onlooker = Child(*words, package=job.package)
        try:
            report.expect(onlooker.line() == "ready\n", onlooker.stderr)
            while course.kills < job.cycles:
                if chance.random() < 1 / 3:
                    report.count("beside_writer")
                    part = round(events * (1 - _BEFORE) / (0.2 * job.cycles))
                    appending = Thread(
                        target=writer.append, args=(min(part, events - len(writer.acked)),)
                    )
                    appending.start()
                    course.cycle()
                    appending.join()
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
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        reads = (Seen._make((*line[:4], tuple(line[4]))) for line in lines if len(line) > 2)
        report.extras["went_back"] = judge.course(reads)
        for count, last in (line for line in lines if len(line) == 2):
            judge.share(count, last)
        for model in MODELS:
            found = store.find(model, limit=PAGE)
            judge.last(model, found, course.version)
            judge.prefix(Seen.of(model, found))
            report.count("documents", len(found))
        report.extras |= {
            "versions": course.version,
            "handled_last": {each["name"]: each["handled"] for each in statuses},
        }
        _look_at_tables(job, store, rows)


def _look_at_tables(job: Job, store: sync.EventStore, rows: Rows) -> None:
    """Finds what there is beside the live documents."""
    states = rows("SELECT key, bytes FROM records WHERE space = 'projection'")
    allowed = {"projection", "read model"}
    for name, value in states:
        state = json.loads(bytes(value))
        number, models = state["live"]["number"], state["live"]["models"]
        allowed |= {f"{name}@{number}", *(f"{name}@{number}/{model}" for model in models)}
        left = {key: state[key] for key in ("building", "leaving") if state[key]}
        job.report.expect(not left, f"{name} has generations that nobody fills: {left}")
    records = dict(rows("SELECT space, count(*) FROM records GROUP BY space"))
    stored = dict(rows("SELECT space, count(*) FROM record_index GROUP BY space"))
    for table, counts in (("records", records), ("record_index", stored)):
        for space, count in counts.items():
            text = f"{count} rows are left of {space!r} in {table}; live are {sorted(allowed)}"
            job.report.expect(space in allowed, text)
    for model in MODELS:
        count = len(store.find(model, limit=PAGE)) * len(model.__indexed__)
        found = sum(n for space, n in stored.items() if space.endswith(f"/{model.__model_name__}"))
        job.report.expect(
            found == count or not all(space in allowed for space in stored),
            f"{found} entries of {model.__model_name__} in the index, not {count}",
        )


def poison(job: Job, nursery: _Nursery, url: str) -> None:
    """Lets one projection meet an event that it can't handle, and mends it; over and over."""
    report = job.report
    course = _Course(job, nursery, url)
    with sync.EventStore.create(url) as store:
        writer = _Writer(store, Batches(job.chance("poisoned")))
        for round_ in range(1, 2 + job.cycles // 50):
            chance = job.chance("poison", round_)
            before = len(writer.acked)
            writer.append(_POISONED_EVENTS if round_ == 1 else 200)
            log = log_of(store)
            name, event = chance.choice(_NAMES), chance.choice(log)
            kind = "deadly" if round_ % 3 == 0 else "raises"
            text = f"version {round_}, {name} {kind} at {event.position} of {log[-1].position}"
            lines = _poisoned(job, course, round_, name, event, kind, log[-1].position)
            _judge_poisoned(job, store, log, event, name, lines, text, round_, before)
            course.version = round_
            course.finish(log[-1].position)
            fold = folded(log)
            for model in MODELS:
                compare(report.verdict, model, store.find(model, limit=PAGE), fold, round_)
            report.count("poisoned")


_DEATHS = 12
"""A handler that ends its process is given up at some time."""


def _poisoned(
    job: Job, course: _Course, version: int, name: str, event: Logged, kind: str, until: int
) -> list[str]:
    """Runs the projections until one says that it has stopped; gives its lines."""
    for _ in range(_DEATHS):
        life = course.start(str(until), version, name, event.number, kind)
        ended = life.child.end()
        if ended.code == 0:
            job.report.expect(not ended.stderr, ended)
            return ended.stdout.splitlines()
        job.report.expect(kind == "deadly" and ended.code == -9, ended)
        job.report.count("deaths")
    job.report.find("wrong", f"{name} did not stop at {event} after {_DEATHS} deaths")
    return []


def _judge_poisoned(
    job: Job,
    store: sync.EventStore,
    log: Sequence[Logged],
    event: Logged,
    name: str,
    lines: Sequence[str],
    text: str,
    version: int,
    before: int,
) -> None:
    """Holds what both projections said and made against the log up to the event."""
    report = job.report
    if not lines:
        return
    statuses = {status["name"]: status for status in json.loads(lines[-1])}
    sick = statuses.pop(name)
    (well,) = statuses.values()
    state = (sick["state"], sick["failed_at"])
    report.expect(state == ("faulted", event.position), f"{text}: {state}")
    report.expect(sick["position"] < event.position, f"{text}: it is at {sick['position']}")
    state = (well["state"], well["rebuilding"])
    report.expect(state == ("live", False), f"{text}: the other one is {well}")
    # In the first version, what is live stops before the event; later, the version before serves.
    fold = folded(log[: log.index(event)] if version == 1 else log[:before])
    whole = folded(log)
    for model in MODELS:
        own = ("shares" if model.__model_name__ != "Tally" else "tallies") == name
        found = store.find(model, limit=PAGE)
        due, made_by = (fold, version - (version > 1)) if own else (whole, version)
        compare(report.verdict, model, found, due, made_by)


@contextmanager
def _sqlite(path: Path) -> Iterator[Rows]:
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
    """On one file, and on another one."""
    path = job.folder / "events.db"
    with sync.EventStore.create(path):
        pass
    with _Nursery(job) as nursery:
        with _sqlite(path) as rows:
            run(job, nursery, str(path), rows)
        if not job.fault:
            poison(job, nursery, str(job.folder / "poisoned.db"))


def on_postgres(job: Job) -> None:
    """On one database, and on another one."""
    job.report.backend = "postgres"
    try:
        with _Nursery(job) as nursery:
            with server.database(job.folder) as url, _postgres(url) as rows:
                run(job, nursery, url, rows)
            if not job.fault:
                with server.database(job.folder, "_poisoned") as url:
                    poison(job, nursery, url)
    except server.NoServerError as error:
        job.report.not_run = str(error)


def _scenario(name: str, about: str, run: Callable[[Job], None]) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        run=run,
        cycles=300,
        quick=12,
        faults=(
            Fault("documents-first", 15, "duplicated", built=False),
            Fault("cursor-first", 30, "lost", built=False),
        ),
    )


SCENARIO = _scenario(
    "project",
    "kill -9 on projections that run or are rebuilt, one process or two; events they can't handle",
    on_sqlite,
)
ON_POSTGRES = _scenario("project-postgres", "the same on PostgreSQL", on_postgres)
