"""Processes that run projections and are killed, one after the other or two at once."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from random import Random
from signal import SIGABRT, SIGKILL
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol, Self

from eventuali import ReadModel, sync
from reliability import moments
from reliability.broken import REBUILDS
from reliability.processes import Child, HangError
from reliability.projecting import Batches, Logged
from reliability.scenario import Job

_SPARE = 2
_PAUSE_S = 0.015
"""Between two commits beside a process, whose life is an instant or a second."""
_OVERTAKEN = "has taken the place of this one"
_SUPERSEDED = ("is live or being built, and this is version", "are those of version")


class Kept(Protocol):
    """Where the projections of a scenario keep what they make."""

    @property
    def url(self) -> str:
        """The address of the log."""

    @property
    def tables(self) -> str:
        """The address of a database with tables of the user's; "-" for documents in the store."""

    @property
    def rebuilds(self) -> float:
        """How many of the processes build a projection anew."""

    @property
    def kinds(self) -> tuple[float, float, float]:
        """When kills come: sums of shares.

        So many come a while after the beginning; so many, less those, after some events were
        handled; so many, less those, during a swap; the others when everything was handled.
        """

    @property
    def most(self) -> float:
        """Twenty times so many events are handled at the most, where it is killed after some."""

    @property
    def longest_ms(self) -> float:
        """How long a process lives at the most that is killed a while after its beginning."""

    def find(self, model: type[ReadModel]) -> Sequence[ReadModel]:
        """Returns all documents of a model."""

    def look_at_tables(self, job: Job) -> None:
        """Finds what there is beside the live documents."""


class Life(NamedTuple):
    """A process that runs the projections."""

    child: Child
    version: int
    how: str
    moments: Path
    older: bool = False
    """Whether a newer version may be live, so that it has nothing to do."""
    rivals: bool = False
    """Whether another process rebuilds, too: the one that began last goes on."""


class Writer:
    """Appends to the log, in a thread or in this one."""

    def __init__(self, store: sync.EventStore, batches: Batches) -> None:
        """Nothing is appended yet."""
        self._store = store
        self._batches = batches
        self.acked: dict[int, int] = {}  # number → position

    @contextmanager
    def beside(self, events: int) -> Iterator[None]:
        """Appends so many events meanwhile, slowly, and what is left of them afterwards."""
        done = Event()
        appending = Thread(target=self.append, args=(events,), kwargs={"hurry": done})
        appending.start()
        try:
            yield
        finally:
            done.set()
            appending.join()

    def append(self, events: int, most: int = 50, hurry: Event | None = None) -> None:
        """Appends so many events or a few more, at most so many in a commit; slowly at first."""
        end = len(self.acked) + events
        while len(self.acked) < end:
            first = self._batches.numbers + 1
            key, batch = self._batches.next(most)
            answer = self._store.append(batch, stream=("Account", key))
            self.acked.update(zip(range(first, first + len(batch)), answer.positions, strict=True))
            if hurry is not None:
                hurry.wait(_PAUSE_S)

    def check(self, job: Job, log: Sequence[Logged]) -> None:
        """Holds what was acknowledged against the log."""
        verdict = job.report.verdict
        verdict.acked += len(self.acked)
        lie = {event.number: event.position for event in log}
        missing = self.acked.items() - lie.items()
        if missing:
            verdict.find("lost", f"not where it was acknowledged: {sorted(missing)[:5]}")
        job.report.expect(len(log) == len(self.acked), f"{len(log)} events in the log")


class Nursery:
    """Processes that have begun, and wait to be told what to do."""

    def __init__(self, job: Job, *modules: str, child: str = "projector") -> None:
        """None has begun; each imports so many modules before it is told what to do."""
        self._job = job
        self._child = child
        self._modules = modules
        # What they import is compiled once.
        cache = {"PYTHONPYCACHEPREFIX": str(job.folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
        self._env = job.env | cache
        self._waiting: deque[tuple[Child, Path]] = deque()
        self._made = 0

    def __enter__(self) -> Self:
        for _ in range(_SPARE):
            self._more()
        return self

    def __exit__(self, *_: object) -> None:
        for waiting in self._waiting:
            waiting[0].kill()

    def _more(self) -> None:
        self._made += 1
        file = self._job.folder / f"moments{self._made}"
        words = ("-m", f"reliability.children.{self._child}", file, *self._modules)
        child = Child(*words, package=self._job.package, env=self._env, told=True)
        self._waiting.append((child, file))

    def tell(self, *words: object) -> tuple[Child, Path]:
        """Tells one of them what to do; gives it, and the file with what it does."""
        child, file = self._waiting.popleft()
        self._more()
        child.tell(" ".join(map(str, words)))
        return child, file


class Course:
    """The processes, and the version that they run."""

    def __init__(self, job: Job, nursery: Nursery, kept: Kept, writer: Writer) -> None:
        """No process has begun."""
        self._job = job
        self._nursery = nursery
        self._kept = kept
        self._writer = writer
        self._lives = 0
        self._moments: Counter[str] = Counter()
        self._begun: list[tuple[float, int]] = []
        # A fault lies in the writing of pages; or in rebuilds, and then there is nothing else.
        self._only = "" if not job.fault else "rebuild" if job.fault in REBUILDS else "run"
        self.version = 1
        self.kills = 0

    def start(self, how: str, version: int, *poison: object) -> Life:
        """Starts a process."""
        self._lives += 1
        seed = f"{self._job.seed}/life/{self._lives}"
        words = (self._kept.url, self._kept.tables, version, how, seed, *poison)
        child, file = self._nursery.tell(*words)
        return Life(child, version, how, file)

    def cycle(self) -> None:
        """Lets one or two processes live for a while."""
        job = self._job
        chance, report = job.chance("cycle", self.kills), job.report
        self._begun.append((monotonic(), len(self._writer.acked)))
        lives = [self._draw()]
        if not job.fault and chance.random() < 0.3 and self.kills + 1 < job.cycles:
            lives.append(self._draw(older=chance.random() < 0.3))
            report.count("pairs")
            rivals = all(life.how == "rebuild" for life in lives)
            lives = [life._replace(rivals=rivals) for life in lives]
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

    def _draw(self, *, older: bool = False) -> Life:
        chance = self._job.chance("how", self._lives)
        how = self._only or ("rebuild" if chance.random() < self._kept.rebuilds else "run")
        version = self.version - (older and self.version > 1)
        if older:
            how = "run"
        self._job.report.count(how)
        return self.start(how, version)._replace(older=older)

    def _begin(self, life: Life) -> None:
        """Waits until there is something to kill."""
        self._job.report.expect(life.child.line() == "ready\n", life.child.stderr)
        if life.how == "rebuild":
            while (line := life.child.line()) is not None:
                self._note(life, line)
                if line.startswith(("rebuilding", "faulted", "refused")):
                    return

    def _wait(self, life: Life, chance: Random) -> bool:
        """Waits for the moment to kill: a while, or something done; whether both were live."""
        kind = 0.0 if life.older or self._only == "run" else 1.0 if self._only else chance.random()
        soon, working, swapping = self._kept.kinds
        swaps = working <= kind < swapping
        target = (
            0 if kind < soon else 20 * self._kept.most ** chance.random() if kind < working else inf
        )
        sleep(0.001 * self._kept.longest_ms ** chance.random() if target == 0 else 0)
        live = False
        while target and not live:
            try:
                line = life.child.line()
            except HangError as hang:
                self._job.report.find("hangs", f"{life}: {hang}")
                return False
            if line is None:
                return False
            live = self._note(life, line) and not self._only
            word, *rest = line.split()
            if word == "swapping" and swaps:
                sleep(0.002 * chance.random())
                return False
            if word in ("rebuilt", "faulted", "refused") or (
                word == "worked" and int(rest[0]) >= target
            ):
                break
        sleep(chance.uniform(0, 0.03) if target else 0)
        return live

    def _take(self, life: Life) -> bool:
        """Takes the last words of a process; whether both of its projections were live."""
        live = [self._note(life, line) for line in life.child.end().stdout.splitlines(True)]
        if life.child.process.returncode == -SIGKILL:
            self._job.report.expect(not life.child.stderr, life.child.stderr)
        self._moments.update(moments.read(life.moments))
        return any(live)

    def _note(self, life: Life, line: str) -> bool:
        if line.startswith("faulted") and life.older and any(t in line for t in _SUPERSEDED):
            self._job.report.count("superseded")
        elif line.startswith("faulted"):
            self._job.report.find("wrong", f"version {life.version}: {line.strip()}")
            self.version = max(self.version, life.version + 1)  # or it would stay so
        elif line.startswith("refused") and life.rivals and _OVERTAKEN in line:
            self._job.report.count("overtaken")
        elif line.startswith("refused"):
            self._job.report.find("wrong", f"version {life.version}: {line.strip()}")
        elif line.startswith("rebuilt"):
            self._job.report.count("rebuilt")
        return line == "live\n"

    def finish(self, until: int) -> list[dict[str, Any]]:
        """Lets a process run to its end; gives where the projections stand."""
        self._begun.append((monotonic(), len(self._writer.acked)))
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

    def killed_while(self) -> dict[str, int]:
        """Returns how many projections were doing what when their process was killed."""
        return dict(sorted(self._moments.items()))

    def due(self, at: float) -> int:
        """Returns how many events everything holds that takes the place of what was live then.

        It was built by a process that had begun by then or began later. The database may do what a
        killed process asked for last, so the process before counts, too.
        """
        begun = [acked for began, acked in self._begun if began <= at]
        return begun[-2] if len(begun) > 1 else 0
