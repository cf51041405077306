"""What a measurement of two commits says."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.report import aligned, duration, rows
from benchmarks.rounds import Results

HEAD = ("times as fast", "rounds", "")
ENOUGH = 5
"""Rounds that must agree before they are believed."""


def table(results: Results, before: str, after: str, machine: Mapping[str, str]) -> str:
    """Returns a line a row: both times, and how many times as fast the second one is."""
    lines = [("", before.partition("@")[2], after.partition("@")[2], *HEAD)]
    for index, _, row in rows(results):
        first, second = (index, before, row.op), (index, after, row.op)
        ratio = results.ratio(first, second)
        times = duration(results.median(first)), duration(results.median(second))
        if ratio is None:
            lines.append((row.title, *times, "", "", "not in both"))
            continue
        clear = "faster" if ratio.low > 1 else "slower" if ratio.high < 1 else ""
        clear = clear if results.rounds >= ENOUGH else ""
        spread = f"{ratio.low:.2f}–{ratio.high:.2f}"
        lines.append((row.title, *times, f"{ratio.median:.2f}x", spread, clear))
    parts = [
        "\n".join(f"{name}: {value}" for name, value in machine.items()),
        f"Time for one of each, medians of {results.rounds} interleaved rounds; "
        f"faster or slower where every one of at least {ENOUGH} rounds says so:",
        aligned(lines),
        *(f"missing: {why}" for why in results.missing.values()),
    ]
    return "\n\n".join(parts) + "\n"
