"""What a user wants to know first: how fast it is, beside whom, and where it is too slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import report
from benchmarks.rounds import Ratio, Results
from benchmarks.rows import NAMES, Row

PEERS = ("s", "uma", "pg_s")
"""The other event stores; the rest of the subjects are limits."""
Say = Callable[[str, str], str]
"""Makes a statement of a duration and of how often that is done in a second."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement about a row.

    Attributes:
        title: The row.
        say: Makes the statement.
        each: How many of what is counted a second one unit of the row has.
    """

    title: str
    say: Say
    each: int = 1


def _a_thousand(time: str, rate: str) -> str:
    return f"a commit of 1,000 events takes {time}, so about {rate} events a second"


def _loading(time: str, _: str) -> str:
    return f"loading an aggregate of 1,000 events takes {time}"


def _reading(_: str, rate: str) -> str:
    return f"reading the log yields about {rate} events a second"


SQLITE_FACTS = (
    Fact(
        "save 1 event a commit, sync",
        lambda time, rate: (
            f"saving one event with a flush to disk takes {time}, "
            f"so about {rate} commits a second from one caller"
        ),
    ),
    Fact("save 1 event a commit, async", lambda time, _: f"with asyncio it takes {time}"),
    Fact(
        "64 concurrent savers, 1 event each",
        lambda _, rate: (
            f"64 concurrent savers share their flushes and save about {rate} events a second"
        ),
    ),
    Fact(
        "save 1,000 events a commit",
        _a_thousand,
        each=1000,
    ),
    Fact(
        "load an aggregate of 1,000 events",
        _loading,
    ),
    Fact(
        "read 100,000 events, fold by a field",
        _reading,
    ),
)
POSTGRES_FACTS = (
    Fact(
        "PostgreSQL: save 1 event a commit, sync",
        lambda time, rate: (
            f"saving one event takes {time}, so about {rate} commits a second from one caller"
        ),
    ),
    Fact(
        "PostgreSQL: 64 concurrent savers in one process",
        lambda _, rate: f"64 concurrent savers in one process save about {rate} events a second",
    ),
    Fact(
        "PostgreSQL: 8 writer processes, eight savers each",
        lambda _, rate: f"8 processes of eight savers save about {rate} events a second",
    ),
    Fact(
        "PostgreSQL: save 1,000 events a commit",
        _a_thousand,
        each=1000,
    ),
    Fact(
        "PostgreSQL: load an aggregate of 1,000 events",
        _loading,
    ),
    Fact(
        "PostgreSQL: read 100,000 events, fold into a dict",
        _reading,
    ),
)


def paragraphs(results: Results) -> list[str]:
    """Returns how fast the common operations are, and how that compares."""
    times = {
        row.title: results.median((index, group.ours, row.op))
        for index, group, row in report.rows(results)
    }
    found = [
        _facts("SQLite", SQLITE_FACTS, times),
        _facts("PostgreSQL", POSTGRES_FACTS, times),
        " ".join(_compared(results)),
    ]
    return [text for text in found if text]


def _facts(backend: str, facts: tuple[Fact, ...], times: dict[str, float | None]) -> str:
    """Returns the statements about the rows that were measured."""
    said = []
    for fact in facts:
        seconds = times.get(fact.title)
        if seconds is not None:
            said.append(fact.say(report.duration(seconds), rate(fact.each / seconds)))
    if not said:
        return ""
    more = [f" {text[0].upper()}{text[1:]}." for text in said[1:]]
    return f"On {backend}, {said[0]}.{''.join(more)}"


def rate(per_second: float) -> str:
    """Returns a number with two digits that count."""
    rounded = float(f"{per_second:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _compared(results: Results) -> Iterator[str]:
    """Yields a sentence for each other event store, and one for the limits."""
    for peer in PEERS:
        ratios = [
            (ratio.median, row.title.removeprefix("PostgreSQL: "))
            for name, row, ratio in _beside(results)
            if name == peer
        ]
        if ratios:
            where = " on PostgreSQL" if peer == "pg_s" else ""
            yield f"Compared with {NAMES[peer]}{where} it is {_span(ratios)}."
    limits = {bound.title: bound for bound in report.bounds(results)}
    for backend, facts in (("SQLite", SQLITE_FACTS), ("PostgreSQL", POSTGRES_FACTS)):
        bound = limits.get(facts[0].title)
        if bound is not None:
            name = bound.text.partition(":")[0]
            yield (
                f"Saving one event on {backend} reaches {bound.ratio.median:.0%} "
                f"of the speed of {name}, the limit."
            )


def _span(ratios: list[tuple[float, str]]) -> str:
    """Returns the lowest and the highest ratio, with their rows."""
    (low, slowest), (high, fastest) = min(ratios), max(ratios)
    if slowest == fastest:
        return f"{low:.2f}x as fast ({slowest})"
    return f"{low:.2f}x ({slowest}) to {high:.2f}x ({fastest}) as fast"


def _beside(results: Results) -> Iterator[tuple[str, Row, Ratio]]:
    """Yields each row beside each other event store that was measured."""
    for index, group, row in report.rows(results):
        for peer in PEERS:
            if peer in group.peers:
                key = report.peer_key(index, group, peer)
                ratio = results.ratio(key, (index, group.ours, row.op))
                if ratio is not None:
                    yield peer, row, ratio


def slower(results: Results) -> list[str]:
    """Returns a line for each target that was missed, and for each peer that is faster."""
    limits = {bound.title: bound for bound in report.bounds(results)}
    times = {
        row.title: report.duration(results.median((index, group.ours, row.op)))
        for index, group, row in report.rows(results)
    }
    lines = []
    told = set()
    for verdict in (verdict for verdict in report.verdicts(results) if not verdict.met):
        told.add((verdict.title, verdict.peer))
        line = _line(times[verdict.title], verdict.title, verdict.peer, verdict.ratio)
        line += f"; the target is {verdict.target:g}x."
        bound = limits.get(verdict.title)
        if bound is not None:
            name, _, does = bound.text.partition(": ")
            if name == NAMES[verdict.peer]:
                line += f" This peer is the limit: {does}."
            else:
                line += f" It reaches {bound.ratio.median:.0%} of its limit, {name} ({does})."
        lines.append(line)
    for peer, row, ratio in _beside(results):
        if ratio.median < 1 and (row.title, peer) not in told:
            line = _line(times[row.title], row.title, peer, ratio)
            lines.append(f"{line}; there is no target for it.")
    return lines


def _line(time: str, title: str, peer: str, ratio: Ratio) -> str:
    return f"- **{title}**: {time}, {ratio.median:.2f}x as fast as {NAMES[peer]}"
