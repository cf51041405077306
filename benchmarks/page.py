"""The text of a measurement, for the terminal and for `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks import opening, report
from benchmarks.rounds import Results
from benchmarks.rows import OURS, PG

DURABILITY = (
    "Every commit is flushed to the device before it is acknowledged. SQLite runs in WAL mode with "
    "synchronous=FULL for eventuali, eventsourcing, plain Python and rusqlite. UmaDB always "
    "flushes and has no setting for it. PostgreSQL runs with synchronous_commit, fsync and "
    "full_page_writes on. All other settings are the defaults of each subject."
)
TARGETS = ("", "compared with", "times as fast", "rounds", "target", "")
BOUNDS = ("", "of the limit", "the limit")


def software(results: Results) -> str:
    """Returns the versions, each named once."""
    found: dict[str, str] = {}
    for about in results.about.values():
        found.update(about)
    return ", ".join(f"{name} {version}" for name, version in found.items())


def terminal(results: Results, machine: Mapping[str, str], absent: Sequence[str]) -> str:
    """Returns what is printed."""
    verdicts = [verdict.line() for verdict in report.verdicts(results)]
    bounds = [bound.line() for bound in report.bounds(results)]
    parts = [
        "\n".join(f"{name}: {value}" for name, value in machine.items()),
        f"versions: {software(results)}",
        f"durability: {DURABILITY}",
        f"flush: {_flush(results)}",
        *absent,
        f"Time for one of each, medians of {results.rounds} interleaved rounds:",
        *(report.aligned(table) for table in _medians(results)),
        "How many times as fast as a peer (in the same round: median, lowest–highest):",
        report.aligned([TARGETS, *verdicts]),
        "Compared with what bounds it:",
        _plain([BOUNDS, *bounds]),
        summary(results),
    ]
    return "\n\n".join(parts) + "\n"


def _medians(results: Results) -> list[list[tuple[str, ...]]]:
    """Returns a table for SQLite and one for PostgreSQL, unless it is empty."""
    tables = [report.medians(results, ours) for ours in (OURS, PG)]
    return [table for table in tables if len(table) > 1]


def summary(results: Results) -> str:
    """Returns how many targets were met, and which were not."""
    missed = [f"{v.title} beside {v.line()[1]}" for v in report.verdicts(results) if not v.met]
    return _met(results) + (f" Missed: {'; '.join(missed)}." if missed else "")


def _met(results: Results) -> str:
    verdicts = report.verdicts(results)
    return f"{sum(v.met for v in verdicts)} of {len(verdicts)} targets met."


def _flush(results: Results) -> str:
    taken = report.duration(report.flush(results))
    return f"write of 4 KiB and fdatasync on this disk, median: {taken}"


def _plain(lines: Sequence[tuple[str, ...]]) -> str:
    """Returns a table whose last column is text."""
    first = max(len(line[0]) for line in lines)
    return "\n".join(f"{line[0]:{first}}  {line[1]:>12}  {line[2]}" for line in lines)


def markdown(results: Results, machine: Mapping[str, str], absent: Sequence[str], plot: str) -> str:
    """Returns the page."""
    verdicts = [verdict.line() for verdict in report.verdicts(results)]
    bounds = [bound.line() for bound in report.bounds(results)]
    facts = [("", ""), *machine.items(), ("versions", software(results))]
    facts.append(("flush", _flush(results)))
    slower = "\n".join(opening.slower(results)) or "Every target is met."
    parts = [
        "# Benchmarks",
        *opening.paragraphs(results),
        "These are medians of one machine, described [below](#how-this-was-measured); "
        "run `make bench` for yours.",
        "## Where it is slower than we want",
        slower,
        "## Compared with the targets",
        _met(results),
        table([TARGETS, *verdicts]),
        f"![How many times as fast as eventsourcing, on a logarithmic scale]({plot})",
        "## Medians",
        _LEGEND,
        *map(table, _medians(results)),
        "## What bounds it",
        "The limit is a program that does the same work without checks or conversions. "
        "100 % would be as fast as that program.",
        table([BOUNDS, *bounds]),
        "## How this was measured",
        _METHOD.format(rounds=results.rounds),
        DURABILITY,
        *absent,
        table(facts),
        _AGAIN,
    ]
    return "\n\n".join(parts) + "\n"


_METHOD = (
    "`make bench` wrote this page; nothing on it is written by hand. It measures {rounds} rounds. "
    "In each round every subject runs every row, taking turns, in a different order and on fresh "
    "databases. The tables show the median of the rounds. A ratio compares two subjects within one "
    "round. For operations that flush nothing, the fastest run of a round counts. Absolute figures "
    "hold for this machine only."
)
_LEGEND = (
    "Each figure is the time for one unit of the row: one event created, one commit, or one "
    "aggregate loaded; for concurrent savers, writer processes and reading, one event.\n\n"
    "- *Plain Python* is a bare Pydantic model with the same two fields. For saving, it is "
    "`sqlite3` inserting the rows into our log table without any index. For loading, it is "
    "Pydantic validating the same JSON without any storage.\n"
    "- *Raw rusqlite* runs the inserts and selects of our own SQL without any check.\n"
    "- *Our Rust core* is the store without Python.\n"
    "- *umadb* is UmaDB, called through its Python client. Each append has a condition that acts "
    "as an expected version; reads parse the JSON into a dict.\n"
    "- *Raw libpq* sends our own statements to PostgreSQL, prepared, with values that are already "
    "encoded."
)
_AGAIN = """## Run it yourself

```sh
make bench                                  # all of this
make bench ARGS="--rounds 9 --only save"    # some of it, more often; writes no page
make bench ARGS="--compare HEAD~5"          # an earlier commit of Eventuali beside the working tree
make bench ARGS="--compare HEAD~5 HEAD~1"   # two commits
```"""


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """Returns a table in Markdown."""
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    rule = "|---" + "|---:" * (len(lines[0]) - 1) + "|"
    if lines[0] == BOUNDS or len(lines[0]) == 2:
        rule = "|---" * len(lines[0]) + "|"
    return "\n".join([head, rule, *rest])
