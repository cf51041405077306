"""What is said of read models: how much is measured, the rows with their targets, the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from benchmarks import rebuilding, saving
from benchmarks.acceptance import Line, line
from benchmarks.folding import BATCH
from benchmarks.report import duration
from eventuali import Projection

FOUND = 100
"""Documents of a page that is found."""
Figures: TypeAlias = dict[str, list[float]]
"""Seconds, a value each round."""
IN_MEMORY: Callable[[Projection[Any]], Projection[Any]] | None = getattr(
    Projection, "in_memory", None
)
"""What makes of a projection one whose documents are in memory, where there is such a thing."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is stored, and how often everything is done.

    Attributes:
        events: Events that are folded.
        tracked: Of these, how many `eventsourcing` handles where its view is in a database.
        large: Events that are rebuilt, and documents among which is searched.
        keys: Documents that come of events that share a key.
        finds: Pages that are found at once.
        commits: Commits that are timed at once.
        quiet: How long readers read before a rebuild, in seconds.
        rounds: How often everything is measured; a round that does not count comes first.
    """

    events: int = 100_000
    tracked: int = 2_000
    large: int = 1_000_000
    keys: int = 1_000
    finds: int = 50
    commits: int = 100
    quiet: float = 5.0
    rounds: int = 5


SIZES = Sizes()


class Rows:
    """The rows of a backend, of its figures."""

    def __init__(self, backend: str, figures: Figures, sizes: Sizes) -> None:
        self._backend = backend
        self._figures = figures
        self._sizes = sizes
        self.lines: list[Line] = []

    def row(
        self,
        title: str,
        ours: str,
        other: str,
        words: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Adds a row if both were measured.

        With `at_least`, the ratio is how many times as fast ours is, else how many times as long it
        takes.
        """
        if ours not in self._figures or other not in self._figures:
            return
        mine, others = self._figures[ours], self._figures[other]
        pairs = list(zip(mine, others, strict=True))
        if at_least is not None:
            ratio = median(two / one for one, two in pairs)
            limit, met = f"≥ {at_least:g}x", ratio >= at_least
        else:
            ratio = median(one / two for one, two in pairs)
            limit, met = ("", False) if at_most is None else (f"≤ {at_most:g}x", ratio <= at_most)
        text = f"{duration(median(mine))}; {words} {duration(median(others))}"
        self.lines.append(line(f"{self._backend}: {title}", text, ratio, limit, met=met))

    def folds(self) -> None:
        """Adds the rows about folding."""
        events, keys = f"{self._sizes.events:,}", f"{self._sizes.keys:,}"
        fold = f"folding {events} events into {keys} documents"
        self.row(f"{fold}, compared with plain Python", "fold", "plain", "plain", at_least=0.3)
        self.row(f"{fold}, compared with objects in a list", "fold", "objects", "of objects")
        self.row(
            f"{fold}, compared with eventsourcing", "fold", "theirs", "eventsourcing", at_least=5
        )
        self.row(
            f"folding {events} events into {events} documents, compared with upserts of their rows",
            "distinct",
            "upserts",
            "upserts",
            at_least=0.4,
        )
        self.row(
            f"{fold} in memory, compared with eventsourcing",
            "in memory",
            "theirs in memory",
            "eventsourcing",
            at_least=5,
        )
        self.row(
            f"{fold} by hand, in memory, compared with eventsourcing",
            "by hand",
            "theirs in memory",
            "eventsourcing",
        )
        self.row(f"{fold}, compared with the free form", "fold", "free", "free form", at_least=2)

    def rebuilds(self) -> None:
        """Adds the rows about a rebuild."""
        events = self._sizes.large
        seconds = self._figures["rebuild"]
        rate = f"{duration(median(seconds))}; {events / median(seconds):,.0f} events a second"
        title = f"{self._backend}: rebuilding {self._sizes.keys:,} documents of {events:,} events"
        self.lines.append((title, rate, "", "", ""))
        foretold, rest = self._figures["foretold"], self._figures["rest"]
        pairs = zip(foretold, rest, strict=True)
        ratio = median(one / two for one, two in pairs)
        text = f"{duration(median(foretold))}; it took {duration(median(rest))}"
        title = f"{self._backend}: the rest of a rebuild as foretold after a tenth of the work"
        met = 0.8 <= ratio <= 1.2
        self.lines.append(line(title, text, ratio, "0.8x to 1.2x", met=met))
        for kind in ("get", "find"):
            self.row(
                f"`{kind}` in another process during a rebuild, p99, compared with none",
                f"{kind} meanwhile",
                f"{kind} alone",
                "without",
                at_most=1.5,
            )
            self.row(
                f"`{kind}` in another process during a rebuild, p99, compared with busy processors",
                f"{kind} meanwhile",
                f"{kind} crowded",
                "busy",
            )

    def reads(self) -> None:
        """Adds the rows about finding documents, and reading one's own write."""
        documents = f"{self._sizes.large:,} documents"
        for name, words in (("equal", "by equality"), ("range", "by range")):
            self.row(
                f"finding {FOUND} of {documents} {words}, compared with SQL",
                name,
                f"raw {name}",
                "SQL",
                at_most=2,
            )
        self.row(
            "from saving an event until a document shows it, p50, compared with the save alone",
            "shown",
            "commit",
            "save",
            at_most=3,
        )

    def saves(self) -> None:
        """Adds the rows about saving beside others."""
        beside = {
            "projection": "a projection of these events",
            "follower": "a subscription to these events",
            "idle projection": "a projection of other events",
            "idle follower": "a subscription to other events",
        }
        for events in (1, 100):
            for kind, words in beside.items():
                self.row(
                    f"saving {events} event{'s' * (events > 1)} beside {words}, compared with none",
                    f"save {events}, {kind}",
                    f"save {events}, alone",
                    "alone",
                    at_most=1.03,
                )


def lines(backend: str, figures: Figures, sizes: Sizes) -> list[Line]:
    """Returns the rows of a backend."""
    rows = Rows(backend, figures, sizes)
    rows.folds()
    rows.rebuilds()
    rows.reads()
    rows.saves()
    return rows.lines


def method(sizes: Sizes) -> str:
    """Returns how it is measured, and what the rows mean."""
    text = (
        f"The figures are medians of {sizes.rounds} rounds, taking turns. A ratio with a target "
        "*≥* says how many times as fast it is as what it is compared with; any other says how "
        "many times as long it takes. Every commit is flushed before it is acknowledged, here and "
        "at those it is compared with. *Folding* is `store.run` from the start of the projection "
        "until its documents are live; the name in an event, drawn evenly, is the key. *Plain "
        "Python* decodes the same events from JSON in a list, by the same class, and calls "
        "`Projection.fold`. *eventsourcing* handles and tracks each event in a transaction of its "
        f"own, as its documentation shows it; {sizes.tracked:,} events are timed, and the figure "
        "is what all would take at that pace. Its recorder for SQLite has no subscriptions, so its "
        "projection is handed pages of events there. *Upserts* are `executemany` of `sqlite3`, and "
        f"arrays in one statement of psycopg, in transactions of {BATCH:,} rows. "
        "PostgreSQL analyzes its tables before each round, as autovacuum does after a while, but "
        "knows nothing of documents that are new in a round. "
    )
    text += (
        ""
        if IN_MEMORY is not None
        else (
            "Documents in memory are not there yet: *by hand* is `Projection.fold(store.read())`, "
            "without a target. "
        )
    )
    text += (
        "During a *rebuild*, another process gets a document and finds "
        f"{rebuilding.PAGE} by an index, {rebuilding.PAUSE * 1000:g} ms after the last; *busy* "
        "processors each run a program that loops and touches no store, and nobody rebuilds. The "
        "rest that is *foretold* is that of the progress bar. *SQL* reads a plain table by its "
        "index, and the same class decodes the JSON. The time to *find* a page is the mean of "
        f"{sizes.finds} pages, that of a save the mean of {saving.SLICES * sizes.commits} "
        f"saves of one event, {saving.SLICES * max(sizes.commits // 4, 1)} of a hundred."
    )
    return text
