"""A second SQLite library on the store's file in this process: as between two processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from ledger import Counted
from sqlalchemy import QueuePool, create_engine, text
from support import TESTS, output_of

from eventuali import sync

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="locks of descriptions")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.db"


def whole(path):
    """Whether a process that knows nothing of this one finds the file sound."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def numbers(store):
    return [event.number for event in store.read()]


def test_its_transaction_keeps_a_save_waiting(path):
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=1)])
        with closing(sqlite3.connect(path, check_same_thread=False)) as db:
            db.execute("CREATE TABLE mine (x INTEGER)")
            db.execute("INSERT INTO mine VALUES (1)")
            saver = threading.Thread(target=store.append, args=([Counted(number=2)],))
            saver.start()
            assert numbers(store) == [1]
            db.commit()
            saver.join()
            assert db.execute("SELECT count(*) FROM events").fetchone() == (2,)
        assert numbers(store) == [1, 2]
    assert whole(path)


def test_its_last_close_takes_nothing_from_the_store(path):
    with sync.EventStore.create(path) as store:
        for number in range(20):
            store.append([Counted(number=number)])
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("SELECT count(*) FROM events").fetchone() == (number + 1,)
        assert (path.parent / "events.db-wal").exists()
        assert numbers(store) == list(range(20))
    assert whole(path)


def test_a_file_object_takes_nothing_from_the_store(path):
    with sync.EventStore.create(path) as store:
        for number in range(20):
            store.append([Counted(number=number)])
            for name in ("events.db", "events.db-wal", "events.db-shm"):
                (path.parent / name).read_bytes()
            output_of(
                "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=60)\n"
                "db.execute('SELECT count(*) FROM events').fetchone(); db.close()",
                path,
            )
        assert numbers(store) == list(range(20))


def test_the_close_of_a_store_takes_nothing_from_it(path):
    """What it wrote and did not commit stays alone: nobody else writes meanwhile."""
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=1)])
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x INTEGER)")
        db.execute("INSERT INTO mine VALUES (1)")
        for _ in range(3):
            with sync.EventStore.create(path) as store:
                assert numbers(store) == [1]
        intruder = (
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0)\n"
            "try: db.execute('INSERT INTO mine VALUES (2)')\n"
            "except sqlite3.OperationalError as error: print(error)"
        )
        assert output_of(intruder, path) == "database is locked\n"
        db.commit()
        assert db.execute("SELECT x FROM mine").fetchall() == [(1,)]
    assert whole(path)


def test_a_pool_of_sqlalchemy_writes_beside_it(path):
    with sync.EventStore.create(path) as store:
        engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE mine (x INTEGER)"))

        def work():
            for number in range(50):
                with engine.begin() as connection:
                    connection.execute(text("INSERT INTO mine VALUES (:x)"), {"x": number})

        worker = threading.Thread(target=work)
        worker.start()
        for number in range(50):
            store.append([Counted(number=number)])
        worker.join()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM mine")).scalar() == 50
        engine.dispose()
        assert numbers(store) == list(range(50))
    assert whole(path)


def test_descriptors_do_not_pile_up(path):
    def descriptors():
        names = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
        return sum(os.path.realpath(name).startswith(str(path)) for name in names)

    with closing(sqlite3.connect(path)) as db:
        counts = []
        for _ in range(6):
            with sync.EventStore.create(path) as store:
                store.append([Counted(number=1)])
                db.execute("SELECT count(*) FROM events").fetchone()
            counts.append(descriptors())
        assert counts[-1] == counts[1]
    with sync.EventStore.create(path):
        pass
    assert descriptors() == 0


FORKED = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from ledger import Counted
from eventuali import sync
store = sync.EventStore.create(sys.argv[1])
store.append([Counted(number=1)])
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(600)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_keeps_no_lock_of_a_parent_that_died(path):
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", FORKED, path], env=environment, stdout=subprocess.PIPE, timeout=60
    )
    child = int(done.stdout)
    try:
        with closing(sqlite3.connect(path, timeout=0)) as db:
            assert db.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    finally:
        os.kill(child, 9)
