"""Handlers that keep the loop or the interpreter, and a machine that is busy: leases are kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic_ns, sleep
from typing import NamedTuple

from reliability.consuming import Duty, Handled, Judge
from reliability.course import Nursery
from reliability.crew import STREAMS, Crew, Source, Watch, on_postgres, place
from reliability.processes import HangError
from reliability.scenario import Fault, Job, Scenario

_LEASE_S = 1.0
_BLOCKS_S = 4 * _LEASE_S
_DEADLINE_S = 1.5 * _LEASE_S
_MEMBERS, _SPINNERS = 2, 4
_BEFORE_S = 0.25
"""So long before a handler says that it is called, on a busy machine, its time has begun."""
_PAUSE_S = 0.1
_PATIENCE_S = 60


class _Shape(NamedTuple):
    """What a handler does, and to whom.

    Attributes:
        what: What it does, for four leases; "" for nothing, on a busy machine.
        threads: Whether members have a thread for each partition.
        ends: Whether the deadline comes before that.
    """

    what: str
    threads: bool
    ends: bool

    def __str__(self) -> str:
        """Names it."""
        where = "a thread" if self.threads else "the loop"
        return f"{self.what or 'spins beside'} {where}{', with a deadline' if self.ends else ''}"


_SHAPES = (
    _Shape("sleeps", threads=False, ends=True),
    _Shape("grips", threads=False, ends=False),
    _Shape("grips", threads=True, ends=False),
    _Shape("", threads=False, ends=False),
    _Shape("sleeps", threads=True, ends=True),
    _Shape("grips", threads=False, ends=True),
)


def run(job: Job, postgres: bool) -> None:
    """Lets a handler keep what it should not, as often as there are cycles."""
    report = job.report
    with (
        Nursery(job, child="consumer") as nursery,
        place(job, "starved", postgres=postgres) as (url, records),
        Source(url, job.chance("source")) as source,
        Crew(job, nursery) as crew,
        Watch(job, records) as watch,
    ):
        while report.done < job.cycles:
            shape = _SHAPES[report.done % len(_SHAPES)]
            _round(job, shape, source, crew, watch)
            report.count(str(shape))
            report.cycle()
        log = source.check(job)
    judge = Judge(report.verdict, log, [member.lines for member in crew.members])
    judge.judge()
    report.extras |= {"generations": judge.generations, "again": judge.again[0]}


def _round(job: Job, shape: _Shape, source: Source, crew: Crew, watch: Watch) -> None:
    """Has members join, lets one of their handlers keep something, and looks at the leases."""
    before, after = 2 * len(STREAMS), 4 * len(STREAMS)  # so that the others have events in hand
    value = source.next_value + before
    duty = Duty(
        source.url,
        lease=_LEASE_S,
        deadline=_DEADLINE_S if shape.ends else None,
        pause=_PAUSE_S,
        threads=shape.threads,
        special={str(value): f"{shape.what} {_BLOCKS_S}"} if shape.what else {},
        folder=str(job.folder),
    )
    for _ in range(_MEMBERS):
        crew.join(duty, wait=True)
    watch.settle(_MEMBERS)
    looked = len(watch.changes)
    with _spinning(0 if shape.what else _SPINNERS):
        for number in range(before):
            source.append(STREAMS[number % len(STREAMS)], 1)
        source.append(job.chance("stream", value).choice(STREAMS), 1)
        for number in range(after):
            source.append(STREAMS[number % len(STREAMS)], 1)
        kept = _began(crew, value)
        until = kept.at + int(_BLOCKS_S * 1e9)
        while monotonic_ns() < until:
            sleep(0.05)
    _look(job, shape, kept, watch, looked, until)
    crew.finish(source.acked)
    crew.dismiss()


def _began(crew: Crew, value: int) -> Handled:
    """Waits until the handler of an event is called."""
    limit = monotonic_ns() + _PATIENCE_S * 10**9
    while monotonic_ns() < limit:
        sleep(0.01)
        crew.read()
        for member in crew.members:
            for line in reversed(member.lines.lines):
                if line.value == value:
                    return line
    raise HangError(f"nobody handles {value}")


def _look(job: Job, shape: _Shape, kept: Handled, watch: Watch, looked: int, until: int) -> None:
    """Nobody lost anything but the partition whose deadline passed, and that one behind it."""
    changes = [change for change in watch.changes[looked:] if change[0] < until]
    others = [change for change in changes if not shape.ends or change[1] != kept.partition]
    own = [change for change in changes if shape.ends and change[1] == kept.partition]
    if others:
        text = f"{shape}, partition {kept.partition}: others were lost: {others}"
        job.report.verdict.find("strange", text, len(others))
    if shape.ends:
        job.report.expect(bool(own), f"{shape}: it was not given away")
        for at, _, _ in own[:1]:
            after = (at - kept.at) / 1e9
            in_time = after >= _DEADLINE_S - _BEFORE_S
            job.report.expect(in_time, f"{shape}: given away after {after:.2f} s")
            job.report.extras.setdefault("given_away_s", []).append(round(after, 2))
        job.report.count("own_lost", len(own[:1]))


@contextmanager
def _spinning(processes: int) -> Iterator[None]:
    """Keeps the processors busy."""
    code = [sys.executable, "-c", "while True: pass"]
    spinners = [subprocess.Popen(code) for _ in range(processes)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


SCENARIO = Scenario(
    name="starvation",
    about="handlers of a group that keep the loop or the interpreter for four leases",
    run=lambda job: run(job, False),
    cycles=24,
    quick=1,
    faults=(
        Fault("beat-between-handlers", 1, "strange"),
        Fault("blame-the-kept-up", 1, "strange"),
    ),
)
ON_POSTGRES = Scenario(
    name="starvation-postgres",
    about="the same on PostgreSQL",
    run=partial(on_postgres, run=run),
    cycles=SCENARIO.cycles,
    quick=0,
    faults=SCENARIO.faults,
)
