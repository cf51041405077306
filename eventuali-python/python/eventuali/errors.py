"""All exceptions of Eventuali, in one tree.

::

    EventualiError
    ├── ConfigurationError                     (ValueError)
    ├── EventStoreError
    │   ├── OptimisticConcurrencyError         stream, expected_version, actual_version
    │   │   └── AppendConditionError           after, position
    │   ├── IdempotencyConflictError           event_ids
    │   ├── OutcomeUnknownError                event_ids
    │   ├── StoreClosedError
    │   ├── ForkedProcessError
    │   ├── CheckpointMismatchError            name, position, event_id
    │   ├── TrackingConflictError              name, position, stored
    │   ├── StatementError                     index, statement
    │   ├── TenantLimitError                   tenant, limit, allowed, used, asked
    │   ├── TenantAccessError                  tenant
    │   └── DatabaseError
    │       ├── StorageUnavailableError
    │       ├── StorageBusyError
    │       ├── StorageFullError
    │       ├── StorageCorruptedError          position
    │       └── SchemaMismatchError
    ├── SerializationError                     (ValueError)   path, event_type
    │   ├── UnknownEventTypeError
    │   ├── UpcastError                        event_version, position
    │   ├── PayloadTooLargeError               what, size, limit
    │   ├── DecryptionError
    │   ├── KeyShreddedError
    │   └── KeyUnavailableError
    ├── InvalidEventError                      (ValueError)   field
    ├── AggregateNotFoundError                 (LookupError)  aggregate_type, aggregate_id
    ├── CommandError
    │   ├── UnknownCommandError                (LookupError)  message_type, known
    │   └── CommandIdConflictError             command_id
    ├── ConsumerGroupError
    ├── DeadLetterNotFoundError                (LookupError)  group, position
    ├── ProjectionError
    └── StreamingError

Catch a class and read its attributes; the messages are for people and may change. Every exception
takes a message and keyword attributes, and survives pickling and copying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

__all__ = [
    "AggregateNotFoundError",
    "AppendConditionError",
    "CheckpointMismatchError",
    "CommandError",
    "CommandIdConflictError",
    "ConfigurationError",
    "ConsumerGroupError",
    "DatabaseError",
    "DeadLetterNotFoundError",
    "DecryptionError",
    "EventStoreError",
    "EventualiError",
    "ForkedProcessError",
    "IdempotencyConflictError",
    "InvalidEventError",
    "KeyShreddedError",
    "KeyUnavailableError",
    "OptimisticConcurrencyError",
    "OutcomeUnknownError",
    "PayloadTooLargeError",
    "ProjectionError",
    "SchemaMismatchError",
    "SerializationError",
    "StatementError",
    "StorageBusyError",
    "StorageCorruptedError",
    "StorageFullError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StreamingError",
    "TenantAccessError",
    "TenantLimitError",
    "TrackingConflictError",
    "UnknownCommandError",
    "UnknownEventTypeError",
    "UpcastError",
]


class EventualiError(Exception):
    """The base class of all exceptions that Eventuali defines."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[EventualiError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """Makes an exception again without its constructor, whose attributes are keyword-only."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class ConfigurationError(EventualiError, ValueError):
    """A URL or an option is wrong, or the server denies access. Nothing was written."""


# --- the store ------------------------------------------------------------------------------------


class EventStoreError(EventualiError):
    """A call to the store failed. Nothing was written unless a subclass says so."""


class OptimisticConcurrencyError(EventStoreError):
    """Another writer appended to the stream after it was read. Nothing was written.

    Load the aggregate again, decide again, save again.

    Attributes:
        stream: `(aggregate_type, aggregate_id)`, or None if no single stream is concerned.
        expected_version: What was expected: a version, `"no_stream"`, `"stream_exists"` or `"any"`.
        actual_version: The version found; None if unknown.
    """

    def __init__(
        self,
        message: str = "",
        *,
        stream: tuple[str, str] | None = None,
        expected_version: int | str | None = None,
        actual_version: int | None = None,
    ) -> None:
        super().__init__(message)
        self.stream = stream
        self.expected_version = expected_version
        self.actual_version = actual_version


class AppendConditionError(OptimisticConcurrencyError):
    """A stored event matches the append condition. Nothing was written.

    Read the query again from `after`, decide again, append again. `stream` and the versions are
    None, because the condition may concern any number of streams.

    Attributes:
        after: The position after which no event may match.
        position: The position of an event that matches; None if unknown.
    """

    def __init__(
        self, message: str = "", *, after: int | None = None, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.after = after
        self.position = position


class IdempotencyConflictError(EventStoreError):
    """An event id is already stored, with other content or in another place. Nothing was written.

    Repeating the same commit is not a conflict; it returns the first result again. Use new ids for
    new facts.

    Attributes:
        event_ids: The ids that are already stored.
    """

    def __init__(self, message: str = "", *, event_ids: Iterable[UUID] = ()) -> None:
        super().__init__(message)
        self.event_ids = list(event_ids)


class OutcomeUnknownError(EventStoreError):
    """The storage failed between a commit and its answer; the events may or may not be stored.

    Save the same aggregate, or append the same event objects, again. They keep their ids, so
    nothing is stored twice.

    Attributes:
        event_ids: The ids of the events whose outcome is unknown.
    """

    def __init__(self, message: str = "", *, event_ids: Iterable[UUID] = ()) -> None:
        super().__init__(message)
        self.event_ids = list(event_ids)


class StoreClosedError(EventStoreError):
    """The store was closed before the call. Open a new one."""


class ForkedProcessError(EventStoreError):
    """The store was opened before a `fork` and used in the child. Open one in the child."""


class CheckpointMismatchError(EventStoreError):
    """A checkpoint is not as its subscription left it. Nothing was written.

    Either the event at the checkpoint is gone or another one, because the database was restored
    from an older copy or is another one. Or another subscriber uses the same name and moved the
    checkpoint, or somebody reset or deleted it. Find out which log this is, and use one subscriber
    per name. A new name starts from the beginning.

    Attributes:
        name: The name of the subscription.
        position: The position of the checkpoint, or the position that should have been written.
        event_id: The id of the event that was handled at that position.
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        position: int | None = None,
        event_id: UUID | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.position = position
        self.event_id = event_id


class TrackingConflictError(EventStoreError):
    """A tracked position is not above the one that is stored. Nothing was written.

    The position was processed before, by this process or another one. Continue after `stored`.

    Attributes:
        name: The name of the other log.
        position: The position that should have been stored.
        stored: The position that is stored.
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        position: int | None = None,
        stored: int | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.position = position
        self.stored = stored


class TenantLimitError(EventStoreError):
    """A commit would take a tenant beyond one of its limits. Nothing was written.

    Attributes:
        tenant: The tenant.
        limit: The limit that would be exceeded: `events` or `bytes`.
        allowed: The most that the tenant may store.
        used: What it has stored, with what is being written now.
        asked: What the commit would add.
    """

    def __init__(
        self,
        message: str = "",
        *,
        tenant: str | None = None,
        limit: str | None = None,
        allowed: int | None = None,
        used: int | None = None,
        asked: int | None = None,
    ) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.limit = limit
        self.allowed = allowed
        self.used = used
        self.asked = asked


class TenantAccessError(EventStoreError):
    """The store of a tenant was asked for what is another one's, or of all of them.

    It says the same whether or not there is such a tenant.

    Attributes:
        tenant: The tenant whose store was asked.
    """

    def __init__(self, message: str = "", *, tenant: str | None = None) -> None:
        super().__init__(message)
        self.tenant = tenant


class StatementError(EventStoreError):
    """The database refused a statement that belongs to a commit. Nothing of the commit was written.

    Attributes:
        index: The place of the statement in the commit, from 0; None if it is not known, as for a
            constraint that is checked after all of them.
        statement: Its SQL; empty if it is not known.
    """

    def __init__(self, message: str = "", *, index: int | None = None, statement: str = "") -> None:
        super().__init__(message)
        self.index = index
        self.statement = statement


class DatabaseError(EventStoreError):
    """The storage failed in a way that no subclass describes; the cause is chained."""


class StorageUnavailableError(DatabaseError):
    """The storage can't be reached. Nothing was written; retry later."""


class StorageBusyError(DatabaseError):
    """A lock, a connection or a statement took too long. Nothing was written; retry."""


class StorageFullError(DatabaseError):
    """The disk or a quota is full. Nothing was written; free some space, then retry."""


class StorageCorruptedError(DatabaseError):
    """Stored bytes differ from what was written. Stop writing; restore from a backup.

    Attributes:
        position: The position of the first damaged event; None if unknown.
    """

    def __init__(self, message: str = "", *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class SchemaMismatchError(DatabaseError):
    """The schema is missing, or is of a newer release or another program. Nothing was changed."""


# --- content --------------------------------------------------------------------------------------


class SerializationError(EventualiError, ValueError):
    """A value can't be stored exactly, or stored bytes can't be decoded. Nothing was written.

    Attributes:
        path: The place in the event, such as `items[0].price`; None if unknown.
        event_type: The wire name of the event; None if unknown.
    """

    def __init__(
        self, message: str = "", *, path: str | None = None, event_type: str | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.event_type = event_type


class UnknownEventTypeError(SerializationError):
    """No class, or more than one, claims a stored event type, or a newer version of it wrote it.

    Import the module of the class, call `register_event_class`, deploy the newer version of the
    class, or read with `raw=True`.
    """


class UpcastError(SerializationError):
    """A step from a stored schema version to the current one failed, or is missing.

    The event is stored as it was, and other events can be read. Write or mend the step, or read
    with `raw=True`.

    Attributes:
        event_version: The version in which the event is stored; None if unknown.
        position: Its position; None if unknown.
    """

    def __init__(
        self,
        message: str = "",
        *,
        event_version: int | None = None,
        position: int | None = None,
        path: str | None = None,
        event_type: str | None = None,
    ) -> None:
        super().__init__(message, path=path, event_type=event_type)
        self.event_version = event_version
        self.position = position


class PayloadTooLargeError(SerializationError):
    """A payload, metadata or a commit exceeds a limit. Nothing was written.

    Attributes:
        what: The part that is too large: `payload`, `headers`, `user_id`, `commit` in bytes, or
            `events`, `statements`, `tags`, `query items`, `query terms` in number.
        size: The size of that part.
        limit: The maximum, in the same unit.
    """

    def __init__(
        self,
        message: str = "",
        *,
        what: str | None = None,
        size: int | None = None,
        limit: int | None = None,
        path: str | None = None,
        event_type: str | None = None,
    ) -> None:
        super().__init__(message, path=path, event_type=event_type)
        self.what = what
        self.size = size
        self.limit = limit


class DecryptionError(SerializationError):
    """Reserved: a payload fails authentication, by a wrong key or changed bytes."""


class KeyShreddedError(SerializationError):
    """Reserved: the key of a subject was destroyed on purpose; its data can't be recovered."""


class KeyUnavailableError(SerializationError):
    """Reserved: the key service can't be reached, or refuses; retry later."""


# --- the caller -----------------------------------------------------------------------------------


class InvalidEventError(EventualiError, ValueError):
    """An id, name, tag, version or event is not acceptable. Nothing was written.

    Attributes:
        field: The invalid part, such as `aggregate_id` or `timestamp`.
    """

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AggregateNotFoundError(EventualiError, LookupError):
    """`load_one` found no event of the aggregate.

    Attributes:
        aggregate_type: The wire name of the aggregate type.
        aggregate_id: The requested id.
    """

    def __init__(
        self,
        message: str = "",
        *,
        aggregate_type: str | None = None,
        aggregate_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.aggregate_type = aggregate_type
        self.aggregate_id = aggregate_id


class CommandError(EventualiError):
    """A command or query can't be handled. Nothing was written."""


class UnknownCommandError(CommandError, LookupError):
    """No handler takes a command or query of this class.

    Attributes:
        message_type: The name of its class.
        known: The names of the classes that are handled.
    """

    def __init__(
        self, message: str = "", *, message_type: str | None = None, known: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.message_type = message_type
        self.known = list(known)


class CommandIdConflictError(CommandError):
    """The id of a command was used before, for a command with other content.

    Repeating the same command is no conflict; it returns the first answer. Use a new id for a new
    command.

    Attributes:
        command_id: The id.
    """

    def __init__(self, message: str = "", *, command_id: str | None = None) -> None:
        super().__init__(message)
        self.command_id = command_id


class ConsumerGroupError(EventualiError):
    """A partition of a consumer group stopped at an event, or its member ended; see the cause.

    The events from there on are not handled, and come again once somebody takes the partition.
    """


class DeadLetterNotFoundError(EventualiError, LookupError):
    """A consumer group has no dead letter of this position: it was replayed or discarded.

    Attributes:
        group: The name of the group.
        position: The position.
    """

    def __init__(
        self, message: str = "", *, group: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.group = group
        self.position = position


class ProjectionError(EventualiError):
    """A projection stopped, can't be run as it is, or was not rebuilt; the cause is chained.

    Its documents are as they were after the last event that was handled.
    """


class StreamingError(EventualiError):
    """A subscription ended before it caught up: subscribe again after the last handled event.

    Or it can't go on, since it may have passed over events: see the text.
    """
