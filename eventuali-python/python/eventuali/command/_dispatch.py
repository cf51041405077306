"""A bus without a word about how to wait: the two of them differ in that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Generic
from uuid import UUID

from eventuali._engine import answers
from eventuali._engine.operation import Operation
from eventuali._engine.transact import Transaction
from eventuali._engine.unit import Unit
from eventuali.aggregate._commands import unknown
from eventuali.command._command import R
from eventuali.command._handlers import Handler, Handling, table_of
from eventuali.command._identity import are_same, digest_of, id_of
from eventuali.context import Block, metadata
from eventuali.errors import (
    AggregateNotFoundError,
    CommandIdConflictError,
    DatabaseError,
    ForkedProcessError,
    OutcomeUnknownError,
    StoreClosedError,
)
from eventuali.event._context import current, shown
from eventuali.event._envelope import CANONICAL_UUID
from eventuali.expected import at_least
from eventuali.transaction import Outcome

_STORAGE = (DatabaseError, ForkedProcessError, OutcomeUnknownError, StoreClosedError)


@dataclass(frozen=True, slots=True)
class Handled(Generic[R]):
    """What became of a command.

    Attributes:
        answer: What the handler returned.
        position: The position of the last event that was stored, which `Running.wait_for` takes;
            None if there was none.
        repeated: Whether the command was handled before, and this is the answer of then.
    """

    answer: R = None  # type: ignore[assignment]
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
            what, other = ("query", "command") if is_query else ("command", "query")
            verb = "send" if is_query else "ask"
            instead = (
                "" if handler is None else f"; {handler.name} takes it as a {other}: use {verb}"
            )
            raise unknown(type(message), known, "the bus", what, instead)
        return handler


class CommandTransaction(Transaction):
    """The handling of a command: a transaction."""

    WHAT: ClassVar[str] = "command"
    identified: bool = False
    """Whether the command has an id."""

    def advice(self) -> str:
        """Returns what to do if the outcome stays unknown."""
        if self.identified:
            return "send the same command again, which has one effect because of its id"
        return super().advice()


class Sent:
    """A command in progress.

    Attributes:
        message: The command.
        handler: Who handles it.
    """

    def __init__(self, dispatch: Dispatch, message: object, command_id: object) -> None:
        self.message = message
        self.handler = dispatch.find(message, is_query=False)
        self._attempts = dispatch.attempts
        self._retention = dispatch.retention
        self._id = id_of(message, command_id)
        self._digest = "" if self._id is None else digest_of(message, self._id)
        self._looks = False

    def transaction(
        self, make: Callable[[type[CommandTransaction], int], CommandTransaction]
    ) -> CommandTransaction:
        """Returns the transaction in which it is handled."""
        transaction = make(CommandTransaction, self._attempts)
        transaction.identified = self._id is not None
        return transaction

    def block(self) -> Block:
        """Returns the block of its handler: events follow from the command, unless that is set."""
        if self._id is None:
            return metadata()
        around = shown(current())
        own = UUID(self._id) if CANONICAL_UUID.fullmatch(self._id) else self._id
        return metadata(
            correlation_id=around.correlation_id or own, causation_id=around.causation_id or own
        )

    def before(self, look: Callable[[str], Operation[answers.Found]]) -> Operation[Handled | None]:
        """Returns what became of it before, by whomever it was sent.

        Raises:
            CommandIdConflictError: That was another command.
            StorageBusyError: A writer holds back who reads the log.
        """
        if self._id is None:
            return None
        self._looks = True
        found = yield from look(self._id)
        if found is not None and not are_same(found[0].digest, self._digest):
            raise CommandIdConflictError(
                f"the command id {self._id!r:.260} was used for another command; a new command "
                "needs a new id",
                command_id=self._id,
            )
        handled = found and Handled(self.handler.decoded(found[0].answer), found[1], repeated=True)
        self._looks = False
        return handled

    def may_be_repeated(self, error: Exception) -> bool:
        """Whether an error may come from the effect of the same command, sent by another.

        Not if the storage failed, nor if the look at the kept answer did.
        """
        return self._id is not None and not self._looks and not isinstance(error, _STORAGE)

    def answered(self, unit: Unit, answer: Any) -> Handled:
        """Has its answer recorded in the commit of its events."""
        if self._id is not None:
            recording = partial(answers.record, unit.store, self._id, retention=self._retention)
            text = self.handler.encoded(answer)
            unit.recording = lambda last: recording(answers.Kept(self._digest, text, last))
        return Handled(answer)

    @staticmethod
    def handled(outcome: Outcome[Handled]) -> Handled:
        """Returns what became of it, once it is stored."""
        handled, committed = outcome
        return handled if handled.repeated else Handled(handled.answer, committed.position)

    def made(self, unit: Unit) -> Any:
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
        unit.add([aggregate])
        return aggregate
