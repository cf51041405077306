"""Writers and readers of one PostgreSQL database, in processes of their own, and the judgement."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns
from typing import Any

from eventuali import sync
from reliability.checker import check
from reliability.children.pager import END
from reliability.history import History, Read, Recorder, Write
from reliability.processes import Child
from reliability.processes import run as run_child
from reliability.scenario import Job
from reliability.workload import NUMBERS, events_of, log_of, recorded, stream_of

OPENING = (
    "import sys; from eventuali.sync import EventStore; EventStore.create(sys.argv[1]).close()"
)
PASSING = {"StorageUnavailableError", "StorageBusyError"}
"""What a reader may be told while a server is away, and a writer whose save did not happen."""
REFUSED = {"DatabaseError"}
"""What a writer is told besides, where a trigger refuses its events."""


class Reader:
    """A process that reads pages, and what it has seen through all its lives."""

    def __init__(self, job: Job, url: str, limit: int, reads: int) -> None:
        self._job = job
        self._reads = reads
        self._url = url
        self._limit = limit
        self.last = 0
        self.values: list[int] = []
        self.times: list[int] = []
        self.errors: list[str] = []
        self.lives = 0
        self._begin()

    def _begin(self) -> None:
        words = (self._url, self.last, self._limit, self._reads)
        self._child = Child(
            *("-m", "reliability.children.pager", *words),
            package=self._job.package,
            env=self._job.env,
        )
        self.lives += 1

    def wait(self) -> None:
        """Waits until it is about to read."""
        self._job.report.expect(self._child.line() is not None, "a reader ended by itself")

    def restart(self) -> None:
        """Kills it; another one goes on behind the last page that came through."""
        self._child.kill()
        self._take(self._child.rest())
        self._job.report.expect(not self._child.stderr, self._child.stderr)
        self._begin()

    def end(self, seconds: float) -> None:
        """Waits until it has seen the last event."""
        ended = self._child.end(seconds)
        self._job.report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        self._take(ended.stdout.splitlines())

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self._child.kill()

    def _take(self, lines: Any) -> None:
        history = History()
        for note in map(history.feed, lines):
            if note["is"] == "page":
                self.values += note["values"]
                self.times += [note["t"]] * len(note["values"])
                self.last = note["last"]
            elif note["is"] == "error":
                self.errors.append(note["error"])


class Crowd:
    """Everybody who works on a database; `with` ends them all."""

    def __init__(self, job: Job, url: str, limits: Sequence[int], reads: int = 0) -> None:
        """Opens the database, which makes its schema, with the fault if there is one.

        Args:
            job: The run.
            url: The database.
            limits: The events a page of each reader.
            reads: After how many a reader opens its store anew; 0 for never.
        """
        self.job = job
        self.url = url
        self.history = History()
        self._limits = limits
        self._reads = reads
        self._stop = job.folder / "stop"
        ended = run_child("-c", OPENING, url, package=job.package, env=job.env)
        job.report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        self.writers: list[Child] = []
        self.readers: list[Reader] = []

    def begin(self, writers: int, savers: int, events: int, how: str = "") -> None:
        """Starts everybody, and waits until the writers are ready."""
        self.readers = [Reader(self.job, self.url, limit, self._reads) for limit in self._limits]
        for reader in self.readers:
            reader.wait()
        each = -(-events // writers)
        for number in range(writers):
            words = (self.url, self.job.seed, number, savers, each, self._stop, how)
            child = Child(
                *("-m", "reliability.children.settler", *words),
                package=self.job.package,
                env=self.job.env,
            )
            self.writers.append(child)
        for number, child in enumerate(self.writers):
            line = child.line()
            if line is None:
                self.job.report.find("wrong", f"a writer ended by itself: {child.end()}")
                return
            self.history.feed(line, number)

    @property
    def writing(self) -> bool:
        """Whether somebody still writes."""
        return any(child.process.poll() is None for child in self.writers)

    def stop(self) -> None:
        """Tells the writers to come to an end."""
        self._stop.touch()

    def finish(self, seconds: float, passing: bool, *, refusing: bool = False) -> None:
        """Waits for everybody, and judges.

        Args:
            seconds: How long that may take.
            passing: Whether errors that pass are in order.
            refusing: Whether the database refuses some of what is written.
        """
        report = self.job.report
        for number, child in enumerate(self.writers):
            ended = child.end(seconds)
            report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
            for line in ended.stdout.splitlines():
                self.history.feed(line, number)
        with sync.EventStore.create(self.url) as store:
            write = Write(END, NUMBERS * 1_000, 1)
            with recorded(Recorder(lambda line: self.history.feed(line, "end")), write) as told:
                told(store.append(events_of(write), stream=stream_of(END)))
            for reader in self.readers:
                reader.end(seconds)
            now = monotonic_ns()
            for reader in self.readers:
                self.history.reads.append(Read(None, now, now, tuple(reader.values)))
            report.verdict.add(check(self.history, log_of(store)))
        self._notes(passing, refusing)

    def _notes(self, passing: bool, refusing: bool) -> None:
        report = self.job.report
        notes = self.history.notes
        doubts = sum(note["is"] == "doubt" for note in notes)
        settled = sum(note["is"] == "settled" for note in notes)
        report.expect(doubts == settled, f"{doubts - settled} unknown outcomes are not settled")
        report.extras |= {"doubts": doubts, "settled": settled}
        told = [note["error"] for note in notes if note["is"] == "error"]
        report.extras["errors_of_writers"] = len(told)
        known = PASSING | REFUSED if refusing else PASSING
        report.expect(set(told) <= known, f"writers were told {sorted(set(told))}")
        seen = [error for reader in self.readers for error in reader.errors]
        report.extras["errors_of_readers"] = len(seen)
        report.expect(set(seen) <= (PASSING if passing else set()), f"readers: {sorted(set(seen))}")
        report.extras["lives_of_readers"] = [reader.lives for reader in self.readers]
        taken = [
            a.ended - a.begun for a in self.history.appends if a.ended and a.outcome == "acked"
        ]
        report.extras["slowest_save_s"] = round(max(taken, default=0) / 1e9, 2)

    def lags(self, reader: Reader) -> list[tuple[int, float]]:
        """Returns for each acknowledged event when that was, and the seconds until it was seen."""
        acked = {
            value: append.ended
            for append in self.history.appends
            if append.outcome == "acked" and append.ended
            for write in append.writes
            for value in write.values
        }
        seen = dict(zip(reader.values, reader.times, strict=True))
        return [
            (at, max(seen[value] - at, 0) / 1e9) for value, at in acked.items() if value in seen
        ]

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.writers:
            if child.process.poll() is None:
                child.kill()
        for reader in self.readers:
            reader.kill()
