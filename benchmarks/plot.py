"""The picture of a measurement: every row on one scale, as many times as fast as a peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks import report
from benchmarks.rounds import Key, Results
from benchmarks.rows import NAMES, OURS, Group, Row

BASE = "s"
"""The peer that is 1."""
OURS_COLOUR = "#0b6e4f"
BOUND_COLOUR = "#b0b7bc"
UMA_COLOUR = "#c8702a"
TARGET_COLOUR = "#c0262d"
GREY = "#5b6570"


def draw(results: Results, path: Path) -> None:
    """Writes the picture, as SVG where `path` ends so; the same figures give the same bytes."""
    drawn = [
        (index, group, row)
        for index, group, row in report.rows(results)
        if group.ours == OURS
        and results.ratio((index, BASE, group.peers.get(BASE, "")), (index, OURS, row.op))
    ]
    with mpl.rc_context({"svg.hashsalt": "eventuali", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9.5, 0.48 * len(drawn) + 1.7), layout="constrained")
        axes = figure.add_subplot()
        _scale(axes, [row.title for _, _, row in drawn])
        for height, (index, group, row) in enumerate(drawn):
            _row(axes, results, height, index, group, row)
        _legend(axes, results)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _scale(axes: Axes, titles: Sequence[str]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("times as fast as eventsourcing (logarithmic)", color=GREY)
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(len(titles) - 0.4, -0.7)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", which="major", color="#e4e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _row(axes: Axes, results: Results, height: int, index: int, group: Group, row: Row) -> None:
    base = report.peer_key(index, group, BASE)
    bound = _ratio(results, base, report.peer_key(index, group, group.bound[0]))
    if bound is not None:
        axes.barh(height, bound - 1, left=1, height=0.62, color="#edf0f2", edgecolor=BOUND_COLOUR)
    ours = results.ratio(base, (index, OURS, row.op))
    if ours is None:
        return
    axes.barh(height, ours.median - 1, left=1, height=0.34, color=OURS_COLOUR)
    axes.plot([ours.low, ours.high], [height, height], color="black", linewidth=1)
    axes.text(
        1.02,
        height,
        f"{ours.median:.1f}x",
        transform=axes.get_yaxis_transform(),
        va="center",
        weight="bold" if ours.median >= row.targets.get(BASE, 0) else "normal",
        color=OURS_COLOUR if ours.median >= row.targets.get(BASE, 0) else TARGET_COLOUR,
    )
    if "uma" in group.peers and "uma" in results.about:
        uma = _ratio(results, base, report.peer_key(index, group, "uma"))
        if uma is not None:
            axes.plot(uma, height, marker="D", color=UMA_COLOUR, markersize=5, linestyle="")
    if BASE in row.targets:
        target = row.targets[BASE]
        axes.plot([target, target], [height - 0.4, height + 0.4], color=TARGET_COLOUR, linewidth=2)


def _ratio(results: Results, base: Key, other: Key) -> float | None:
    found = results.ratio(base, other)
    return None if found is None else found.median


def _legend(axes: Axes, results: Results) -> None:
    shown: list[Artist] = [
        Patch(color=OURS_COLOUR, label="eventuali (line: lowest to highest round)"),
        Patch(facecolor="#edf0f2", edgecolor=BOUND_COLOUR, label="what bounds it"),
        Line2D([], [], color=TARGET_COLOUR, linewidth=2, label="at least, beside eventsourcing"),
    ]
    if "uma" in results.about:
        shown.append(Line2D([], [], color=UMA_COLOUR, marker="D", linestyle="", label=NAMES["uma"]))
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.legend(handles=shown, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
