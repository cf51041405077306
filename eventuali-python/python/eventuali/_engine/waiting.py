"""How somebody waits until a projection shows a commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from eventuali._engine.operation import Operation
from eventuali._engine.projecting import Projecting
from eventuali._engine.sharing import Sharing
from eventuali._eventuali import Page, Store
from eventuali.errors import ProjectionError
from eventuali.event import Event
from eventuali.expected import checked_position
from eventuali.projection import Projection, ProjectionStatus

UNSETTLED = 0.01
"""The pause before it is looked again whether the target is settled, in seconds."""
ELSEWHERE = 0.05
"""The pause before it is looked again how far another process is, in seconds."""


class Positioned(Protocol):
    """A result with a position, None without events: of a commit, or of a command."""

    @property
    def position(self) -> int | None: ...


class Supervised:
    """Projections that run together, whatever waits for their work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all: list[Projecting] = []
        self._sharing: Sharing | None = None
        self._begun = False

    def _share(self, group: object, lease: object) -> None:
        """Prepares to share the projections with other processes, if a group is named."""
        shared = [each for each in self._all if each.state == "elsewhere"]
        sharing = Sharing(self._store, group, lease, shared)
        if shared:
            self._sharing = sharing

    def _begin(self) -> None:
        """Notes that the block was entered.

        Raises:
            RuntimeError: It was entered before.
        """
        if self._begun:
            raise RuntimeError("a block is entered once; call `store.run` again")
        self._begun = True

    def status(self) -> list[ProjectionStatus]:
        """Returns where each projection stands."""
        return [each.status() for each in self._all]

    def __repr__(self) -> str:
        states = ", ".join(f"{each.name} {each.state}" for each in self._all)
        return f"<Running {states}>"

    def _chosen(self, projections: Sequence[type[Projection[Any]]]) -> list[Projecting]:
        """Returns what is waited for; everything that runs if nothing is named.

        Raises:
            RuntimeError: Nothing runs yet.
            ValueError: Something that is named does not run here.
        """
        if not self._begun:
            raise RuntimeError("nothing runs before the block is entered: use `with store.run(…)`")
        here = {type(each.projection) for each in self._all}
        for cls in projections:
            if cls not in here:
                if isinstance(cls, Projection):
                    raise TypeError(f"name the class: {type(cls).__name__}, not an object of it")
                raise ValueError(f"{cls!r:.60} does not run here")
        return [
            each for each in self._all if not projections or type(each.projection) in projections
        ]


def target_of(committed: Positioned | int | None) -> int:
    """Returns the position that is waited for; 0 for a commit without events.

    Raises:
        TypeError: It is neither a commit nor a position.
    """
    if not isinstance(committed, Event):  # one that is not stored has no position either
        committed = getattr(committed, "position", committed)
    return 0 if committed is None else checked_position(committed, "committed")


def ended(projecting: Projecting, target: int) -> ProjectionError | None:
    """Returns the error for a projection that will not come to a position any more."""
    if projecting.state in ("catching up", "live", "elsewhere"):
        return None
    found = ProjectionError(
        f"{projecting.name} is {projecting.state} at position {projecting.position}, before "
        f"{target}"
    )
    found.__cause__ = projecting.error
    return found


def is_shown(projecting: Projecting, last: int | None, *, live: bool) -> bool:
    """Whether a projection shows everything up to the last position that concerns it."""
    if last is None or projecting.shown < last:
        return False
    return not live or projecting.state in ("live", "elsewhere")


def late(projecting: Projecting, target: int) -> TimeoutError:
    """Returns the error for a wait that took too long."""
    return TimeoutError(f"{projecting.name} is at position {projecting.position}, before {target}")


def remaining(store: Store, projecting: Projecting, target: int) -> Operation[int | None]:
    """Returns the last position up to the target that concerns a projection; 0 if none is left.

    None as long as a writer holds readers back from the target.
    """
    if projecting.shown >= target:
        return 0
    if (yield store.horizon())[0] < target:
        return None
    page: Page = yield store.read(
        projecting.items, after=projecting.position, until=target, backwards=True, limit=1
    )
    return page.columns()[2][0].position if len(page) else 0
