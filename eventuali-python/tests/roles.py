"""Roles of PostgreSQL that are restricted to tenants."""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from postgres_server import server_url
from stores import administrator

from eventuali import EventStoreConfig, sync


class Roles:
    """A role a tenant, on the store of a place, which is made first; they go with the block."""

    def __init__(self, place: EventStoreConfig, *tenants: str) -> None:
        self.place = place
        mark = uuid4().hex[:8]
        self.names = {tenant: f"ev_{os.getpid()}_{mark}_{tenant}" for tenant in tenants}
        self.password = uuid4().hex

    def __enter__(self) -> Self:
        sync.EventStore.create(self.place).close()
        with administrator() as db:
            if db.info.server_version < 150_000:
                pytest.skip("row-level security of a store needs PostgreSQL 15")
            db.execute(self.place.row_security_sql())
            for tenant, role in self.names.items():
                db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self.password}'")
                db.execute(self.place.tenant_role_sql(role, tenant))
        return self

    def of(self, tenant: str) -> EventStoreConfig:
        """Returns what opens the store as the role of a tenant."""
        config = EventStoreConfig.postgres(self.url(tenant))
        return config.with_schema(self.place.schema).with_table_name(self.place.table_name)

    def url(self, tenant: str) -> str:
        parts = urlsplit(server_url())
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{self.names[tenant]}:{self.password}@{host}"))

    def connect(self, tenant: str) -> psycopg.Connection:
        """Opens a connection for SQL as the role of a tenant."""
        return psycopg.connect(self.url(tenant), autocommit=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with administrator() as db:
            for role in self.names.values():
                with suppress(psycopg.Error):
                    db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
