"""The asynchronous store."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import datetime, timedelta  # noqa: F401 (of `Horizon`)
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

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
from eventuali._engine.decide import AsyncDecision, Deciding
from eventuali._engine.decode import Decoders, Raw
from eventuali._engine.event_types import EventTypes, StoreOrClass, event_types_of
from eventuali._engine.find import DocumentPlace, Found
from eventuali._engine.history import History
from eventuali._engine.inline_commit import Inline
from eventuali._engine.lifecycle import Durability, Place, begin, named_tenant, opened
from eventuali._engine.pending_commit import Committed
from eventuali._engine.progress import Progress, shown
from eventuali._engine.read import Horizon, StreamInfo
from eventuali._engine.readers import EventReader
from eventuali._engine.snapshot_cleaning import clean
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Tickets
from eventuali._engine.transact import ATTEMPTS as _ATTEMPTS
from eventuali._engine.transact import Transaction
from eventuali._engine.verify import Damage, Verification
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.dead_letter import DeadLetters
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
from eventuali.snapshot import CleanedSnapshots, SnapshotPolicy, SnapshotStats
from eventuali.subscription import Subscription
from eventuali.tenants import AllTenants, TenantLimits, TenantUsage, check_limits, limited
from eventuali.tracking import Tracking
from eventuali.transaction import Outcome, UnitOfWork
from eventuali.transaction import transact as _transact

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver
    from eventuali.member import Member
    from eventuali.running import Running

__all__ = [
    "CheckpointInfo",
    "Committed",
    "Damage",
    "EventStore",
    "Found",
    "Horizon",
    "StoreStats",
    "StreamInfo",
    "Verification",
]

A = TypeVar("A", bound=Aggregate)
M = TypeVar("M", bound=ReadModel)
T = TypeVar("T")
Kind = TypeVar("Kind", bound=Transaction)

# A pickle names what the store answers where no part of the path is private. The names in the
# annotations are looked up here then, too.
for _class in (CheckpointInfo, Committed, Damage, Found, Horizon, StreamInfo, Verification):
    _class.__module__ = __name__


@dataclass(frozen=True, slots=True)
class StoreStats:
    """A summary of a store.

    Attributes:
        url: The URL that was opened, without a password.
        backend: `memory`, `sqlite` or `postgres`.
        tenant: The owner of the events; empty for the default tenant.
        last_position: The highest position that this store has written, read or heard of. Other
            processes may have written more; see `EventStore.horizon`.
        clock: What the clock shows that a test has given the store; None for the real time.
        snapshots: What became of the tenant's snapshots since the store was opened, by type of
            aggregates.
    """

    url: str
    backend: str
    tenant: str
    last_position: int
    clock: datetime | None = None
    snapshots: Mapping[str, SnapshotStats] = field(default_factory=dict)


class EventStore:
    """An event store; any number of tasks, event loops and threads may share one.

        async with EventStore.create("sqlite://bank.db") as store:
            await store.save(account)

    If a task that waits for a write is cancelled, the write still runs to its end. The outcome is
    unknown to that task; saving the same aggregate again settles it and stores nothing twice.
    """

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        driver: AsyncioDriver,
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
        self._driver = driver
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
    ) -> Opening:
        """Opens a store, and creates it if none exists. Await it or use it with `async with`.

        Args:
            url: `memory://`, `sqlite://:memory:`, `sqlite://events.db` or a bare `events.db`
                (relative), `sqlite:////abs/events.db` (absolute), `postgresql://user@host/database`,
                or an `EventStoreConfig`.
            tenant: The owner of the events; at most 64 letters, digits, `_` and `-`.
            durability: `"full"`: an acknowledged save survives a power cut. `"relaxed"`: it
                survives the end of the process, but a power cut can lose the last commits.
            inline: Projections of the class keyword `inline`, whose documents `save` and `append`
                commit together with the events.
            clock: For tests: an `eventuali.testing.Clock`, which the store goes by.
            snapshots: When snapshots of aggregates are written, and how long they are kept; None
                for none, except of classes that say `snapshot_every`.
            limits: How much the tenant may store; None for any amount.

        Raises:
            ConfigurationError: The URL or an option is wrong.
            TenantAccessError: On PostgreSQL, the role is restricted to another tenant.
            InvalidEventError: The tenant is not at most 64 letters, digits, `_` and `-`.
            DatabaseError: The file or database can't be opened; the subclass says why.
        """
        kept = Snapshots(snapshots)
        given = check_inline(inline)
        return Opening(url, tenant, durability, given, clock, kept, check_limits(limits))

    async def save(
        self,
        *aggregates: Aggregate,
        condition: AppendCondition | None = None,
        tracking: Tracking | None = None,
    ) -> Committed:
        """Saves the new events of the aggregates, all or nothing.

        Args:
            aggregates: The aggregates. If the outcome of an earlier save is unknown, that is
                settled first, on the condition that it was sent with.
            condition: The events that must not have been stored in the meantime.
            tracking: The position of another log to store in the same commit.

        Raises:
            OptimisticConcurrencyError: A stream is no longer at the version that was loaded.
            AppendConditionError: A stored event matches the condition.
            TrackingConflictError: The position of `tracking` was stored before, or a higher one.
            SerializationError: A value would not come back exactly; `path` says where.
            OutcomeUnknownError: The storage failed during the write; saving again settles it.
        """
        return await self._driver.run(
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

    async def load(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        at_version: int | None = None,
        at_time: datetime | None = None,
        by: Literal["recorded_at", "timestamp"] = "recorded_at",
    ) -> A | None:
        """Rebuilds an aggregate from its events; returns None if nothing was ever stored.

        Args:
            cls: The class of the aggregate.
            aggregate_id: The id of the aggregate.
            at_version: Load up to this version, which the aggregate must have reached.
            at_time: Load the events before the first one that is later than this time. It can't be
                combined with `at_version`.
            by: Compare `at_time` with when events were stored, or with when they happened.

        Raises:
            InvalidEventError: The aggregate has not reached `at_version`, or the time has no zone.
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
            StorageCorruptedError: Stored bytes differ from what was written.
        """
        return await self._driver.run(
            _load.load(self._store, cls, aggregate_id, at_version, at_time, by, self._snapshots)
        )

    async def load_one(
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
        return await self._driver.run(
            _load.load_one(self._store, cls, aggregate_id, at_version, at_time, by, self._snapshots)
        )

    async def load_many(self, cls: type[A], ids: Iterable[str]) -> dict[str, A]:
        """Rebuilds many aggregates of one class at once, in far less time than one by one.

        Args:
            cls: The class of the aggregates.
            ids: Their ids; an id that is given twice is loaded once.

        Returns:
            The aggregates by id, in the order of `ids`, without those of which nothing was ever
            stored; empty if `ids` is. All of them are in memory together, and beside them at most
            64 pages of 1,000 events. Each is as it was at some moment of the call, as with `load`.

        Raises:
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
            StorageCorruptedError: Stored bytes differ from what was written.
        """
        return await self._driver.run(_load.load_many(self._store, cls, ids, self._snapshots))

    async def history(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        from_version: int = 0,
        limit: int | None = None,
    ) -> AsyncIterator[Step[A]]:
        """Yields an aggregate event by event: each event, the state after it, and its changes.

        It yields nothing if nothing was ever stored. One page of events is in memory at a time.

        Args:
            cls: The class of the aggregate.
            aggregate_id: The id of the aggregate.
            from_version: The first version of which a step is yielded. Events before it are
                applied, and not yielded; a snapshot spares those up to its own.
            limit: The maximum number of versions. One has a step; where its event has become
                several, a step for each. The next page begins at `from_version + limit`.

        Raises:
            InvalidEventError: A number is out of range.
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
        """
        history = History(self._store, self._event_types, cls, aggregate_id, from_version, limit)
        await self._driver.run(history.skip(self._snapshots))
        while (pending := history.pending) is not None:
            for step in history.take(await self._driver.answer(pending)):
                yield step

    async def append(
        self,
        events: Iterable[Event | StreamEvents],
        *,
        stream: tuple[str, str] | None = None,
        expected: Expected = ANY,
        condition: AppendCondition | None = None,
        tracking: Tracking | None = None,
    ) -> Committed:
        """Appends events without an aggregate, all or nothing.

        Repeating the call with the same event objects stores nothing twice.

        Args:
            events: The events to append; `StreamEvents` among them are for a stream of their own.
                `expected` and `condition` are checked even if it is empty, and `tracking` is
                stored.
            stream: `(aggregate_type, aggregate_id)`; None for events without a stream.
            expected: The version at which the stream must be.
            condition: The events that must not have been stored in the meantime.
            tracking: The position of another log to store in the same commit.

        Raises:
            OptimisticConcurrencyError: The stream is at another version.
            AppendConditionError: A stored event matches the condition.
            TrackingConflictError: The position of `tracking` was stored before, or a higher one,
                but not with these events.
            IdempotencyConflictError: Only some of the events are already stored, or an event id is
                stored with other content.
        """
        return await self._driver.run(
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

    async def tracked(self, name: str) -> int | None:
        """Returns the last position of another log that was stored; None before the first one.

        Positions are stored by `append` and `save` with `tracking`. Each tenant has its own.
        """
        return await self._driver.run(_checkpoints.tracked(self._store, name))

    @overload
    async def decide(
        self, query: Query[E], decision: AsyncDecision[E], *, attempts: int = ATTEMPTS
    ) -> Committed: ...

    @overload  # a decision may take any events, whatever the query is
    async def decide(  # type: ignore[overload-cannot-match]
        self, query: Query, decision: AsyncDecision, *, attempts: int = ATTEMPTS
    ) -> Committed: ...

    async def decide(
        self, query: Query, decision: AsyncDecision[Any], *, attempts: int = ATTEMPTS
    ) -> Committed:
        """Reads, decides, and stores; again if a matching event was stored in the meantime.

        If the outcome of an append is unknown, the same events are sent again. The decision is
        repeated only when it is certain that they were not stored.

        Args:
            query: The events on which the decision depends. If the events that it returns match
                the query too, a second call finds those of the first.
            decision: Takes the matching events, and returns what to store, one or several: events,
                `StreamEvents`, aggregates with new events, in any mix; or None. All of it is one
                commit. It may be a coroutine function, and is called at most once per attempt. If
                it raises, this method raises the same exception, and nothing is stored.
            attempts: The maximum number of appends, with pauses that grow to 250 ms.

        Returns:
            The result of the append, without positions if there was nothing to store.

        Raises:
            AppendConditionError: A matching event was stored during each attempt.
            OptimisticConcurrencyError: A stream was at another version in the last attempt.
            OutcomeUnknownError: The storage failed and did not recover within `attempts`. Calling
                again is safe if the events match the query.
        """
        import asyncio  # which `import eventuali` need not bring

        deciding = Deciding(query, attempts, self._tickets, self._store.tenant)
        try:
            while True:
                await self._driver.run(deciding.begin())
                reader = self.read(query)
                with deciding.ticket.calling():
                    decided = decision([event async for event in reader])
                    proposal = await decided if isawaitable(decided) else decided
                deciding.propose(proposal, reader.position)
                if deciding.proposal.empty:
                    return Committed()
                while not deciding.settled:
                    sending = deciding.send(
                        self._store, self._event_types, self._inline, self._snapshots
                    )
                    try:
                        return await self._driver.run(sending)
                    except EventStoreError as error:
                        pause = deciding.refused(error)
                    await asyncio.sleep(pause)
        finally:
            deciding.end()

    @overload
    async def transact(
        self, fn: Callable[[UnitOfWork], Awaitable[T]], *, attempts: int = ...
    ) -> Outcome[T]: ...

    @overload
    async def transact(
        self, fn: Callable[[UnitOfWork], T], *, attempts: int = ...
    ) -> Outcome[T]: ...

    async def transact(
        self, fn: Callable[[UnitOfWork], Any], *, attempts: int = _ATTEMPTS
    ) -> Outcome[Any]:
        """Loads, changes and saves aggregates, and does it again after a conflict.

            async def transfer(work):
                source = await work.load_one(Account, "a")
                target = await work.load_one(Account, "b")
                source.apply(Withdrawn(amount=10))
                target.apply(Deposited(amount=10))
                return source.balance

            balance, committed = await store.transact(transfer)

        The new events of all aggregates that the function loads or adds are one commit, on
        condition that everything it loaded or read is still as it was. After a conflict, the
        function is called again with newly loaded aggregates. Callers in this process that load the
        same aggregate take turns, in the order in which they came.

        If the outcome of a commit is unknown, the same events are sent again. The function is
        called again only when it is certain that they were not stored.

        Args:
            fn: Takes a `UnitOfWork`. It may be a coroutine function, and is called at most once per
                attempt, so it must have no other effects. If it raises, this method raises the same
                exception, and nothing is stored.
            attempts: The maximum number of commits, with pauses that grow to 250 ms.

        Returns:
            The value of the function and the result of the commit; the latter has no positions if
            there was nothing to store.

        Raises:
            OptimisticConcurrencyError: Another writer changed something in each attempt.
            AppendConditionError: The same, and in the last attempt it was what `work.read` read.
            RuntimeError: `work` was called after the function had ended, or a transaction within
                another one changes what that has loaded or added.
            OutcomeUnknownError: The storage failed and did not recover within `attempts`.
        """
        return await _transact(self._transaction(Transaction, attempts), self, fn)

    def _transaction(self, kind: type[Kind], attempts: int) -> Kind:
        return kind(
            self._store, self._event_types, self._inline, self._tickets, self._snapshots, attempts
        )

    async def get(self, model: type[M], key: str) -> M | None:
        """Returns the document of a key; None if there is none.

        Raises:
            SerializationError: The stored document does not fit the class.
        """
        return await self._driver.run(_find.get(self._store, model, key))

    async def find(
        self,
        model: type[M],
        *,
        order_by: str | None = None,
        after: DocumentPlace | None = None,
        limit: int = 100,
        **where: Any,
    ) -> Found[M]:
        """Finds documents by indexed fields.

            page = await store.find(AccountView, owner="Ada", limit=50)
            more = await store.find(AccountView, owner="Ada", limit=50, after=page.next)

        A page continues after the last document of the page before it, whatever was inserted or
        deleted in the meantime.

        Args:
            model: The class of the documents.
            order_by: An indexed field, or `"key"`, `"-"` before it for descending order; by
                default the field of the first condition.
            after: The `next` of the page before.
            limit: The maximum number of documents.
            where: Conditions, which all must hold: `field=value`, or `field__in`, `__prefix`,
                `__ge`, `__gt`, `__le` or `__lt` with a value.

        Returns:
            A list of documents, with `next`: where to continue, None at the end.

        Raises:
            ValueError: A field is not indexed.
            SerializationError: A stored document does not fit the class.
        """
        return await self._driver.run(_find.find(self._store, model, where, order_by, after, limit))

    async def search(self, model: type[M], text: str, *, limit: int = 20) -> list[M]:
        """Finds documents by words of the fields that their class names in `text=`.

            await store.search(Article, 'event "read model" sourc*')

        All words are to be found, in any order and in any of the fields; words in double quotes
        side by side in one field; a `*` behind a word stands for any ending. Case and accents don't
        matter, and all other characters separate words.

        Args:
            model: The class of the documents.
            text: What to search for.
            limit: The maximum number of documents, at most 1,000.

        Returns:
            The documents that fit best, best first, those that fit equally well by key. There is no
            next page: what fits best changes with every document.

        Raises:
            ValueError: There is no word in `text`, or more than 100; or the class has no texts.
            ConfigurationError: The backend has no full-text search: the memory backend.
            SerializationError: A stored document does not fit the class.
        """
        return await self._driver.run(_find.search(self._store, model, text, limit))

    @overload
    async def count(self, model: type[ReadModel], **where: Any) -> int: ...

    @overload
    async def count(
        self,
        model: Query,
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
    ) -> int: ...

    async def count(self, model: type[ReadModel] | Query, **where: Any) -> int:
        """Counts the documents of which all conditions hold, or the events that match a query.

            await store.count(AccountView, owner="Ada", deposits__ge=3)
            await store.count(Query(event_types=[Deposited]), since=monday)

        Of documents, with conditions on at most one field, the index alone is read. With several,
        the documents are read that the first one finds.

        Of events, it is what `read` would yield. They are counted in the database: by stream or a
        tag in an index, by types of events and aggregates without their payloads. Other queries,
        and `by="timestamp"`, read the events that they find, but decode no payload.

        Args:
            model: The class of the documents, or a query of events.
            where: Conditions as in `find`; for events `after`, `before`, `since`, `until` and `by`
                as in `read`.

        Raises:
            ValueError: A field is not indexed; or for events, a number is out of range, or a time
                has no time zone.
        """
        if isinstance(model, Query):
            return await self._driver.run(_read.count(self._store, model, **where))
        return await self._driver.run(_find.count(self._store, model, where))

    def run(
        self,
        *projections: Runnable,
        on_error: Retry = Retry(),  # noqa: B008
        group: str | None = None,
        lease: float = LEASE,
    ) -> Running:
        """Keeps projections up to date while the block runs.

            async with store.run(Accounts(), Sales()) as running:
                committed = await store.save(account)
                await running.wait_for(committed)

        The documents of a page of events are committed together with the place in the log, so that
        each event counts exactly once, whatever dies. Several processes may run the same
        projection; with the name of a group, they share the work: each projection is at work in
        one of them, and moves to another one when that leaves or dies. A version that is newer than
        the live one is built beside it, and takes its place when it has caught up.

        Args:
            projections: The projections, at least one.
            on_error: What to do if a handler raises; by default, the projection stops at that
                event with the state `"faulted"`, and the others continue.
            group: The name under which processes share projections; None: each process works on
                all of them. Those in memory are at work in each in any case.
            lease: How long the other processes of a group wait for one that says nothing, in
                seconds, at least 0.1.

        Raises:
            TypeError: There is no projection, or it has no handlers.
            ValueError: The lease is too short.
        """
        from eventuali.running import Running  # brings asyncio, which `import eventuali` need not

        return Running(self._store, self._driver, projections, on_error, group, lease)

    async def rebuild(
        self,
        projection: Runnable,
        *,
        on_error: Retry = Retry(),  # noqa: B008
        progress: Progress | bool | None = None,
    ) -> ProjectionStatus:
        """Builds the documents of a projection anew, beside the live ones, which serve until then.

        When it has caught up, one commit puts the new ones in the place of the old ones, which are
        removed. If it is cancelled or fails, nothing of it remains.

        Args:
            projection: The projection.
            on_error: What to do if a handler raises; by default, the rebuild fails.
            progress: Called with the position and the end of the log; True draws a bar on stderr.

        Raises:
            ProjectionError: A handler failed. The live documents are unchanged.
        """
        from eventuali.running import rebuild  # brings asyncio, which `import eventuali` need not

        told = shown(progress, f"rebuild {check_rebuild(projection)}", "positions")
        return await rebuild(self._store, self._driver, projection, on_error, told)

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
    ) -> EventReader[E]:
        """Returns an async iterator over the matching events, up to the current end of the log.

        The iterator stops where the log ended when it began to read, or after the first page, at
        most 1,000 events, if that holds everything. To follow new events, use `subscribe`.

        The iterator's `position` is how far it has looked, whether or not anything matched.

        Args:
            query: The events to read.
            after: Only positions above this.
            before: Only positions below this.
            since: Only events recorded at this time or later.
            until: Only events recorded before this time.
            by: Compare `since` and `until` with when events were stored, or by `"timestamp"` with
                when they happened. No index knows the latter: every event of the other bounds is
                read.
            from_version: Only events of this version or later; the query must name one stream.
            to_version: Only events up to this version, which is included.
            limit: The maximum number of stored events; 0 yields none.
            backwards: Read from the last event to the first.
            raw: Yield an event that can't be read as one of its class, or whose class is retired,
                as `UnknownEvent`; with `"all"`, yield every event so, as it is stored.

        Raises:
            InvalidEventError: A number is out of range, a time has no time zone, or versions are
                given for more than one stream.
            UnknownEventTypeError: No class, or more than one, claims the type of an event.
        """
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
        return EventReader(reading, self._driver)

    def subscribe(
        self,
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        after: int = 0,
        name: str | None = None,
        start: Start = "beginning",
        raw: Raw = False,
    ) -> Subscription[E]:
        """Follows the matching events: first the stored ones, then new ones, without end.

        With a name, it resumes at the checkpoint of that name, after the last handled event. An
        event counts as handled when the next one is requested. The checkpoint is written while the
        next events are handled: 100 ms after the last write, or after 500 events, and on close.
        Delivery is at least once: after a crash, at most 1,000 handled events come again. Use a
        name for one subscriber at a time, and always with the same query.

        Args:
            query: The events to follow.
            after: Only positions above this.
            name: The name of the checkpoint; it can't be combined with `after`.
            start: Where to start if the name is new, or there is none: with the first event, or
                `"end"`: with the events that are stored from now on. With a name, that is made
                durable before the first event is awaited: after a crash it resumes there, and
                loses none.
            raw: Yield an event that can't be read as one of its class, or whose class is retired,
                as `UnknownEvent`; with `"all"`, yield every event so, as it is stored.

        Raises:
            InvalidEventError: The name is not acceptable.
            TypeError: Both `after` and `name`, or `after` and `start`, are given.
        """
        return Subscription(
            self._driver,
            self._store,
            self._event_types,
            query,
            after=after,
            name=name,
            start=start,
            raw=raw,
        )

    def join(self, group: Group[Any]) -> Member:
        """Joins a consumer group: its members handle the events of a query together.

            async with store.join(Group("mailer", send_mail)) as member:
                await stop.wait()

        Each partition of the log is handled by one member at a time, one event after the other.
        Members may be in one process or in many, and come and go: what a member leaves, the others
        take over at once, and what a killed one had, after its lease. Whoever was taken for dead
        and is not, such as a process that was stopped, writes nothing any more.

        Delivery is at least once: after a crash, at most 1,000 handled events of a partition come
        again. To do something exactly once, use the id of the event.

        Args:
            group: The group; see `eventuali.group`.

        Raises:
            TypeError: It is no group.
        """
        from eventuali.member import Member  # brings asyncio, which `import eventuali` need not

        return Member(self._driver, self._store, self._event_types, group)

    async def repartition(self, group: str, partitions: int) -> None:
        """Raises the number of partitions of a consumer group whose members have left.

        Each event still belongs to one partition, and what was handled is not handled again. A
        member that was killed is known to be gone after its lease. Members that are started
        afterwards with a lower number join all the same.

        Args:
            group: The name of the group.
            partitions: How many there are to be: as many as now or more, up to 256.

        Raises:
            CheckpointMismatchError: The event of a checkpoint is not there any more.
            ConfigurationError: There is no such group, it has more partitions, or a member is at
                work.
            ValueError: The number is out of range.
        """
        from eventuali._engine.membership import repartitioned

        await self._driver.answer(repartitioned(self._store, group, partitions))

    def dead_letters(self, group: str) -> DeadLetters:
        """Returns the dead letters of a consumer group: the events that it went on without.

        Args:
            group: The name of the group.

        Raises:
            InvalidEventError: The name is not acceptable.
        """
        return DeadLetters(self._driver, self._store, group)

    async def checkpoints(self) -> list[CheckpointInfo]:
        """Returns the checkpoints of named subscriptions, sorted by name.

        A checkpoint is written up to 100 ms after the event before was handled; see `subscribe`.

        Raises:
            StorageCorruptedError: A checkpoint is damaged; the message names it.
        """
        return await self._driver.run(_checkpoints.checkpoints(self._store))

    async def reset_checkpoint(self, name: str, position: int | Start) -> CheckpointInfo:
        """Puts the checkpoint of a name elsewhere, or makes one.

        The next subscription with this name resumes after it. One that is running gets
        `CheckpointMismatchError` at its next write, and what it handles until then counts no more.

        Args:
            name: The name of the subscription.
            position: The position up to which events count as handled; 0 or `"beginning"` for none,
                `"end"` for all. If no event is there, it is put on the one before.

        Raises:
            InvalidEventError: The position is beyond the horizon, or the name not acceptable.
        """
        return await self._driver.run(_checkpoints.reset_checkpoint(self._store, name, position))

    async def delete_checkpoint(self, name: str) -> bool:
        """Deletes the checkpoint of a name; returns whether there was one.

        The name is new then. A subscription that is running gets `CheckpointMismatchError` at its
        next write, unless it has written no checkpoint yet.

        Raises:
            InvalidEventError: The name is not acceptable.
        """
        return await self._driver.run(_checkpoints.delete_checkpoint(self._store, name))

    async def load_events(
        self,
        aggregate_id: str,
        aggregate_type: str | type[Aggregate] | None = None,
        from_version: int = 0,
        to_version: int | None = None,
        *,
        limit: int | None = None,
        backwards: bool = False,
    ) -> list[Event]:
        """Returns the events of one aggregate from a version on; empty if nothing is stored.

        Args:
            aggregate_id: The id of the aggregate.
            aggregate_type: The type of the aggregate, if several have this id.
            from_version: The first version.
            to_version: The last version, included; None for no bound.
            limit: The maximum number of events.
            backwards: From the last event to the first.

        Raises:
            InvalidEventError: Aggregates of several types have this id; the message names them. Or
                a number is out of range.
        """
        return await self._driver.run(
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

    async def append_events(
        self,
        aggregate_id: str,
        events: Iterable[Event],
        aggregate_type: str | type[Aggregate] | None = None,
        *,
        expected: Expected = ANY,
    ) -> Committed:
        """Appends events to the stream of an id, and begins it if there is none.

            await store.append_events("user-123", [EmailChanged(email="ada@example.org")])
            user = User.from_events(await store.get_events("user-123"))

        Args:
            aggregate_id: The id of the stream.
            events: The events.
            aggregate_type: The type of its aggregate; by default, that of the stream with this id,
                or `Stream` for a new one.
            expected: The version at which the stream must be.

        Raises:
            InvalidEventError: Aggregates of several types have this id; the message names them.
            OptimisticConcurrencyError: The stream is at another version.
        """
        return await self._driver.run(
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

    async def load_events_by_type(self, aggregate_type: str | type[Aggregate]) -> list[Event]:
        """Returns the events of all aggregates of a type; for many, `read` takes less memory."""
        return await self._driver.run(
            _read.load_events_by_type(self._store, self._event_types, aggregate_type)
        )

    async def get_aggregate_version(
        self, aggregate_id: str, aggregate_type: str | type[Aggregate] | None = None
    ) -> int | None:
        """Returns the version of an aggregate; None if nothing was ever stored.

        Raises:
            InvalidEventError: Aggregates of several types have this id; the message names them.
        """
        return await self._driver.run(_read.version(self._store, aggregate_id, aggregate_type))

    async def streams(
        self, aggregate_type: str | type[Aggregate] | None = None
    ) -> AsyncIterator[StreamInfo]:
        """Yields the streams, sorted by type and id."""
        listing = _read.Listing(self._store, aggregate_type)
        while listing.pending is not None:
            for stream in listing.take(await self._driver.answer(listing.pending)):
                yield stream

    @StoreOrClass
    def register_event_class(self, name: str, cls: type[Event]) -> None:
        """Decides which class a stored event type means, except when an aggregate is loaded.

        Called on a store, it applies to the reads of that store. Called on the class, it applies to
        all stores of this process that have no registration of their own for the name.

        Raises:
            TypeError: `cls` is not a class of events.
        """
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
        """Returns the same store for a tenant; it is closed with the original store.

        Both share everything, including `register_event_class`. Its own `close` does nothing. Only
        the store of the default tenant gives access to others.

        Args:
            tenant: The tenant.
            limits: How much the tenant may store through what is returned; None for any amount, or
                for the limits of a store that is the tenant's already.

        Raises:
            InvalidEventError: The tenant is not 1 to 64 letters, digits, `_` and `-`.
            TenantAccessError: This is the store of another tenant.
        """
        seen = limited(self._store.for_tenant(named_tenant(tenant)), limits)
        if limits is None and seen.tenant == self._store.tenant:
            limits = self._limits
        inline = self._inline and self._inline.of(seen)
        return EventStore(
            seen,
            self._event_types,
            self._driver,
            inline=inline,
            tickets=self._tickets,
            snapshots=self._snapshots,
            limits=limits,
            root=False,
        )

    def all_tenants(self) -> AllTenants:
        """Returns a handle for operators that reads the events of all tenants.

        Raises:
            TenantAccessError: This is not the store of the default tenant.
        """
        return AllTenants(self._store.all_tenants(), self._event_types, self._driver)

    async def usage(self) -> TenantUsage:
        """Returns how much this tenant has stored.

        The first call looks through the names and sizes of the whole log; later calls, of any store
        of this tenant that was made from the same opened one, look at what has come since.
        """
        used = await self._driver.run(_across.usage(self._store))
        return TenantUsage(*used, self._limits)

    @property
    def url(self) -> str:
        """The URL that was opened, without a password."""
        return self._store.url

    def stats(self) -> StoreStats:
        """Returns a summary of the store.

        Raises:
            StoreClosedError: The store was closed.
        """
        store = self._store
        position = store.last_position()
        names = store.url, store.backend, store.tenant
        return StoreStats(*names, position, shown_by(store), self._snapshots.stats(store.tenant))

    async def horizon(self) -> Horizon:
        """Returns how far readers of the whole log may read, and which writers hold them back.

        It covers all tenants. Use it for monitoring: an `open_for` that grows means a stuck writer.
        """
        return await self._driver.run(_read.horizon(self._store))

    async def verify(
        self, *, progress: Progress | bool | None = None, limit: int = 1000
    ) -> Verification:
        """Checks everything that is stored, of all tenants, and reports damage.

        Only the store of the default tenant does so; another raises `TenantAccessError`.

        It checks the checksums of events and records, gaps in streams and (except on PostgreSQL)
        in the log, every index in both directions and, on SQLite, the pages of the file. It reads
        the whole store in parts, while others read and write. Damage is returned, not raised.

        Args:
            progress: Called with the number of rows checked and the total; True draws a bar on
                stderr.
            limit: The maximum number of findings, after which the check ends.
        """
        return await self._driver.run(_verifying.verify(self._store, progress, limit))

    async def clean_snapshots(
        self,
        *kinds: type[Aggregate] | str,
        others: bool = False,
        progress: Progress | bool | None = None,
    ) -> CleanedSnapshots:
        """Removes snapshots that nobody uses any more: those above their age, and outdated ones.

            await store.clean_snapshots(Account, "Invoice")
            await store.clean_snapshots(Account, Cart, others=True)  # of nothing else any

        Of this tenant, it removes those older than the `max_age` they were written with, and, if
        the store was opened with a policy, those that are more than its `keep`. Call it from time
        to time, and with the classes after a deployment.

        Args:
            kinds: Classes, of which those that other code has made are removed; or names of types,
                of which all are. Code that still runs elsewhere then replays more events.
            others: Whether those of all types are removed that are not among the kinds, such as of
                classes that are gone; give all classes that have snapshots.
            progress: Called with the number of snapshots removed and of those found; True draws a
                bar on stderr.

        Raises:
            StorageCorruptedError: A snapshot that is to be removed is damaged.
        """
        return await self._driver.run(
            clean(self._store, kinds, progress, others=others, places=self._snapshots.places)
        )

    async def close(self) -> None:
        """Waits for the writes that have begun, then releases everything; may be called twice."""
        if self._root:
            try:
                await self._driver.run(self._snapshots.finish())
            finally:
                await self._driver.answer(self._store.close())
                self._snapshots.ended()
                self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<EventStore {described(self._store)}>"


_NOT_OPEN = (
    "the store is not open yet; write `store = await EventStore.create(...)` "
    "or `async with EventStore.create(...) as store`"
)


class Opening:
    """A store that is being opened; await it or use it with `async with`."""

    def __init__(
        self,
        url: Place,
        tenant: str,
        durability: Durability,
        inline: Sequence[Projection[Any]] = (),
        clock: StoreClock | None = None,
        snapshots: Snapshots | None = None,
        limits: TenantLimits | None = None,
    ) -> None:
        self._snapshots = snapshots
        self._limits = limits
        self._arguments = (url, tenant, durability, clock)
        self._clock = clock
        self._inline = inline
        self._store: EventStore | None = None

    async def _open(self) -> EventStore:
        from eventuali._engine.asyncio_driver import (
            AsyncioDriver,  # brings asyncio, which `import eventuali` need not
        )

        driver = AsyncioDriver()
        try:
            store = limited(await driver.answer(begin(*self._arguments)), self._limits)
        except BaseException:
            driver.close()
            raise
        inline = Inline(store, self._inline) if self._inline else None
        kept, limits = self._snapshots, self._limits
        return EventStore(
            opened(store), EventTypes(), driver, inline=inline, snapshots=kept, limits=limits
        )

    def __await__(self) -> Generator[Any, None, EventStore]:
        return self._open().__await__()

    if not TYPE_CHECKING:  # type checkers name these mistakes themselves

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"no {name!r}: {_NOT_OPEN}")

        def __enter__(self) -> Any:
            raise TypeError(f"{_NOT_OPEN}; without an event loop, use eventuali.sync.EventStore")

        def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self) -> EventStore:
        self._store = await self._open()
        return self._store

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._store is not None:
            await self._store.close()
