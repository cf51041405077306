"""How somebody waits until a projection shows a commit."""

from __future__ import annotations

from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import Committed
from eventuali._engine.projecting import Projecting
from eventuali._eventuali import Page, Store
from eventuali.expected import checked_position

UNSETTLED = 0.01
"""The pause before it is looked again whether the target is settled, in seconds."""


def target_of(committed: Committed | int) -> int:
    """Returns the position that is waited for; 0 for a commit without events.

    Raises:
        TypeError: It is neither a commit nor a position.
    """
    if isinstance(committed, Committed):
        return committed.position or 0
    return checked_position(committed, "committed")


def remaining(store: Store, projecting: Projecting, target: int) -> Operation[int | None]:
    """Returns the last position up to the target that concerns a projection; 0 if none is left.

    None as long as a writer holds readers back from the target.
    """
    if projecting.position >= target:
        return 0
    if (yield store.horizon())[0] < target:
        return None
    page: Page = yield store.read(
        projecting.items, after=projecting.position, until=target, backwards=True, limit=1
    )
    return page.columns()[2][0].position if len(page) else 0
