"""A bus without a word about how to wait: the two of them differ in that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from eventuali._engine import answers
from eventuali._engine.pending_commit import Record
from eventuali._engine.retrying import Retrying
from eventuali._engine.work import Work, WorkCommit
from eventuali.aggregate._commands import unknown
from eventuali.command._handlers import Handler, Handling, table_of
from eventuali.command._identity import FIELD, digest_of, id_of
from eventuali.context import Block, metadata
from eventuali.errors import AggregateNotFoundError, CommandIdConflictError
from eventuali.event._context import current, shown
from eventuali.expected import at_least


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a command.

    Attributes:
        answer: What the handler returned.
        position: The position of the last event that was stored, which `Running.wait_for` takes;
            None if there was none.
        repeated: Whether the command was handled before, and this is the answer of then.
    """

    answer: Any = None
    position: int | None = None
    repeated: bool = False


class Dispatch:
    """The handlers of a bus, and its options."""

    def __init__(
        self,
        handlers: Sequence[Handling],
        middleware: Sequence[Callable[..., Any]],
        retention: timedelta | None,
        attempts: int,
    ) -> None:
        self.table = table_of(handlers)
        for each in middleware:
            if not callable(each):
                raise TypeError(f"middleware must be callable, not {each!r:.60}")
        self.middleware = tuple(middleware)
        if retention is not None and not isinstance(retention, timedelta):
            raise TypeError(f"retention must be a timedelta or None, not {retention!r:.60}")
        if retention is not None and retention <= timedelta():
            raise ValueError(f"retention must be above 0, not {retention}")
        self.retention = None if retention is None else retention // timedelta(microseconds=1)
        self.attempts = at_least(1, attempts, "attempts")

    def find(self, message: object, *, is_query: bool) -> Handler:
        """Returns who handles a message.

        Raises:
            UnknownCommandError: Nobody does.
        """
        handler = self.table.get(type(message))
        if handler is None or handler.mark.is_query is not is_query:
            known = {
                cls: each for cls, each in self.table.items() if each.mark.is_query is is_query
            }
            what = "query" if is_query else "command"
            raise unknown(type(message), known, "the bus", what)
        return handler


class Sent:
    """A command in progress.

    Attributes:
        handler: Who handles it.
        id: Its id; None if it has none, and its answer is not recorded.
        retrying: Its attempts.
    """

    def __init__(self, dispatch: Dispatch, message: object, command_id: object) -> None:
        self.message = message
        self.handler = dispatch.find(message, is_query=False)
        self.id = id_of(message, command_id)
        self.retrying = Retrying(dispatch.attempts)
        self._retention = dispatch.retention
        self._digest = "" if self.id is None else digest_of(message)
        self._commit_id = uuid4()

    def block(self) -> Block:
        """Returns the block of its handler: events follow from the command, unless that is set."""
        if self.id is None:
            return metadata()
        around = shown(current())
        raw = getattr(self.message, FIELD, None)
        own = raw if isinstance(raw, UUID) and str(raw) == self.id else self.id
        return metadata(
            correlation_id=around.correlation_id or own, causation_id=around.causation_id or own
        )

    def replayed(self, kept: answers.Kept, position: int | None) -> Handled:
        """Returns what became of it before.

        Raises:
            CommandIdConflictError: That was another command.
        """
        if kept.digest != self._digest:
            raise CommandIdConflictError(
                f"the command id {self.id!r:.260} was used for another command; a new command "
                "needs a new id",
                command_id=self.id,
            )
        return Handled(self.handler.decoded(kept.answer), position, repeated=True)

    def records(self, commit: WorkCommit, answer: Any) -> list[Record]:
        """Returns what is recorded together with its events."""
        self._commit_id = uuid4()
        if self.id is None:
            return []
        kept = answers.Kept(self._digest, self.handler.encoded(answer), commit.last_event())
        return [answers.record(self.id, kept, self._retention)]

    @property
    def commit_id(self) -> UUID:
        """The id of a commit without events."""
        return self._commit_id

    def made(self, work: Work) -> Any:
        """Makes the aggregate that the command names, of which nothing is stored.

        Raises:
            AggregateNotFoundError: It is not for this command to make it.
        """
        cls, key = self.handler.aggregate, self.handler.key(self.message)
        assert cls is not None  # noqa: S101
        if not self.handler.mark.creates:
            name = cls.__aggregate_type__
            raise AggregateNotFoundError(
                f"no event is stored for {name} {key!r:.260}, and {self.handler.name} does not "
                "make one; see creates=True",
                aggregate_type=name,
                aggregate_id=key,
            )
        aggregate = cls(id=key)
        work.add(aggregate)
        return aggregate
