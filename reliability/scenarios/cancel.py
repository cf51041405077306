"""A storm of cancelled saves: repeating one settles it, once, and nothing is left behind."""

from __future__ import annotations

from eventuali import sync
from reliability import server
from reliability.checker import check
from reliability.history import History
from reliability.processes import Child
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import log_of


def run(job: Job) -> None:
    """Lets a process cancel as many saves as there are cycles, on a file."""
    _storm(job, str(job.folder / "events.db"), str(job.folder / "other.db"))


def run_on_postgres(job: Job) -> None:
    """Does the same on PostgreSQL, and looks for transactions and locks that are left."""
    job.report.backend = "postgres"
    try:
        with server.database(job.folder) as url, server.database(job.folder, "_other") as other:
            _storm(job, url, other)
    except server.NoServerError as error:
        job.report.not_run = str(error)


def _storm(job: Job, path: str, other: str) -> None:
    report, history = job.report, History()
    sync.EventStore.create(path).close()
    holder = Child("-m", "reliability.children.holder", path, job.seed)
    try:
        words = (path, other, job.seed, job.cycles, job.fault)
        child = Child("-m", "reliability.children.canceller", *words)
        ended = child.end(60 + job.cycles / 50)
    finally:
        holder.kill()
    report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
    for line in ended.stdout.splitlines():
        history.feed(line)
    left = history.notes[-1]
    report.expect(left["tasks"] == 0, f"{left['tasks']} tasks are left")
    (files, threads), (files_now, threads_now) = left["before"], left["after"]
    report.expect(files_now <= files, f"{files} descriptors became {files_now}")
    report.expect(threads_now <= threads, f"{threads} threads became {threads_now}")
    report.extras |= {"cancelled": left["cut"], "descriptors": [files, files_now]}
    for note in history.notes:
        if note["is"] == "server":
            report.extras |= {"idle_in_transaction": note["idle"], "locks": note["locks"]}
            report.extras |= {"connections": note["connections"], "pool": note["pool"]}
            report.expect((note["idle"], note["locks"]) == (0, 0), note)
    report.done = left["cut"]
    with sync.EventStore.create(path) as store:
        report.verdict.add(check(history, log_of(store)))


_FAULTS = (Fault("new-events", 500, "duplicated", built=False),)

SCENARIO = Scenario(
    name="cancel",
    about="as many cancelled saves as there are cycles, after 0 to 20 ms, then repeated",
    run=run,
    cycles=10_000,
    quick=1_500,
    faults=_FAULTS,
)
ON_POSTGRES = Scenario(
    name="cancel-postgres",
    about="PostgreSQL: the same with a pool of 2; no transaction and no lock is left",
    run=run_on_postgres,
    cycles=2_000,
    quick=500,
    faults=_FAULTS,
)
