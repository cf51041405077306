"""The dead letters of a consumer group: listed, edited, replayed, discarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventuali._engine import dead_letters as _letters
from eventuali._engine.dead_letters import Store
from eventuali.event import Event
from eventuali.group import DeadLetter

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver

__all__ = ["DeadLetters"]


class DeadLetters:
    """The dead letters of one group; see `EventStore.dead_letters`."""

    def __init__(self, driver: AsyncioDriver, store: Store, group: str) -> None:
        """Don't call this directly; use `EventStore.dead_letters`."""
        self._driver = driver
        self._store = store
        self._group = _letters.group_name(group)

    async def list(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Returns the letters in the order of their positions.

        Args:
            after: Only positions above this; the last one of a page begins the next.
            limit: The maximum number.
        """
        return await self._driver.run(_letters.listed(self._store, self._group, after, limit))

    async def get(self, position: int) -> DeadLetter:
        """Returns the letter of a position.

        Raises:
            DeadLetterNotFoundError: There is none.
        """
        return await self._driver.run(_letters.found(self._store, self._group, position))

    async def edit(self, position: int, event: Event) -> DeadLetter:
        """Has another event of the same type handled when the letter is replayed.

        The stored event stays as it is, for all others.

        Raises:
            DeadLetterNotFoundError: There is no such letter.
            InvalidEventError: The event is of another type.
        """
        return await self._driver.run(_letters.edited(self._store, self._group, position, event))

    async def replay(self, *positions: int) -> int:
        """Has events handled again; returns how many letters there were.

        The members of the group do that, each for its partitions and in the order of the log,
        beside what they handle anyway, and as soon as there is one. A letter goes once its event is
        handled; if that fails, it says the new error. The place of the group in the log stays.

        Args:
            positions: The positions, at least one.

        Raises:
            TypeError: There is none; `replay_all` is for all.
        """
        return await self._driver.run(_letters.asked(self._store, self._group, _given(positions)))

    async def replay_all(self) -> int:
        """Has the events of all letters handled again, see `replay`; returns how many there are."""
        return await self._driver.run(_letters.asked_all(self._store, self._group))

    async def discard(self, *positions: int) -> int:
        """Removes letters whose events are not to be handled; returns how many there were."""
        return await self._driver.run(
            _letters.discarded(self._store, self._group, _given(positions))
        )

    def __repr__(self) -> str:
        return f"<DeadLetters of {self._group!r}>"


def _given(positions: tuple[int, ...]) -> tuple[int, ...]:
    if not positions:
        raise TypeError("name the positions of the letters; replay_all is for all of them")
    return positions
