"""Forked children: told at once that a store is not theirs, free to open one, and no hang."""

from __future__ import annotations

import json

from eventuali import sync
from reliability.processes import Child, HangError
from reliability.scenario import Job, Scenario
from reliability.workload import log_of

_SHARES = {"idle": 0.2, "busy": 0.4, "outlive": 0.15, "pool": 0.15, "spawn": 0.1}
"""How many of the children are made in which manner."""


def run(job: Job) -> None:
    """Makes the children in every manner."""
    for manner, share in _SHARES.items():
        _one(job, manner, max(round(job.cycles * share), 1))


def _one(job: Job, manner: str, forks: int) -> None:
    report, path = job.report, job.folder / f"{manner}.db"
    words = (path, job.seed, manner, forks)
    child = Child("-m", "reliability.children.forker", *words)
    good: list[int] = []
    ended_well = 0
    for _ in range(forks):
        try:
            line = child.line(60)
        except HangError as hang:
            report.find("hangs", f"{manner}: {hang}")
            return
        if line is None:
            break
        told = json.loads(line)
        if told["code"] == 0:
            ended_well += 1
            if not told["refused"]:
                good.append(told["number"])
        else:
            report.find("hangs" if told["code"] == "hangs" else "wrong", f"{manner}: {told}")
        report.cycle()
    ended = child.end(60)
    report.expect((ended.code, ended.stderr) == (0, ""), f"{manner}: {ended}")
    report.count(f"{manner}_children", ended_well)
    report.count("refused_the_file_of_the_parent", ended_well - len(good))
    with sync.EventStore.create(path) as store:
        values = {event.value for event in log_of(store)}
    wanted = {10 + number for number in good} | ({1, 2} if manner != "outlive" else set())
    report.verdict.acked += len(wanted)
    if missing := wanted - values:
        report.verdict.find("lost", f"{manner}: {sorted(missing)}", len(missing))


SCENARIO = Scenario(
    name="fork",
    about="fork with a store open, idle, busy, closed before its child; multiprocessing",
    run=run,
    cycles=200,
    quick=20,
)
