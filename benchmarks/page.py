"""The text of a measurement, for the terminal and for `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks import report
from benchmarks.rounds import Results
from benchmarks.rows import OURS, PG

DURABILITY = (
    "Every commit is flushed to the device before it is acknowledged: SQLite in WAL mode with "
    "synchronous=FULL for eventuali, eventsourcing, plain Python and rusqlite; UmaDB flushes by "
    "itself and has no such setting; PostgreSQL with synchronous_commit, fsync and "
    "full_page_writes on. "
    "All other settings are each one's defaults."
)
TARGETS = ("", "beside", "times as fast", "rounds", "at least", "")
BOUNDS = ("", "of the limit", "what the limit is")


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
        "How near to what bounds it:",
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
    verdicts = report.verdicts(results)
    missed = [f"{v.title} beside {v.line()[1]}" for v in verdicts if not v.met]
    text = f"{len(verdicts) - len(missed)} of {len(verdicts)} targets met"
    return text + ("." if not missed else "; missed: " + "; ".join(missed) + ".")


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
    parts = [
        "# Benchmarks",
        _METHOD.format(rounds=results.rounds),
        f"![How many times as fast as eventsourcing, on a logarithmic scale]({plot})",
        "## Beside the targets",
        summary(results),
        table([TARGETS, *verdicts]),
        "## Medians",
        "The time for one of what the row names: an event, a commit, an aggregate loaded; for the "
        "concurrent savers and for reading, an event. " + _LEGEND,
        *map(table, _medians(results)),
        "## What bounds it",
        "100 % would be as fast as what nobody who does the same work can beat.",
        table([BOUNDS, *bounds]),
        "## Where this was measured",
        DURABILITY,
        *absent,
        table(facts),
        _AGAIN,
    ]
    return "\n\n".join(parts) + "\n"


_METHOD = (
    "`make bench` wrote this page; nothing on it is written by hand. Every round measures every "
    "row of every subject, in turns and in another order each time, on fresh databases; shown are "
    "medians of {rounds} rounds. Ratios compare within a round. Where nothing is flushed, the "
    "fastest turn of a round counts. Absolute figures hold for this machine only."
)
_LEGEND = (
    "*Plain Python* is a bare Pydantic model of the same two fields; where something is saved, "
    "`sqlite3` inserting the rows into our log table, without any index; where something is "
    "loaded, Pydantic validating the same JSON, without any storage. *Raw rusqlite* does the "
    "inserts and selects of our own SQL without a check. *Our Rust core* is the store without "
    "Python. UmaDB is asked through its Python client, with a condition on each append that "
    "stands for an expected version; its reads parse the JSON into a dict. "
    "*Raw libpq* sends PostgreSQL our own statements, prepared, with values that are bytes already."
)
_AGAIN = """## Again, and against another commit

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
