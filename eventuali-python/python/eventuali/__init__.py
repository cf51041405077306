"""Event sourcing for Python at Rust speed.

`Event` and `Aggregate` are facts and behaviour; `EventStore` keeps them. The blocking store is
`eventuali.sync.EventStore`, the rarer errors are in `eventuali.errors`.
"""

from eventuali._eventuali import __version__
from eventuali.aggregate import Aggregate, User
from eventuali.errors import (
    AggregateNotFoundError,
    AppendConditionError,
    ConfigurationError,
    DatabaseError,
    EventStoreError,
    EventualiError,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    SerializationError,
)
from eventuali.event import DomainEvent, Event, EventMeta, SystemEvent, UnknownEvent
from eventuali.expected import ANY, NO_STREAM, STREAM_EXISTS, AppendCondition, ExpectedVersion
from eventuali.query import ALL, Query
from eventuali.store import Committed, EventStore, StoreStats, StreamInfo

__all__ = [
    "ALL",
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Aggregate",
    "AggregateNotFoundError",
    "AppendCondition",
    "AppendConditionError",
    "Committed",
    "ConfigurationError",
    "DatabaseError",
    "DomainEvent",
    "Event",
    "EventMeta",
    "EventStore",
    "EventStoreError",
    "EventualiError",
    "ExpectedVersion",
    "IdempotencyConflictError",
    "InvalidEventError",
    "OptimisticConcurrencyError",
    "OutcomeUnknownError",
    "Query",
    "SerializationError",
    "StoreStats",
    "StreamInfo",
    "SystemEvent",
    "UnknownEvent",
    "User",
    "__version__",
]
