"""Ctrl-C during saves: `KeyboardInterrupt`, the right exit code, nothing acknowledged is lost."""

from __future__ import annotations

import signal
from time import sleep

from eventuali import sync
from reliability.checker import check
from reliability.history import History
from reliability.processes import Child
from reliability.scenario import Job, Scenario
from reliability.workload import log_of

_MANNERS = ("sync", "async", "again")


def run(job: Job) -> None:
    """Interrupts a saving process at any moment."""
    for cycle in range(job.cycles):
        _one(job, cycle, _MANNERS[cycle % len(_MANNERS)])
        job.report.cycle()


def _one(job: Job, cycle: int, manner: str) -> None:
    report, path, history = job.report, job.folder / f"{cycle}.db", History()
    words = (path, f"{job.seed}/{cycle}", manner)
    child = Child("-m", "reliability.children.interrupted", *words)
    while (line := child.line()) is not None:
        if history.feed(line)["is"] == "ready":
            break
    sleep(job.chance(cycle).uniform(0.005, 0.2))
    child.process.send_signal(signal.SIGINT)
    ended = child.end(20)
    for line in ended.stdout.splitlines():
        history.feed(line)
    repeated = any(note["is"] == "repeated" for note in history.notes)
    if repeated:
        report.count("repeated")
        report.expect((ended.code, ended.stderr) == (0, ""), f"{manner}: {ended[::2]}")
    else:  # outside of the try, an interrupt ends this one, too
        report.count(f"ended_{manner}")
        wanted = (-signal.SIGINT, True)
        told = (ended.code, ended.stderr.endswith("KeyboardInterrupt\n"))
        report.expect(told == wanted, f"{manner}: {ended.code} {ended.stderr}")
        noise = ("never retrieved", "panicked", "is closed", "Fatal")
        report.expect(not any(word in ended.stderr for word in noise), ended.stderr)
    with sync.EventStore.create(path) as store:
        verdict = check(history, log_of(store))
    if repeated and verdict.unknown:
        report.find("wrong", f"a repeated save is still unknown: {verdict}")
    report.verdict.add(verdict)
    for file in job.folder.glob(f"{cycle}.db*"):
        file.unlink()


SCENARIO = Scenario(
    name="interrupt",
    about="SIGINT during saves of the blocking and the async store",
    run=run,
    cycles=60,
    quick=9,
)
