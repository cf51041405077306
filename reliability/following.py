"""What followers of a log are given, and whether they saw what they had to.

A follower has many lives under one name. What it sees must be the matching events in their order,
each life going on where the one before was: after a clean end exactly there, after `kill -9` at
most the last page that was not written down earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eventuali import ALL, Query
from reliability.checker import Verdict
from reliability.history import Stored
from reliability.workload import NUMBERS, Noted, noted, text_of

STREAMS = tuple(f"s-{number}" for number in range(12))
TAGS = 4
END = NUMBERS * 1_000
"""Values from here on are those of the last events, one in each stream, with every tag."""
AGAIN = 1_001
"""Events that may come again after a crash: 1,000 that were handled, and the one in hand."""
KILLED, LEFT = b"killed\n", b"left\n"
"""How a life of a follower began: after a crash, or after a clean end."""


def tags_of(value: int) -> tuple[str, ...]:
    """Returns the tags of the event with a value."""
    return tuple(f"t{n}" for n in range(TAGS) if value >= END or value % TAGS == n)


def events_with_tags(values: Iterable[int]) -> list[Noted]:
    """Returns the events with these values."""
    return [Noted(value=v, text=text_of(v), tags=tags_of(v)) for v in values]


def filters() -> list[str]:
    """Names the filters."""
    tags = [f"t{n}" for n in range(TAGS)]
    return ["all", "type", *tags, "t0|t1", "t1|t2", "s-3", "s-7", "s-1|t3"]


def query_for(which: str) -> Query:
    """Returns the query of a filter."""
    if which == "all":
        return ALL
    if which == "type":
        return Query(event_types=[type(noted(0))])
    query: Query | None = None
    for part in which.split("|"):
        one = (
            Query(aggregate_type="Notebook", aggregate_id=part)
            if part in STREAMS
            else Query(tags=[part])
        )
        query = one if query is None else query | one
    assert query is not None
    return query


def matches(which: str, stored: Stored) -> bool:
    """Tells whether an event passes a filter, by means of its own."""
    if which in ("all", "type"):
        return True
    return any(part == stored.stream or part in tags_of(stored.value) for part in which.split("|"))


def judge(
    verdict: Verdict, name: str, which: str, log: Sequence[Stored], lines: Iterable[bytes]
) -> int:
    """Holds what a follower saw against the log; returns how many events came again."""
    wanted = [event for event in log if matches(which, event)]
    end = next(n for n, event in enumerate(wanted) if event.value >= END)
    index = {event.position: n for n, event in enumerate(wanted)}
    seen, place, repeated = 0, 0, 0  # how many were seen, which one is next, how many came again
    killed = False
    for line in lines:
        if not line.endswith(b"\n"):
            continue  # cut off
        if line in (KILLED, LEFT):
            killed = line == KILLED
            continue
        position, value = map(int, line.split())
        at = index.get(position)
        if at is None or wanted[at].value != value:
            verdict.find("strange", f"{name} saw {value} at {position}, which is not for it")
            continue
        if killed:
            killed = False
            repeated += max(seen - at, 0)
            if seen - at > AGAIN:
                verdict.find("duplicated", f"{name} went back from {seen} to {at}", seen - at)
            place = min(at, seen)
        if at > place:
            verdict.find("skipped", f"{name} went from {place} to {at}", at - place)
        elif at < place:
            verdict.find("duplicated", f"{name} went from {place} to {at}", place - at)
        place = at + 1
        seen = max(seen, place)
    if seen <= end:
        verdict.find("lost", f"{name} saw {seen} of {end + 1}", end + 1 - seen)
    verdict.reads += 1
    return repeated
