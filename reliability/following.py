"""What followers of a log are given, and whether they saw what they had to.

A follower has many lives under one name. What it sees must be the matching events in their order,
each life going on where the one before was: after a clean end exactly there, after an error of its
own at the event in hand, after a crash at most a page before. It writes lines:

    killed                  its process begins, the first one or after `kill -9`
    from POSITION           a life begins there
    POSITION VALUE          an event is handed to the handler
    left HOW POSITION       the life ended, and everything was handled
    raised HOW POSITION     it ended, and all but the event in hand was
    cut HOW POSITION        nobody closed it, or closing it was broken off
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from zlib import crc32

from eventuali import ALL, Query
from reliability.checker import Verdict
from reliability.history import Stored
from reliability.workload import NUMBERS, Noted, noted, text_of

STREAMS = tuple(f"s-{number}" for number in range(12))
TAGS = 4
END = NUMBERS * 1_000
"""Values from here on are those of the last events, one in each stream, with every tag."""
SELDOM = 2_000
"""One event in so many has the tag of the filter that almost nothing passes."""
AGAIN = 1_001
"""Events that may come again after a crash: 1,000 that were handled, and the one in hand."""
AHEAD = 1_000
"""Events that are looked at again, at the most, where a filter passed none of them."""
RARE = ("seldom", "s-5&seldom")
"""The filters that one event in 2,000 passes, or one in 24,000."""


def tags_of(value: int) -> tuple[str, ...]:
    """Returns the tags of the event with a value."""
    tags = tuple(f"t{n}" for n in range(TAGS) if value >= END or value % TAGS == n)
    return (*tags, "seldom") if value >= END or crc32(b"%d" % value) % SELDOM == 0 else tags


def events_with_tags(values: Iterable[int]) -> list[Noted]:
    """Returns the events with these values."""
    return [Noted(value=v, text=text_of(v), tags=tags_of(v)) for v in values]


def filters() -> list[str]:
    """Names the filters."""
    tags = [f"t{n}" for n in range(TAGS)]
    return ["all", "type", *tags, "t0|t1", "t1|t2", "s-3", "s-7", "s-1|t3", *RARE]


def query_for(which: str) -> Query:
    """Returns the query of a filter."""
    if which == "all":
        return ALL
    if which == "type":
        return Query(event_types=[type(noted(0))])
    query: Query | None = None
    for part in which.split("|"):
        names = part.split("&")
        tags = [name for name in names if name not in STREAMS] or None
        streams = [name for name in names if name in STREAMS]
        one = Query(
            aggregate_type="Notebook" if streams else None,
            aggregate_id=streams[0] if streams else None,
            tags=tags,
        )
        query = one if query is None else query | one
    assert query is not None
    return query


def matches(which: str, stored: Stored) -> bool:
    """Tells whether an event passes a filter, by means of its own."""
    if which in ("all", "type"):
        return True
    names = {stored.stream, *tags_of(stored.value)}
    return any(names.issuperset(part.split("&")) for part in which.split("|"))


def judge(
    verdict: Verdict, name: str, which: str, log: Sequence[Stored], lines: Iterable[bytes]
) -> int:
    """Holds what a follower saw against the log; returns how many events came again by a crash."""
    course = _Course(verdict, name, which, log)
    for line in lines:
        if line.endswith(b"\n"):  # else cut off
            course.take(line.decode().split())
    course.finish()
    verdict.reads += 1
    return course.again


class _Course:
    """Where a follower is, in places among the events that are for it."""

    def __init__(self, verdict: Verdict, name: str, which: str, log: Sequence[Stored]) -> None:
        self.again = 0
        self._verdict = verdict
        self._name = name
        self._log = [event.position for event in log]
        self._wanted = [event for event in log if matches(which, event)]
        self._positions = [event.position for event in self._wanted]
        self._places = {position: n for n, position in enumerate(self._positions)}
        self._begun, self._next, self._seen = 0, 0, 0
        self._alive = False  # whether it is known where this life began
        self._may = (0, 0)  # where the next one may begin
        self._closed_at: int | None = None

    def take(self, words: Sequence[str]) -> None:
        """Takes the words of one line."""
        first, *rest = words
        if first == "killed":
            self._end(max(self._begun, self._next - AGAIN), self._next)
        elif first == "from":
            self._begin_at(int(rest[0]))
        elif first in ("left", "raised", "cut"):
            self._looked_to(int(rest[1]))
            if first == "cut":
                self._end(max(self._begun, self._next - AGAIN), self._next)
            else:
                place = self._next - (first == "raised")
                self._end(place, place)
            if first == "left":
                self._closed_at = int(rest[1])
        else:
            self._see(int(first), int(rest[0]))

    def finish(self) -> None:
        """Finds what it never saw."""
        end = next(n for n, event in enumerate(self._wanted) if event.value >= END)
        if self._seen <= end:
            missing = end + 1 - self._seen
            self._find("lost", f"saw {self._seen} of {end + 1}", missing)

    def _begin_at(self, position: int) -> None:
        if self._closed_at is not None:
            far = bisect_right(self._log, self._closed_at) - bisect_right(self._log, position)
            if far > AHEAD:
                self._find("strange", f"left at {self._closed_at}, went on from {position}")
        self._begin(bisect_right(self._positions, position))

    def _begin(self, place: int) -> None:
        low, high = self._may
        if place > high:
            self._find("skipped", f"was at {high}, went on from {place}", place - high)
        elif place < low:
            self._find("duplicated", f"was at {low}, went on from {place}", low - place)
        if low < high:
            self.again += max(high - place, 0)
        self._begun = self._next = place
        self._alive, self._closed_at = True, None

    def _see(self, position: int, value: int) -> None:
        place = self._places.get(position)
        if place is None or self._wanted[place].value != value:
            self._find("strange", f"saw {value} at {position}, which is not for it")
            return
        if not self._alive:
            self._begin(place)
        if place > self._next:
            self._find("skipped", f"went from {self._next} to {place}", place - self._next)
        elif place < self._next:
            self._find("duplicated", f"went from {self._next} to {place}", self._next - place)
        self._next = place + 1
        self._seen = max(self._seen, self._next)

    def _looked_to(self, position: int) -> None:
        """Holds what a subscription said of itself against what it had handed out."""
        place = bisect_right(self._positions, position)
        if not self._alive and position:
            self._begin(place)  # it went on somewhere, and handed out nothing
        if self._alive and place != self._next:
            self._find("strange", f"said that it was at {place} when it was at {self._next}")

    def _end(self, low: int, high: int) -> None:
        if self._alive:  # else nothing has changed
            self._may = (low, high)
            self._alive, self._closed_at = False, None

    def _find(self, kind: str, text: str, count: int = 1) -> None:
        self._verdict.find(kind, f"{self._name} {text}", count)
