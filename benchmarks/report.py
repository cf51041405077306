"""What a measurement says: medians, ratios, targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.rounds import Key, Ratio, Results
from benchmarks.rows import NAMES, OURS, Group, Row


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what came of it."""

    title: str
    peer: str
    ratio: Ratio
    target: float

    @property
    def met(self) -> bool:
        """Whether the median reaches the target."""
        return self.ratio.median >= self.target

    def line(self) -> tuple[str, ...]:
        """Returns the cells of a table."""
        spread = f"{self.ratio.low:.2f}–{self.ratio.high:.2f}"
        verdict = "met" if self.met else "missed"
        ratio, target = f"{self.ratio.median:.2f}x", f"{self.target:g}x"
        return self.title, NAMES[self.peer], ratio, spread, target, verdict


@dataclass(frozen=True, slots=True)
class Bound:
    """How near a row is to what nobody can beat: 1 is there."""

    title: str
    text: str
    ratio: Ratio

    def line(self) -> tuple[str, ...]:
        """Returns the cells of a table."""
        return self.title, f"{self.ratio.median:.0%}", self.text


def rows(results: Results) -> Iterator[tuple[int, Group, Row]]:
    """Yields the rows with the numbers of their groups."""
    for index, group in enumerate(results.groups):
        for row in group.rows:
            yield index, group, row


def peer_key(index: int, group: Group, peer: str) -> Key:
    """Returns where the times of a peer are kept."""
    return index, peer, group.peers[peer]


def medians(results: Results, ours: str = OURS) -> list[tuple[str, ...]]:
    """Returns a line a row of those that `ours` does: the time of each subject."""
    mine = [(index, group, row) for index, group, row in rows(results) if group.ours == ours]
    taking_part = {ours} | {peer for _, group, _ in mine for peer in group.peers}
    names = [name for name in NAMES if name in results.about and name in taking_part]
    lines = [("", *(NAMES[name] for name in names))]
    for index, group, row in mine:
        cells = []
        for name in names:
            op = row.op if name == ours else group.peers.get(name, "")
            cells.append(duration(results.median((index, name, op))))
        lines.append((row.title, *cells))
    return lines


def verdicts(results: Results) -> list[Verdict]:
    """Returns what came of each target."""
    found = []
    for index, group, row in rows(results):
        for peer, target in row.targets.items():
            ratio = results.ratio(peer_key(index, group, peer), (index, group.ours, row.op))
            if ratio is not None:
                found.append(Verdict(row.title, peer, ratio, target))
    return found


def bounds(results: Results) -> list[Bound]:
    """Returns what bounds each row."""
    found = []
    for index, group, row in rows(results):
        peer, text = group.bound
        if peer in results.about:
            ratio = results.ratio(peer_key(index, group, peer), (index, group.ours, row.op))
            if ratio is not None:
                found.append(Bound(row.title, f"{NAMES[peer]}: {text}", ratio))
    return found


def flush(results: Results) -> float | None:
    """Returns the seconds that the device takes for a flush."""
    found = [results.median((i, "plain", "flush")) for i in range(len(results.groups))]
    return next((seconds for seconds in found if seconds is not None), None)


def percentile(values: Sequence[float], part: float) -> float:
    """Returns the value below which that part of them lies."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def duration(seconds: float | None) -> str:
    """Returns a time with three digits and a unit."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{digits(seconds / size)} {unit}"
    return f"{digits(seconds / 1e-9)} ns"


def digits(value: float) -> str:
    """Returns a number with three digits."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aligned(lines: Sequence[tuple[str, ...]]) -> str:
    """Returns a table for a terminal: the first column to the left, the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    made = []
    for line in lines:
        cells = [f"{line[0]:{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)]
        made.append("  ".join(cells).rstrip())
    return "\n".join(made)
