"""A check of everything that is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventuali._engine.progress import Progress, shown
from eventuali.errors import InvalidEventError

if TYPE_CHECKING:
    from eventuali._engine.operation import Operation
    from eventuali._eventuali import Store


@dataclass(frozen=True, slots=True)
class Damage:
    """Stored bytes that differ from what was written.

    Attributes:
        position: The position of the damaged event; None if no single event is damaged.
        text: A description of the damage.
    """

    position: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a check of the whole store.

    Attributes:
        events: The number of events checked.
        streams: The number of streams checked.
        records: The number of records checked: checkpoints and other documents.
        damage: The damage, in the order in which it was found.
        complete: Whether everything was checked; False if `limit` ended the check.
    """

    events: int
    streams: int
    records: int
    damage: tuple[Damage, ...]
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether everything was checked and nothing is damaged."""
        return self.complete and not self.damage


def verify(store: Store, progress: Progress | bool | None, limit: int) -> Operation[Verification]:
    """Checks part after part, up to `limit` findings."""
    if limit < 1:
        raise InvalidEventError(f"limit must be at least 1, not {limit}", field="limit")
    tell = shown(progress, "verify", "rows")
    checked = events = streams = records = 0
    damage: list[Damage] = []
    cursor: bytes | None = None
    while True:
        rows, found, cursor = yield store.verify(cursor)
        checked += rows[0]
        events, streams, records = events + rows[2], streams + rows[3], records + rows[4]
        damage += [Damage(position, text) for position, text in found[: limit - len(damage)]]
        if tell is not None:
            tell(checked, rows[1] if cursor else checked)
        if cursor is None or len(damage) >= limit:
            return Verification(events, streams, records, tuple(damage), cursor is None)
