"""The dead letters of a consumer group, blocking."""

from __future__ import annotations

from eventuali._engine import dead_letters as _letters
from eventuali._engine.dead_letters import Store
from eventuali._engine.operation import run
from eventuali.dead_letter import _given
from eventuali.event import Event
from eventuali.group import DeadLetter


class DeadLetters:
    """The dead letters of one group; see `eventuali.dead_letter.DeadLetters`."""

    def __init__(self, store: Store, group: str) -> None:
        """Don't call this directly; use `EventStore.dead_letters`."""
        self._store = store
        self._group = _letters.group_name(group)

    def list(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Returns the letters in the order of their positions."""
        return run(_letters.listed(self._store, self._group, after, limit))

    def get(self, position: int) -> DeadLetter:
        """Returns the letter of a position; see `eventuali.dead_letter.DeadLetters.get`."""
        return run(_letters.found(self._store, self._group, position))

    def edit(self, position: int, event: Event) -> DeadLetter:
        """Has another event handled; see `eventuali.dead_letter.DeadLetters.edit`."""
        return run(_letters.edited(self._store, self._group, position, event))

    def replay(self, *positions: int) -> int:
        """Has events handled again; see `eventuali.dead_letter.DeadLetters.replay`."""
        return run(_letters.asked(self._store, self._group, _given(positions)))

    def replay_all(self) -> int:
        """Has all handled again; see `eventuali.dead_letter.DeadLetters.replay_all`."""
        return run(_letters.asked_all(self._store, self._group))

    def discard(self, *positions: int) -> int:
        """Removes letters whose events are not to be handled; returns how many there were."""
        return run(_letters.discarded(self._store, self._group, _given(positions)))

    def __repr__(self) -> str:
        return f"<DeadLetters of {self._group!r}>"
