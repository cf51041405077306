"""Event sourcing for Python at Rust speed.

See https://github.com/eventuali/eventuali for guides and the reference.
"""

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
]
