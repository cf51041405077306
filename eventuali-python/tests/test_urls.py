"""What a URL opens, and what happens where it opens nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import sqlite3
import tempfile
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from bad_input_places import newer, other_schema
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger import Counted, counted
from stores import each_api, opened
from support import script

from eventuali import (
    ConfigurationError,
    DatabaseError,
    EventStoreConfig,
    InvalidEventError,
    sync,
)
from eventuali.errors import SchemaMismatchError, StorageCorruptedError, StorageUnavailableError


@each_api
@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("memory://", None),
        ("sqlite://:memory:", None),
        ("sqlite://events.db", "events.db"),
        ("events.db", "events.db"),
        ("other.sqlite", "other.sqlite"),
        ("sub/events.db", "sub/events.db"),
        ("./events.db", "events.db"),
        ("sqlite:///events.db", "events.db"),
        ("sqlite://sub/events.db", "sub/events.db"),
        ("sqlite:///sub/events.db", "sub/events.db"),
        ("sqlite:////{folder}/events.db", "events.db"),
        ("{folder}/events.db", "events.db"),
        ("sqlite://with space.db", "with space.db"),
        ("sqlite://\u00e4\U0001f600.db", "\u00e4\U0001f600.db"),
    ],
)
def test_the_forms_of_a_url(url, file, api, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    url = url.replace("{folder}", str(tmp_path)).replace("sqlite://///", "sqlite:////")

    async def main():
        async with opened(api, url) as store:
            await store.save(counted("a", 1))
            assert [event.number async for event in store.read()] == [1]
            return store.url

    opened_as = asyncio.run(main())
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    if file is None:
        assert files == set()
        assert opened_as == url
    else:
        assert {name for name in files if not name.endswith(("-wal", "-shm"))} == {file}
        with sync.EventStore.create(opened_as) as store:
            assert [event.number for event in store.read()] == [1]


def test_a_path_object(tmp_path):
    with sync.EventStore.create(tmp_path / "events.db") as store:
        store.save(counted("a", 1))
    assert (tmp_path / "events.db").is_file()


def test_each_memory_store_is_its_own(tmp_path):
    for url in ("memory://", "sqlite://:memory:"):
        with sync.EventStore.create(url) as one, sync.EventStore.create(url) as other:
            one.save(counted("a", 1))
            assert list(other.read()) == []


@pytest.mark.parametrize(
    "url",
    [
        "", "sqlite://", "sqlite:", "redis://localhost/0", "file:///tmp/x.db", "file://x",
        "http://169.254.169.254/latest", "mysql://u:p%40ss@h/db", "://", "memory://x",
        "sqlite://a\x00b.db", "sqlite+aiosqlite:///x.db",
        "postgres://u:p%40ss@h/db?sslmode=bogus&options=-c%20search_path%3Dx",
        "host=db user=u password=p%40ss dbname=shop", "password = p@ss host = db",
        "Server=h;Database=x;Uid=u;Pwd=p@ss", "dbname=shop", "postgressql://u:p%40ss@h/db",
        "postgresql//u:p%40ss@h/db", "postgresql:/u:p%40ss@h/db", "postgre://u:p%40ss@h/db",
        "u:p%40ss@h:5432/db", "localhost:5432/shop", "jdbc:postgresql://h/db?user=u&password=p@ss",
        "postgresql+asyncpg://u:p%40ss@h/db", "postgresql", "sqlite", "memory", ":memory",
        "None", "null", "undefined", "sqlite:///None", "postgresql://u:p%40ss@None/db",
        "${DATABASE_URL}", "$DATABASE_URL", "$(DATABASE_URL)", "%DATABASE_URL%", "{{ url }}",
        "{url}",
        "<url>", "#{url}", "%(url)s", "sqlite:///${DATA}/events.db", "/data/{name}.db",
        "postgresql://${USER}:p%40ss@${HOST}/db", "file:events.db?mode=ro", "file::memory:",
        "events.db?mode=ro", "events.db?cache=shared", "sqlite:///events.db?mode=ro",
        " events.db", "events.db\n", "\tsqlite:///events.db", "'events.db'",
        '"postgresql://u:p%40ss@h/db"', "~/events.db", "sqlite:///~/events.db", "a\nb.db",
        "postgres://u:p%40ss@h:99999/db", "postgresql://u:p%40ss@/db?nonsense=1",
        "POSTGRES://u:p%40ss@h/db?sslmode=bogus",
    ],
)  # fmt: skip
@each_api
def test_a_wrong_url_is_a_configuration_error(url, api, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.chdir(tmp_path)

    async def main():
        async with opened(api, url):
            pass

    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(main())
    assert isinstance(caught.value, ValueError)
    assert list(tmp_path.iterdir()) == []
    shown = str(caught.value) + repr(caught.value) + caplog.text + "".join(capfd.readouterr())
    chain: BaseException | None = caught.value
    while chain is not None:
        shown += str(chain)
        chain = chain.__cause__ or chain.__context__
    assert "p%40ss" not in shown
    assert "p@ss" not in shown


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/")
    | st.sampled_from(list("%?#&=@:;+ ~$'\"<>{}|^`[]\\.-_\u00e4\U0001f600")),
    min_size=1,
    max_size=20,
)


def escaped(name: str) -> str:
    return quote(name, safe="")


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("write", [str, escaped])
@settings(max_examples=150)  # each makes files and flushes them
@given(name=names)
@example(name="a%20b.db")
@example(name="a?b#c.db")
@example(name="100% {x}.db")
@example(name="a:b.db")
@example(name="${X}.db")
@example(name="\u00a0")
def test_the_url_of_a_store_opens_the_same_store(name, write, absolute):
    """Whatever form was accepted: a bare path, or a URL in which it was encoded."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            place = f"{folder}/{name}" if absolute else name
            url = place if write is str else f"sqlite:///{place.replace(name, escaped(name))}"
            try:
                store = sync.EventStore.create(url)
            except (ConfigurationError, DatabaseError):
                assert os.listdir() == []
                return
            with store:
                store.append([Counted(number=1)])
            if store.url == "sqlite://:memory:":
                return
            with sync.EventStore.create(store.url) as again:
                assert [event.number for event in again.read()] == [1]
                assert again.url == store.url
            assert len([one for one in os.listdir() if not one.endswith(("-wal", "-shm"))]) == 1
        finally:
            os.chdir(before)


NEEDS_ENCODING = ["a b.db", "a%20b.db", "a?b.db", "a#b.db", "a:b.db", "${X}.db", "ä.db", "x=y.db"]


def test_names_that_need_encoding_can_be_had():
    """The test above would be content with a store that refuses every name."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDS_ENCODING:
            url = f"sqlite:///{folder}/{escaped(name)}"
            with sync.EventStore.create(url) as store:
                assert sync.EventStore.create(store.url).url == store.url
            assert name in os.listdir(folder)


@pytest.mark.parametrize(
    "url", [None, 5, b"memory://", b"postgres://u:p@ss@h/db", ["postgres://u:p@ss@h/db"]]
)
def test_a_url_of_another_type_is_a_type_error(url):
    with pytest.raises((TypeError, ConfigurationError)) as caught:
        sync.EventStore.create(url)
    assert "p@ss" not in repr(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "none"}, {"durability": ""}, {"durability": "FULL"}, {"tenant": "../b"},
        {"tenant": "a' OR '1'='1"}, {"tenant": "*"}, {"tenant": "x" * 65}, {"tenant": "a b"},
        {"tenant": "\ud800"},
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused(options, tmp_path):
    """Both are ValueErrors: options are `ConfigurationError`, a bad tenant `InvalidEventError`."""
    with pytest.raises(ValueError, match=r".+") as caught:
        sync.EventStore.create(f"sqlite:///{tmp_path}/events.db", **options)
    assert type(caught.value).__module__ == "eventuali.errors"
    with sync.EventStore.create("memory://") as store:
        if "tenant" in options:
            with pytest.raises(InvalidEventError):
                store.for_tenant(options["tenant"])
        store.save(counted("a", 1))


# --- what lies there already ----------------------------------------------------------------------

TRY = """
import json, os, sys, time
from eventuali import sync, DatabaseError, ConfigurationError
from ledger import counted
imported = time.monotonic()
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
step = "open"
try:
    store = sync.EventStore.create(sys.argv[1])
    step = "save"
    store.save(counted("a", 1))
except Exception as error:
    names = [cls.__name__ for cls in type(error).__mro__]
else:
    names = []
print(json.dumps([step, names, time.monotonic() - imported]))
"""


def attempt(url: str, *user: int) -> tuple[str, list[str]]:
    done = script(TRY, url, *user, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    step, names, seconds = json.loads(done.stdout)
    assert seconds < 2
    return step, names


NOBODY = 65534


def refused(names: list[str]) -> bool:
    return "ConfigurationError" in names or "DatabaseError" in names


@pytest.mark.parametrize("what", ["missing folder", "folder", "fifo", "zero", "null", "file/x"])
def test_a_place_that_cannot_hold_a_store_is_refused_at_once(what, tmp_path):
    place = tmp_path / "place"
    if what == "missing folder":
        place = tmp_path / "no" / "such" / "x.db"
    elif what == "folder":
        place.mkdir()
    elif what == "fifo":
        os.mkfifo(place)
    elif what == "file/x":
        place.write_text("text")
        place = place / "x.db"
    else:
        place = Path("/dev") / what
    before = sorted(tmp_path.rglob("*"))
    step, names = attempt(f"sqlite:///{place}")
    assert refused(names), (step, names)
    assert step == "open"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_text_file_in_the_way_is_left_alone(tmp_path):
    passwd = tmp_path / "passwd"
    shutil.copy("/etc/passwd", passwd)
    content = passwd.read_bytes()
    step, names = attempt(f"sqlite:///{passwd}")
    assert refused(names), (step, names)
    assert passwd.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody who may not write")
def test_a_file_that_may_only_be_read_is_refused():
    folder = Path(tempfile.mkdtemp())  # not below `tmp_path`, which is root's own
    try:
        url = f"sqlite:///{folder / 'events.db'}"
        with sync.EventStore.create(url) as store:
            store.save(counted("a", 1))
        content = (folder / "events.db").read_bytes()
        folder.chmod(0o555)
        (folder / "events.db").chmod(0o444)
        step, names = attempt(url, NOBODY)
        assert refused(names), (step, names)
        assert (folder / "events.db").read_bytes() == content
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def other_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 12345")
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY)")
    connection.close()


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20_000))


def a_header_and_garbage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + random.Random(1).randbytes(20_000))


def text(path: Path) -> None:
    path.write_text("not a database\n" * 1_000)


@each_api
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (random_bytes, StorageCorruptedError),
        (a_header_and_garbage, StorageCorruptedError),
        (text, (StorageCorruptedError, SchemaMismatchError)),
        (other_schema, SchemaMismatchError),
        (other_program, SchemaMismatchError),
        (newer, SchemaMismatchError),
    ],
)
def test_another_file_is_never_overwritten(make, error, api, tmp_path):
    path = tmp_path / "there.db"
    make(path)
    content = path.read_bytes()

    async def main():
        async with opened(api, f"sqlite:///{path}") as store:
            await store.save(counted("a", 1))

    with pytest.raises(error) as caught:
        asyncio.run(main())
    assert isinstance(caught.value, DatabaseError)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=1)])
    with sync.EventStore.create(path) as store:
        assert [event.number for event in store.read()] == [1]


def test_a_damaged_event_is_named_by_its_position(tmp_path):
    path = tmp_path / "events.db"
    with sync.EventStore.create(path) as store:
        positions = store.save(counted("a", 1000001, 1000002, 1000003)).positions
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = path.read_bytes()
    assert content.count(b"1000002") == 1
    path.write_bytes(content.replace(b"1000002", b"1000012"))
    with sync.EventStore.create(path) as store:
        with pytest.raises(StorageCorruptedError) as caught:
            list(store.read())
        assert caught.value.position == positions[1]
        assert [event.number for event in store.read(limit=1)] == [1000001]
        with pytest.raises(StorageCorruptedError):
            store.load_events("a")


def test_a_server_that_is_away_is_named_without_the_password():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        config = EventStoreConfig.postgres(f"postgresql://ada:s3cret@127.0.0.1:{port}/bank")
        with pytest.raises(StorageUnavailableError) as caught:
            sync.EventStore.create(config.with_connect_timeout(5))
    assert f"host 127.0.0.1, port {port}, database bank: " in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
