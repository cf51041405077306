"""The blocking store: `eventuali.EventStore` for code without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from time import sleep
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from eventuali import context as _context
from eventuali._engine import across as _across
from eventuali._engine import checkpoints as _checkpoints
from eventuali._engine import find as _find
from eventuali._engine import load as _load
from eventuali._engine import read as _read
from eventuali._engine import verify as _verifying
from eventuali._engine import write as _write
from eventuali._engine.arguments import query_items
from eventuali._engine.attempts import ATTEMPTS
from eventuali._engine.bounds import By
from eventuali._engine.checkpoints import CheckpointInfo, Start
from eventuali._engine.clock import StoreClock, described, shown_by
from eventuali._engine.decide import Deciding, Decision, immediate
from eventuali._engine.decode import Decoders, Raw
from eventuali._engine.event_types import EventTypes, StoreOrClass, event_types_of
from eventuali._engine.find import DocumentPlace, Found
from eventuali._engine.history import History
from eventuali._engine.inline_commit import Inline
from eventuali._engine.lifecycle import (
    Durability,
    Place,
    begin,
    named_tenant,
    opened,
    refuse_in_loop,
)
from eventuali._engine.operation import Operation, run
from eventuali._engine.pending_commit import Committed
from eventuali._engine.progress import Progress, shown
from eventuali._engine.read import Horizon, StreamInfo
from eventuali._engine.readers import BlockingReader
from eventuali._engine.snapshot_cleaning import clean
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Tickets
from eventuali._engine.transact import ATTEMPTS as _ATTEMPTS
from eventuali._engine.transact import Transaction
from eventuali._engine.verify import Verification
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import EventStoreError
from eventuali.event import Event
from eventuali.expected import ANY, AppendCondition, Expected, StreamEvents
from eventuali.group import LEASE, Group
from eventuali.history import Step
from eventuali.projection import (
    Projection,
    ProjectionStatus,
    ReadModel,
    Retry,
    Runnable,
    check_inline,
    check_rebuild,
)
from eventuali.query import ALL, E, Query
from eventuali.snapshot import CleanedSnapshots, SnapshotPolicy
from eventuali.store import StoreStats
from eventuali.sync._all_tenants import AllTenants
from eventuali.sync._bus import CommandBus
from eventuali.sync._dead_letters import DeadLetters
from eventuali.sync._member import Member
from eventuali.sync._running import Documents, Running
from eventuali.sync._running import rebuild as _rebuild
from eventuali.sync._subscription import Subscription
from eventuali.sync._transaction import UnitOfWork
from eventuali.sync._transaction import transact as _transact
from eventuali.tenants import TenantLimits, TenantUsage, check_limits, limited
from eventuali.tracking import Tracking
from eventuali.transaction import Outcome

__all__ = [
    "AllTenants",
    "CommandBus",
    "Documents",
    "EventStore",
    "Running",
    "Subscription",
    "UnitOfWork",
]

A = TypeVar("A", bound=Aggregate)
M = TypeVar("M", bound=ReadModel)
T = TypeVar("T")
Kind = TypeVar("Kind", bound=Transaction)


class EventStore:
    """An event store whose calls block; any number of threads may share one.

        with EventStore.create("sqlite://bank.db") as store:
            store.save(account)

    A call lets other threads run while it waits. Inside a running event loop it raises
    `RuntimeError`; use `eventuali.EventStore` there.
    """

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        *,
        inline: Inline | None = None,
        tickets: Tickets | None = None,
        snapshots: Snapshots | None = None,
        limits: TenantLimits | None = None,
        root: bool = True,
    ) -> None:
        """Don't call this directly; use `EventStore.create`."""
        self._store = store
        self._limits = limits
        self._tickets = tickets or Tickets()
        self._snapshots = snapshots or Snapshots(None)
        self._inline = inline
        self._event_types = event_types
        self._root = root

    @classmethod
    def create(
        cls,
        url: Place,
        *,
        tenant: str = "",
        durability: Durability = "full",
        inline: Sequence[Projection[Any]] = (),
        clock: StoreClock | None = None,
        snapshots: SnapshotPolicy | None = None,
        limits: TenantLimits | None = None,
    ) -> Self:
        """Opens a store, and creates it if none exists; see `eventuali.EventStore.create`."""
        refuse_in_loop()
        given, kept = check_inline(inline), Snapshots(snapshots)
        check_limits(limits)
        store: Store = begin(url, tenant, durability, clock).wait().blocking(True)
        store = limited(store, limits)
        made = Inline(store, given) if given else None
        return cls(opened(store), EventTypes(), inline=made, snapshots=kept, limits=limits)

    def save(
        self,
        *aggregates: Aggregate,
        condition: AppendCondition | None = None,
        tracking: Tracking | None = None,
    ) -> Committed:
        """Saves the new events of the aggregates; see `eventuali.EventStore.save`."""
        return _drive(
            _write.save(
                self._store,
                self._event_types,
                aggregates,
                self._inline,
                condition,
                tracking,
                self._tickets,
                self._snapshots,
            )
        )

    def load(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        at_version: int | None = None,
        at_time: datetime | None = None,
        by: Literal["recorded_at", "timestamp"] = "recorded_at",
    ) -> A | None:
        """Rebuilds an aggregate from its events; see `eventuali.EventStore.load`."""
        return _drive(
            _load.load(self._store, cls, aggregate_id, at_version, at_time, by, self._snapshots)
        )

    def load_one(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        at_version: int | None = None,
        at_time: datetime | None = None,
        by: Literal["recorded_at", "timestamp"] = "recorded_at",
    ) -> A:
        """Rebuilds an aggregate like `load`, but raises if nothing was ever stored.

        Raises:
            AggregateNotFoundError: Nothing was ever stored.
        """
        return _drive(
            _load.load_one(self._store, cls, aggregate_id, at_version, at_time, by, self._snapshots)
        )

    def load_many(self, cls: type[A], ids: Iterable[str]) -> dict[str, A]:
        """Rebuilds many aggregates of one class at once; see `eventuali.EventStore.load_many`."""
        return _drive(_load.load_many(self._store, cls, ids, self._snapshots))

    def history(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        from_version: int = 0,
        limit: int | None = None,
    ) -> Iterator[Step[A]]:
        """Yields an aggregate event by event; see `eventuali.EventStore.history`."""
        history = History(self._store, self._event_types, cls, aggregate_id, from_version, limit)
        _drive(history.skip(self._snapshots))
        while True:
            refuse_in_loop()
            if (pending := history.pending) is None:
                return
            yield from history.take(pending.wait())

    def append(
        self,
        events: Iterable[Event | StreamEvents],
        *,
        stream: tuple[str, str] | None = None,
        expected: Expected = ANY,
        condition: AppendCondition | None = None,
        tracking: Tracking | None = None,
    ) -> Committed:
        """Appends events without an aggregate; see `eventuali.EventStore.append`."""
        return _drive(
            _write.append(
                self._store,
                self._event_types,
                events,
                stream,
                expected,
                condition,
                self._inline,
                tracking,
                self._tickets,
            )
        )

    def tracked(self, name: str) -> int | None:
        """Returns the last tracked position; see `eventuali.EventStore.tracked`."""
        return _drive(_checkpoints.tracked(self._store, name))

    @overload
    def decide(
        self, query: Query[E], decision: Decision[E], *, attempts: int = ATTEMPTS
    ) -> Committed: ...

    @overload  # a decision may take any events, whatever the query is
    def decide(  # type: ignore[overload-cannot-match]
        self, query: Query, decision: Decision, *, attempts: int = ATTEMPTS
    ) -> Committed: ...

    def decide(
        self, query: Query, decision: Decision[Any], *, attempts: int = ATTEMPTS
    ) -> Committed:
        """Reads, decides, and stores; see `eventuali.EventStore.decide`."""
        deciding = Deciding(query, attempts, self._tickets, self._store.tenant)
        try:
            while True:
                _drive(deciding.begin())
                reader = self.read(query)
                with deciding.ticket.calling():
                    decided = immediate(decision(list(reader)), "a decision of the blocking store")
                deciding.propose(decided, reader.position)
                if deciding.proposal.empty:
                    return Committed()
                while not deciding.settled:
                    try:
                        return _drive(
                            deciding.send(
                                self._store, self._event_types, self._inline, self._snapshots
                            )
                        )
                    except EventStoreError as error:
                        pause = deciding.refused(error)
                    sleep(pause)
        finally:
            deciding.end()

    def transact(self, fn: Callable[[UnitOfWork], T], *, attempts: int = _ATTEMPTS) -> Outcome[T]:
        """Loads, changes, saves, and again; see `eventuali.EventStore.transact`."""
        return _transact(self._transaction(Transaction, attempts), self, fn)

    def _transaction(self, kind: type[Kind], attempts: int) -> Kind:
        return kind(
            self._store, self._event_types, self._inline, self._tickets, self._snapshots, attempts
        )

    def get(self, model: type[M], key: str) -> M | None:
        """Returns the document of a key; see `eventuali.EventStore.get`."""
        return _drive(_find.get(self._store, model, key))

    def find(
        self,
        model: type[M],
        *,
        order_by: str | None = None,
        after: DocumentPlace | None = None,
        limit: int = 100,
        **where: Any,
    ) -> Found[M]:
        """Finds documents by indexed fields; see `eventuali.EventStore.find`."""
        return _drive(_find.find(self._store, model, where, order_by, after, limit))

    def search(self, model: type[M], text: str, *, limit: int = 20) -> list[M]:
        """Finds documents by their words; see `eventuali.EventStore.search`."""
        return _drive(_find.search(self._store, model, text, limit))

    @overload
    def count(self, model: type[ReadModel], **where: Any) -> int: ...

    @overload
    def count(
        self,
        model: Query,
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
    ) -> int: ...

    def count(self, model: type[ReadModel] | Query, **where: Any) -> int:
        """Counts documents or events; see `eventuali.EventStore.count`."""
        if isinstance(model, Query):
            return _drive(_read.count(self._store, model, **where))
        return run(_find.count(self._store, model, where))

    def run(
        self,
        *projections: Runnable,
        on_error: Retry = Retry(),  # noqa: B008
        group: str | None = None,
        lease: float = LEASE,
    ) -> Running:
        """Keeps projections up to date in threads; see `eventuali.EventStore.run`."""
        return Running(self._store, projections, on_error, group, lease)

    def rebuild(
        self,
        projection: Runnable,
        *,
        on_error: Retry = Retry(),  # noqa: B008
        progress: Progress | bool | None = None,
    ) -> ProjectionStatus:
        """Builds the documents of a projection anew; see `eventuali.EventStore.rebuild`."""
        told = shown(progress, f"rebuild {check_rebuild(projection)}", "positions")
        return _rebuild(self._store, projection, on_error, told)

    metadata = staticmethod(_context.metadata)
    caused_by = staticmethod(_context.caused_by)

    def read(
        self,
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
        from_version: int | None = None,
        to_version: int | None = None,
        limit: int | None = None,
        backwards: bool = False,
        raw: Raw = False,
    ) -> BlockingReader[E]:
        """Returns an iterator over the matching events; see `eventuali.EventStore.read`."""
        reading = _read.Reading(
            self._store,
            Decoders(self._event_types, raw=raw, query=query),
            query_items(query),
            after=after,
            before=before,
            since=since,
            until=until,
            by=by,
            from_version=from_version,
            to_version=to_version,
            limit=limit,
            backwards=backwards,
        )
        return BlockingReader(reading)

    def subscribe(
        self,
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        after: int = 0,
        name: str | None = None,
        start: Start = "beginning",
        raw: Raw = False,
    ) -> Subscription[E]:
        """Follows the matching events, without end; see `eventuali.EventStore.subscribe`."""
        return Subscription(
            self._store, self._event_types, query, after=after, name=name, start=start, raw=raw
        )

    def join(self, group: Group[Any]) -> Member:
        """Joins a consumer group, a thread a partition; see `eventuali.EventStore.join`."""
        return Member(self._store, self._event_types, group)

    def repartition(self, group: str, partitions: int) -> None:
        """Raises the number of partitions of a group; see `eventuali.EventStore.repartition`."""
        from eventuali._engine.membership import repartitioned

        repartitioned(self._store, group, partitions).wait()

    def dead_letters(self, group: str) -> DeadLetters:
        """Returns the dead letters of a group; see `eventuali.EventStore.dead_letters`."""
        return DeadLetters(self._store, group)

    def checkpoints(self) -> list[CheckpointInfo]:
        """Returns the checkpoints of named subscriptions, sorted by name."""
        return _drive(_checkpoints.checkpoints(self._store))

    def reset_checkpoint(self, name: str, position: int | Start) -> CheckpointInfo:
        """Puts a checkpoint elsewhere; see `eventuali.EventStore.reset_checkpoint`."""
        return _drive(_checkpoints.reset_checkpoint(self._store, name, position))

    def delete_checkpoint(self, name: str) -> bool:
        """Deletes a checkpoint; see `eventuali.EventStore.delete_checkpoint`."""
        return _drive(_checkpoints.delete_checkpoint(self._store, name))

    def load_events(
        self,
        aggregate_id: str,
        aggregate_type: str | type[Aggregate] | None = None,
        from_version: int = 0,
        to_version: int | None = None,
        *,
        limit: int | None = None,
        backwards: bool = False,
    ) -> list[Event]:
        """Returns the events of one aggregate; see `eventuali.EventStore.load_events`."""
        return _drive(
            _read.load_events(
                self._store,
                self._event_types,
                aggregate_id,
                aggregate_type,
                from_version,
                to_version,
                limit,
                backwards=backwards,
            )
        )

    get_events = load_events

    def append_events(
        self,
        aggregate_id: str,
        events: Iterable[Event],
        aggregate_type: str | type[Aggregate] | None = None,
        *,
        expected: Expected = ANY,
    ) -> Committed:
        """Appends events to the stream of an id; see `eventuali.EventStore.append_events`."""
        return _drive(
            _write.append_events(
                self._store,
                self._event_types,
                aggregate_id,
                events,
                aggregate_type,
                expected,
                self._inline,
                self._tickets,
            )
        )

    def load_events_by_type(self, aggregate_type: str | type[Aggregate]) -> list[Event]:
        """Returns the events of all aggregates of a type; for many, `read` takes less memory."""
        return _drive(_read.load_events_by_type(self._store, self._event_types, aggregate_type))

    def get_aggregate_version(
        self, aggregate_id: str, aggregate_type: str | type[Aggregate] | None = None
    ) -> int | None:
        """Returns the version of an aggregate; None if nothing was ever stored."""
        return _drive(_read.version(self._store, aggregate_id, aggregate_type))

    def streams(self, aggregate_type: str | type[Aggregate] | None = None) -> Iterator[StreamInfo]:
        """Yields the streams, sorted by type and id."""
        listing = _read.Listing(self._store, aggregate_type)
        while listing.pending is not None:
            refuse_in_loop()
            yield from listing.take(listing.pending.wait())

    @StoreOrClass
    def register_event_class(self, name: str, cls: type[Event]) -> None:
        """Decides which class a type means; see `eventuali.EventStore.register_event_class`."""
        event_types_of(self).register(name, cls)

    @StoreOrClass
    def unregister_event_class(self, name: str) -> None:
        """Revokes what `register_event_class` registered for a name, if anything."""
        event_types_of(self).unregister(name)

    @StoreOrClass
    def get_registered_event_classes(self) -> dict[str, type[Event]]:
        """Returns the registered classes by name; for a store, including those for all stores."""
        return event_types_of(self).named()

    def for_tenant(self, tenant: str, *, limits: TenantLimits | None = None) -> EventStore:
        """Returns the same store for a tenant; see `eventuali.EventStore.for_tenant`."""
        seen = limited(self._store.for_tenant(named_tenant(tenant)), limits)
        if limits is None and seen.tenant == self._store.tenant:
            limits = self._limits
        inline = self._inline and self._inline.of(seen)
        return EventStore(
            seen,
            self._event_types,
            inline=inline,
            tickets=self._tickets,
            snapshots=self._snapshots,
            limits=limits,
            root=False,
        )

    def all_tenants(self) -> AllTenants:
        """Returns a handle that reads all tenants; see `eventuali.EventStore.all_tenants`."""
        return AllTenants(self._store.all_tenants(), self._event_types)

    def usage(self) -> TenantUsage:
        """Returns how much this tenant has stored; see `eventuali.EventStore.usage`."""
        return TenantUsage(*_drive(_across.usage(self._store)), self._limits)

    @property
    def url(self) -> str:
        """The URL that was opened, without a password."""
        return self._store.url

    def stats(self) -> StoreStats:
        """Returns a summary of the store."""
        store = self._store
        position = store.last_position()
        names = store.url, store.backend, store.tenant
        return StoreStats(*names, position, shown_by(store), self._snapshots.stats(store.tenant))

    def verify(self, *, progress: Progress | bool | None = None, limit: int = 1000) -> Verification:
        """Checks everything that is stored; see `eventuali.EventStore.verify`."""
        return _drive(_verifying.verify(self._store, progress, limit))

    def horizon(self) -> Horizon:
        """Returns how far readers of the whole log may read; see `eventuali.EventStore.horizon`."""
        return _drive(_read.horizon(self._store))

    def clean_snapshots(
        self,
        *kinds: type[Aggregate] | str,
        others: bool = False,
        progress: Progress | bool | None = None,
    ) -> CleanedSnapshots:
        """Removes unused snapshots; see `eventuali.EventStore.clean_snapshots`."""
        return _drive(
            clean(self._store, kinds, progress, others=others, places=self._snapshots.places)
        )

    def close(self) -> None:
        """Waits for the writes that have begun, then releases everything; may be called twice."""
        if self._root:
            try:
                run(self._snapshots.finish())
            finally:
                self._store.close().wait()
                self._snapshots.ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sync.EventStore {described(self._store)}>"


def _drive(operation: Operation[T]) -> T:
    """Runs a verb, blocking for each answer."""
    refuse_in_loop()
    return run(operation)
