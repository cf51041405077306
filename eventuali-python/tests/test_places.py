"""What may lie where a SQLite store is opened, and what openings know of each other."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
from ledger import Counted, counted
from support import output_of

from eventuali import ConfigurationError, DatabaseError, sync
from eventuali.errors import (
    SchemaMismatchError,
    StorageCorruptedError,
    StorageUnavailableError,
)


def numbers(path):
    with sync.EventStore.create(path) as store:
        return [event.number for event in store.read()]


def filled(path, *stored):
    with sync.EventStore.create(path) as store:
        store.save(counted("a", *stored))


# --- openings don't know each other --------------------------------------------------------------

LOCK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path):
    """Holds the lock of a SQLite file in another process, until its input ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", LOCK, path], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder


BESIDE = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
from eventuali import sync
from ledger import counted
folder = sys.argv[1]
before = sync.EventStore.create(folder + "/before.db")
opened = []
def open_locked():
    opened.append("waits")
    with sync.EventStore.create(folder + "/locked.db") as store:
        store.save(counted("a", 1))
    opened.append("open")
waiting = threading.Thread(target=open_locked)
waiting.start()
while not opened:
    pass
def beside(name):
    with sync.EventStore.create(folder + "/" + name) as store:
        store.save(counted("a", 1))
for number in range(20):
    beside(f"beside-{number}.db")
before.close()
pid = os.fork()
if pid == 0:
    beside("before.db")
    try:
        beside("locked.db")
    except Exception as error:
        print(type(error).__name__, flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
print(status, opened, flush=True)
sys.stdin.readline()
waiting.join()
print(opened, flush=True)
"""


def test_nobody_waits_for_a_store_on_another_file_to_be_opened(tmp_path):
    """Another process keeps one file locked until everything else was opened and closed."""
    arguments = [sys.executable, "-c", BESIDE, tmp_path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = subprocess.PIPE
    with (
        locked(tmp_path / "locked.db") as holder,
        subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True, env=environment) as process,
    ):
        assert process.stdout.readline() == "ForkedProcessError\n"
        assert process.stdout.readline() == "0 ['waits']\n"
        holder.stdin.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "['waits', 'open']\n"
    assert process.returncode == 0


MANY = """
import os, sys, threading
from eventuali import sync
from ledger import Counted
os.chdir(sys.argv[1])
names = ["new.db", "./new.db", "link.db", os.path.abspath("new.db")]
failed = []
def work(name):
    try:
        with sync.EventStore.create(name) as store:
            for number in range(5):
                store.append([Counted(number=number)])
    except Exception as error:
        failed.append(error)
threads = [threading.Thread(target=work, args=(names[n % 4],)) for n in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with sync.EventStore.create("new.db") as store:
    print(failed, len(list(store.read())))
"""


def test_threads_make_one_file_together_whatever_they_call_it(tmp_path):
    (tmp_path / "link.db").symlink_to("new.db")
    assert output_of(MANY, tmp_path, timeout=60) == "[] 60\n"


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_to_a_file_that_is_not_there_yet_makes_it(absolute, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "volume").mkdir()
    target = tmp_path / "volume" / "events.db"
    (tmp_path / "second.db").symlink_to(target if absolute else "volume/events.db")
    (tmp_path / "first.db").symlink_to(tmp_path / "second.db" if absolute else "second.db")
    filled(tmp_path / "first.db", 1)
    assert not target.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert numbers(target) == numbers(tmp_path / "second.db") == [1]
    assert (tmp_path / "first.db").is_symlink()
    assert [path.name for path in (tmp_path / "volume").iterdir()] == ["events.db"]


@pytest.mark.parametrize("target", ["no/such/events.db", "link.db", "folder", "folder/"])
def test_a_link_that_leads_to_no_place_for_a_file_is_refused(target, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(target)
    # What is on a volume that is not there may come back; what is no file will not become one.
    away = target.startswith("no")
    error = StorageUnavailableError if away else ConfigurationError
    with pytest.raises(error, match=r"cannot open .*(folder|directory|links)"):
        sync.EventStore.create(tmp_path / "link.db")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "link.db"]


# --- what is no database, and no empty file -------------------------------------------------------

HEADER = b"SQLite format 3\x00"


def whole(path):
    filled(path, 1, 2, 3)
    return path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"x", b"\0", b"\n", b"S", b"xy", bytes(15), bytes(99), bytes(100), bytes(511), bytes(512),
     bytes(4096), bytes(1 << 20), b" " * 4096, b"\n" * 7, HEADER, HEADER + bytes(84),
     HEADER + bytes(4080), "header of a store", "99 bytes of a store", "a page of a store"],
    ids=lambda content: content if isinstance(content, str) else f"{content[:2]!r} {len(content)}",
)  # fmt: skip
def test_what_is_no_database_is_refused_and_left_as_it_is(content, tmp_path):
    path = tmp_path / "there.db"
    if isinstance(content, str):
        store = whole(tmp_path / "whole.db")
        length = {"header of a store": 100, "99 bytes of a store": 99, "a page of a store": 4096}
        content = store[: length[content]]
    path.write_bytes(content)
    with pytest.raises(DatabaseError):
        sync.EventStore.create(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("database", [None, b""])
def test_a_log_left_beside_no_database_is_kept(suffix, database, tmp_path):
    """SQLite deletes it. It may be all that is left of what was acknowledged."""
    path = tmp_path / "events.db"
    left = tmp_path / f"events.db{suffix}"
    left.write_bytes(b"what was acknowledged" * 100)
    if database is not None:
        path.write_bytes(database)
    if (suffix, database) == ("-journal", b""):  # somebody was killed while he made the file
        return filled(path, 1)
    with pytest.raises(StorageCorruptedError, match=f"events.db{suffix}"):
        sync.EventStore.create(path)
    assert left.read_bytes() == b"what was acknowledged" * 100
    assert path.exists() == (database is not None)
    left.unlink()
    filled(path, 1)
    assert numbers(path) == [1]


def test_a_database_that_comes_back_finds_its_wal(tmp_path):
    path = tmp_path / "events.db"
    with sync.EventStore.create(path) as store:
        store.save(counted("a", 1, 2))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"copy.db{suffix}")
    copy = tmp_path / "copy.db"
    copy.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StorageCorruptedError):
        sync.EventStore.create(copy)
    (tmp_path / "elsewhere.db").rename(copy)
    assert numbers(copy) == [1, 2]


# --- what a dump leaves out -----------------------------------------------------------------------


def restored(source, target, leave_out=lambda statement: False):
    """Restores a dump, which holds neither `application_id` nor `user_version`."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        statements = [one for one in old.iterdump() if not leave_out(one)]
        new.executescript("\n".join(statements))
    return target


def marks(path):
    with closing(sqlite3.connect(path)) as db:
        names = ("application_id", "user_version")
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]


def test_a_store_restored_from_a_dump_is_a_store(tmp_path):
    filled(tmp_path / "events.db", 1, 2, 3)
    path = restored(tmp_path / "events.db", tmp_path / "restored.db")
    assert marks(path) == [0, 0]
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=4)])
    assert numbers(path) == [1, 2, 3, 4]
    assert marks(path) == marks(tmp_path / "events.db")


@pytest.mark.parametrize(("application", "version"), [(0, None), (None, 0)])
def test_either_mark_may_be_lost(application, version, tmp_path):
    path = tmp_path / "events.db"
    filled(path, 1)
    before = marks(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {before[0] if application is None else application}")
        db.execute(f"PRAGMA user_version = {before[1] if version is None else version}")
    assert numbers(path) == [1]
    assert marks(path) == before


def test_tables_of_ones_own_come_through_a_dump_too(tmp_path):
    filled(tmp_path / "events.db", 1)
    with closing(sqlite3.connect(tmp_path / "events.db")) as db:
        db.executescript("CREATE TABLE own (x); INSERT INTO own VALUES (7); ANALYZE")
    path = restored(tmp_path / "events.db", tmp_path / "restored.db")
    assert numbers(path) == [1]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT x FROM own").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("begins", "name"),
    [
        ("CREATE TABLE tags", "tags"),
        ("CREATE TABLE event_log", "event_log"),
        ("CREATE TRIGGER event_log_stays", "event_log_stays"),
        ("CREATE INDEX records_due", "records_due"),
        ("CREATE VIEW events", "events"),
    ],
)
def test_a_store_that_was_restored_in_part_is_refused_with_what_is_missing(begins, name, tmp_path):
    filled(tmp_path / "events.db", 1)

    def leave_out(statement):
        of_the_log = "CREATE TRIGGER" if name == "event_log" else begins
        return statement.startswith((begins, f'INSERT INTO "{name}"', of_the_log))

    path = restored(tmp_path / "events.db", tmp_path / "restored.db", leave_out)
    content = path.read_bytes()
    with pytest.raises(SchemaMismatchError, match=rf"part of a store.*\b{name}\b"):
        sync.EventStore.create(path)
    assert path.read_bytes() == content


def test_tables_of_our_names_are_no_store(tmp_path):
    path = tmp_path / "there.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE tags (x); CREATE TABLE streams (y); CREATE TABLE records (z)"
        )
    with pytest.raises(SchemaMismatchError, match="something else"):
        sync.EventStore.create(path)
