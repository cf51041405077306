"""Tenants: what one may store, what it has stored, and all of them for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic

from eventuali._engine import across as _across
from eventuali._engine import read as _read
from eventuali._engine.across import Store
from eventuali._engine.arguments import query_items
from eventuali._engine.bounds import By
from eventuali._engine.decode import Decoders, Raw
from eventuali._engine.event_types import EventTypes
from eventuali.expected import checked_position
from eventuali.query import ALL, E, E_co, Query

if TYPE_CHECKING:
    from eventuali._engine.asyncio_driver import AsyncioDriver

__all__ = ["AllTenants", "TenantEvent", "TenantLimits", "TenantUsage"]


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """How much a tenant may store; given where its store is made, and not stored.

        store.for_tenant("acme", limits=TenantLimits(events=1_000_000))

    A commit that would exceed a limit is refused with `TenantLimitError` before anything is
    written. Repeating a commit that is stored is not refused.

    What this process commits counts at once. What other processes commit counts within a second,
    and before each commit that would leave less than a tenth of a limit. So several processes
    exceed a limit by no more than what they commit in a second, or, near the limit, at once.

    Attributes:
        events: The maximum number of events; None for any number.
        bytes: The maximum number of bytes of their payloads and metadata as they are stored; None
            for any number. Read models, snapshots and indexes don't count.
    """

    events: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            TypeError: A limit is not an int.
            InvalidEventError: A limit is negative or beyond 63 bits.
        """
        for name in ("events", "bytes"):
            value = getattr(self, name)
            if value is not None:
                checked_position(value, name)


@dataclass(frozen=True, slots=True)
class TenantUsage:
    """How much a tenant has stored.

    Attributes:
        tenant: The tenant; empty for the default tenant.
        events: The number of its events.
        bytes: The bytes of their payloads and metadata as they are stored.
        streams: The number of its streams that have events.
        limits: The limits of the store that was asked; None if it has none.
    """

    tenant: str
    events: int
    bytes: int
    streams: int
    limits: TenantLimits | None = None


@dataclass(frozen=True, slots=True)
class TenantEvent(Generic[E_co]):
    """An event and its owner.

    Attributes:
        tenant: The tenant; empty for the default tenant.
        event: The event.
    """

    tenant: str
    event: E_co


class AllTenants:
    """All tenants of a store, for operators.

        async for owned in store.all_tenants().read():
            print(owned.tenant, owned.event)

    It reads and never writes.
    """

    def __init__(self, store: Store, event_types: EventTypes, driver: AsyncioDriver) -> None:
        """Don't call this directly; use `EventStore.all_tenants`."""
        self._store = store
        self._event_types = event_types
        self._driver = driver

    async def usage(self) -> list[TenantUsage]:
        """Returns each tenant that has events with what it has stored, sorted by name.

        Each call looks through the names and sizes of the whole log.
        """
        found = await self._driver.run(_across.usages(self._store))
        return [TenantUsage(*used) for used in found]

    async def count(
        self,
        query: Query = ALL,
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
    ) -> int:
        """Counts the events of all tenants that match; see `read`."""
        counting = _read.count(self._store, query, after, before, since, until, by)
        return await self._driver.run(counting)

    def read(
        self,
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
        limit: int | None = None,
        backwards: bool = False,
        raw: Raw = False,
    ) -> AsyncIterator[TenantEvent[E]]:
        """Returns an async iterator over the matching events of all tenants, in log order.

        The arguments are those of `EventStore.read`. Types and ids of events are found by their
        indexes; of any other query, every event of the range is looked at.
        """
        reading = across(
            self._store, self._event_types, query,
            after=after, before=before, since=since, until=until, by=by,
            limit=limit, backwards=backwards, raw=raw,
        )  # fmt: skip
        return self._owned(reading)

    async def _owned(self, reading: _read.Reading) -> AsyncIterator[TenantEvent[E]]:
        async for tenant, event in _across.awaited(reading, self._driver):
            yield TenantEvent(tenant, event)  # type: ignore[arg-type] # as the query says

    def __repr__(self) -> str:
        return f"<AllTenants {self._store.url}>"


def across(
    store: Store,
    event_types: EventTypes,
    query: Query,
    *,
    after: int,
    before: int | None,
    since: datetime | None,
    until: datetime | None,
    by: By,
    limit: int | None,
    backwards: bool,
    raw: Raw,
) -> _read.Reading:
    """Returns a reading of all tenants, with its arguments checked."""
    return _read.Reading(
        store,
        Decoders(event_types, raw=raw, query=query),
        query_items(query),
        after=after,
        before=before,
        since=since,
        until=until,
        by=by,
        limit=limit,
        backwards=backwards,
    )


def check_limits(limits: TenantLimits | None) -> TenantLimits | None:
    """Returns what was given as limits.

    Raises:
        TypeError: It is not `TenantLimits`.
    """
    if limits is not None and not isinstance(limits, TenantLimits):
        raise TypeError(f"limits must be TenantLimits, not {limits!r:.60}")
    return limits


def limited(store: Store, limits: TenantLimits | None) -> Store:
    """Returns a store with limits for its tenant, if there are any."""
    given = check_limits(limits)
    return store if given is None else store.with_limits(given.events, given.bytes)
