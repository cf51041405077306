"""The checkpoints of named subscriptions, and the tracked positions of other logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from eventuali._engine.operation import Operation
from eventuali._eventuali import Store
from eventuali.errors import InvalidEventError
from eventuali.event._envelope import utc
from eventuali.event._names import check_name
from eventuali.expected import checked_position

Start: TypeAlias = Literal["beginning", "end"]
"""Where a log is read from: its first event, or behind its last one."""


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """The checkpoint of a named subscription.

    Attributes:
        name: The name of the subscription.
        position: The position up to which all matching events are handled; 0 for none.
        written_at: When it was written, by the clock of the process that did; aware, UTC. None if
            an older version wrote it.
        lag: The number of positions between it and the end of the log. Positions that don't match
            the query, belong to other tenants or are unused count, so it can stay above 0.
    """

    name: str
    position: int
    written_at: datetime | None
    lag: int


def checkpoints(store: Store) -> Operation[list[CheckpointInfo]]:
    """Returns the checkpoints, sorted by name."""
    found = yield store.checkpoints()
    return [_info(*one) for one in found]


def _info(name: str, position: int, written_at: int | None, lag: int) -> CheckpointInfo:
    return CheckpointInfo(name, position, None if written_at is None else utc(written_at), lag)


def reset_checkpoint(store: Store, name: str, position: int | Start) -> Operation[CheckpointInfo]:
    """Puts a checkpoint elsewhere."""
    check_name("name", name)
    found = yield store.reset_checkpoint(name, _target(position))
    return _info(*found)


def _target(position: object) -> int | None:
    if isinstance(position, str):
        return None if checked_start(position, "position") == "end" else 0
    return checked_position(position, "position")


def checked_start(start: object, name: str) -> Start:
    """Returns where to start.

    Raises:
        InvalidEventError: It is neither `"beginning"` nor `"end"`.
    """
    if start == "beginning":
        return "beginning"
    if start == "end":
        return "end"
    text = f"{name} must be 'beginning' or 'end', not {start!r:.60}"
    raise InvalidEventError(text, field=name)


def delete_checkpoint(store: Store, name: str) -> Operation[bool]:
    """Deletes a checkpoint; returns whether there was one."""
    check_name("name", name)
    deleted: bool = yield store.delete_checkpoint(name)
    return deleted


def tracked(store: Store, name: str) -> Operation[int | None]:
    """Returns the last stored position of another log; None before the first one."""
    check_name("name", name)
    position: int | None = yield store.tracked(name)
    return position
