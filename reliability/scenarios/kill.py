"""kill -9 at any moment: what was acknowledged is there, whole, once, and in order."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from eventuali import sync
from reliability.checker import check
from reliability.history import History
from reliability.processes import Child
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import log_of

_EPOCH = 10
"""Kills that one file lives through; the last one comes while it is opened."""


def run(job: Job) -> None:
    """Kills a writing process, opens the file again and looks; over and over."""
    history, report = History(), job.report
    epoch = 1 if job.fault else _EPOCH
    for cycle in range(job.cycles):
        if cycle % epoch == 0:
            history = History()
            path = job.folder / f"{cycle // epoch}.db"
        _kill_while_writing(job, cycle, path, history)
        if cycle % epoch == _EPOCH - 1:
            _kill_while_opening(job, cycle, path, history)
        with sync.EventStore.create(path) as store:
            verdict = check(history, log_of(store))
        last = cycle % epoch == epoch - 1 or cycle == job.cycles - 1
        if last or verdict.violations:
            report.verdict.add(verdict)
        report.cycle()
        if report.caught or (verdict.violations and not job.fault):
            return  # the files are as they were found
        if last:
            _remove(path)


def _kill_while_writing(job: Job, cycle: int, path: Path, history: History) -> None:
    chance = job.chance(cycle)
    child = _start(job, cycle, path)
    # A process that was killed may leave the file locked for as long as it takes to end.
    ready = False
    while not ready:
        line = child.line()
        if line is None:
            job.report.find("wrong", f"ended by itself: {child.end()}")
            return
        ready = history.feed(line, cycle)["is"] == "ready"
    sleep(chance.uniform(0.005, 0.4))
    child.kill()
    for line in child.rest():
        history.feed(line, cycle)
    job.report.expect(not child.stderr, child.stderr)
    for note in history.notes:
        if note["is"] == "opening":
            job.report.count("in_tasks" if note["loop"] else "in_threads")
    history.notes.clear()


def _kill_while_opening(job: Job, cycle: int, path: Path, history: History) -> None:
    """Kills the process that recovers the file, 0 to 8 ms after it begins."""
    number = job.cycles + cycle
    child = _start(job, number, path)
    child.line()
    sleep(job.chance(number).uniform(0, 0.008))
    child.kill()
    ready = [history.feed(line, number)["is"] == "ready" for line in child.rest()]
    job.report.count("after_recovery" if any(ready) else "during_recovery")
    history.notes.clear()


def _start(job: Job, number: int, path: Path) -> Child:
    words = ("-m", "reliability.children.writer", path, f"{job.seed}/{number}", number)
    return Child(*words, package=job.package, env=job.env)


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


SCENARIO = Scenario(
    name="kill",
    about="kill -9 while three writers commit 1 to 50 events, every tenth while it recovers",
    run=run,
    cycles=300,
    quick=10,
    faults=(Fault("ack-before-commit", 20),),
)
