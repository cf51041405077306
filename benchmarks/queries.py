"""What queries cost among a million events, and conditions beside a thousand and a million.

make bench ARGS=--queries     some minutes, 1 GB of disk; writes docs/benchmarks-queries.md
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from reliability.server import connect

from benchmarks import acceptance
from benchmarks.acceptance import POSTGRES, SQLITE, Line, line
from benchmarks.progress import Progress
from benchmarks.report import duration
from benchmarks.subjects import timed
from benchmarks.subjects.ours import Added
from benchmarks.workers import ROOT
from eventuali import AppendCondition, EventStoreConfig, Query
from eventuali.sync import EventStore

PAGE = ROOT / "docs" / "benchmarks-queries.md"
STREAM = 1_000
"""Events of a stream, and of the tag."""
NOTE = "a payload of the usual size, about a hundred bytes in all"
Place = Path | EventStoreConfig
Figures = dict[str, list[float]]
"""Seconds, a value each round."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is stored, and how often everything is done.

    Attributes:
        small: Events beside which a condition is checked.
        large: Events among which is searched, and beside which a condition is checked, too.
        commits: How many commits are timed at once.
        reads: How many short reads are timed at once.
        rounds: How often everything is measured; a round that does not count comes first.
    """

    small: int = 1_000
    large: int = 1_000_000
    commits: int = 200
    reads: int = 20
    rounds: int = 5


SIZES = Sizes()


def fill(place: Place, events: int, progress: Progress) -> None:
    """Stores streams of a thousand; 1 % are of a rare type, 1 % correlated, 1,000 have a tag."""
    streams = events // STREAM
    with EventStore.create(place, durability="relaxed") as store:
        for number in range(streams):
            batch = [
                Added(
                    amount=n,
                    note=NOTE,
                    correlation_id="rare" if n % 100 == 17 else None,
                    tags=["few"] if n % streams == streams // 2 else [],
                )
                for n in range(number * STREAM, (number + 1) * STREAM)
            ]
            kind = "Rare" if number % 100 == 3 else "Common"
            store.append(batch, stream=(kind, f"s{number}"))
            progress.step(1, f"storing {events:,} events")


def filled(folder: Path, url: str | None, sizes: Sizes) -> dict[str, list[Place]]:
    """Makes a small store and a large one on each backend, and returns where they are."""
    both = (sizes.small, sizes.large)
    places: dict[str, list[Place]] = {SQLITE: [folder / f"{size}.db" for size in both]}
    if url is not None:
        config = EventStoreConfig.postgres(url)
        places[POSTGRES] = [config.with_table_name(f"e{size}") for size in both]
    progress = Progress(len(places) * sum(both) // STREAM, 1)
    for of_backend in places.values():
        for place, size in zip(of_backend, both, strict=True):
            fill(place, size, progress)
    progress.end()
    os.sync()  # what was stored on the way is not to be flushed by those who are timed
    if url is not None:
        with connect(url) as beside:
            beside.execute("VACUUM (ANALYZE)")  # which else would begin of itself meanwhile
            beside.execute("CHECKPOINT")
    return places


def conditions(store: EventStore, commits: int) -> float:
    """Returns the seconds of a commit on condition of a tag that nothing has."""

    def work() -> None:
        for number in range(commits):
            condition = AppendCondition(Query(tags=[f"nobody:{number}"]))
            store.append([Added(amount=number, note=NOTE)], condition=condition)

    return timed(work, commits)


def reads(store: EventStore, repeat: int, *query: Query, **bounds: Any) -> float:
    """Returns the seconds of reading all that matches."""

    def work() -> None:
        for _ in range(repeat):
            assert sum(1 for _ in store.read(*query, **bounds))  # noqa: S101

    return timed(work, repeat)


def tasks(small: EventStore, large: EventStore, sizes: Sizes) -> dict[str, Callable[[], float]]:
    """Returns what is measured, by name."""
    middle = sizes.large // 2
    (event,) = large.read(after=middle, limit=1)
    long, short = partial(reads, large, 1), partial(reads, large, sizes.reads)
    return {
        "all": long,
        "correlation id": partial(long, Query(correlation_id="rare")),
        "aggregate type": partial(long, Query(aggregate_type="Rare")),
        "stream": partial(short, Query(aggregate_type="Common", aggregate_id="s0")),
        "tag": partial(short, Query(tags=["few"])),
        "position": partial(short, after=middle, limit=1),
        "time": partial(short, since=event.recorded_at, limit=1),
        "small": partial(conditions, small, sizes.commits),
        "large": partial(conditions, large, sizes.commits),
    }


def times(one: Sequence[float], other: Sequence[float]) -> float:
    """Returns how many times as long one takes as another, each round against the same round."""
    return median(first / second for first, second in zip(one, other, strict=True))


def lines(backend: str, figures: Figures, sizes: Sizes) -> list[Line]:
    """Returns the rows of a backend."""
    large, small = f"{sizes.large:,}", f"{sizes.small:,}"

    def text(name: str, words: str, other: str) -> str:
        one, two = (duration(median(figures[each])) for each in (name, other))
        return f"{one}; {words} {two}"

    found: list[Line] = []
    for name in ("correlation id", "aggregate type"):
        title = f"{backend}: reading the 1 % of {large} events of one {name}, compared with all"
        ratio = times(figures["all"], figures[name])
        found.append(line(title, text(name, "reading all", "all"), ratio, "≥ 8x", met=ratio >= 8))
    title = f"{backend}: reading {STREAM:,} of {large} events by tag, compared with by stream"
    ratio = times(figures["tag"], figures["stream"])
    found.append(line(title, text("tag", "by stream", "stream"), ratio, "≤ 2x", met=ratio <= 2))
    title = f"{backend}: appending with a condition on a tag, {large} stored, compared with {small}"
    ratio = times(figures["large"], figures["small"])
    found.append(line(title, text("large", "with few", "small"), ratio, "≤ 2x", met=ratio <= 2))
    title = f"{backend}: the first event since a time, compared with the first after a position"
    ratio = times(figures["time"], figures["position"])
    found.append((title, text("time", "after a position", "position"), f"{ratio:.2f}x", "", ""))
    return found


def measure(folder: Path, url: str | None, sizes: Sizes = SIZES) -> list[Line]:
    """Measures in a folder and on a server, and returns the rows."""
    stored = filled(folder, url, sizes)
    figures: dict[str, Figures] = {backend: {} for backend in stored}
    with ExitStack() as stack:
        work: dict[tuple[str, str], Callable[[], float]] = {}
        for backend, places in stored.items():
            small, large = (stack.enter_context(EventStore.create(place)) for place in places)
            work |= {(backend, name): do for name, do in tasks(small, large, sizes).items()}
        progress = Progress(len(work), sizes.rounds)
        for number in range(sizes.rounds + 1):
            for backend, name in reversed(work) if number % 2 else work:
                seconds = work[backend, name]()
                if number:  # the first round warms up
                    figures[backend].setdefault(name, []).append(seconds)
                progress.step(number, f"{backend}: {name}")
    progress.end()
    return [row for backend in figures for row in lines(backend, figures[backend], sizes)]


def run(data: Path, page: Path = PAGE, sizes: Sizes = SIZES) -> None:
    """Measures in a folder, and writes the page."""
    method = (
        f"The figures are medians of {sizes.rounds} rounds, taking turns. A correlation id has no "
        "index, so its events are found by a scan in SQL. The first events of an aggregate type "
        "alone are found by a scan, too; the others are found through the index of its streams, "
        "ten here, written in commits of a thousand events. Reading all events decodes each of "
        f"them. The time of a short read is the mean of {sizes.reads} reads. The time of a commit "
        f"is the mean of {sizes.commits} commits, each flushed before it is acknowledged; no event "
        "has the tag of its condition. PostgreSQL has vacuumed and analyzed the tables, as it does "
        "by itself after a while."
    )
    measuring = partial(measure, sizes=sizes)
    acceptance.run("queries", "queries and conditions", method, measuring, data, page)
