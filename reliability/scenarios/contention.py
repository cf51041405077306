"""Eight processes on one file: no lock error reaches a user, and the log is one log."""

from __future__ import annotations

from eventuali import sync
from reliability.checker import check
from reliability.history import History
from reliability.processes import Child
from reliability.scenario import Job, Scenario
from reliability.workload import log_of

_PROCESSES = 8


def run(job: Job) -> None:
    """Lets them save for as many seconds as there are cycles, then looks."""
    report, path, history = job.report, job.folder / "events.db", History()
    words = ("-m", "reliability.children.contender", path, job.seed)
    children = [Child(*words, number, job.cycles) for number in range(_PROCESSES)]
    for number, child in enumerate(children):
        ended = child.end(job.cycles + 90)
        report.expect((ended.code, ended.stderr) == (0, ""), ended[::2])
        for line in ended.stdout.splitlines():
            history.feed(line, number)
    report.done = 1
    with sync.EventStore.create(path) as store:
        report.verdict.add(check(history, log_of(store)))
    report.extras |= {"processes": _PROCESSES, "seconds": job.cycles}
    acked = [append for append in history.appends if append.outcome == "acked"]
    report.expect(len(acked) > 0, "nobody saved anything")
    report.extras["slowest_save_s"] = round(max((a.ended or 0) - a.begun for a in acked) / 1e9, 2)


SCENARIO = Scenario(
    name="contention",
    about="8 processes save on one file for as many seconds as there are cycles",
    run=run,
    cycles=20,
    quick=5,
)
