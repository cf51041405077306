"""What a member of a group does, whatever waits for its work."""

from __future__ import annotations

from typing import Any, TypeAlias

from eventuali._engine.arguments import query_items
from eventuali._engine.consuming import Consuming
from eventuali._engine.dead_letters import group_name
from eventuali._engine.event_types import EventTypes
from eventuali._engine.read import PAGE
from eventuali._engine.turn import Turn
from eventuali._eventuali import Held, Pending, Store
from eventuali._eventuali import Member as Core
from eventuali.errors import ConsumerGroupError
from eventuali.group import Group, GroupStatus, check_partitions

__all__ = ["Held", "Key", "Membership", "Store", "repartitioned"]

Key: TypeAlias = tuple[int, int]
"""The number of a partition, and the generation in which it is owned."""


def repartitioned(store: Store, group: object, partitions: object) -> Pending:
    """Raises the number of partitions of a group."""
    return store.repartition(group_name(group), check_partitions(partitions))


class Membership:
    """A member of a group, from joining until it has left."""

    def __init__(self, store: Store, event_types: EventTypes, group: Group[Any]) -> None:
        """Is not called directly: use `EventStore.join`."""
        if not isinstance(group, Group):
            raise TypeError(f"join takes an eventuali.group.Group, not {group!r:.60}")
        self._store = store
        self._event_types = event_types
        self._group = group
        self._core: Core | None = None
        self._begun = False
        self._at_work: dict[Key, Consuming] = {}
        self._turn = Turn()
        self._lost = 0
        self._error: BaseException | None = None

    @property
    def group(self) -> Group[Any]:
        """The group."""
        return self._group

    def status(self) -> GroupStatus:
        """Returns where the member stands: its partitions, and how many members there are."""
        core = self._core
        owned = sorted(self._at_work.items())
        return GroupStatus(
            name=self._group.name,
            partitions=0 if core is None else core.partitions(),
            members=0 if core is None else core.members(),
            owned=tuple(each.status() for _, each in owned),
            lost=self._lost,
            error=self._error or (None if core is None else core.failure()),
        )

    def __repr__(self) -> str:
        owned = ", ".join(str(number) for number, _ in sorted(self._at_work))
        return f"<Member of {self._group.name!r}: {owned or 'no partitions'}>"

    def _join(self) -> Pending:
        """Joins; the answer is the core's member.

        Raises:
            RuntimeError: The block was entered before.
        """
        if self._begun:
            raise RuntimeError("a block is entered once; call `store.join` again")
        self._begun = True
        group = self._group
        options: tuple[Any, ...] = (
            group.name,
            group.partitions,
            group.partition_by,
            group.start == "end",
            group.lease,
            group.deadline,
            [],
        )
        return self._store.join(options, query_items(group.query), PAGE)

    def _done(self, key: Key) -> None:
        """Notes that the work on a partition has ended."""
        ended = self._at_work.pop(key, None)
        if ended is not None and ended.state == "lost":
            self._lost += 1
        self._tell()

    def _shows(self, target: int) -> bool:
        """Whether everything up to a position is handled that concerns its partitions.

        Raises:
            ConsumerGroupError: It will not be: the member has ended, or stands at an event.
        """
        core, name = self._core, self._group.name
        if core is None:
            raise RuntimeError("nothing is handled before the block is entered")
        if self._error is not None:
            found = ConsumerGroupError(f"this member of the group {name!r} has ended")
            raise found from self._error
        for each in list(self._at_work.values()):
            if each.state == "faulted":
                where = "" if each.failed_at is None else f" at position {each.failed_at}"
                raise ConsumerGroupError(
                    f"partition {each.number} of the group {name!r} stopped{where}: {each.error!r}"
                ) from each.error
        if not core.settled():
            return False  # it has not taken yet what it is to own
        # Of a partition that was lost and taken again, a handler may still hang.
        at_work = {number: each for (number, _), each in self._by_generation()}
        return all(
            number in at_work
            and not at_work[number].is_lost()
            and at_work[number].position >= target
            for number in core.owned()
        )

    def _by_generation(self) -> list[tuple[Key, Consuming]]:
        return sorted(self._at_work.items(), key=lambda item: item[0])

    def _tell(self) -> None:
        """Wakes those who wait for its work."""
        raise NotImplementedError
