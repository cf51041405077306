"""What size costs: commits beside 10,000,000 stored events, and memory.

make bench ARGS=--scale       some minutes, 3 GB of disk; writes docs/benchmarks-scale.md
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import busy, machine
from benchmarks.progress import Progress
from benchmarks.subjects import note
from benchmarks.subjects.ours import Account, Added, add
from benchmarks.workers import ROOT
from eventuali.sync import EventStore

SIZES = (100_000, 10_000_000)
"""Events in the stores that are compared."""
STREAM = 10
"""Events of a stream; a run of events is one entry of an index, so short ones cost the most."""
COMMIT = 10_000
ROUNDS = 7
SAVES = 40
"""Commits timed at once."""
LOADED = 100_000
READ = 1_000_000
PAGE = ROOT / "docs" / "benchmarks-scale.md"


def fill(path: Path, events: int, progress: Progress) -> None:
    """Makes a store of so many events in streams of ten."""
    with EventStore.create(path, durability="relaxed") as store:
        for first in range(0, events, COMMIT):
            accounts = [Account(id=key(first // STREAM + n)) for n in range(COMMIT // STREAM)]
            for account in accounts:
                add(account, STREAM)
            store.save(*accounts)
            progress.step(1, f"storing {events:,} events")


def key(number: int) -> str:
    """Returns an id; neighbours lie far apart, as random ids do."""
    return f"{number * 2654435761 % 2**32:08x}-{number}"


def appended(store: EventStore, stored: int, events: int, chance: random.Random) -> float:
    """Returns the seconds of a commit of so many events at the end of some stored stream."""
    streams = [key(chance.randrange(stored // STREAM)) for _ in range(SAVES)]
    batches = [[Added(amount=n, note=note(n)) for n in range(events)] for _ in range(SAVES)]
    begun = time.perf_counter()
    for stream, batch in zip(streams, batches, strict=True):
        store.append(batch, stream=("Account", stream))
    return (time.perf_counter() - begun) / SAVES


def resident(field: str = "VmRSS") -> int:
    """Returns the bytes of memory that this process has."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def loaded(path: str) -> float:
    """Returns the bytes of memory of an event that is held."""
    with EventStore.create(path) as store:
        held = list(store.read(limit=2_000))
        gc.collect()
        before = resident()
        held = list(store.read(limit=LOADED))
        gc.collect()
        return (resident() - before) / len(held)


def read(path: str) -> float:
    """Returns by how many bytes the process grows while it reads page by page."""
    with EventStore.create(path) as store:
        before = resident("VmHWM")
        total = sum(event.amount for event in store.read(limit=READ) if isinstance(event, Added))
        assert total >= 0  # noqa: S101
        return resident("VmHWM") - before


CHILDREN = {"loaded": loaded, "read": read}


def in_child(name: str, path: Path) -> float:
    """Runs one of `CHILDREN` in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.scale", name, str(path)]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


def commits(folder: Path, progress: Progress) -> dict[int, list[tuple[float, float]]]:
    """Returns for each number of events a commit the seconds beside each size, round by round."""
    chance = random.Random(1)  # noqa: S311
    stores = {size: EventStore.create(folder / f"{size}.db") for size in SIZES}
    found: dict[int, list[tuple[float, float]]] = {1: [], 100: []}
    for number in range(ROUNDS + 1):
        for events, times in found.items():
            sizes = random.Random(number).sample(SIZES, len(SIZES))  # noqa: S311
            taken = {size: appended(stores[size], size, events, chance) for size in sizes}
            if number:
                times.append((taken[SIZES[0]], taken[SIZES[1]]))
            progress.step(1, f"commits of {events}")
    for store in stores.values():
        store.close()
    return found


def markdown(
    found: dict[int, list[tuple[float, float]]], held: float, grown: float, facts: dict[str, str]
) -> str:
    """Returns the page."""
    small, large = (f"{size:,}" for size in SIZES)
    lines = [
        "# Benchmarks: size",
        "",
        "`make bench ARGS=--scale` wrote this page; nothing on it is written by hand. The stores "
        f"contain streams of {STREAM} events with random ids. Each commit appends to a random "
        "stored stream and is flushed to the device. The figures are medians of "
        f"{ROUNDS} rounds of {SAVES} commits, taking turns; the ratio is the median of the ratios "
        "within each round.",
        "",
        f"|  | with {small} stored events | with {large} stored events | ratio | at most |  |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for events, times in found.items():
        first, second = (statistics.median(column) * 1e6 for column in zip(*times, strict=True))
        ratio = statistics.median(late / early for early, late in times)
        name = "1 event" if events == 1 else f"{events} events"
        verdict = "met" if ratio <= 1.3 else "missed"
        lines.append(
            f"| a commit of {name} | {first:.0f} µs | {second:.0f} µs | {ratio:.2f}x | 1.3x "
            f"| {verdict} |"
        )
    lines += [
        "",
        "|  | memory | at most |  |",
        "|---|---:|---:|---:|",
        f"| one event, of {LOADED:,} that are loaded and kept | {held:.0f} B | 800 B "
        f"| {'met' if held <= 800 else 'missed'} |",
        f"| growth of a process that reads {READ:,} events page by page "
        f"| {grown / 2**20:.1f} MiB | 64 MiB | {'met' if grown <= 64 << 20 else 'missed'} |",
        "",
        "|  |  |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
    ]
    return "\n".join(lines)


def run(data: Path, page: Path = PAGE) -> None:
    """Measures in a folder, and writes the page."""
    folder = Path(tempfile.mkdtemp(prefix=f"scale-{os.getpid()}-", dir=data))
    facts = machine(data) | {"load average": f"{busy()} when it began"}
    steps = sum(SIZES) // COMMIT + 2 * (ROUNDS + 1)
    progress = Progress(steps, 1)
    try:
        for size in SIZES:
            fill(folder / f"{size}.db", size, progress)
        found = commits(folder, progress)
        large = folder / f"{SIZES[1]}.db"
        text = markdown(found, in_child("loaded", large), in_child("read", large), facts)
        progress.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page.write_text(text, encoding="utf-8")
    print(text)


def child(words: Sequence[str]) -> None:
    """Prints what one of `CHILDREN` returns."""
    name, path = words
    print(CHILDREN[name](path))


if __name__ == "__main__":
    child(sys.argv[1:])
