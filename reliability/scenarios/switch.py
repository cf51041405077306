"""Threads and loops on one store while the interpreter switches every microsecond: no deadlock."""

from __future__ import annotations

from eventuali import sync
from reliability.checker import check
from reliability.history import History
from reliability.processes import Child
from reliability.scenario import Job, Scenario
from reliability.workload import log_of


def run(job: Job) -> None:
    """Lets the mix run for as many seconds as there are cycles, then looks."""
    report, path, history = job.report, job.folder / "events.db", History()
    child = Child("-m", "reliability.children.mixer", path, job.seed, job.cycles)
    ended = child.end(job.cycles * 2 + 60)
    hung = "Timeout" in ended.stderr
    if hung:
        report.find("hangs", ended.stderr)
        return
    report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
    for line in ended.stdout.splitlines():
        history.feed(line)
    left = history.notes[-1]
    report.done = left["rounds"]
    (files, threads), (files_now, threads_now) = left["before"], left["after"]
    report.expect(files_now <= files, f"{files} descriptors became {files_now}")
    report.expect(threads_now <= threads, f"{threads} threads became {threads_now}")
    report.extras |= {"seconds": job.cycles, "descriptors": [files, files_now]}
    with sync.EventStore.create(path) as store:
        report.verdict.add(check(history, log_of(store)))


SCENARIO = Scenario(
    name="switch",
    about="setswitchinterval(1e-6), 3 threads and 3 loops, for as many seconds as cycles",
    run=run,
    cycles=60,
    quick=5,
)
