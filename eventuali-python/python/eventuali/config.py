"""How a store is opened where a URL does not say enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from eventuali._eventuali import Postgres
from eventuali.errors import ConfigurationError
from eventuali.event._names import encodable

__all__ = ["EventStoreConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStoreConfig:
    """How a store in PostgreSQL is opened; taken wherever a URL is.

        EventStoreConfig.postgres("postgresql://app@db/shop").with_table_name("orders")

    It never changes: each `with_…` gives another one. Whatever is wrong is a `ConfigurationError`
    at once, before anything is opened. No text of it shows the password.

    Attributes:
        schema: The schema that holds the tables; made where it is missing and may be.
        table_name: The relation that shows the events; the name of everything else in the
            database begins with it. Stores of different names share nothing.
        max_connections: The most connections that read and write; one more waits for signals.
        connect_timeout: How long to wait for a connection, and to go on through an outage, in
            seconds.
        statement_timeout: How long the server may take for one statement, in seconds.
        migrations: Whether to make what is missing in the database. Without it, a database that
            is not up to date is refused.
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
        """Describes the database that a URL names: `postgresql://user:password@host/database`.

        A `connect_timeout` in the URL counts until `with_connect_timeout` is called.

        Raises:
            ConfigurationError: It is no such URL.
            TypeError: It is no text.
        """
        if not isinstance(url, str):
            raise TypeError(f"a PostgreSQL URL is a str, not {type(url).__name__}")
        config = cls(_secret=url)
        limit = options_of(config).connect_timeout_of_url
        return config if limit is None else config.with_connect_timeout(limit)

    def with_schema(self, schema: str) -> Self:
        """Puts the tables into a schema; the default is `public`.

        Args:
            schema: At most 48 of `a-z`, `0-9` and `_`, not beginning with a digit.
        """
        return replace(self, schema=schema)

    def with_table_name(self, table_name: str) -> Self:
        """Names the relation that shows the events; the default is `events`.

        Args:
            table_name: At most 48 of `a-z`, `0-9` and `_`, not beginning with a digit.
        """
        return replace(self, table_name=table_name)

    def with_max_connections(self, count: int) -> Self:
        """Limits the connections that read and write; the default is 10.

        Args:
            count: From 1 on.
        """
        return replace(self, max_connections=count)

    def with_connect_timeout(self, seconds: float) -> Self:
        """Limits the wait for a connection, and how long to go on through an outage.

        Args:
            seconds: From 0.001 to 86,400; the default is 10.
        """
        return replace(self, connect_timeout=seconds)

    def with_statement_timeout(self, seconds: float) -> Self:
        """Limits what the server may take for one statement.

        Args:
            seconds: From 0.001 to 86,400; the default is 30.
        """
        return replace(self, statement_timeout=seconds)

    def with_migrations(self, migrations: bool) -> Self:
        """Says whether to make what is missing in the database; the default is to make it.

        Where somebody else runs migrations, `schema_sql` is what they run.
        """
        return replace(self, migrations=migrations)

    @property
    def url(self) -> str:
        """What would be opened, without a password."""
        return options_of(self).url

    def schema_sql(self) -> str:
        """Returns the SQL that makes the tables, for people who run it themselves.

        The schema has to be there already. Run it in one transaction, as the owner of the tables.
        """
        return options_of(self).schema_sql()

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
    """Returns a configuration as the extension takes it.

    Raises:
        ConfigurationError: Something is wrong in it.
    """
    options: dict[str, Any] = {name: getattr(config, name) for name in _KINDS}
    for name, value in options.items():
        if type(value) not in _KINDS[name]:
            wanted = " or ".join(kind.__name__ for kind in _KINDS[name])
            raise ConfigurationError(f"{name} takes {wanted}, not {value!r:.60}")
    if not all(map(encodable, (config._secret, config.schema, config.table_name))):
        raise ConfigurationError("a URL or a name has no lone surrogate")
    try:
        return Postgres(config._secret, **options)
    except OverflowError:
        raise ConfigurationError("max_connections or a time-out is out of range") from None
