"""A progress bar for work that takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], object]
"""Called with what is done and the total."""


def shown(progress: Progress | bool | None, title: str, unit: str) -> Progress | None:
    """Returns whom to tell: the caller's own function, or one that draws a bar on stderr."""
    return bar(title, unit) if progress is True else progress or None


def bar(title: str, unit: str) -> Progress:
    """Returns a function that draws a progress bar on stderr, with the time that is left."""
    pace = Pace()

    def draw(done: int, total: int) -> None:
        part = min(done / total, 1.0) if total else 1.0
        text = f"{title} [{'#' * int(part * 30):30}] {part:4.0%} of {total:,} {unit}"
        left = pace.left(done, total)
        tail = "" if left is None or part == 1.0 else f", {left:,.0f} s left"
        end = "\n" if done >= total else ""
        print(f"\r{text}{tail:14}", end=end, file=sys.stderr, flush=True)

    return draw


class Pace:
    """How long the rest of some work takes, by the pace of at least the latter half so far.

    What is slow at the beginning, such as the first transaction, says little of the rest.
    """

    def __init__(self) -> None:
        self._from: tuple[float, int] | None = None
        self._half: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> float | None:
        """Returns the seconds that the rest takes; None if nothing is known of that."""
        now = monotonic()
        if self._from is None or self._half is None:
            self._from = self._half = now, done
        elif done - self._from[1] >= 2 * (self._half[1] - self._from[1]) > 0:
            self._from, self._half = self._half, (now, done)
        elif self._from is self._half and done > self._half[1]:
            self._half = now, done
        since, first = self._from
        if done <= first or now <= since:
            return None
        return (total - done) * (now - since) / (done - first)
