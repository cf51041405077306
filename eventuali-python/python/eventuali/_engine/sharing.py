"""Projections that several processes share: each is at work in one of them.

A lease is no more than that: what a projection writes is on condition of its own cursor, so that
two that work at once, while one was taken for dead, do each other no harm.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from eventuali._engine.limit import Limit
from eventuali._engine.places import Pause, Work
from eventuali._engine.read import PAGE
from eventuali._eventuali import Held, Member, Pending, Store
from eventuali.errors import EventStoreError
from eventuali.event._names import check_name
from eventuali.group import check_lease

OWNED = 0
LOOK = 0.1
"""How often it is looked whether a projection is wanted elsewhere, in seconds."""


class Shared(Protocol):
    """A projection that is at work here while this process has its lease."""

    @property
    def lease_name(self) -> str:
        """What its lease is called."""

    def takes(self, held: Held) -> None:
        """Begins to work, or goes on."""

    def ends(self, error: BaseException) -> None:
        """Ends for good, since there are no leases any more."""


class Lease:
    """Whether this process works on a projection."""

    def __init__(self) -> None:
        self._held: Held | None = None
        self._ended = False

    def is_here(self) -> bool:
        """Whether it does, and may."""
        held = self._held
        return held is not None and held.status == OWNED

    def give(self, held: Held) -> None:
        """Gives it to this process; once that has ended, nobody would give it away again."""
        self._held = held
        if self._ended:
            self._abandon()

    def release(self) -> Work:
        """Gives it away; without an answer, it ends by itself."""
        held, self._held = self._held, None
        if held is not None:
            try:
                yield held.release(False)
            except EventStoreError:
                held.abandon()

    def end(self) -> None:
        """Gives it away without waiting for that, and whatever comes behind it."""
        self._ended = True
        self._abandon()

    def _abandon(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.abandon()


class Sharing:
    """The membership of a process in a group that shares projections."""

    def __init__(
        self, store: Store, group: object, lease: object, projections: Sequence[Shared]
    ) -> None:
        """Joins nothing yet.

        Raises:
            InvalidEventError: The name is not acceptable.
            ValueError: The lease is too short.
        """
        self._store = store
        self._group = "" if group is None else check_name("group", group)
        self._lease = check_lease(lease)
        self._all = {each.lease_name: each for each in projections}
        self._core: Member | None = None

    def join(self) -> Generator[Any, Any, None]:
        """Joins the group.

        Raises:
            ConfigurationError: The group shares the log.
        """
        options = (self._group, None, None, False, self._lease, None, list(self._all))
        self._core = yield self._store.join(options, [], PAGE)

    def take(self) -> Work:
        """Hands the projections to whoever works on them, until the member leaves."""
        core = self._core
        try:
            while core is not None and (held := (yield core.next())) is not None:
                self._all[held.name].takes(held)
                del held  # whoever works on it lets go of it
        except Exception as error:
            for each in self._all.values():
                each.ends(error)

    def leave(self) -> Pending | None:
        """Leaves the group, once all is released; None where it was never joined."""
        return None if self._core is None else self._core.leave()


def pause() -> Pause:
    """Returns the pause before it is looked again whether a projection is wanted elsewhere."""
    return Pause(Limit(LOOK))
