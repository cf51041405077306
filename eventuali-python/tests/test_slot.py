"""What the extension sees in the slots of many events."""

from __future__ import annotations

from typing import Any

import pytest
from labels import label

from eventuali._eventuali import applied_in_order

IDS, OTHER = object(), object()


def applied(index: Any, *, time: int = 5_000, ids: object = IDS) -> Any:
    """The content of the slot of an event that was applied."""
    return time, "Account", "acc-1", index + 1, ids, index


def test_events_in_order_are_seen_as_one_run() -> None:
    times = [-1500, -1000, -1, 0, 999, 1000]
    contents = [applied(index, time=time) for index, time in enumerate(times, 7)]
    assert applied_in_order(contents) == (IDS, 7, [time // 1000 for time in times])
    assert applied_in_order([applied(0)]) == (IDS, 0, [5])


@pytest.mark.parametrize(
    "contents",
    [
        [],
        [5_000],
        [None],
        [object()],
        [(1, 2)],
        [applied(0), 5_000],
        [applied(0), applied(2)],
        [applied(1), applied(0)],
        [applied(0), applied(0)],
        [applied(0), applied(1, ids=OTHER)],
        [applied(-1)],
        [applied(2**64)],
        [applied(0, time=2**63)],
    ],
    ids=label,
)
def test_anything_else_is_none(contents: list[Any]) -> None:
    assert applied_in_order(contents) is None
