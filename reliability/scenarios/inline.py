"""Inline projections that are killed at any moment: events and their documents are one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL
from time import monotonic, sleep
from typing import NamedTuple

from eventuali import OptimisticConcurrencyError, sync
from reliability import moments, server
from reliability.beside import Beside, on_a_file, on_a_server
from reliability.checker import check
from reliability.children.inliner import SAVERS
from reliability.course import Nursery
from reliability.history import History, Recorder, Stored
from reliability.inlining import (
    PAGE,
    Content,
    Glance,
    Judge,
    Look,
    Plan,
    base_of,
    state_of,
)
from reliability.processes import Child
from reliability.scenario import Fault, Job, Scenario
from reliability.scenarios.project import InTheStore
from reliability.workload import recorded

_EPOCH = 12
"""Kills that one store lives through."""
_BEFORE = 60
"""Commits that are there before the projection, in half of the stores."""
_SWAPS = 0.4
"""So many of the rebuilds are killed while they swap."""
_PATIENCE_S = 5.0
_OVERTAKEN = "has taken the place of this one"
_ALONE: Mapping[str, tuple[str, ...]] = {
    "count-twice": ("inline", "run"),
    "old-generation": ("inline", "rebuild"),
    "documents-apart": ("inline", "inline"),
}
"""What there is of processes where something is broken."""


class Life(NamedTuple):
    """A process, the number of its kind, and the file with what it does."""

    child: Child
    how: str
    number: int
    moments: Path


@dataclass(slots=True)
class Epoch:
    """One store, and the processes that use it."""

    job: Job
    nursery: Nursery
    beside: Beside
    history: History = field(default_factory=History)
    inline: set[int] = field(default_factory=set)
    """The bases of those who save with documents."""
    looks: list[Look] = field(default_factory=list)
    glances: list[Glance] = field(default_factory=list)
    killed_while: Counter[str] = field(default_factory=Counter)

    def start(self, how: str) -> Life:
        """Starts a process."""
        number = self.job.report.extras.get("lives", 0) + 1
        self.job.report.count("lives")
        self.job.report.count(how)
        base = number * SAVERS
        if how == "inline":
            self.inline |= set(range(base, base + SAVERS))
        seed = f"{self.job.seed}/life/{number}"
        child, file = self.nursery.tell(self.beside.url, how, seed, base)
        return Life(child, how, number, file)

    def before(self) -> None:
        """Saves without documents, while nobody else is there."""
        recorder = Recorder(lambda line: self.history.feed(line, "before"))
        plan = Plan(self.job.chance("before", self.job.report.done), 0)
        with sync.EventStore.create(self.beside.url, durability="relaxed") as store:
            for _ in range(_BEFORE):
                writes, ask = plan.append()
                with suppress(OptimisticConcurrencyError), recorded(recorder, *writes) as told:
                    answer = ask(store)
                    told(answer)
                    plan.stored(writes, answer)

    def round(self, chance: Random, most: int) -> int:
        """Lets two or three processes live for a while; returns how many were killed."""
        hows = _ALONE.get(self.job.fault) or _drawn(chance)
        lives = [self.start(how) for how in hows[:most]]
        rivals = hows.count("rebuild") > 1
        try:
            for life in lives:
                while self._take(life, life.child.line(), rivals) != "ready":
                    pass
            self._wait(lives, chance, rivals)
            self.glances.append(self.beside.glance())
            for life in chance.sample(lives, len(lives)):
                life.child.kill()
                self._end(life, rivals)
                self.glances.append(self.beside.glance())
                sleep(chance.uniform(0, 0.03))
        finally:
            for life in lives:
                life.child.kill()
        return len(lives)

    def _wait(self, lives: list[Life], chance: Random, rivals: bool) -> None:
        """Waits for the moment to kill: a while, or that a rebuild swaps."""
        rebuilds = [life for life in lives if life.how == "rebuild"]
        if self.job.fault == "old-generation":
            for _ in range(2):
                self._hear(rebuilds[0], "rebuilt", rivals)
            sleep(0.1)
        elif rebuilds and chance.random() < _SWAPS:
            swaps = self._hear(rebuilds[0], "swapping", rivals)
            sleep(0.004 * chance.random())
            rebuilds[0].child.kill()
            self.job.report.count("killed_at_a_swap", int(swaps))
            sleep(chance.uniform(0, 0.1))
        else:
            sleep(0.005 * 400 ** chance.random())

    def _hear(self, life: Life, what: str, rivals: bool) -> bool:
        """Waits until a process says something; whether it did in time."""
        limit = monotonic() + _PATIENCE_S
        while monotonic() < limit:
            for line in life.child.waiting():
                if self._take(life, line, rivals) == what:
                    return True
            sleep(0.0005)
        return False

    def _end(self, life: Life, rivals: bool) -> None:
        """Takes the last words of a process that was killed."""
        report = self.job.report
        for line in life.child.end().stdout.splitlines(keepends=True):
            if line.endswith("\n"):
                self._take(life, line, rivals)
        code = life.child.process.returncode
        report.expect(code == -SIGKILL, f"{life.how} ended by itself with {code}")
        report.expect(not life.child.stderr, life.child.stderr)
        self.killed_while.update(moments.read(life.moments))
        report.cycle()

    def _take(self, life: Life, line: str | None, rivals: bool) -> str:
        """Takes a line; returns what it is."""
        if line is None:
            raise RuntimeError(f"{life.how} ended before it began: {life.child.stderr}")
        entry = self.history.feed(line, life.number)
        match entry["is"]:
            case "seen":
                states = {key: _state(each) for key, each in entry["states"].items()}
                self.looks.append(Look(entry["begun"], states))
            case "rebuilt":
                self.job.report.count("rebuilt")
            case "refused" if rivals and _OVERTAKEN in entry["error"]:
                self.job.report.count("overtaken")
            case "refused":
                self.job.report.find("wrong", f"{life.how}: {entry['error']}")
        return str(entry["is"])

    def end(self) -> None:
        """Lets the projection run to its end, and judges everything."""
        report = self.job.report
        life = self.start("end")
        ended = life.child.end(120)
        report.expect((ended.code, ended.stderr) == (0, ""), ended)
        for line in ended.stdout.splitlines():
            self._take(life, line, rivals=False)
        glance = self.beside.glance()
        self.glances.append(glance)
        with sync.EventStore.create(self.beside.url) as store:
            log = _log_of(store)
            found = list(store.find(Content, limit=PAGE))
            self._ask(store, found)
        verdict = check(self.history, log)
        judge = Judge(verdict, log, lambda value: base_of(value) in self.inline)
        saved = [a for a in self.history.appends if base_of(a.writes[0].first) in self.inline]
        judge.looks(self.looks, saved)
        for each in self.glances:
            judge.glance(each)
        judge.last({each.key: state_of(each) for each in found})
        judge.last({key: each.state for key, each in glance.live.items()})
        InTheStore(self.beside.url, self.beside.rows, [Content]).look_at_tables(self.job)
        report.verdict.add(verdict)
        report.count("glances", len(self.glances))
        report.count("behind", judge.behind)
        report.count("documents", len(found))

    def _ask(self, store: sync.EventStore, found: list[Content]) -> None:
        """Asks for documents by their fields."""
        expect = self.job.report.expect
        for each in found:
            text = f"{each!r} is not found by its last number"
            expect([*store.find(Content, last=each.last)] == [each], text)
            alike = sorted(other.key for other in found if other.count == each.count)
            keys = sorted(other.key for other in store.find(Content, count=each.count))
            expect(keys == alike, f"{keys} have {each.count}, not {alike}")
            more = sum(other.count >= each.count for other in found)
            counted = store.count(Content, count__ge=each.count)
            expect(counted == more, f"{counted} have {each.count} or more, not {more}")
        expect(store.count(Content) == len(found), f"not {len(found)} are counted")


def _state(words: list[int] | None) -> tuple[int, int, int, int] | None:
    return None if words is None else (words[0], words[1], words[2], words[3])


def _drawn(chance: Random) -> tuple[str, ...]:
    """Draws what two or three processes do, of which nearly always one saves with documents."""
    first = "inline" if chance.random() < 0.9 else "plain"
    others = chance.choices(("inline", "plain", "run", "rebuild"), (2, 2, 3, 3), k=2)
    return (first, *others[: chance.randint(1, 2)])


def _log_of(store: sync.EventStore) -> list[Stored]:
    log = []
    for event in store.read():
        meta, value = event.meta, event.value  # type: ignore[attr-defined]
        assert meta.position
        assert meta.aggregate_id
        assert meta.aggregate_version
        log.append(Stored(meta.position, meta.aggregate_id, meta.aggregate_version, value))
    return log


def run(job: Job, store: Callable[[int], AbstractContextManager[Beside]]) -> None:
    """Kills as many processes as there are cycles, and judges each store that they used."""
    killed, epochs = 0, 0
    killed_while: Counter[str] = Counter()
    with Nursery(job, child="inliner") as nursery:
        while killed < job.cycles and not job.report.caught:
            chance = job.chance("epoch", epochs)
            with store(epochs) as beside:
                epoch = Epoch(job, nursery, beside, killed_while=killed_while)
                if chance.random() < 0.5:
                    epoch.before()
                end = min(killed + _EPOCH, job.cycles)
                while killed < end:
                    killed += epoch.round(chance, end - killed)
                epoch.end()
            epochs += 1
    job.report.extras["killed_while"] = dict(sorted(killed_while.items()))


def on_sqlite(job: Job) -> None:
    """On one file after the other."""
    run(job, lambda epoch: on_a_file(job.folder / f"{epoch}.db"))


def on_postgres(job: Job) -> None:
    """On one database after the other."""
    job.report.backend = "postgres"
    try:
        run(job, lambda epoch: on_a_server(job.folder, epoch))
    except server.NoServerError as error:
        job.report.not_run = str(error)


_FAULTS = (
    Fault("documents-apart", 6, "torn", built=False),
    Fault("count-twice", 6, "duplicated", built=False),
    Fault("old-generation", 6, "skipped", built=False),
)
SCENARIO = Scenario(
    name="inline",
    about="kill -9 on processes that save with an inline projection, run it, or build it anew",
    run=on_sqlite,
    cycles=300,
    quick=12,
    faults=_FAULTS,
)
ON_POSTGRES = Scenario(
    name="inline-postgres",
    about="the same on PostgreSQL",
    run=on_postgres,
    cycles=300,
    quick=12,
    faults=_FAULTS,
)
