"""A disk that is full: saves are refused, reads go on, and writing resumes once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path

from eventuali import EventualiError, OptimisticConcurrencyError
from eventuali.errors import StorageFullError
from eventuali.sync import EventStore
from reliability.checker import check
from reliability.history import History, Recorder
from reliability.processes import Child
from reliability.scenario import Job, Scenario
from reliability.workload import Plan, log_of, recorded

_MIB = 1 << 20
_EPOCH = 5
"""Rounds that one file lives through."""


def run(job: Job) -> None:
    """Fills a small disk, over and over."""
    disk = job.folder / "disk"
    disk.mkdir()
    with _small_disk(disk) as why:
        if why:
            job.report.not_run = why
            return
        for epoch in range(0, job.cycles, _EPOCH):
            folder = disk / str(epoch)
            folder.mkdir()
            _live(job, folder, epoch, min(_EPOCH, job.cycles - epoch))
            if job.report.violations:
                subprocess.run(["cp", "-r", folder, job.folder / "found"], check=False)
                return
            for file in folder.iterdir():
                file.unlink()


@contextmanager
def _small_disk(disk: Path) -> Iterator[str]:
    """Mounts 16 MiB; yields why that cannot be, else an empty text."""
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        yield f"no mount: {error}"
        return
    if done.returncode:
        yield f"a tmpfs cannot be mounted here: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def _live(job: Job, folder: Path, first: int, rounds: int) -> None:
    """Lets one file meet the full disk some times."""
    history, path, ballast = History(), folder / "events.db", folder / "ballast"
    recorder = Recorder(history.feed)
    chance = job.chance(first)
    plan = Plan(chance, first + 1)
    store = EventStore.create(path)
    for number in range(rounds):
        _fill(ballast, chance.randint(1 * _MIB, 2 * _MIB))
        _save_until_full(job, store, plan, recorder)
        _fill(ballast, 0)
        log = log_of(store)  # reads go on
        found = check(history, log)
        job.report.expect(not found.violations, found.notes)
        if number % 2:
            if chance.random() < 0.5:
                ballast.unlink()  # closing can copy the WAL back, and removes it
            store.close()
            store = _open_full(job, path, ballast)
            job.report.expect(log_of(store) == log, "the log changed by reopening on a full disk")
            with suppress(StorageFullError):
                _save(store, plan, recorder)
        if number == rounds - 1:  # and so does recovery after kill -9
            store.close()
            _kill_while_full(job, path, history, first + number)
            store = EventStore.create(path)
        ballast.unlink(missing_ok=True)
        try:
            for _ in range(5):
                _save(store, plan, recorder)
        except EventualiError as error:
            job.report.find("wrong", f"there is room again, and a save gave {error!r}")
        job.report.cycle()
    verdict = check(history, log_of(store))
    job.report.verdict.add(verdict)
    store.close()


def _open_full(job: Job, path: Path, ballast: Path) -> EventStore:
    """Opens a file on a full disk; after a close that removed the WAL, that takes some room."""
    _fill(ballast, 0)
    try:
        store = EventStore.create(path)
    except EventualiError as error:
        full = isinstance(error, StorageFullError)
        job.report.expect(full, f"opening on a full disk gave {error!r}")
        job.report.count("opened_once_there_was_room")
        ballast.unlink()
        return EventStore.create(path)
    job.report.count("opened_full")
    return store


def _save(store: EventStore, plan: Plan, recorder: Recorder) -> None:
    writes, ask = plan.step("s")
    with suppress(OptimisticConcurrencyError), recorded(recorder, *writes) as told:
        told(ask(store))


def _save_until_full(job: Job, store: EventStore, plan: Plan, recorder: Recorder) -> None:
    refused = 0
    for _ in range(5_000):
        try:
            _save(store, plan, recorder)
        except StorageFullError:
            refused += 1
            if refused == 3:
                break
        except EventualiError as error:
            job.report.find("wrong", f"on a full disk a save gave {error!r}")
            return
    job.report.count("saves_refused", refused)
    job.report.expect(refused == 3, "the disk did not fill up")


def _kill_while_full(job: Job, path: Path, history: History, number: int) -> None:
    """A process that meets the full disk is killed there."""
    words = ("-m", "reliability.children.writer", path, f"{job.seed}/{number}", 1_000 + number)
    child = Child(*words)
    refused = 0
    while (line := child.line()) is not None:
        entry = history.feed(line, number)
        refused += entry["is"] == "failed"
        if refused == 20:
            break
    child.kill()
    for line in child.rest():
        history.feed(line, number)
    history.notes.clear()


def _fill(ballast: Path, room: int) -> None:
    """Takes all of the disk but so many bytes."""
    with ballast.open("ab", buffering=0) as file:
        while (free := _room(ballast)) > room:
            try:
                file.write(bytes(min(free - room, _MIB)))
            except OSError as error:
                if error.errno != ENOSPC:
                    raise
                return


def _room(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


SCENARIO = Scenario(
    name="disk-full",
    about="a tmpfs of 16 MiB that is filled by saves, then has room again",
    run=run,
    cycles=20,
    quick=5,
)
