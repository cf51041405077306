"""A line between a store and its commits, on which answers are lost, or what was to be sent."""

from __future__ import annotations

from units import inner

from eventuali import Event, OutcomeUnknownError
from eventuali._engine.pending_commit import StreamWrite, of_parts
from eventuali.errors import StorageUnavailableError

LOST = OutcomeUnknownError("the answer was lost")
AWAY = StorageUnavailableError("nobody there")
UNANSWERED = (None, LOST)
"""What is sent arrives, and the answer does not."""
UNSENT = (LOST, None)
"""Nothing arrives, which the sender can't tell from that."""


class Line:
    """Stands between a store and its commits.

    Attributes:
        plan: What becomes of each commit in turn: the errors before and after it, None for none.
            When it ends everything arrives.
        sent: The ids of the first events of the runs of each commit.
        rival: Events that are stored before the next commit that arrives.
    """

    def __init__(self, api, store, plan=()) -> None:
        self.sent: list[list[bytes]] = []
        self.plan = list(plan)
        self.rival: list[Event] = []
        target = inner(api, store)
        self.real, target._store = target._store, self

    def commit(self, writes, conditions, *besides, **options):
        self.sent.append([run[1] for write in writes for run in write[3]])
        before, after = self.plan.pop(0) if self.plan else (None, None)
        if before is not None:
            raise before
        if self.rival:
            overtaking = of_parts((), [StreamWrite(("", ""), "any", [self.rival.pop()])])
            self.real.commit(overtaking.builder.writes, ()).wait()
        pending = self.real.commit(writes, conditions, *besides, **options)
        if after is not None:
            pending.wait()
            raise after
        return pending

    def __getattr__(self, name):
        return getattr(self.real, name)
