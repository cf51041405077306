"""Opening a store to look at it: nothing is created and nothing is migrated."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

from eventuali.config import EventStoreConfig
from eventuali.errors import ConfigurationError, StorageUnavailableError
from eventuali.sync import EventStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def open_to_look(url: str, *, schema: str = "public", table_name: str = "events") -> EventStore:
    """Opens a store that is there, and up to date.

    On PostgreSQL its transactions are read-only. A file of SQLite stays as it is, byte for byte; if
    a process that crashed left a WAL, SQLite may move it into the file, unless that is read-only.

    Args:
        url: The URL of the store, or the path of its file.
        schema: On PostgreSQL, the schema of its tables.
        table_name: On PostgreSQL, the view of its log.

    Raises:
        ConfigurationError: There is no store, or opening it would migrate it.
        DatabaseError: It can't be opened.
    """
    found = _SCHEME.fullmatch(url)
    scheme = "" if found is None else found[1].lower()
    if scheme in ("postgres", "postgresql"):
        config = EventStoreConfig.postgres(_read_only(url)).with_schema(schema)
        return EventStore.create(config.with_table_name(table_name).with_migrations(False))
    if scheme == "memory" or url in (":memory:", "sqlite://:memory:", "sqlite:///:memory:"):
        raise ConfigurationError("nothing is stored in a new store in memory; give a file or URL")
    if found is not None and scheme != "sqlite":
        return EventStore.create(url)  # which says what is wrong
    path = _path(url if found is None else found[2], is_url=found is not None)
    _check_file(path)
    try:
        return EventStore.create(url)
    except StorageUnavailableError as error:
        if os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise
        raise ConfigurationError(
            f"{path} can't be opened: SQLite makes files beside it, and its directory is "
            "read-only; check a copy"
        ) from error


def _read_only(url: str) -> str:
    """Returns a URL of PostgreSQL for sessions that can't write."""
    place, _, rest = url.partition("?")
    parameters = [each for each in rest.split("&") if each]
    given = [unquote(each[8:]) for each in parameters if each.startswith("options=")]
    others = [each for each in parameters if not each.startswith("options=")]
    # Of several `options` the last one counts, and so does the last setting in it.
    options = " ".join([*given[-1:], "-c default_transaction_read_only=on"])
    return f"{place}?{'&'.join([*others, f'options={quote(options)}'])}"


def _path(text: str, *, is_url: bool) -> Path:
    """Returns the file that a URL means: sqlite:///a.db is relative and sqlite:////a.db is not."""
    return Path(unquote(text).removeprefix("/") if is_url else text)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigurationError(f"there is no store at {path}")
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "events.db"
        EventStore.create(fresh).close()
        newest = _format(fresh)
    try:
        found = _format(path)
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path} can't be read as a store: {error}") from error
    if found != newest:
        raise ConfigurationError(
            f"{path} has the format {found[1]} and not {newest[1]}, or is no store; opening it "
            "would change it: open it once with this release, or check a copy"
        )


def _format(path: Path) -> tuple[int, int]:
    """Returns what a file says it is, from a connection that can't change it."""
    wal = path.with_name(f"{path.name}-wal")
    # Where there is no WAL to look into, SQLite would make an empty one and leave it.
    how = "mode=ro" if wal.exists() and wal.stat().st_size else "immutable=1"
    place = f"file://{quote(str(path.absolute()))}?{how}"
    with closing(sqlite3.connect(place, uri=True)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version
