"""Tracking: the position of another log, stored together with the events made of it."""

from __future__ import annotations

from dataclasses import dataclass

from eventuali.event._names import check_name
from eventuali.expected import checked_position

__all__ = ["Tracking"]


@dataclass(frozen=True, slots=True)
class Tracking:
    """A position of another log that a commit has processed.

        await store.append(events, tracking=Tracking("orders", notification.position))

    It is stored atomically with the events, and only rises. So each position counts once, whoever
    dies and however many do the same work: the commit of a position that is stored already is
    refused. Continue after `store.tracked("orders")`.

    Attributes:
        name: The name of the other log; each has a position of its own.
        position: Its last position that is processed with the commit, from 0.
    """

    name: str
    position: int

    def __post_init__(self) -> None:
        """Checks the name and the position.

        Raises:
            TypeError: The name is not a str, or the position not an int.
            InvalidEventError: The name is not acceptable, or the position negative or beyond 63
                bits.
        """
        check_name("name", self.name)
        checked_position(self.position, "position")


def wire_tracking(tracking: object) -> tuple[str, int] | None:
    """Returns a tracked position in the form for the core.

    Raises:
        TypeError: It is not a `Tracking`.
    """
    if tracking is None:
        return None
    if not isinstance(tracking, Tracking):
        raise TypeError(f"tracking must be a Tracking, not {tracking!r:.60}")
    return tracking.name, tracking.position
