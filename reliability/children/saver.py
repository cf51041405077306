"""Saves on a file of which one write, flush or truncation fails, and says what it was told.

    python -m reliability.children.saver URL SEED PHASE KIND K ERRNO

PHASE says when the counting of calls begins: at `open`, at the first of the `saves`, at the one
whose commit makes SQLite copy the WAL back (`checkpoint`), or at `close`. Runs under the shim.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from eventuali import EventualiError, OptimisticConcurrencyError, OutcomeUnknownError
from eventuali.sync import EventStore
from reliability.history import Recorder, Write
from reliability.workload import LONG, NUMBERS, Plan, events_of, log_of, recorded, stream_of

SAVES = 100
"""At the most; ten after the failure."""
KINDS = {"write": 1, "sync": 2, "truncate": 3}
WAL_BYTES = 10_000 * 4_120
Step: TypeAlias = tuple[tuple[Write, ...], Callable[[Any], Any]]


def main() -> None:
    """Opens, saves, reads and closes."""
    path, seed, phase, kind, k, code = sys.argv[1:]
    shim = ctypes.CDLL(None)
    shim.failing_io_what.restype = ctypes.c_char_p
    recorder = Recorder(lambda line: os.write(1, line))

    def arm(now: str) -> None:
        if now == phase:
            end = path if phase == "checkpoint" else ""  # only then is the database itself written
            shim.failing_io_arm(KINDS[kind], int(k), int(code), end[-60:].encode())

    def fired() -> bool:
        return bool(shim.failing_io_fired())

    arm("open")
    try:
        store = EventStore.create(path)
    except EventualiError as error:
        recorder.line("opening", error=type(error).__name__)
        end(shim, recorder)
    else:
        if phase == "checkpoint":
            fill(store, Path(path), recorder)
        arm("saves")
        arm("checkpoint")
        unknown = save(store, Random(seed), recorder, fired)
        try:
            recorder.line("log", size=len(log_of(store)))
        except EventualiError as error:
            recorder.line("log", error=type(error).__name__)
        arm("close")
        store.close()
        end(shim, recorder)
        settle(path, recorder, unknown)


def end(shim: ctypes.CDLL, recorder: Recorder) -> None:
    """Says whether the call that was to fail came, and fails nothing from here on."""
    fired, what = bool(shim.failing_io_fired()), shim.failing_io_what().decode()
    recorder.line("end", fired=fired, seen=shim.failing_io_seen(), what=what)
    shim.failing_io_arm(0, 0, 0, b"")


def save(
    store: EventStore, chance: Random, recorder: Recorder, fired: Callable[[], bool]
) -> list[Step]:
    """Saves on and on, and notes for each save whether the call failed before or during it.

    Returns those whose outcome is unknown.
    """
    unknown: list[Step] = []
    plan = Plan(chance, 1, most=12)
    after = 0
    for _ in range(SAVES):
        before = fired()
        writes, ask = plan.step("s")
        error = ""
        try:
            with recorded(recorder, *writes) as told:
                told(ask(store))
        except OptimisticConcurrencyError:
            error = "refused"
        except EventualiError as caught:
            error = type(caught).__name__
            if isinstance(caught, OutcomeUnknownError):
                unknown.append((writes, ask))
        recorder.line("saved", before=before, during=fired() and not before, error=error)
        after += before
        if after == 10:
            break
    return unknown


def settle(path: str, recorder: Recorder, unknown: list[Step]) -> None:
    """Opens the file again, repeats what was unknown, and goes on."""
    with EventStore.create(path) as store:
        for writes, ask in unknown:
            with recorded(recorder, *writes) as told:
                told(ask(store))
            recorder.line("settled")
        write = Write("again", 3 * NUMBERS, 5)
        with recorded(recorder, write) as told:
            told(store.append(events_of(write), stream=stream_of(write.stream)))


def fill(store: EventStore, path: Path, recorder: Recorder) -> None:
    """Brings the WAL to just below the size at which it is copied back."""
    wal = path.with_name(f"{path.name}-wal")
    first = LONG * NUMBERS
    while (room := WAL_BYTES - 100_000 - wal.stat().st_size) > 0:
        write = Write("fill", first, 100 if room > 5_000_000 else 1)
        first += write.size
        with recorded(recorder, write) as told:
            told(store.append(events_of(write), stream=stream_of(write.stream)))


if __name__ == "__main__":
    main()
