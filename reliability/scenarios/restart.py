"""A server that crashes and comes back under load: nothing is lost, and the same stores go on."""

from __future__ import annotations

from time import sleep

from reliability import server
from reliability.crowd import Crowd
from reliability.scenario import Fault, Job, Scenario

_WRITERS = 3
_SAVERS = 4
_LONG = 12.0
"""Seconds that outlast the ten for which a store goes on by itself: callers are left in doubt."""


def run(job: Job) -> None:
    """Crashes a private server as often as there are cycles, and starts it again."""
    report, chance = job.report, job.chance("when")
    report.backend = "postgres"
    try:
        with (
            server.Private(job.folder / "server") as private,
            Crowd(job, private.url, (100, 1000)) as crowd,
        ):
            with server.connect(private.url) as beside:
                report.extras["server"] = beside.info.server_version
            crowd.begin(_WRITERS, _SAVERS, 10**9, job.fault)
            while report.done < job.cycles and crowd.writing:
                sleep(chance.uniform(0.2, 1.5))
                private.crash()
                long = bool(job.fault) or report.done % 10 == 4
                sleep(_LONG if long else chance.uniform(0, 0.5))
                private.start()
                report.cycle()
            sleep(0.5)
            crowd.stop()
            crowd.finish(60, passing=True)
    except server.NoServerError as error:
        report.not_run = str(error)


SCENARIO = Scenario(
    name="restart",
    about="PostgreSQL: immediate restarts of a private server, two in twenty after a long outage",
    run=run,
    cycles=20,
    quick=2,
    faults=(Fault("new-events", 2, "duplicated", built=False),),
)
