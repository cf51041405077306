"""How far a measurement is."""

from __future__ import annotations

import sys
import time

WIDTH = 30


class Progress:
    """A bar where somebody watches, elsewhere a line a round."""

    def __init__(self, steps: int, rounds: int) -> None:
        self._steps = steps
        self._rounds = rounds
        self._done = 0
        self._begun: float | None = None
        self._round = -1
        self._watched = sys.stderr.isatty()

    def step(self, number: int, label: str) -> None:
        """One step of a round is done; the first round does not count."""
        if number == 0:
            self._say(0.0, None, f"warming up: {label}")
            return
        if self._begun is None:
            self._begun = time.monotonic()
        self._done += 1
        part = self._done / (self._steps * self._rounds)
        left = (time.monotonic() - self._begun) * (1 / part - 1)
        if self._watched:
            self._say(part, left, f"round {number} of {self._rounds}: {label}")
        elif number != self._round:
            self._round = number
            print(f"round {number} of {self._rounds}", file=sys.stderr, flush=True)

    def _say(self, part: float, left: float | None, label: str) -> None:
        if self._watched:
            bar = "#" * int(WIDTH * part)
            time_left = "" if left is None else f"{left:4.0f} s left"
            text = f"\r[{bar:{WIDTH}}] {time_left:11}  {label:60.60}"
            print(text, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Everything is done."""
        if self._watched:
            print(f"\r{'':{WIDTH + 76}}\r", end="", file=sys.stderr, flush=True)
