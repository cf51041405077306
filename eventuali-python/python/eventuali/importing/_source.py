"""The older table of events, in SQLite or PostgreSQL: its rows, unchanged."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, unquote

from eventuali.errors import ConfigurationError, StorageUnavailableError

if TYPE_CHECKING:
    import psycopg

COLUMNS = (
    "id",
    "aggregate_id",
    "aggregate_type",
    "event_type",
    "event_version",
    "aggregate_version",
    "event_data",
    "event_data_type",
    "metadata",
    "timestamp",
)
_ORDER = ("aggregate_id", "aggregate_type", "aggregate_version", "id")
_AT_ONCE = 1000

Row: TypeAlias = tuple[Any, ...]
"""The values of `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class LegacyTable:
    """The place of an older table.

    Attributes:
        url: `postgresql://…`, or empty for a file.
        path: The SQLite file, absolute; None for PostgreSQL.
        schema: Its schema in PostgreSQL.
        name: Its name.
    """

    url: str
    path: Path | None
    schema: str
    name: str

    @classmethod
    def at(cls, source: str | PathLike[str], name: str, schema: str | None) -> LegacyTable:
        """Finds the place that a source names.

        Raises:
            ConfigurationError: It names neither a file nor a PostgreSQL database.
        """
        for what, given in (("table_name", name), ("schema", "x" if schema is None else schema)):
            if not isinstance(given, str) or not given or "\0" in given:
                raise ConfigurationError(f"{what} is a name, not {given!r:.60}")
        place = fspath(source)
        if not isinstance(place, str) or not place or "\0" in place:
            raise ConfigurationError("a source is a path, sqlite://… or postgresql://…")
        scheme, separator, rest = place.partition("://")
        if separator and scheme.lower() in ("postgres", "postgresql"):
            return cls(f"postgresql://{rest}", None, schema or "public", name)
        if schema is not None:
            raise ConfigurationError("only a table in PostgreSQL has a schema")
        if separator and scheme.lower() == "sqlite":
            # The slashes are read as those of a store's URL.
            place = unquote(rest[1:] if rest.startswith("/") else rest)
        elif separator:
            raise ConfigurationError("a source is a path, sqlite://… or postgresql://…")
        if place in ("", ":memory:"):
            raise ConfigurationError("nothing can be imported from a database in memory")
        return cls("", Path(place).absolute(), "", name)

    def rows(self) -> Generator[Row]:
        """Yields the rows, stream by stream and each in the order of its versions.

        All are read in one transaction, which changes nothing.

        Raises:
            ConfigurationError: There is no such table, or it has another shape.
            StorageUnavailableError: The database can't be read.
        """
        return self._from_postgres() if self.path is None else self._from_sqlite(self.path)

    def _from_sqlite(self, path: Path) -> Generator[Row]:
        if not path.is_file():
            raise ConfigurationError(f"there is no file {path}")
        # A name in double quotes that is no column would be taken for a text.
        columns = ", ".join(f"e.{_quoted(column)}" for column in COLUMNS)
        order = ", ".join(f"e.{_quoted(column)} COLLATE BINARY" for column in _ORDER)
        sql = f"SELECT {columns} FROM {_quoted(self.name)} AS e ORDER BY {order}"  # noqa: S608
        try:
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
                db.text_factory = _text
                cursor = db.execute(sql)
                while rows := cursor.fetchmany(_AT_ONCE):
                    yield from rows
        except sqlite3.Error as error:
            raise _not_read(error, missing="no such " in str(error)) from error

    def _from_postgres(self) -> Generator[Row]:
        with _connected(self.url) as connection:
            from psycopg.sql import SQL, Identifier

            # As texts, so that each is what the server writes; bytes stay bytes.
            connection.execute(
                "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET client_encoding = 'UTF8'"
            )
            table = Identifier(self.schema, self.name)
            types = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) "
                "AND atttypid = 'bytea'::regtype AND NOT attisdropped",
                [table.as_string(connection)],
            ).fetchall()
            binary = {name for (name,) in types}
            columns = [
                SQL("e.{}").format(Identifier(column))
                + SQL("" if column in binary or column.endswith("_version") else "::text")
                for column in COLUMNS
            ]
            order = [SQL("e.{}").format(Identifier(column)) for column in _ORDER]
            select = SQL("SELECT {} FROM {} AS e ORDER BY {}")
            with connection.cursor(name="importing") as cursor:
                cursor.itersize = _AT_ONCE
                cursor.execute(select.format(SQL(", ").join(columns), table, SQL(", ").join(order)))
                yield from cursor


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a read-only transaction with one snapshot."""
    try:
        import psycopg
    except ImportError as error:
        text = "to read a table in PostgreSQL, install eventuali[import]"
        raise ConfigurationError(text) from error
    try:
        connection = psycopg.connect(url)
    except psycopg.ProgrammingError:
        # Its text may quote the URL, with the password.
        raise ConfigurationError("the source is not a valid PostgreSQL URL") from None
    except psycopg.Error as error:
        raise StorageUnavailableError(f"the source can't be reached: {error}") from error
    with closing(connection):
        try:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
        except psycopg.Error as error:
            # Class 42: no such table or column, or not allowed.
            raise _not_read(error, missing=(error.sqlstate or "").startswith("42")) from error


def _not_read(error: Exception, *, missing: bool) -> Exception:
    text = f"the older table can't be read: {error}"
    return ConfigurationError(text) if missing else StorageUnavailableError(text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(stored: bytes) -> str | bytes:
    """A text of SQLite; as bytes if it is not UTF-8."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored
