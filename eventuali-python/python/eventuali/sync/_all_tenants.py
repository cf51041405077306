"""All tenants of a blocking store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from eventuali._engine import across as _across
from eventuali._engine import read as _read
from eventuali._engine.across import Store
from eventuali._engine.bounds import By
from eventuali._engine.decode import Raw
from eventuali._engine.event_types import EventTypes
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.operation import run
from eventuali.query import ALL, E, Query
from eventuali.tenants import TenantEvent, TenantUsage, across


class AllTenants:
    """All tenants of a store, for operators; see `eventuali.tenants.AllTenants`."""

    def __init__(self, store: Store, event_types: EventTypes) -> None:
        """Don't call this directly; use `EventStore.all_tenants`."""
        self._store = store
        self._event_types = event_types

    def usage(self) -> list[TenantUsage]:
        """Returns each tenant that has events with what it has stored, sorted by name."""
        refuse_in_loop()
        return [TenantUsage(*used) for used in run(_across.usages(self._store))]

    def count(
        self,
        query: Query = ALL,
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = "recorded_at",
    ) -> int:
        """Counts the events of all tenants that match."""
        refuse_in_loop()
        return run(_read.count(self._store, query, after, before, since, until, by))

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
    ) -> Iterator[TenantEvent[E]]:
        """Returns an iterator over the matching events of all tenants, in log order."""
        reading = across(
            self._store, self._event_types, query,
            after=after, before=before, since=since, until=until, by=by,
            limit=limit, backwards=backwards, raw=raw,
        )  # fmt: skip
        return self._owned(reading)

    def _owned(self, reading: _read.Reading) -> Iterator[TenantEvent[E]]:
        for tenant, event in _across.waited(reading):
            yield TenantEvent(tenant, event)  # type: ignore[arg-type] # as the query says

    def __repr__(self) -> str:
        return f"<sync.AllTenants {self._store.url}>"
