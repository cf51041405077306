"""Every exception that Eventuali raises, in one tree.

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
    │   └── DatabaseError
    │       ├── StorageUnavailableError
    │       ├── StorageBusyError
    │       ├── StorageFullError
    │       ├── StorageCorruptedError          position
    │       └── SchemaMismatchError
    ├── SerializationError                     (ValueError)   path, event_type
    │   ├── UnknownEventTypeError
    │   ├── UpcastError
    │   ├── PayloadTooLargeError               what, size, limit
    │   ├── DecryptionError
    │   ├── KeyShreddedError
    │   └── KeyUnavailableError
    ├── InvalidEventError                      (ValueError)   field
    ├── AggregateNotFoundError                 (LookupError)  aggregate_type, aggregate_id
    ├── ProjectionError
    ├── SnapshotError
    └── StreamingError

Catch a class and read its attributes; the texts are for people and may change. Every exception is
built from a message and keyword attributes, and survives pickling and copying.
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
    "ConfigurationError",
    "DatabaseError",
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
    "SnapshotError",
    "StorageBusyError",
    "StorageCorruptedError",
    "StorageFullError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StreamingError",
    "UnknownEventTypeError",
    "UpcastError",
]


class EventualiError(Exception):
    """The root: catches everything that Eventuali raises on its own account."""

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
    """A URL or an option is wrong, or the server refuses the user. Nothing was written."""


# --- the store ------------------------------------------------------------------------------------


class EventStoreError(EventualiError):
    """The store could not do what was asked. Nothing was written unless a subclass says so."""


class OptimisticConcurrencyError(EventStoreError):
    """Somebody else wrote to the stream since it was read. Nothing was written.

    Load the aggregate again, repeat the decision, save again.

    Attributes:
        stream: `(aggregate_type, aggregate_id)`, or None where no single stream is concerned.
        expected_version: What had to hold: a version, `"no_stream"`, `"stream_exists"` or `"any"`.
        actual_version: The version found; None where it is not known.
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
    """An event that the append condition excludes was stored meanwhile. Nothing was written.

    Read the query again from `after`, repeat the decision, append again. `stream` and the versions
    are None here: the condition may concern any number of streams.

    Attributes:
        after: The position after which no event was to match.
        position: The position of an event that does match; None where it is not known.
    """

    def __init__(
        self, message: str = "", *, after: int | None = None, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.after = after
        self.position = position


class IdempotencyConflictError(EventStoreError):
    """An event id is already stored with other content or elsewhere. Nothing was written.

    Repeating the same commit is no conflict: it gives the first answer again. Use new ids for new
    facts.

    Attributes:
        event_ids: The ids that were used before.
    """

    def __init__(self, message: str = "", *, event_ids: Iterable[UUID] = ()) -> None:
        super().__init__(message)
        self.event_ids = list(event_ids)


class OutcomeUnknownError(EventStoreError):
    """The connection failed between sending a commit and its answer: it may be stored or not.

    Save the same aggregate (or append the same event objects) again. They keep their ids, so that
    nothing is stored twice.

    Attributes:
        event_ids: The ids of the events in doubt.
    """

    def __init__(self, message: str = "", *, event_ids: Iterable[UUID] = ()) -> None:
        super().__init__(message)
        self.event_ids = list(event_ids)


class StoreClosedError(EventStoreError):
    """The store was closed before the call. Open a new one."""


class ForkedProcessError(EventStoreError):
    """The store was opened before `fork` and used in the child. Open one in the child."""


class CheckpointMismatchError(EventStoreError):
    """A checkpoint is not what its owner left. Nothing was written.

    The event that it names is gone, or another one is at its position: the database was restored
    from an older copy, or it is another one. Or the checkpoint moved, since somebody else goes on
    under the same name. Decide which one is right; a new name begins anew.

    Attributes:
        name: The name that was to go on.
        position: The position of the checkpoint, or the one that was to be written.
        event_id: The id of the event that was handled there.
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


class DatabaseError(EventStoreError):
    """The storage failed in a way that no subclass names; the cause is chained."""


class StorageUnavailableError(DatabaseError):
    """The storage cannot be reached. Nothing was written; try again later."""


class StorageBusyError(DatabaseError):
    """A lock or a connection was not free in time. Nothing was written; try again."""


class StorageFullError(DatabaseError):
    """The disk or a quota is full. Nothing was written; make room first."""


class StorageCorruptedError(DatabaseError):
    """Stored bytes are not what was written. Restore from a backup; do not write on.

    Attributes:
        position: The position of the first event that is damaged; None where it is not known.
    """

    def __init__(self, message: str = "", *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class SchemaMismatchError(DatabaseError):
    """The storage has a schema of a newer release or of another program. Nothing was changed."""


# --- content --------------------------------------------------------------------------------------


class SerializationError(EventualiError, ValueError):
    """A value can't be stored exactly, or stored bytes can't be decoded. Nothing was written.

    Attributes:
        path: Where in the event, like `items[0].price`; None where it is not known.
        event_type: The wire name of the event; None where it is not known.
    """

    def __init__(
        self, message: str = "", *, path: str | None = None, event_type: str | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.event_type = event_type


class UnknownEventTypeError(SerializationError):
    """No class, or more than one, claims a stored event type.

    Import the module of the class, register the name with `register_event_class`, or read raw.
    """


class UpcastError(SerializationError):
    """An upcaster failed or is missing for a stored schema version."""


class PayloadTooLargeError(SerializationError):
    """A payload, metadata or a commit is over a limit. Nothing was written.

    Attributes:
        what: The part that is too large: `payload`, `headers`, `user_id`, `commit` in bytes, or
            `events`, `tags`, `query items` in number.
        size: Its size.
        limit: The most that is allowed, in the same unit.
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
    """A payload fails authentication: the wrong key, or the bytes were changed."""


class KeyShreddedError(SerializationError):
    """The key of this subject was destroyed on purpose; the data can't come back."""


class KeyUnavailableError(SerializationError):
    """The key service can't be reached or refuses; try again later."""


# --- the caller -----------------------------------------------------------------------------------


class InvalidEventError(EventualiError, ValueError):
    """An id, name, tag, version or event is not acceptable. Nothing was written.

    Attributes:
        field: The part at fault, like `aggregate_id` or `timestamp`.
    """

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AggregateNotFoundError(EventualiError, LookupError):
    """`load_one` found no event of the aggregate.

    Attributes:
        aggregate_type: The wire name of the aggregate type.
        aggregate_id: The id that was asked for.
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


class ProjectionError(EventualiError):
    """A projection's handler failed; its exception is the cause. The checkpoint did not move."""


class SnapshotError(EventualiError):
    """A snapshot can't be taken or used; the events are untouched and decide."""


class StreamingError(EventualiError):
    """A subscription can't go on. Subscribe again from the last position that was handled."""
