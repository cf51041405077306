"""The part of the log that is asked for: positions, versions and times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict

from eventuali._engine.arguments import microseconds
from eventuali.errors import InvalidEventError
from eventuali.expected import checked_position
from eventuali.query import Item

By: TypeAlias = Literal["recorded_at", "timestamp"]
"""Which time of an event is meant: when it was stored, or when it happened."""

NO_BOUND = 2**63 - 1


class Times(TypedDict, total=False):
    """Bounds of times, as the core takes them."""

    recorded_from: int
    recorded_until: int
    happened_from: int
    happened_until: int


class Versions(TypedDict, total=False):
    """Bounds of versions, as the core takes them."""

    after_version: int
    until_version: int


def positions(after: int, before: int | None) -> tuple[int, int]:
    """Returns the position after which, and the one up to which.

    Raises:
        TypeError: A position is not an int.
        InvalidEventError: It is out of range.
    """
    last = NO_BOUND if before is None else checked_position(before, "before") - 1
    return checked_position(after, "after"), last


def times(since: datetime | None, until: datetime | None, by: By = "recorded_at") -> Times:
    """Returns the bounds of times, of which the second is excluded.

    Raises:
        TypeError: A time is not a datetime.
        InvalidEventError: A time has no time zone, or `by` names no time.
    """
    checked_by(by)
    low = None if since is None else microseconds(since, "since")
    high = None if until is None else microseconds(until, "until") - 1
    within: Times = {}
    if low is not None:
        within["recorded_from" if by == "recorded_at" else "happened_from"] = low
    if high is not None:
        within["recorded_until" if by == "recorded_at" else "happened_until"] = high
    return within


def checked_by(by: object) -> None:
    """Checks the name of a time.

    Raises:
        InvalidEventError: It names none.
    """
    if by not in ("recorded_at", "timestamp"):
        text = f"by must be 'recorded_at' or 'timestamp', not {by!r:.60}"
        raise InvalidEventError(text, field="by")


def versions(items: Sequence[Item], from_version: int | None, to_version: int | None) -> Versions:
    """Returns the bounds of versions, both included, of a query for one stream.

    Raises:
        TypeError: A version is not an int.
        InvalidEventError: A version is out of range, or the query does not name one stream.
    """
    within: Versions = {}
    for name, version in (("from_version", from_version), ("to_version", to_version)):
        if version is None:
            continue
        checked_position(version, name)
        if len(items) != 1 or items[0][0] is None or items[0][1] is None:
            text = f"{name} needs a query with one aggregate_type and aggregate_id"
            raise InvalidEventError(text, field=name)
    if from_version is not None:
        within["after_version"] = max(from_version - 1, 0)
    if to_version is not None:
        within["until_version"] = to_version
    return within
