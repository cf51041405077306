"""Event sourcing for Python at Rust speed.

`Event` and `Aggregate` are facts and behaviour; `EventStore` keeps them. The blocking store is
`eventuali.sync.EventStore`, the rarer errors are in `eventuali.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventuali import aggregate as aggregate
    from eventuali import asgi as asgi
    from eventuali import command as command
    from eventuali import config as config
    from eventuali import context as context
    from eventuali import errors as errors
    from eventuali import event as event
    from eventuali import expected as expected
    from eventuali import history as history
    from eventuali import importing as importing
    from eventuali import projection as projection
    from eventuali import query as query
    from eventuali import running as running
    from eventuali import schema as schema
    from eventuali import snapshot as snapshot
    from eventuali import store as store
    from eventuali import subscription as subscription
    from eventuali import sync as sync
    from eventuali import tenants as tenants
    from eventuali import tracking as tracking
    from eventuali import transaction as transaction
    from eventuali import worker as worker
    from eventuali._eventuali import __version__
    from eventuali.aggregate import Aggregate, User
    from eventuali.config import EventStoreConfig
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
    from eventuali.event import (
        DomainEvent,
        Event,
        EventMeta,
        SystemEvent,
        UnknownEvent,
        now,
        upcast,
    )
    from eventuali.expected import (
        ANY,
        NO_STREAM,
        STREAM_EXISTS,
        AppendCondition,
        ExpectedVersion,
        StreamEvents,
    )
    from eventuali.group import Group
    from eventuali.projection import (
        Projection,
        ProjectionStatus,
        ReadModel,
        Retry,
        Statements,
    )
    from eventuali.query import ALL, Query
    from eventuali.running import Documents, Running
    from eventuali.snapshot import SnapshotPolicy
    from eventuali.store import (
        CheckpointInfo,
        Committed,
        Damage,
        EventStore,
        Found,
        Horizon,
        StoreStats,
        StreamInfo,
        Verification,
    )
    from eventuali.subscription import Subscription, by_position
    from eventuali.tenants import TenantLimits
    from eventuali.tracking import Tracking
    from eventuali.transaction import Outcome, UnitOfWork

__all__ = [
    "ALL",
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Aggregate",
    "AggregateNotFoundError",
    "AppendCondition",
    "AppendConditionError",
    "CheckpointInfo",
    "Committed",
    "ConfigurationError",
    "Damage",
    "DatabaseError",
    "Documents",
    "DomainEvent",
    "Event",
    "EventMeta",
    "EventStore",
    "EventStoreConfig",
    "EventStoreError",
    "EventualiError",
    "ExpectedVersion",
    "Found",
    "Group",
    "Horizon",
    "IdempotencyConflictError",
    "InvalidEventError",
    "OptimisticConcurrencyError",
    "Outcome",
    "OutcomeUnknownError",
    "Projection",
    "ProjectionStatus",
    "Query",
    "ReadModel",
    "Retry",
    "Running",
    "SerializationError",
    "SnapshotPolicy",
    "Statements",
    "StoreStats",
    "StreamEvents",
    "StreamInfo",
    "Subscription",
    "SystemEvent",
    "TenantLimits",
    "Tracking",
    "UnitOfWork",
    "UnknownEvent",
    "User",
    "Verification",
    "__version__",
    "by_position",
    "now",
    "upcast",
]

_HOMES = {
    "_eventuali": ("__version__",),
    "aggregate": ("Aggregate", "User"),
    "config": ("EventStoreConfig",),
    "errors": (
        "AggregateNotFoundError",
        "AppendConditionError",
        "ConfigurationError",
        "DatabaseError",
        "EventStoreError",
        "EventualiError",
        "IdempotencyConflictError",
        "InvalidEventError",
        "OptimisticConcurrencyError",
        "OutcomeUnknownError",
        "SerializationError",
    ),
    "event": (
        "DomainEvent",
        "Event",
        "EventMeta",
        "SystemEvent",
        "UnknownEvent",
        "now",
        "upcast",
    ),
    "expected": (
        "ANY",
        "AppendCondition",
        "ExpectedVersion",
        "NO_STREAM",
        "STREAM_EXISTS",
        "StreamEvents",
    ),
    "group": ("Group",),
    "projection": ("Projection", "ProjectionStatus", "ReadModel", "Retry", "Statements"),
    "query": ("ALL", "Query"),
    "running": ("Documents", "Running"),
    "snapshot": ("SnapshotPolicy",),
    "store": (
        "CheckpointInfo",
        "Committed",
        "Damage",
        "EventStore",
        "Found",
        "Horizon",
        "StoreStats",
        "StreamInfo",
        "Verification",
    ),
    "subscription": ("Subscription", "by_position"),
    "tenants": ("TenantLimits",),
    "tracking": ("Tracking",),
    "transaction": ("Outcome", "UnitOfWork"),
}
_MODULES = {
    "aggregate",
    "asgi",
    "command",
    "config",
    "context",
    "dead_letter",
    "errors",
    "event",
    "expected",
    "group",
    "history",
    "importing",
    "member",
    "projection",
    "query",
    "running",
    "schema",
    "snapshot",
    "store",
    "subscription",
    "sync",
    "tenants",
    "tracking",
    "transaction",
    "worker",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # which would take any name for one of this module

    def __getattr__(name: str) -> Any:
        """Brings a name when it is first asked for: the import alone costs next to nothing."""
        if name in _MODULES:
            return import_module(f"eventuali.{name}")
        if name not in _HOME:
            raise AttributeError(f"module 'eventuali' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"eventuali.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
