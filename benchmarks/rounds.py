"""The measurement: rounds in which every subject does every operation once, side by side."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.progress import Progress
from benchmarks.rows import Group
from benchmarks.workers import Refused, Worker

Key = tuple[int, str, str]
"""Number of a group, name of a worker, operation."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast one is as another: median, lowest and highest of the rounds."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Results:
    """Seconds a unit, a value each round.

    Attributes:
        groups: What was measured.
        rounds: How often.
        about: What each worker is made of.
        seconds: The values.
        missing: Why a worker lacks an operation.
    """

    groups: Sequence[Group]
    rounds: int
    about: dict[str, dict[str, str]]
    seconds: dict[Key, list[float]] = field(default_factory=dict)
    missing: dict[tuple[str, str], str] = field(default_factory=dict)

    def median(self, key: Key) -> float | None:
        """Returns the median over the rounds; None where it was not measured."""
        values = self.seconds.get(key)
        return statistics.median(values) if values else None

    def ratio(self, slower: Key, faster: Key) -> Ratio | None:
        """Returns how many times as fast `faster` is, each round against the same round."""
        first, second = self.seconds.get(slower), self.seconds.get(faster)
        if not first or not second:
            return None
        ratios = [a / b for a, b in zip(first, second, strict=True)]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))


class Measurement:
    """What is measured, by whom, and where their databases lie."""

    def __init__(
        self,
        groups: Sequence[Group],
        workers: Sequence[Worker],
        folder: Path,
        *,
        smoke: bool = False,
        tolerant: bool = False,
    ) -> None:
        """Prepares a measurement.

        Args:
            groups: What.
            workers: Who; the one that a group names does the operations of ours; `@` may follow.
            folder: Where the databases lie.
            smoke: Whether the sizes are tiny, as they always are in the first round.
            tolerant: Whether a worker may lack an operation.
        """
        self._groups = groups
        self._workers = workers
        self._folder = folder
        self._smoke = smoke
        self._tolerant = tolerant

    def run(self, rounds: int) -> Results:
        """Measures everything; a small round that does not count comes first."""
        about = {worker.name: worker.about for worker in self._workers}
        results = Results(self._groups, rounds, about)
        progress = Progress(len(self._groups), rounds)
        for number in range(rounds + 1):
            self._fresh(number)
            for index, group in enumerate(self._groups):
                for key, seconds in self._round(results, index, number).items():
                    if number > 0:
                        results.seconds.setdefault(key, []).append(seconds)
                progress.step(number, group.rows[0].title if group.rows else "flush")
        progress.end()
        return results

    def _round(self, results: Results, index: int, number: int) -> dict[Key, float]:
        """Returns what each one took in the slices of a round: the mean, or the fastest."""
        group = self._groups[index]
        tasks = _tasks(group, self._workers)
        slices = group.slices if number > 0 and not self._smoke else 1
        taken: dict[Key, list[float]] = {}
        for turn in range(number, number + slices):
            for worker, op in _turned(tasks, turn):
                seconds = self._measure(results, worker, op, group, small=number == 0)
                if seconds is not None:
                    taken.setdefault((index, worker.name, op), []).append(seconds)
        result = min if group.best else statistics.fmean
        return {key: result(values) for key, values in taken.items()}

    def _measure(
        self, results: Results, worker: Worker, op: str, group: Group, *, small: bool
    ) -> float | None:
        if (worker.name, op) in results.missing:
            return None
        sizes = group.smoke if self._smoke or small else (group.events, group.repeat)
        try:
            return worker.measure(op, *sizes)
        except Refused as refused:
            if not self._tolerant:
                raise
            results.missing[worker.name, op] = str(refused)
            return None

    def _fresh(self, number: int) -> None:
        """Gives every worker an empty folder, and removes those of the last round."""
        new = self._folder / str(number)
        new.mkdir()
        for worker in self._workers:
            worker.fresh(new)
        if number > 0:
            shutil.rmtree(self._folder / str(number - 1))


def _tasks(group: Group, workers: Sequence[Worker]) -> list[tuple[Worker, str]]:
    tasks = []
    for worker in workers:
        if worker.name.partition("@")[0] == group.ours:
            tasks += [(worker, row.op) for row in group.rows]
        elif worker.name in group.peers:
            tasks.append((worker, group.peers[worker.name]))
    return tasks


def _turned(tasks: Sequence[tuple[Worker, str]], number: int) -> Sequence[tuple[Worker, str]]:
    """Begins with another one every other turn, and goes the other way in between."""
    shift = number // 2 % max(len(tasks), 1)
    turned = [*tasks[shift:], *tasks[:shift]]
    return turned[::-1] if number % 2 else turned
