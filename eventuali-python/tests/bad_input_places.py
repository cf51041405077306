"""Rows 40-44: URLs, servers, and what lies already where a store should be."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

from bad_input_case import Case, Place, bad, good
from hosts import closed_port, dropping_host, hanging_up_host, silent_host
from ledger import Counted, counted
from support import script

from eventuali import ConfigurationError, EventStoreConfig, sync
from eventuali.errors import (
    SchemaMismatchError,
    StorageCorruptedError,
    StorageUnavailableError,
)

SQLITE = ("sqlite",)
NOBODY = 65534

TRY = """
import json, os, sys, time
from eventuali import sync
from ledger import counted
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
begun = time.monotonic()
try:
    with sync.EventStore.create(sys.argv[1]) as store:
        store.save(counted("a", 1))
except Exception as error:
    names = [cls.__name__ for cls in type(error).__mro__]
else:
    names = ["nothing"]
print(json.dumps([names, time.monotonic() - begun]))
"""


def unusable(place: str) -> Callable[[Place], None]:
    """Refused within two seconds, and nothing in the folder is touched."""

    def act(at: Place) -> None:
        folder = Path(tempfile.mkdtemp(dir=at.folder))
        (folder / "text").write_text("text")
        (folder / "folder").mkdir()
        os.mkfifo(folder / "fifo")
        shutil.copy("/etc/passwd", folder / "passwd")
        (folder / "passwd.link").symlink_to(folder / "passwd")
        (folder / "dangling").symlink_to(folder / "no" / "x.db")
        (folder / "loop").symlink_to(folder / "loop")
        before = listing(folder)
        expect_refusal(place.replace("{}", str(folder)))
        assert listing(folder) == before

    return act


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def expect_refusal(url: str, *user: int) -> None:
    done = script(TRY, url, *user, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    names, seconds = json.loads(done.stdout)
    assert {"ConfigurationError", "DatabaseError"} & set(names), names
    assert seconds < 2


def read_only(_: Place) -> None:
    folder = Path(tempfile.mkdtemp())  # where `NOBODY` may look
    file = folder / "events.db"
    try:
        with sync.EventStore.create(file) as store:
            store.save(counted("a", 1))
        content = file.read_bytes()
        folder.chmod(0o555)
        file.chmod(0o444)
        expect_refusal(f"sqlite:///{file}", *[NOBODY] * (os.geteuid() == 0))
        assert file.read_bytes() == content
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# --- what lies there ------------------------------------------------------------------------------


def other_schema(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, what TEXT)")
        connection.execute("INSERT INTO events (what) VALUES ('mine')")
    connection.close()


def newer(path: Path) -> None:
    with sync.EventStore.create(path) as store:
        store.save(counted("a", 1))
    with sqlite3.connect(path) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        assert version > 0, "the schema's version is expected here"
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def cut(path: Path) -> None:
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=n) for n in range(10_000)])
    path.write_bytes(path.read_bytes()[:5_000])


def there_already(make: Callable[[Path], object]) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        file = Path(tempfile.mkdtemp(dir=at.folder)) / "there.db"
        make(file)
        content = file.read_bytes()
        try:
            with sync.EventStore.create(file) as store:
                store.save(counted("a", 1))
        finally:
            assert file.read_bytes() == content

    return act


def empty_file(at: Place) -> None:
    file = Path(tempfile.mkdtemp(dir=at.folder)) / "empty.db"
    file.touch()
    for count in (1, 2):
        with sync.EventStore.create(file) as store:
            store.append([Counted(number=count)])
            assert len(list(store.read())) == count


GARBAGE = random.Random(1).randbytes(20_000)

# --- URLs -----------------------------------------------------------------------------------------

URLS = [
    "", "sqlite://", "sqlite:", "://", "memory://x", "redis://localhost/0", "file:///tmp/x.db",
    "file://x", "http://169.254.169.254/latest", "mysql://u:p%40ss@h/db", "sqlite://a\x00b.db",
    "sqlite+aiosqlite:///x.db", "sqlite:///x.db?mode=ro", "sqlite://\ud800.db",
    "postgres://u:p%40ss@h/db?sslmode=bogus&options=-c%20search_path%3Dx",
    "postgres://u:p%40ss@h:99999/db", "postgresql://u:p%40ss@/db?nonsense=1",
    "POSTGRES://u:p%40ss@h/db?sslmode=bogus", "redis://:p%40ss@h", "https://u:p@ss@h/",
]  # fmt: skip


def wrong_url(url: str) -> Callable[[Place], None]:
    def act(_: Place) -> None:
        before = set(os.listdir())
        try:
            with sync.EventStore.create(url):
                pass
        except ConfigurationError as error:
            shown = "".join(traceback.format_exception(error)[1:][-1:]) + repr(error)
            cause = error.__cause__ or error.__context__
            shown += repr(cause)
            assert "p%40ss" not in shown, shown
            assert "p@ss" not in shown, shown
            raise
        finally:
            assert set(os.listdir()) == before

    return act


def options() -> Iterator[Case]:
    for one in ("none", "", "FULL", None, 5):
        call = lambda at, one=one: sync.EventStore.create(at.url(), durability=one)  # noqa: E731
        yield bad(42, f"durability {one!r}", call, ConfigurationError)
    for one in (None, 5, b"memory://", ["memory://"]):
        call = lambda _, one=one: sync.EventStore.create(one)  # noqa: E731
        yield bad(42, f"url {one!r}", call, TypeError)


# --- servers --------------------------------------------------------------------------------------

POSTGRES = ("postgres",)


def unreachable(host: Callable[[], AbstractContextManager[int]]) -> Callable[[Place], None]:
    """Refused within the time-out, and the password is nowhere."""

    def act(_: Place) -> None:
        with host() as port:
            place = EventStoreConfig.postgres(f"postgres://u:p%40ss@127.0.0.1:{port}/db")
            begun = monotonic()
            try:
                sync.EventStore.create(place.with_connect_timeout(0.5))
            except StorageUnavailableError as error:
                assert monotonic() - begun < 2
                shown = f"{error!r} {error.__cause__!r} {error.__context__!r}"
                assert "p%40ss" not in shown, shown
                assert "p@ss" not in shown, shown
                raise

    return act


def wrong_names() -> Iterator[Case]:
    hostile = ['x"; DROP SCHEMA public CASCADE;--', "a'b", "", "a.b", "1", "x" * 49, "\ud800", None]
    for setting in ("with_table_name", "with_schema"):
        for name in hostile:

            def act(at: Place, setting=setting, name=name) -> None:
                sync.EventStore.create(getattr(at.url(), setting)(name))

            yield Case(44, f"{setting} {name!r}"[:50], act, (ConfigurationError,), kinds=POSTGRES)


UNUSABLE = [
    "sqlite://", "sqlite:///no/such/dir/x.db", "sqlite:///{}/no/such/x.db", "sqlite:///{}/folder",
    "sqlite:///{}/fifo", "sqlite:////dev/zero", "sqlite:////dev/null", "sqlite:///{}/text/x.db",
    "sqlite:///{}/passwd", "sqlite:///{}/passwd.link", "sqlite:///{}/dangling",
    "sqlite:///{}/loop", "sqlite:////proc/x.db", "sqlite:////etc/passwd",
]  # fmt: skip

CASES = [
    *(good(40, place, unusable(place), SQLITE) for place in UNUSABLE),
    good(40, "a file that may only be read", read_only, SQLITE),
    *(
        Case(41, name, there_already(make), errors, kinds=SQLITE)
        for name, make, errors in [
            ("random bytes", lambda path: path.write_bytes(GARBAGE), (StorageCorruptedError,)),
            ("a header and garbage",
             lambda path: path.write_bytes(b"SQLite format 3\x00" + GARBAGE),
             (StorageCorruptedError,)),
            ("text", lambda path: path.write_text("no database\n" * 1_000),
             (StorageCorruptedError, SchemaMismatchError)),
            ("other schema", other_schema, (SchemaMismatchError,)),
            ("newer schema", newer, (SchemaMismatchError,)),
            ("half of a store", cut, (StorageCorruptedError,)),
        ]
    ),
    good(41, "0 bytes", empty_file, SQLITE),
    *(bad(42, f"{url[:40]!r}", wrong_url(url), ConfigurationError) for url in URLS),
    *options(),
    *(
        Case(43, host.__name__, unreachable(host), (StorageUnavailableError,), kinds=POSTGRES)
        for host in (silent_host, dropping_host, closed_port, hanging_up_host)
    ),
    *wrong_names(),
]  # fmt: skip
