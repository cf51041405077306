"""Settings for opening a store if a URL is not enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from eventuali._eventuali import Postgres
from eventuali.errors import ConfigurationError
from eventuali.event._names import checked_text, encodable

__all__ = ["EventStoreConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStoreConfig:
    """Settings for a store in PostgreSQL; accepted wherever a URL is.

        EventStoreConfig.postgres("postgresql://app@db/shop").with_table_name("orders")

    It is immutable: each `with_…` returns a new one. An invalid setting raises `ConfigurationError`
    immediately, before anything is opened. Neither `repr` nor an error shows the password.

    Attributes:
        schema: The schema of the tables; created if it is missing and `migrations` is set.
        table_name: The view of the log; all other names in the database begin with it. Stores of
            different names share nothing.
        max_connections: The maximum of connections that read and write; one more listens for
            commits.
        connect_timeout: How long to wait for a connection, and how long to retry during an outage,
            in seconds.
        statement_timeout: How long one statement may take on the server, in seconds.
        migrations: Whether to create what is missing in the database. If not, a database that is
            not up to date is refused.
    """

    _secret: str = field(repr=False)
    schema: str = "public"
    table_name: str = "events"
    max_connections: int = 10
    connect_timeout: float = 10.0
    statement_timeout: float = 30.0
    migrations: bool = True

    def __post_init__(self) -> None:
        options_of(self)

    @classmethod
    def postgres(cls, url: str) -> Self:
        """Returns settings for the database of a URL: `postgresql://user:password@host/database`.

        `with_connect_timeout` overrides a `connect_timeout` in the URL.

        Raises:
            ConfigurationError: `url` is not a valid PostgreSQL URL.
            TypeError: `url` is not a string.
        """
        if not isinstance(url, str):
            raise TypeError(f"a PostgreSQL URL must be a str, not {type(url).__name__}")
        config = cls(_secret=url)
        limit = options_of(config).connect_timeout_of_url
        return config if limit is None else config.with_connect_timeout(limit)

    def with_schema(self, schema: str) -> Self:
        """Sets the schema of the tables; the default is `public`.

        Args:
            schema: At most 48 of `a-z`, `0-9` and `_`, not beginning with a digit.
        """
        return replace(self, schema=schema)

    def with_table_name(self, table_name: str) -> Self:
        """Sets the name of the view of the log; the default is `events`.

        Args:
            table_name: At most 48 of `a-z`, `0-9` and `_`, not beginning with a digit.
        """
        return replace(self, table_name=table_name)

    def with_max_connections(self, count: int) -> Self:
        """Limits the connections that read and write; the default is 10.

        Args:
            count: At least 1.
        """
        return replace(self, max_connections=count)

    def with_connect_timeout(self, seconds: float) -> Self:
        """Limits how long to wait for a connection, and how long to retry during an outage.

        Args:
            seconds: From 0.001 to 86,400; the default is 10.
        """
        return replace(self, connect_timeout=seconds)

    def with_statement_timeout(self, seconds: float) -> Self:
        """Limits how long one statement may take on the server.

        Args:
            seconds: From 0.001 to 86,400; the default is 30.
        """
        return replace(self, statement_timeout=seconds)

    def with_migrations(self, migrations: bool) -> Self:
        """Sets whether to create what is missing in the database; the default is to create it.

        If another person runs migrations, give them `schema_sql`.
        """
        return replace(self, migrations=migrations)

    @property
    def url(self) -> str:
        """The URL to be opened, without a password."""
        return options_of(self).url

    def schema_sql(self) -> str:
        """Returns the SQL that creates the tables, to be run by hand.

        The schema must exist. Run the SQL in one transaction, as the owner of the tables.
        """
        return options_of(self).schema_sql()

    def row_security_sql(self) -> str:
        """Returns the SQL that turns row-level security on, for roles that are given a tenant.

        Run it as the owner of the tables, once and again after each upgrade that changes the
        schema. It needs PostgreSQL 15. The owner and superusers see everything, as before; other
        roles see nothing until `tenant_role_sql` gives them a tenant.
        """
        return options_of(self).row_security_sql()

    def tenant_role_sql(self, role: str, tenant: str) -> str:
        """Returns the SQL that gives a tenant to a role; see `row_security_sql`.

        Run it as the owner of the tables. The role, which must exist, is granted what a store of
        this tenant needs; of the events and documents, it sees only its tenant's.

        Args:
            role: The name of the role: at most 48 of a-z, 0-9 and `_`.
            tenant: The tenant, which must not be empty.

        Raises:
            ConfigurationError: The name of the role is not acceptable.
            InvalidEventError: The tenant is not 1 to 64 letters, digits, `_` and `-`.
        """
        given = checked_text("role", role), checked_text("tenant", tenant)
        return options_of(self).tenant_role_sql(*given)

    def __repr__(self) -> str:
        return f"<EventStoreConfig {self.url} {self.schema}.{self.table_name}>"


_KINDS: dict[str, tuple[type, ...]] = {
    "schema": (str,),
    "table_name": (str,),
    "max_connections": (int,),
    "connect_timeout": (int, float),
    "statement_timeout": (int, float),
    "migrations": (bool,),
}


def options_of(config: EventStoreConfig) -> Postgres:
    """Returns a configuration in the form for the extension.

    Raises:
        ConfigurationError: Something is wrong in it.
    """
    options: dict[str, Any] = {name: getattr(config, name) for name in _KINDS}
    for name, value in options.items():
        if type(value) not in _KINDS[name]:
            wanted = " or ".join(kind.__name__ for kind in _KINDS[name])
            raise ConfigurationError(f"{name} must be {wanted}, not {value!r:.60}")
    if not all(map(encodable, (config._secret, config.schema, config.table_name))):
        raise ConfigurationError("the URL or a name contains a lone surrogate")
    try:
        return Postgres(config._secret, **options)
    except OverflowError:
        raise ConfigurationError("max_connections or a time-out is out of range") from None
