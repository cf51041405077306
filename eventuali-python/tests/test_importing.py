"""The import of a store that another program wrote into the older table."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from uuid import UUID

import older_table
import pytest
from older_table import IN_LOG, Account, row, rows, write_postgres, write_sqlite
from postgres_server import server_url
from stores import administrator, each_backend, each_shared, schema_of, url_of
from support import script

from eventuali import (
    ConfigurationError,
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    SerializationError,
    UnknownEvent,
    sync,
)
from eventuali.errors import PayloadTooLargeError, StorageUnavailableError
from eventuali.importing import Imported, import_events

each_source = pytest.mark.parametrize("source", ["sqlite", "postgres"])


class LegacySource:
    """A place for an older table, in SQLite or PostgreSQL."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.path = kind, folder / "old.db"
        self.schema = schema_of(folder / "older") if kind == "postgres" else ""

    def write(self, written: list[older_table.Row], **options: str) -> None:
        if self.kind == "sqlite":
            write_sqlite(self.path, written, **options)
        else:
            write_postgres(self.schema, written, **options)

    def run(self, sql: str) -> None:
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.path)) as db, db:
                db.execute(sql.replace("{table}", "events"))
        else:
            with administrator() as connection:
                connection.execute(sql.replace("{table}", f"{self.schema}.events"))

    def into(self, store: sync.EventStore, **options) -> Imported:
        if self.kind == "sqlite":
            return import_events(self.path, store, **options)
        return import_events(server_url(), store, schema=self.schema, **options)


@pytest.fixture
def older(source, tmp_path) -> LegacySource:
    return LegacySource(source, tmp_path)


@pytest.fixture
def sqlite_older(tmp_path) -> LegacySource:
    return LegacySource("sqlite", tmp_path)


def log(store: sync.EventStore) -> list[tuple[str, int]]:
    return [(e.meta.aggregate_id, e.meta.aggregate_version) for e in store.read(raw=True)]


@each_source
@each_backend
def test_an_imported_store_is_the_older_one(kind, older, tmp_path):
    older.write(rows())
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place) as store:
        assert older.into(store) == Imported(events=7, streams=3, stored=7, found=0)
        assert log(store) == IN_LOG
        account = store.load_one(Account, "a")
        assert (account.owner, account.balance, account.version) == ("Ada é 🙂", 14, 4)
        assert store.load_one(Account, "b").balance == 100
        by_id = {UUID(wanted[0]): wanted for wanted in rows()}
        for event in store.read():
            meta, wanted = event.meta, by_id.pop(event.meta.event_id)
            assert meta.aggregate_type == "Account"
            assert [meta.event_type, meta.event_version] == list(wanted[3:5])
            assert meta.timestamp == datetime.fromisoformat(wanted[9])
        assert not by_id
        first = next(iter(store.read())).meta
        assert first.causation_id == UUID("0190b4c5-0000-7000-8000-000000000001")
        assert (first.correlation_id, first.user_id) == ("request 7", "ada")
        assert first.headers == {"ip": "::1", "b": "é"}
        assert store.load_events("c")[0].meta.causation_id is None
        account.apply(older_table.Deposited(amount=1))
        store.save(account)
        again = older.into(store)
        assert again == Imported(events=7, streams=3, stored=0, found=7), "it has gone on since"


@pytest.mark.parametrize("data", ["JSONB", "JSON", "TEXT", "BYTEA"])
def test_payloads_are_what_the_database_has(data, tmp_path):
    older = LegacySource("postgres", tmp_path)
    texts = ['{ "amount" : 1e2, "é": "\\u00e9" }', '{"amount":1,"amount":2}']
    given = [text.encode() if data == "BYTEA" else text for text in texts]
    written = [row(n, "a", n, "unheard.of", event_data=one) for n, one in enumerate(given, 1)]
    metadata = "JSONB" if data == "JSONB" else "TEXT"
    older.write(written, data=data, metadata=metadata)
    with sync.EventStore.create("memory://") as store:
        older.into(store)
        stored = list(store.read(raw=True))
    assert all(type(event) is UnknownEvent for event in stored)
    wanted = ['{"é": "é", "amount": 100}', '{"amount": 2}'] if data == "JSONB" else texts
    assert [event.payload.decode() for event in stored] == wanted


def test_ids_and_payloads_may_be_bytes_in_sqlite(sqlite_older):
    older, (id_, *rest) = sqlite_older, row(1, "a", 1)
    rest[5] = b'{"amount": 3}'
    rest[7] = None
    write_sqlite(older.path, [])
    older.run("DROP TABLE {table}")
    older.run(f"CREATE TABLE {{table}} ({', '.join(older_table_columns())})")
    with closing(sqlite3.connect(older.path)) as db, db:
        db.execute(f"INSERT INTO events VALUES ({', '.join('?' * 10)})", (UUID(id_).bytes, *rest))
    with sync.EventStore.create("memory://") as store:
        older.into(store)
        (event,) = store.read()
        assert (event.meta.event_id, event.amount) == (UUID(id_), 3)


def older_table_columns() -> list[str]:
    from eventuali.importing._source import COLUMNS

    return list(COLUMNS)


@each_source
def test_another_name_and_a_tenant(older, tmp_path):
    older.write(rows(), table="MyEvents" if older.kind == "sqlite" else "legacy_log")
    name = "MyEvents" if older.kind == "sqlite" else "legacy_log"
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(ConfigurationError):
            older.into(store)
        tenant = store.for_tenant("acme")
        assert older.into(tenant, table_name=name).stored == 7
        assert (log(store), log(tenant)) == ([], IN_LOG)


@each_backend
def test_an_import_that_was_cut_off_goes_on(kind, sqlite_older, tmp_path):
    """Each commit in its turn is the last one before the end; the log is the same in the end."""
    sqlite_older.write(rows())
    place = url_of(kind, tmp_path)
    if kind == "memory":
        place = "memory://"
    with sync.EventStore.create(place) as store:
        for _ in range(10):
            try:
                found = sqlite_older.into(store, progress=EndAfterOneCommit())
            except Killed:
                continue
            break
        assert log(store) == IN_LOG
        assert (found.stored, found.found) == (0, 7)


class Killed(Exception):
    pass


class EndAfterOneCommit:
    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step == "stored":
            raise Killed


KILLED = """
import os, signal, sys
from eventuali import sync
from eventuali.importing import import_events

def progress(step, done, total):
    if step == "stored" and done >= before + 200:
        os.kill(os.getpid(), signal.SIGKILL)

with sync.EventStore.create(sys.argv[1]) as store:
    before = sum(stream.version for stream in store.streams())
    print(import_events(sys.argv[2], store, progress=progress).events)
"""


@each_shared
def test_an_import_that_is_killed_goes_on(kind, sqlite_older, tmp_path):
    """With commits on their way at the moment of the kill; in the end the log is in its order."""
    written = [
        row(n, f"s-{n % 3}", n // 3 + 1, time=f"2024-01-01T00:00:00.{n:06}+00:00")
        for n in range(1000)
    ]
    sqlite_older.write(written)
    place, kills = url_of(kind, tmp_path), 0
    while (done := script(KILLED, place, sqlite_older.path)).returncode:
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert done.stdout == "1000\n"
    assert kills > 1
    with sync.EventStore.create(place) as store:
        assert log(store) == [(one[1], one[5]) for one in written]


def test_what_came_later_is_added(sqlite_older):
    sqlite_older.write(rows())
    with sync.EventStore.create("memory://") as store:
        sqlite_older.into(store)
        sqlite_older.write([row(40, "c", 2), row(41, "d", 1)])
        assert sqlite_older.into(store) == Imported(events=9, streams=4, stored=2, found=7)
        assert log(store) == [*IN_LOG, ("c", 2), ("d", 1)]


def test_progress_is_told(sqlite_older):
    sqlite_older.write(rows())
    told = []
    with sync.EventStore.create("memory://") as store:
        sqlite_older.into(store, progress=lambda *step: told.append(step))
    assert told[0] == ("checked", 7, 7)
    assert told[-1] == ("compared", 7, 7)
    stored = [done for step, done, _ in told if step == "stored"]
    assert stored == [5, 6, 7] or stored[-1] == 7


@each_backend
def test_many_events_are_many_commits(kind, sqlite_older, tmp_path):
    """More than fit into a commit, in more streams than are compared at once."""
    written = [
        row(n, f"s-{n % 40}", n // 40 + 1, time=f"2024-01-01T00:00:00.{n:06}+00:00")
        for n in range(4000)
    ]
    written += [row(5000 + n, "long", n + 1) for n in range(3000)]
    sqlite_older.write(written)
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        assert sqlite_older.into(store) == Imported(7000, 41, 7000, 0)
        in_time = [(w[1], w[5]) for w in written[:4000]]
        assert log(store)[:4000] == in_time
        assert sqlite_older.into(store).stored == 0


def saying(metadata: str) -> older_table.Row:
    *before, _, time = row(1, "z", 1)
    return (*before, metadata, time)


BAD = {
    "a gap": (row(1, "a", 3), InvalidEventError, "version 2 is missing"),
    "no beginning": (row(1, "z", 2), InvalidEventError, "version 1 is missing"),
    "protobuf": (row(1, "z", 1, event_data_type="protobuf"), SerializationError, "protobuf"),
    "no JSON": (row(1, "z", 1, event_data='{"a": '), SerializationError, "not JSON"),
    "NaN": (row(1, "z", 1, event_data='{"a": NaN}'), SerializationError, "not JSON"),
    "a list": (row(1, "z", 1, event_data="[1]"), SerializationError, "not a JSON object"),
    "too large": (row(1, "z", 1, data={"a": "x" * (1 << 20)}), PayloadTooLargeError, "1048576"),
    "an id": (row(1, "z", 1, id="17"), InvalidEventError, "not a UUID"),
    "a name": (row(1, "$z", 1), InvalidEventError, "reserved"),
    "a type": (row(1, "z", 1, "__init__"), InvalidEventError, "reserved"),
    "an aggregate type": (row(1, "z", 1, aggregate_type=" A"), InvalidEventError, "white space"),
    "a schema version": (row(1, "z", 1, event_version=0), InvalidEventError, "event_version 0"),
    "a version": (row(1, "z", 0), InvalidEventError, "aggregate_version 0"),
    "a text version": (row(1, "z", 1, aggregate_version="x"), InvalidEventError, "'x'"),
    "a time": (row(1, "z", 1, time="yesterday"), InvalidEventError, "ISO 8601"),
    "metadata": (row(1, "z", 1, metadata="{"), InvalidEventError, "JSON"),
    "strange metadata": (row(1, "z", 1, metadata={"shard": 1}), InvalidEventError, "'shard'"),
    "a header": (row(1, "z", 1, metadata={"headers": {"a": 1}}), InvalidEventError, "headers"),
    "a remark": (row(1, "z", 1, metadata={"text": "a remark"}), InvalidEventError, "'text', which"),
    "a number": (row(1, "z", 1, metadata={"text": 5}), InvalidEventError, "'text', which"),
    "a text": (row(1, "z", 1, metadata={"text": ["user_id"]}), InvalidEventError, "'text', which"),
    "nothing": (row(1, "z", 1, metadata={"text": [None]}), InvalidEventError, "'text', which"),
    "a header twice": (
        row(1, "z", 1, metadata={"headers": [["a", "1"], ["b", "2"], ["a", "1"]]}),
        InvalidEventError,
        "headers [['a', '1'], ['b', '2'], ['a', '1']] can't be kept",
    ),
    "a name twice": (
        saying('{"user_id": "eve", "user_id": "ada"}'),
        InvalidEventError,
        "'user_id' twice",
    ),
    "a header's name twice": (
        saying('{"headers": {"a": "1", "a": "2"}}'),
        InvalidEventError,
        "'a' twice",
    ),
    "tags that say more": (
        row(1, "z", 1, metadata={"tags": {"a": "1"}}),
        InvalidEventError,
        "tags {'a': '1'} can't be kept",
    ),
    "deep": (saying("[" * 100_000), InvalidEventError, "not JSON"),
    "a cause": (row(1, "z", 1, metadata={"causation_id": 7}), InvalidEventError, "causation_id"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named_and_nothing_is_stored(case, sqlite_older):
    bad, error, text = BAD[case]
    sqlite_older.write([row(20, "a", 1), bad])
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(error) as caught:
            sqlite_older.into(store)
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"row {bad[0]} ({bad[2]}/{bad[1]}, version {bad[5]})")
        assert text in str(caught.value)
        assert log(store) == []
        sqlite_older.run(f"DELETE FROM {{table}} WHERE id = '{bad[0]}'")
        assert sqlite_older.into(store).stored == 1


def test_metadata_is_kept_as_it_is_written(sqlite_older):
    looks_so = "0190b4c5-0000-7000-8000-00000000000a"
    written = {
        "correlation_id": looks_so,
        "causation_id": looks_so,
        "user_id": "",
        "headers": [["b", "1"], ["a", ""]],
        "tags": ["t", "t"],
        "text": ["causation_id"],
    }
    sqlite_older.write([row(1, "z", 1, metadata=written)])
    with sync.EventStore.create("memory://") as store:
        sqlite_older.into(store)
        (event,) = store.read(raw=True)
    meta = event.meta
    assert (meta.correlation_id, meta.causation_id) == (UUID(looks_so), looks_so)
    assert (meta.user_id, list(meta.headers.items())) == ("", [("b", "1"), ("a", "")])
    assert meta.tags == ("t", "t")


@each_source
@pytest.mark.parametrize("column", ["id", "aggregate_version"])
def test_what_stands_twice_is_named(older, column):
    first = row(1, "a", 1)
    second = row(1, "b", 1) if column == "id" else row(2, "a", 1)
    older.write([])
    if older.kind == "sqlite":
        older.run("ALTER TABLE {table} RENAME TO was")
        older.run("CREATE TABLE {table} AS SELECT * FROM was")
    else:
        older.run("CREATE TABLE {table}_copy AS SELECT * FROM {table}")
        older.run("DROP TABLE {table}; ALTER TABLE {table}_copy RENAME TO events")
    older.write([first, second])
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(InvalidEventError) as caught:
            older.into(store)
        assert caught.value.field == ("event_id" if column == "id" else column)
        assert first[0] in str(caught.value)
        assert second[0] in str(caught.value)
        assert log(store) == []


@each_backend
def test_a_stream_with_other_events_is_left_alone(kind, sqlite_older, tmp_path):
    sqlite_older.write(rows())
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        account = Account(id="b")
        account.apply(older_table.AccountOpened(owner="Eve"))
        store.save(account)
        with pytest.raises(OptimisticConcurrencyError) as caught:
            sqlite_older.into(store)
        assert caught.value.stream == ("Account", "b")
        assert log(store) == [("b", 1)]


def test_one_byte_that_differs_is_found(sqlite_older):
    sqlite_older.write(rows())
    for column, value in (("event_data", '{"amount":  9}'), ("metadata", '{"user_id": "x"}'),
                          ("timestamp", "2024-05-01T00:00:09.000002+00:00")):  # fmt: skip
        with sync.EventStore.create("memory://") as store:
            sqlite_older.into(store)
            sqlite_older.run(
                f"UPDATE {{table}} SET {column} = '{value}' WHERE id = '{rows()[2][0]}'"
            )
            with pytest.raises(OptimisticConcurrencyError, match=r"a, version 2"):
                sqlite_older.into(store)


def test_a_source_that_is_none(tmp_path):
    (tmp_path / "text.db").write_text("no database, but long enough to look like one" * 30)
    write_sqlite(tmp_path / "old.db", [])
    with closing(sqlite3.connect(tmp_path / "old.db")) as db, db:
        db.execute("ALTER TABLE events DROP COLUMN event_data_type")
    here = str(tmp_path)
    with sync.EventStore.create("memory://") as store:
        for source, options, error in [
            (f"{here}/missing.db", {}, ConfigurationError),
            (f"{here}/old.db", {}, ConfigurationError),
            (f"{here}/old.db", {"table_name": 'x"; DROP TABLE events;--'}, ConfigurationError),
            (f"{here}/old.db", {"table_name": ""}, ConfigurationError),
            (f"{here}/old.db", {"schema": "public"}, ConfigurationError),
            (f"{here}/text.db", {}, StorageUnavailableError),
            ("sqlite://:memory:", {}, ConfigurationError),
            ("mysql://localhost/x", {}, ConfigurationError),
            (server_url(), {"schema": "no_such_schema"}, ConfigurationError),
            (server_url(), {"table_name": 'x"; DROP SCHEMA public;--'}, ConfigurationError),
            ("postgresql://u:hunter2@127.0.0.1:1/x", {}, StorageUnavailableError),
            ("postgresql://u:hunter2@h/x?hunter2", {}, ConfigurationError),
        ]:
            with pytest.raises(error) as caught:
                import_events(source, store, **options)
            assert type(caught.value) is error, source
            assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}", source
        assert log(store) == []


def test_without_psycopg_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        sync.EventStore.create("memory://") as store,
        pytest.raises(ConfigurationError, match=r"eventuali\[import\]"),
    ):
        import_events(server_url(), store)


@each_backend
def test_an_id_that_is_stored_elsewhere_is_told(kind, sqlite_older, tmp_path):
    sqlite_older.write(rows())
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        taken = older_table.Deposited(amount=1, event_id=UUID(rows()[1][0]))
        store.append([taken], stream=("Account", "elsewhere"))
        with pytest.raises(IdempotencyConflictError):
            sqlite_older.into(store)


def test_the_file_of_the_store_is_known_wherever_the_program_goes(tmp_path, monkeypatch):
    (tmp_path / "sub dir").mkdir()
    for name, url in (("a.db", "a.db"), ("b c.db", "sqlite://b%20c.db"), ("d.db", Path("d.db"))):
        monkeypatch.chdir(tmp_path)
        with sync.EventStore.create(url) as store:
            for place in (tmp_path, tmp_path / "sub dir", Path("/")):
                monkeypatch.chdir(place)
                for seen in (store, store.for_tenant("acme")):
                    with pytest.raises(ConfigurationError, match="has open"):
                        import_events(tmp_path / name, seen)


def test_the_file_of_the_store_itself_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with sync.EventStore.create(url) as store, pytest.raises(ConfigurationError):
        import_events(tmp_path / "events.db", store)


def test_the_older_table_is_only_read(sqlite_older):
    sqlite_older.write(rows())
    before = sqlite_older.path.read_bytes()
    sqlite_older.path.chmod(0o400)
    with sync.EventStore.create("memory://") as store:
        sqlite_older.into(store)
    assert sqlite_older.path.read_bytes() == before
    assert [one.name for one in sqlite_older.path.parent.iterdir()] == ["old.db"]


def test_within_a_loop_it_says_what_to_do(sqlite_older):
    sqlite_older.write(rows())

    async def main():
        store = await asyncio.to_thread(sync.EventStore.create, "memory://")
        with pytest.raises(RuntimeError):
            sqlite_older.into(store)
        assert (await asyncio.to_thread(sqlite_older.into, store)).stored == 7
        await asyncio.to_thread(store.close)

    asyncio.run(main())
