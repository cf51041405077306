"""Members of a group that join, leave, are killed, and are stopped for longer than their lease."""

from __future__ import annotations

from functools import partial
from random import Random
from time import sleep

from reliability.consuming import GROUP, Duty, Judge
from reliability.course import Nursery
from reliability.crew import Crew, Source, Watch, on_postgres, place
from reliability.scenario import Fault, Job, Scenario

_LEASE_S = 1.0
_LEAST, _MOST, _STOPPED = 2, 6, 2
_FEW = 3
"""So many members at the least and at the most, and so many of them stopped at once. With a fault
there are few, so that each owns much."""
_STOP_EVERY = 8
"""One act in so many stops a member; with a fault, each does that can."""
_BACKLOG, _PAUSE_S = 1_000, 0.03
"""How many events wait to be handled at the most, and the longest pause between two commits."""
_BUSY = 5_000, 0.001
"""The same with a fault: one that goes on as if nothing had happened must have much to do."""
_ENOUGH = 20
"""After so many stops some of what those write who were stopped must have been refused."""


def run(job: Job, postgres: bool) -> None:
    """Lets as many acts happen as there are cycles, and judges."""
    report, chance = job.report, job.chance("acts")
    with (
        Nursery(job, child="consumer") as nursery,
        place(job, "churn", postgres=postgres) as (url, records),
        Source(url, job.chance("source")) as source,
        Crew(job, nursery) as crew,
        Watch(job, records),
    ):
        for _ in range(_LEAST):
            crew.join(_duty(job, url, chance), wait=True)
        backlog, pause = _BUSY if job.fault else (_BACKLOG, _PAUSE_S)
        with source.beside(lambda: len(crew.done), backlog, pause):
            while report.done < job.cycles:
                _act(job, crew, url, chance)
                report.cycle()
                crew.read()
                sleep(chance.uniform(0, 0.6))
                crew.wake()
                crew.gone()
                if job.fault and records.fell():
                    return  # it is caught
        crew.wake(everybody=True)
        while len(crew.alive("joining", "joined")) < _LEAST:
            crew.join(_duty(job, url, chance))
        crew.finish(source.acked)
        crew.dismiss()
        log = source.check(job)
        letters = source.store.dead_letters(GROUP).list()
        report.expect(not letters, f"parked: {letters}")
        report.expect(not crew.stands, f"stopped: {crew.stands}")
    judge = Judge(report.verdict, log, [member.lines for member in crew.members])
    judge.judge()
    refused = sum(line.what == "refused" for member in crew.members for line in member.lines.lines)
    stops = report.extras.get("stop", 0)
    if stops >= _ENOUGH and not job.fault:
        report.expect(refused > 0, f"nothing was refused after {stops} stops")
        report.expect(crew.lost > 0, f"nothing was lost after {stops} stops")
    report.extras |= {
        "generations": judge.generations,
        "writes_refused": refused,
        "partitions_lost": crew.lost,
        "in_hand_while_stopped": judge.zombies,
        "again": judge.again[0],
        "again_at_once": judge.again[1],
    }


def _duty(job: Job, url: str, chance: Random) -> Duty:
    pause = 0.01 if job.fault else chance.choice([0.0005, 0.004, 0.02])
    return Duty(url, lease=_LEASE_S, pause=pause, threads=chance.random() < 0.4)


def _act(job: Job, crew: Crew, url: str, chance: Random) -> None:
    """Does something to a member, at random."""
    joined, stopped = crew.somebody(), crew.alive("stopped")
    there = len(joined) + len(stopped) + len(crew.alive("joining"))
    may_stop = joined and len(stopped) < (1 if job.fault else _STOPPED)
    kinds = ["waits"] if job.fault else ["leave", "kill"]
    if there < (_FEW if job.fault else _MOST):
        kinds.append("join")
    if may_stop and (job.fault or job.report.done % _STOP_EVERY == _STOP_EVERY - 1):
        kinds = ["stop"]
    elif len(joined) < _LEAST and "join" in kinds:
        kinds = ["join"]
    kind = chance.choice(kinds)
    job.report.count(kind)
    match kind:
        case "join":
            crew.join(_duty(job, url, chance))
        case "leave":
            crew.leave(chance.choice(joined))
        case "kill":
            crew.kill(chance.choice(joined + stopped))
        case "stop":
            busiest = max(joined, key=lambda member: member.handled)
            leases = chance.uniform(1.8 if job.fault else 1.2, 2.5)
            crew.stop(busiest if job.fault else chance.choice(joined), leases * _LEASE_S)


SCENARIO = Scenario(
    name="churn",
    about="members of a group that join, leave, are killed, or stopped for longer than a lease",
    run=lambda job: run(job, False),
    cycles=500,
    quick=8,
    faults=(
        Fault("unfenced-checkpoint", 40, "reordered"),
        Fault("lease-never-ends", 40, "strange"),
    ),
)
ON_POSTGRES = Scenario(
    name="churn-postgres",
    about="the same on PostgreSQL",
    run=partial(on_postgres, run=run),
    cycles=SCENARIO.cycles,
    quick=0,
    faults=SCENARIO.faults,
)
