"""The k-th write, flush or truncation fails, once: nothing is acknowledged from then on."""

from __future__ import annotations

import errno
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from eventuali import sync
from eventuali.errors import StorageCorruptedError
from reliability.checker import check
from reliability.history import History, Stored
from reliability.processes import ROOT
from reliability.processes import run as run_child
from reliability.scenario import Fault, Job, Scenario
from reliability.workload import read_into

HONEST = {"StorageUnavailableError", "OutcomeUnknownError", "StorageFullError"}
SHIM = ROOT / "reliability/shim/failing_io.c"


class Case(NamedTuple):
    """Which call fails, and how."""

    phase: str
    kind: str
    code: str
    k: int


def cases(cycles: int) -> Iterator[Case]:
    """Yields the cases, the most telling first for each k, up to the number of cycles."""
    for k in range(1, cycles + 1):
        for phase in ("saves", "open", "close"):
            yield Case(phase, "write", "EIO", k)
            yield Case(phase, "write", "ENOSPC", k)
            yield Case(phase, "sync", "EIO", k)
            yield Case(phase, "truncate", "EIO", k)
        if k == 1 or k % 12 == 0:
            yield Case("checkpoint", "write", "EIO", k)
            yield Case("checkpoint", "write", "ENOSPC", k)
        if k == 1:
            yield Case("checkpoint", "sync", "EIO", k)
            yield Case("checkpoint", "truncate", "EIO", k)


def run(job: Job) -> None:
    """Runs every case whose call was reached at a smaller k."""
    report = job.report
    shim = job.folder / "failing_io.so"
    built = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM), "-ldl"]
    subprocess.run(built, check=True, capture_output=True)
    never: set[tuple[str, str]] = set()
    for case in cases(job.cycles):
        if (case.phase, case.kind) not in never:
            reached = _one(job, shim, case)
            if not reached:
                never.add((case.phase, case.kind))
        if report.done < case.k and case.kind == "write":
            report.cycle()
        if report.caught:
            return


def _one(job: Job, shim: Path, case: Case) -> bool:
    """Runs one case; returns whether the call that was to fail came."""
    report = job.report
    folder = job.folder / "-".join(map(str, case))
    folder.mkdir()
    path = folder / "events.db"
    code = getattr(errno, case.code)
    words = (path, job.seed, case.phase, case.kind, case.k, code)
    env = job.env | {"LD_PRELOAD": str(shim), "FAILING_IO_FOLDER": str(folder)}
    ended = run_child("-m", "reliability.children.saver", *words, package=job.package, env=env)
    history = History()
    for line in ended.stdout.splitlines():
        history.feed(line)
    report.expect((ended.code, ended.stderr) == (0, ""), f"{case}: {ended}")
    end = next((note for note in history.notes if note["is"] == "end"), None)
    if end is None:
        return False
    if end["fired"]:
        report.count(f"{case.phase}_{case.kind}_{case.code}")
        _judge(job, case, history.notes, end["what"])
    violations = report.violations
    _look(job, path, history)
    if report.violations == violations:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    return bool(end["fired"])


def _judge(job: Job, case: Case, notes: list[dict[str, Any]], what: str) -> None:
    """Looks at what the caller was told during and after the failure."""
    report = job.report
    told: Counter[str] = Counter()
    # SQLite ignores it when the directory of a new journal or WAL cannot be flushed.
    in_silence = what == "fsync "
    if in_silence:
        report.count("directory_fsyncs_ignored_by_sqlite")
    for note in notes:
        error = note.get("error", "")
        if note["is"] == "opening":
            report.expect(error in HONEST, f"{case}: opening gave {error}")
        elif note["is"] == "log":
            report.expect(not error, f"{case}: reading gave {error}")
        elif note["is"] == "settled":
            report.count("settled")
        elif note["is"] == "saved" and note["during"]:
            # A full disk only puts off the copying of the WAL, and its growth, which alone is
            # done by `write`: SQLite uses `pwrite64`.
            put_off = case.phase == "checkpoint" or what.startswith("write ")
            fine = error in HONEST or (case.code == "ENOSPC" and put_off)
            report.expect(fine, f"{case}: {what} failed, and the save gave {error!r}")
            told[error or "acknowledged"] += 1
        elif note["is"] == "saved" and note["before"] and not in_silence:
            # A full disk may have room again; everything else can't be trusted any more.
            fine = error in HONEST or (case.code == "ENOSPC" and error in ("", "refused"))
            report.expect(fine, f"{case}: after {what} had failed, a save gave {error!r}")
        elif note["is"] == "saved":
            report.expect(error in ("", "refused"), f"{case}: a save gave {error}")
    for error, count in told.items():
        report.count(error, count)


def _look(job: Job, path: Path, history: History) -> None:
    """Opens the file in health, and holds what lies there against what was told.

    What the store refuses to read, since there is damage on the same page or before it, is lost.
    """
    log: list[Stored] = []
    try:
        with sync.EventStore.create(path) as store:
            read_into(log, store)
    except StorageCorruptedError as error:
        job.report.find("wrong", f"the log ends in {error}")
    job.report.verdict.add(check(history, log))


SCENARIO = Scenario(
    name="failing-io",
    about="the k-th write, fsync or ftruncate fails once (EIO, ENOSPC), k = 1 to the cycles",
    run=run,
    cycles=60,
    quick=4,
    faults=(Fault("ignore-failed-flush", 8),),
)
