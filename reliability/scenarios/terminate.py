"""Connections that the server ends at any moment: the store goes on, and nothing is lost."""

from __future__ import annotations

from time import monotonic, sleep

from psycopg.sql import SQL

from reliability import server
from reliability.crowd import Crowd
from reliability.scenario import Job, Scenario

_WRITERS = 3
_SAVERS = 4
_PIDS = SQL("SELECT pid FROM pg_stat_activity WHERE {} ORDER BY pid").format(SQL(server.OURS))
_IDLE = SQL(
    "SELECT count(*) FROM pg_stat_activity WHERE {} AND state LIKE 'idle in transaction%%'"
).format(SQL(server.OURS))


def run(job: Job) -> None:
    """Ends as many connections as there are cycles, each one of ours."""
    report, chance = job.report, job.chance("whom")
    report.backend = "postgres"
    try:
        with server.database(job.folder) as url, Crowd(job, url, (100, 1000)) as crowd:
            crowd.begin(_WRITERS, _SAVERS, 10**9)
            with server.connect(url) as beside:
                report.extras["server"] = beside.info.server_version
                began = monotonic()
                while report.done < job.cycles and crowd.writing:
                    sleep(chance.uniform(0.005, 0.1))
                    pids = [pid for (pid,) in beside.execute(_PIDS)]
                    if pids:
                        beside.execute("SELECT pg_terminate_backend(%s)", [chance.choice(pids)])
                        report.cycle()
                    if monotonic() - began > 60 + job.cycles:
                        report.find("hangs", "there is nobody to terminate")
                        break
                crowd.stop()
                crowd.finish(60, passing=True)
                (idle,) = beside.execute(_IDLE).fetchone() or (0,)
                report.expect(idle == 0, f"{idle} connections are idle in a transaction")
    except server.NoServerError as error:
        report.not_run = str(error)


SCENARIO = Scenario(
    name="terminate",
    about="PostgreSQL: pg_terminate_backend on random connections of ours",
    run=run,
    cycles=500,
    quick=60,
)
