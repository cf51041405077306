"""The asynchronous store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: F401 (of `Horizon`)
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from eventuali._engine import load as _load
from eventuali._engine import read as _read
from eventuali._engine import verify as _verifying
from eventuali._engine import write as _write
from eventuali._engine.arguments import query_items
from eventuali._engine.decide import ATTEMPTS, AsyncDecision, Deciding
from eventuali._engine.decode import Decoders
from eventuali._engine.event_types import EventTypes, StoreOrClass, classes_of
from eventuali._engine.lifecycle import Durability, Place, begin, named_tenant, opened
from eventuali._engine.pending_commit import Committed
from eventuali._engine.read import Horizon, StreamInfo
from eventuali._engine.readers import EventReader
from eventuali._engine.replay import History
from eventuali._engine.verify import Damage, Progress, Verification
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import EventStoreError
from eventuali.event import Event
from eventuali.expected import ANY, AppendCondition, Expected
from eventuali.history import Step
from eventuali.query import ALL, Query
from eventuali.subscription import Subscription

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver

__all__ = [
    "Committed",
    "Damage",
    "EventStore",
    "Horizon",
    "StoreStats",
    "StreamInfo",
    "Verification",
]

A = TypeVar("A", bound=Aggregate)

# A pickle names what the store answers where no part of the path is private. The names in the
# annotations are looked up here then, too.
for _class in (Committed, Damage, Horizon, StreamInfo, Verification):
    _class.__module__ = __name__


@dataclass(frozen=True, slots=True)
class StoreStats:
    """A store at a glance.

    Attributes:
        url: What was opened, without a password.
        backend: `memory`, `sqlite` or `postgres`.
        tenant: Whose events these are; empty for the default tenant.
        last_position: The highest position that this store has written, read or heard of; others
            may have written more, see `EventStore.horizon`.
    """

    url: str
    backend: str
    tenant: str
    last_position: int


class EventStore:
    """A store of events; any number of tasks, event loops and threads may share one.

        async with EventStore.create("sqlite://bank.db") as store:
            await store.save(account)

    A write runs to its end even where the task that waits for it is cancelled. Its outcome is
    unknown to that task then; saving the same aggregate again settles it, and stores nothing twice.
    """

    def __init__(
        self, store: Store, classes: EventTypes, driver: AsyncioDriver, *, root: bool = True
    ) -> None:
        """Is not called directly: use `EventStore.create`."""
        self._store = store
        self._classes = classes
        self._driver = driver
        self._root = root

    @classmethod
    def create(cls, url: Place, *, tenant: str = "", durability: Durability = "full") -> Opening:
        """Opens a store; made where there is none. To be awaited, or used with `async with`.

        Args:
            url: `memory://`, `sqlite://:memory:`, `sqlite://events.db` or a bare `events.db`
                (relative), `sqlite:////abs/events.db` (absolute), `postgresql://user@host/database`,
                or an `EventStoreConfig`.
            tenant: Whose events; at most 64 letters, digits, `_` and `-`.
            durability: `"full"`: what is acknowledged survives a power cut. `"relaxed"`: it
                survives the end of the process, and a power cut can take the last commits.

        Raises:
            ConfigurationError: The URL or an option is wrong.
            InvalidEventError: The tenant is not at most 64 letters, digits, `_` and `-`.
            DatabaseError: The file or the database cannot be opened; a subclass says why.
        """
        return Opening(url, tenant, durability)

    async def save(self, *aggregates: Aggregate) -> Committed:
        """Saves the new events of the aggregates, all or nothing, at the version they were read.

        Raises:
            OptimisticConcurrencyError: A stream is not at the version its aggregate was read at.
            SerializationError: A value would not come back as it is; `path` says which.
            OutcomeUnknownError: The storage failed meanwhile; saving again settles it.
        """
        return await self._driver.run(_write.save(self._store, self._classes, aggregates))

    async def load(
        self,
        cls: type[A],
        aggregate_id: str,
        *,
        at_version: int | None = None,
        at_time: datetime | None = None,
        by: Literal["recorded_at", "timestamp"] = "recorded_at",
    ) -> A | None:
        """Rebuilds an aggregate from its events; None where nothing was ever stored.

        Args:
            cls: Its class.
            aggregate_id: Which one.
            at_version: Only the events up to this version, which the aggregate must have reached.
            at_time: Only the events up to the first one that is later; not beside `at_version`.
            by: What `at_time` is compared with: when an event was stored, or when it happened.

        Raises:
            InvalidEventError: It is not at `at_version` yet, or a time has no time zone.
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
            StorageCorruptedError: Stored bytes are not what was written.
        """
        return await self._driver.run(
            _load.load(self._store, cls, aggregate_id, at_version, at_time, by)
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
        """Like `load`, for an aggregate that must be there.

        Raises:
            AggregateNotFoundError: Nothing was ever stored of it.
        """
        return await self._driver.run(
            _load.load_one(self._store, cls, aggregate_id, at_version, at_time, by)
        )

    async def history(self, cls: type[A], aggregate_id: str) -> AsyncIterator[Step[A]]:
        """Yields an aggregate event by event: the event, the state after it, and what it changed.

        Nothing, where nothing was ever stored. One page of events is in memory at a time.

        Raises:
            UnknownEventTypeError: The class has no handler for a stored event.
            SerializationError: A stored event does not fit its class.
        """
        history = History(self._store, self._classes, cls, aggregate_id)
        while (pending := history.pending) is not None:
            for step in history.take(await self._driver.answer(pending)):
                yield step

    async def append(
        self,
        events: Iterable[Event],
        *,
        stream: tuple[str, str] | None = None,
        expected: Expected = ANY,
        condition: AppendCondition | None = None,
    ) -> Committed:
        """Appends events without an aggregate, all or nothing.

        Repeating the call with the same event objects stores nothing twice.

        Args:
            events: What happened. No events: nothing is stored, but what is expected must hold.
            stream: `(aggregate_type, aggregate_id)`; None for events that belong to no stream.
            expected: The version the stream must be at.
            condition: What must not have happened meanwhile.

        Raises:
            OptimisticConcurrencyError: The stream is at another version.
            AppendConditionError: An event matches the condition.
            IdempotencyConflictError: Some of the events are stored already, or with other content.
        """
        return await self._driver.run(
            _write.append(self._store, self._classes, events, stream, expected, condition)
        )

    async def decide(
        self, query: Query, decision: AsyncDecision, *, attempts: int = ATTEMPTS
    ) -> Committed:
        """Reads, decides, and appends if no event that matches was stored meanwhile; else again.

        Gives up nothing in between: where the outcome of the append is not known, the same events
        are sent again, and nothing is decided before it is.

        Args:
            query: What the decision depends on. Where the events it makes match it, too, a second
                decision finds the first.
            decision: Is given the events that match, and returns what is to be stored: an event,
                several, or None for nothing. It may be a coroutine function. What it raises, such
                as a refusal, is raised here; nothing is stored then. It is called once an attempt.
            attempts: How often to append at the most, with pauses that grow to 250 ms.

        Returns:
            What was stored; without positions where nothing was to be.

        Raises:
            AppendConditionError: It was overtaken at each attempt.
            OutcomeUnknownError: The storage failed, and did not come back in `attempts`. Deciding
                again is safe where the events match the query.
        """
        import asyncio  # which `import eventuali` need not bring

        deciding = Deciding(query, attempts)
        while True:
            reader = self.read(query)
            decided = decision([event async for event in reader])
            proposal = await decided if isawaitable(decided) else decided
            deciding.propose(proposal, reader.position)
            if not deciding.events:
                return Committed()
            while not deciding.settled:
                try:
                    return await self.append(deciding.events, condition=deciding.condition)
                except EventStoreError as error:
                    pause = deciding.refused(error)
                await asyncio.sleep(pause)

    def read(
        self,
        query: Query = ALL,
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        backwards: bool = False,
        raw: bool = False,
    ) -> EventReader:
        """Returns an async iterator over the events that match; it ends where the log ends now.

        What is appended meanwhile is not given, once the first 1,000 events are handed out at the
        latest; to go on, `subscribe`.

        The iterator's `position` says how far it has looked, also where nothing matched.

        Args:
            query: Which events.
            after: Only positions above this.
            before: Only positions below this.
            since: Only events that were recorded at this time or later.
            until: Only events that were recorded before this time.
            limit: How many events at the most; 0 gives none.
            backwards: From the last to the first.
            raw: Gives an event of an unknown type, or one that does not fit its class, as
                `UnknownEvent` instead of raising.

        Raises:
            InvalidEventError: A number is out of range, or a time has no time zone.
            UnknownEventTypeError: No class, or several, claim the type of an event.
        """
        reading = _read.Reading(
            self._store,
            Decoders(self._classes, raw=raw),
            query_items(query),
            after=after,
            before=before,
            since=since,
            until=until,
            limit=limit,
            backwards=backwards,
        )
        return EventReader(reading, self._driver)

    def subscribe(
        self,
        query: Query = ALL,
        *,
        after: int = 0,
        name: str | None = None,
        raw: bool = False,
    ) -> Subscription:
        """Follows the events that match: those that are stored, then those that come, for ever.

        With a name, it goes on where an earlier subscription of that name was: after the last event
        whose handler had returned, that is, after which the next one was asked for. That is written
        down while the next event is handled, 100 ms after the last time or once it is 500 events,
        and when it is closed. So after a crash the last events come again, 1,000 that were handled
        at the most: at least once. A name is for one follower at a time, and always for the same
        query.

        Args:
            query: Which events.
            after: Only positions above this.
            name: Where to go on, and to write down how far it came; not together with `after`.
            raw: Gives an event of an unknown type, or one that does not fit its class, as
                `UnknownEvent` instead of raising.

        Raises:
            InvalidEventError: The name is not acceptable.
            TypeError: `after` and `name` are both given.
        """
        return Subscription(
            self._driver, self._store, self._classes, query, after=after, name=name, raw=raw
        )

    async def load_events(
        self,
        aggregate_id: str,
        aggregate_type: str | type[Aggregate] | None = None,
        from_version: int = 0,
    ) -> list[Event]:
        """Returns the events of one aggregate from a version on; none where nothing is stored.

        Raises:
            InvalidEventError: Aggregates of several types have this id; it names them.
        """
        return await self._driver.run(
            _read.load_events(
                self._store, self._classes, aggregate_id, aggregate_type, from_version
            )
        )

    async def load_events_by_type(self, aggregate_type: str | type[Aggregate]) -> list[Event]:
        """Returns the events of all aggregates of a type; for many of them, `read` is lighter."""
        return await self._driver.run(
            _read.load_events_by_type(self._store, self._classes, aggregate_type)
        )

    async def get_aggregate_version(
        self, aggregate_id: str, aggregate_type: str | type[Aggregate] | None = None
    ) -> int | None:
        """Returns the version of an aggregate; None where nothing was ever stored.

        Raises:
            InvalidEventError: Aggregates of several types have this id; it names them.
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
        """Decides which class a stored event type stands for, where no aggregate is loaded.

        Said of a store, that holds for its reads; said of the class of stores, for those of all
        stores of this process that were not told otherwise.

        Raises:
            TypeError: `cls` is no class of events.
        """
        classes_of(self).register(name, cls)

    @StoreOrClass
    def unregister_event_class(self, name: str) -> None:
        """Takes back what `register_event_class` said of a name, if anything."""
        classes_of(self).unregister(name)

    @StoreOrClass
    def get_registered_event_classes(self) -> dict[str, type[Event]]:
        """Returns what `register_event_class` said; for a store, together with that for all."""
        return classes_of(self).named()

    def for_tenant(self, tenant: str) -> EventStore:
        """Returns the same store, seen as another tenant; closing it is the first one's to do.

        It shares everything, `register_event_class` included. Its own `close` does nothing.

        Raises:
            InvalidEventError: The tenant is not at most 64 letters, digits, `_` and `-`.
        """
        seen = self._store.for_tenant(named_tenant(tenant))
        return EventStore(seen, self._classes, self._driver, root=False)

    @property
    def url(self) -> str:
        """What was opened, without a password."""
        return self._store.url

    def stats(self) -> StoreStats:
        """Returns the store at a glance.

        Raises:
            StoreClosedError: It was closed.
        """
        store = self._store
        return StoreStats(store.url, store.backend, store.tenant, store.last_position())

    async def horizon(self) -> Horizon:
        """Looks how far readers of the whole log may read, and who holds them back.

        It is that of all tenants. For people who watch over a store: an `open_for` that grows is a
        writer that is stuck.
        """
        return await self._driver.run(_read.horizon(self._store))

    async def verify(
        self, *, progress: Progress | bool | None = None, limit: int = 1000
    ) -> Verification:
        """Checks everything that is stored, of all tenants, and says what is damaged.

        Events against their checksums, without a hole in the log or in a stream; every index
        against the events, and the events against every index; records against theirs; on SQLite
        also the pages of the file. It reads all of the store, a part at a time, beside whoever
        reads and writes. What is damaged is returned, not raised.

        Args:
            progress: Called with the rows that were checked and those that there are; True draws a
                bar on stderr.
            limit: The check ends once it has found so much.
        """
        return await self._driver.run(_verifying.verify(self._store, progress, limit))

    async def close(self) -> None:
        """Waits for the writes that have begun, then releases everything. Twice is fine."""
        if self._root:
            await self._driver.answer(self._store.close())
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
        return f"<EventStore {self.url}>"


_NOT_OPEN = (
    "the store is not open yet; write `store = await EventStore.create(...)` "
    "or `async with EventStore.create(...) as store`"
)


class Opening:
    """A store that is being opened: to be awaited, or used with `async with`."""

    def __init__(self, url: Place, tenant: str, durability: Durability) -> None:
        self._arguments = (url, tenant, durability)
        self._store: EventStore | None = None

    async def _open(self) -> EventStore:
        from eventuali._engine.asyncio_driver import (
            AsyncioDriver,  # brings asyncio, which `import eventuali` need not
        )

        driver = AsyncioDriver()
        try:
            store = await driver.answer(begin(*self._arguments))
        except BaseException:
            driver.close()
            raise
        return EventStore(opened(store), EventTypes(), driver)

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
