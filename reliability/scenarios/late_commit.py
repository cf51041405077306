"""Positions that are drawn early and seen late: no reader of the log steps over an event."""

from __future__ import annotations

from time import monotonic, monotonic_ns, sleep

from psycopg.sql import SQL

from reliability import server
from reliability.crowd import Crowd
from reliability.scenario import Fault, Job, Scenario

_WRITERS = {"": 12, "late-look": 3}
_LONGEST_S = {"": 0.3, "late-look": 0.02}
"""How many write, and how long an insert sleeps at most. A look that comes late shows only where,
at times, nobody is on the way."""
_LIMITS = (7, 200, 1000)
"""Events a page of each reader; the last one is killed and goes on every so often."""
_RESTART_S = 2.0
_LAG_S = 1.0
_LATE = SQL(
    """
    CREATE TABLE theirs (x INTEGER);
    CREATE FUNCTION late() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.0625 THEN
            PERFORM pg_sleep(random() * {});
        ELSIF random() < 0.0625 THEN
            RAISE EXCEPTION 'this one fails';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER late AFTER INSERT ON events_log FOR EACH ROW EXECUTE FUNCTION late();
    """
)
_COUNT = SQL("SELECT count(*) FROM events_log")


def run(job: Job) -> None:
    """Lets as many events be saved as there are cycles, while three readers follow."""
    report = job.report
    report.backend = "postgres"
    try:
        with server.database(job.folder) as url, Crowd(job, url, _LIMITS, 200) as crowd:
            with server.connect(url) as beside:
                report.extras["server"] = beside.info.server_version
                beside.execute(_LATE.format(_LONGEST_S.get(job.fault, _LONGEST_S[""])))
            crowd.begin(_WRITERS.get(job.fault, _WRITERS[""]), 1, job.cycles)
            opened, closed = _watch(job, url, crowd)
            crowd.finish(120, passing=False, refusing=True)
            _lag(job, crowd, opened, closed)
    except server.NoServerError as error:
        report.not_run = str(error)


def _watch(job: Job, url: str, crowd: Crowd) -> tuple[int, int]:
    """Restarts a reader and keeps a foreign transaction open for a third of the run.

    Returns when it was opened and when it was closed.
    """
    opened = closed = 0
    restarted = began = monotonic()
    with server.connect(url) as beside, server.connect(url) as foreign:
        while crowd.writing:
            sleep(0.05)
            (count,) = beside.execute(_COUNT).fetchone() or (0,)
            job.report.done = min(count, job.cycles)
            if not opened and count * 3 >= job.cycles:
                foreign.execute("BEGIN")
                foreign.execute("INSERT INTO theirs VALUES (1)")
                opened = monotonic_ns()
            if opened and not closed and count * 3 >= job.cycles * 2:
                foreign.execute("ROLLBACK")
                closed = monotonic_ns()
            if monotonic() - restarted > _RESTART_S:
                crowd.readers[-1].restart()
                restarted = monotonic()
            if monotonic() - began > 60 + job.cycles / 20:
                job.report.find("hangs", "the writers come to no end")
                break
    return opened, closed or monotonic_ns()


def _lag(job: Job, crowd: Crowd, opened: int, closed: int) -> None:
    """Looks how long readers that were not restarted took to see what was acknowledged."""
    pairs = [pair for reader in crowd.readers[:-1] for pair in crowd.lags(reader)]
    beside = sorted(lag for at, lag in pairs if opened <= at < closed)
    alone = sorted(lag for at, lag in pairs if not opened <= at < closed)
    for name, lags in (("lag_s", alone), ("lag_beside_foreign_s", beside)):
        if lags:
            half, high = lags[len(lags) // 2], lags[len(lags) * 99 // 100]
            job.report.extras[name] = [round(lag, 3) for lag in (half, high, lags[-1])]
            job.report.expect(lags[-1] < _LAG_S, f"{name}: {lags[-1]:.2f} s")
    seconds = (closed - opened) / 1e9 if opened else 0
    job.report.extras["foreign_transaction_s"] = round(seconds, 1)
    job.report.expect(seconds > 0, "no foreign transaction was open")


_STEPS = {"bound": 600, "late-bound": 600, "lowest": 600, "late-look": 2_000, "snapshot": 600}

SCENARIO = Scenario(
    name="late-commit",
    about="PostgreSQL: inserts that sleep or fail, 12 writers, readers that must skip nothing",
    run=run,
    cycles=10_000,
    quick=500,
    faults=tuple(Fault(step, cycles, "skipped") for step, cycles in _STEPS.items()),
)
