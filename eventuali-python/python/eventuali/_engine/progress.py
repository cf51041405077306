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
    begun: tuple[float, int] | None = None

    def draw(done: int, total: int) -> None:
        nonlocal begun
        begun = begun or (monotonic(), done)
        part = min(done / total, 1.0) if total else 1.0
        text = f"{title} [{'#' * int(part * 30):30}] {part:4.0%} of {total:,} {unit}"
        left = seconds_left(begun, done, total)
        tail = "" if left is None or part == 1.0 else f", {left:,.0f} s left"
        end = "\n" if done >= total else ""
        print(f"\r{text}{tail:14}", end=end, file=sys.stderr, flush=True)

    return draw


def seconds_left(begun: tuple[float, int], done: int, total: int) -> float | None:
    """Returns how long the rest takes at the pace so far; None if nothing is known of that."""
    since, first = begun
    elapsed = monotonic() - since
    if done <= first or elapsed <= 0:
        return None
    return (total - done) * elapsed / (done - first)
