"""Opening a store to look at it: nothing is created and nothing is migrated."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

from eventuali.config import EventStoreConfig
from eventuali.errors import ConfigurationError
from eventuali.sync import EventStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def open_to_look(url: str, *, schema: str = "public", table_name: str = "events") -> EventStore:
    """Opens a store that is there, and up to date.

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
        config = EventStoreConfig.postgres(url).with_schema(schema).with_table_name(table_name)
        return EventStore.create(config.with_migrations(False))
    if scheme == "memory" or url in (":memory:", "sqlite://:memory:", "sqlite:///:memory:"):
        raise ConfigurationError("nothing is stored in a new store in memory; give a file or URL")
    if found is None or scheme == "sqlite":
        _check_file(_path(url if found is None else found[2], is_url=found is not None))
    return EventStore.create(url)


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
    place = f"file://{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(place, uri=True)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version
