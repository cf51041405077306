"""PostgreSQL: what a configuration changes, and what is told where the server is no help."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import re
import shutil
import signal
import subprocess
import traceback
from dataclasses import FrozenInstanceError, fields
from itertools import chain
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from hosts import closed_port, dropping_host, hanging_up_host, silent_host
from ledger import Counted, Ledger, check_log, counted
from postgres_server import Private, server_url
from racers import open_same, race
from stores import administrator, each_api, opened, schema_of, url_of
from support import output_of

from eventuali import (
    AppendCondition,
    ConfigurationError,
    DatabaseError,
    EventStore,
    EventStoreConfig,
    OutcomeUnknownError,
    Query,
    sync,
)
from eventuali.errors import SchemaMismatchError, StorageBusyError, StorageUnavailableError

SECRET = "hunter2-%40-secret"
LITERAL = "hunter2-@-secret"
HERE = EventStoreConfig.postgres(f"postgres://ada:{SECRET}@db.example/shop?sslmode=require")
HOSTILE = 'x"; DROP SCHEMA public CASCADE;--'


# --- the configuration ----------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_page():
    assert (HERE.schema, HERE.table_name, HERE.max_connections) == ("public", "events", 10)
    assert (HERE.connect_timeout, HERE.statement_timeout, HERE.migrations) == (10.0, 30.0, True)
    assert HERE.url == "postgresql://ada@db.example/shop?sslmode=require"


def test_each_setting_gives_another_configuration():
    every = (
        HERE.with_schema("s").with_table_name("custom_events").with_max_connections(20)
        .with_connect_timeout(2).with_statement_timeout(0.5).with_migrations(False)
    )  # fmt: skip
    assert EventStoreConfig.postgres(HERE._secret) == HERE
    assert every != HERE
    changed = [field.name for field in fields(every) if getattr(every, field.name)
               == getattr(HERE, field.name)]  # fmt: skip
    assert changed == ["_secret"]
    for duplicate in (copy.copy(every), copy.deepcopy(every), pickle.loads(pickle.dumps(every))):
        assert duplicate == every
        assert hash(duplicate) == hash(every)
    with pytest.raises(FrozenInstanceError):
        every.schema = "other"


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("with_schema", [HOSTILE, "", "1x", "Shop", "a b", "é", "\ud800", "x" * 49, None, b"x", 5]),
        ("with_table_name", [HOSTILE, "", "e.v", "a\x00", "x" * 49, None, ["events"]]),
        ("with_max_connections", [0, -1, 2**18, 2**40, 10**100, 2.0, "20", True, None]),
        ("with_connect_timeout", [0, -1, 86_401, 1e300, 10**400, "1", True, None,
                                  float("nan"), float("inf"), 0.0009]),
        ("with_statement_timeout", [0, -0.5, 86_401, float("-inf"), "1", 1e-6]),
        ("with_migrations", [0, 1, "no", None]),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_at_once(setting, values):
    for value in values:
        with pytest.raises(ConfigurationError) as caught:
            getattr(HERE, setting)(value)
        assert_no_secret(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "", "shop", "sqlite://shop.db", "memory://", "postgres:u:p@h/db", "http://h/db",
        f"postgres://u:{SECRET}@h:99999/db", f"postgres://u:{SECRET}@h/db?service=x",
        f"postgres://u:{SECRET}@h/db?sslmode=bogus", f"postgres://u:{SECRET}@h/d\x00b",
        f"postgres://u:{SECRET}@h/db%00options%00-c", f"postgres://u:{SECRET}@h/\ud800",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_at_once(url):
    with pytest.raises(ConfigurationError) as caught:
        EventStoreConfig.postgres(url)
    assert_no_secret(caught.value)


@pytest.mark.parametrize("url", [None, 5, b"postgresql://", HERE])
def test_a_url_of_another_type_is_a_type_error(url):
    with pytest.raises(TypeError) as caught:
        EventStoreConfig.postgres(url)
    assert_no_secret(caught.value)


def test_no_text_holds_the_password():
    shown = f"{HERE} {HERE!r} {HERE.url} {HERE.schema_sql()} {vars(type(HERE))!r}"
    assert_hidden(shown)
    assert repr(HERE) == f"<EventStoreConfig {HERE.url} public.events>"


def assert_hidden(shown: str) -> None:
    assert SECRET not in shown
    assert LITERAL not in shown


def assert_no_secret(error: BaseException) -> None:
    """Nothing of the exceptions in the chain, nor how they are printed, shows the password."""
    # The frames of this file quote their source, which holds it.
    assert_hidden("".join(traceback.format_exception_only(error)))
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    for one in chain:
        assert_hidden(f"{one} {one!r} {one.args} {vars(one)}")


# --- what it changes ------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path) -> EventStoreConfig:
    place = url_of("postgres", tmp_path)
    assert isinstance(place, EventStoreConfig)
    return place


def relations(schema: str) -> list[str]:
    with administrator() as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) "
            "AND relkind IN ('r', 'v', 'S')",
            [schema],
        )
        return sorted(name for (name,) in rows)


def test_everything_lies_under_the_names_that_were_given(config):
    with sync.EventStore.create(config.with_table_name("custom_events")) as store:
        store.save(counted("a", 1))
        assert store.url == config.url
        assert store.stats().backend == "postgres"
    names = relations(config.schema)
    assert "custom_events" in names
    assert all(name.startswith("custom_events") for name in names)
    with administrator() as connection:
        rows = connection.execute(f"SELECT aggregate_id FROM {config.schema}.custom_events")
        assert rows.fetchall() == [("a",)]


def test_what_the_database_would_refuse_again_is_no_outage(config):
    with sync.EventStore.create(config) as store:
        with administrator() as connection:
            connection.execute(f"ALTER TABLE {config.schema}.events_log ADD CHECK (version < 2)")
        store.save(counted("a", 1))
        with pytest.raises(DatabaseError, match="check constraint") as caught:
            store.save(counted("b", 1, 2))
        assert type(caught.value) is DatabaseError
        assert store.load(Ledger, "b") is None


@each_api
def test_stores_of_different_tables_are_isolated(config, api):
    async def main():
        other_config = config.with_table_name("others")
        async with opened(api, config) as one, opened(api, other_config) as other:
            await one.append([Counted(number=1, tags=["t"])], stream=("Ledger", "a"))
            assert [event async for event in other.read()] == []
            assert await other.get_aggregate_version("a") is None
            condition = AppendCondition(Query(tags=["t"]))
            await other.append([Counted(number=2)], stream=("Ledger", "a"), condition=condition)
            for store, number in ((one, 1), (other, 2)):
                assert [event.number async for event in store.read()] == [number]
                assert [stream.version async for stream in store.streams()] == [1]

    asyncio.run(main())


def test_without_migrations_nothing_is_made(config):
    off = config.with_migrations(False)
    with pytest.raises(SchemaMismatchError):
        sync.EventStore.create(off)
    assert relations(config.schema) == []
    with administrator() as connection:
        connection.execute(f"CREATE SCHEMA {config.schema}")
        connection.execute(off.schema_sql())
    with sync.EventStore.create(off) as store:
        store.save(counted("a", 1))
        assert [event.number for event in store.read()] == [1]


def test_the_schema_is_made_once_by_ten_processes(tmp_path):
    rounds = [url_of("postgres", tmp_path / str(turn)) for turn in range(5)]
    for versions in zip(*race(open_same, 10, rounds), strict=True):
        assert sorted(versions) == list(range(1, 11))


def test_a_statement_may_take_so_long(config):
    with sync.EventStore.create(config.with_statement_timeout(0.3)) as store:
        store.save(counted("a", 1))
        with administrator() as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {config.schema}.events_log")
            begun = monotonic()
            with pytest.raises((StorageBusyError, StorageUnavailableError)):
                list(store.read())
            assert monotonic() - begun < 5
        assert [event.number for event in store.read()] == [1]


def test_there_are_no_more_connections_than_allowed(config):
    name = config.schema
    separator = "&" if "?" in server_url() else "?"
    named = EventStoreConfig.postgres(f"{server_url()}{separator}application_name={name}")

    async def main():
        limited = named.with_schema(name).with_max_connections(2)
        async with EventStore.create(limited) as store:
            await asyncio.gather(*(store.save(counted(str(n), n)) for n in range(50)))
            await asyncio.gather(*(store.get_aggregate_version(str(n)) for n in range(50)))
            with administrator() as connection:
                count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
                assert connection.execute(count, [name]).fetchone() == (2,)

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "PostgreSQL"])
@each_api
def test_a_url_is_enough(scheme, api, tmp_path):
    database = schema_of(tmp_path)
    with administrator() as connection:
        connection.execute(f"CREATE DATABASE {database}")
        url = re.sub(r"^\w+", scheme, url_for(server_url(), database=database))

        async def main():
            async with opened(api, url) as store:
                await store.save(counted("a", 1))
                assert store.url.startswith("postgresql://")
            async with opened(api, url) as store:
                return [event.number async for event in store.read()]

        try:
            assert asyncio.run(main()) == [1]
        finally:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


def url_for(url: str, *, user: str | None = None, database: str | None = None) -> str:
    """Returns the URL of the same server for another user or another database."""
    place, *options = re.split(r"(?=\?)", url, maxsplit=1)
    scheme, _, rest = place.partition("://")
    authority, _, own_database = rest.partition("/")
    own_user, at, host = authority.rpartition("@")
    user = f"{user}@" if user else own_user + at
    return f"{scheme}://{user}{host}/{database or own_database}{''.join(options)}"


# --- where the server is no help ------------------------------------------------------------------


@each_api
@pytest.mark.parametrize("host", [silent_host, dropping_host, closed_port, hanging_up_host])
def test_a_host_that_is_no_help_is_unavailable_in_time(host, api, caplog, capfd):
    with host() as port:
        url = f"postgresql://ada:{SECRET}@127.0.0.1:{port}/shop"
        error, seconds = failure(api, EventStoreConfig.postgres(url).with_connect_timeout(1))
    assert type(error) is StorageUnavailableError
    assert seconds < 3
    assert_no_secret(error)
    assert_hidden(caplog.text + "".join(capfd.readouterr()))


@pytest.fixture(scope="module")
def guarded():
    """A server that asks everybody for a password but `postgres`."""
    with Private() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE ada LOGIN PASSWORD '{LITERAL}'")
            connection.execute("CREATE SCHEMA ada AUTHORIZATION ada")
        yield server


@each_api
@pytest.mark.parametrize(
    ("user", "database"),
    [
        (f"ada:x{SECRET}", "postgres"),
        (f"nobody:{SECRET}", "postgres"),
        ("ada", "postgres"),
        (f"ada:{SECRET}", "missing"),
    ],
    ids=["password", "user", "no password", "database"],
)
def test_who_is_not_let_in_has_a_wrong_configuration(guarded, user, database, api, caplog, capfd):
    place = EventStoreConfig.postgres(url_for(guarded.url, user=user, database=database))
    error, seconds = failure(api, place.with_connect_timeout(2))
    assert type(error) is ConfigurationError
    assert seconds < 4
    assert_no_secret(error)
    assert_hidden(caplog.text + "".join(capfd.readouterr()))


def test_the_right_password_lets_in_and_is_shown_nowhere(guarded):
    place = EventStoreConfig.postgres(url_for(guarded.url, user=f"ada:{SECRET}"))
    with sync.EventStore.create(place.with_schema("ada")) as store:
        store.save(counted("a", 1))
        assert_hidden(f"{store!r} {store.url} {store.stats()}")
        assert [event.number for event in store.read()] == [1]


@each_api
def test_who_may_only_read_is_told_so(config, api):
    role = f"reader_{config.schema}"
    with sync.EventStore.create(config) as store:
        store.save(counted("a", 1))
    with administrator() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reader'")
        connection.execute(f"GRANT USAGE ON SCHEMA {config.schema} TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {config.schema} TO {role}")
        connection.execute(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {config.schema} TO {role}")
    try:
        url = url_for(server_url(), user=f"{role}:reader")
        reader = EventStoreConfig.postgres(url).with_connect_timeout(2)
        error, _ = failure(api, reader.with_schema(f"{config.schema}_x"))
        assert type(error) is ConfigurationError, "it may make no schema"

        async def main():
            async with opened(api, reader.with_schema(config.schema)) as store:
                assert [event.number async for event in store.read()] == [1]
                with pytest.raises(ConfigurationError):
                    await store.save(counted("b", 1, 2))
                assert [event.number async for event in store.read()] == [1]

        asyncio.run(main())
    finally:
        with administrator() as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def encrypted():
    """A server with a certificate for another name, and the authority that made it."""
    openssl, initdb = shutil.which("openssl"), shutil.which("initdb")
    if openssl is None or initdb is None:
        pytest.skip("needs openssl, and a PostgreSQL on PATH: the private one cannot encrypt")
    server = Private("ssl=on", programs=Path(initdb).resolve().parent)
    data = server.folder / "data"
    name = ("-subj", "/CN=elsewhere.example", "-addext", "subjectAltName=DNS:elsewhere.example")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for arguments in (
        [*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt"],
        [*new, *name, "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.crt",
         "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.crt"],
    ):  # fmt: skip
        subprocess.run([openssl, *arguments], cwd=data, check=True, capture_output=True)
    owner = (data / "PG_VERSION").stat()
    for file in (data / "server.key", data / "server.crt"):
        os.chown(file, owner.st_uid, owner.st_gid)
        file.chmod(0o600)
    with server:
        yield server.url, data / "ca.crt"


def test_a_certificate_is_checked_as_far_as_was_asked(encrypted):
    url, authority = encrypted
    checked = f"&sslrootcert={authority}"
    for mode in ("prefer", "allow", "require", f"verify-ca{checked}", f"require{checked}"):
        with sync.EventStore.create(f"{url}?sslmode={mode}") as store:
            store.append([Counted(number=1)])
    refused = ("verify-full", "verify-ca", f"verify-full{checked}",
               f"require&channel_binding=require{checked}", "verify-full&sslrootcert=system",
               f"require&sslrootcert={url_of_another_authority(authority)}")  # fmt: skip
    for mode in refused:
        place = EventStoreConfig.postgres(f"{url}?sslmode={mode}").with_connect_timeout(2)
        error, seconds = failure("sync", place)
        assert type(error) is StorageUnavailableError, mode
        assert seconds < 4


def url_of_another_authority(authority: Path) -> Path:
    """Makes an authority that signed nothing."""
    other = authority.with_name("other.crt")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other")
    command = ["openssl", *new, "-keyout", "other.key", "-out", other]
    subprocess.run(command, cwd=authority.parent, check=True, capture_output=True)
    return other


# --- what a URL says ------------------------------------------------------------------------------

CLOUDS = [
    # Heroku, RDS, Azure, Supabase, Neon, a fail-over pair, and everything that asks for what
    # happens anyway.
    "postgres://u:p%40ss@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1?sslmode=require",
    "postgresql://u:p%40ss@shop.abc.eu-central-1.rds.amazonaws.com:5432/shop?connect_timeout=5",
    "postgresql://u%40shop:p%40ss@shop.postgres.database.azure.com/shop?sslmode=require",
    "postgres://postgres.xyz:p%40ss@aws-0-eu.pooler.supabase.com:5432/postgres"
    "?options=reference%3Dxyz",
    "postgresql://u:p%40ss@ep-cool-1.eu-central-1.aws.neon.tech/db"
    "?sslmode=require&channel_binding=require&options=endpoint%3Dep-cool-1",
    "postgresql://u:p%40ss@one:5432,two:5433/db?target_session_attrs=read-write",
    "postgresql://u:p%40ss@h/db?sslmode=verify-full&sslrootcert=system",
    "postgresql://u@h/db?password=p%40ss&sslmode=allow&application_name=shop&gssencmode=prefer"
    "&keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3"
    "&tcp_user_timeout=10000&sslnegotiation=postgres&load_balance_hosts=random"
    "&client_encoding=utf8&fallback_application_name=x&target_session_attrs=primary&sslsni=1",
]


@pytest.mark.parametrize("url", CLOUDS)
def test_a_url_of_a_cloud_is_taken_as_it_is_given(url):
    config = EventStoreConfig.postgres(url)
    assert "p%40ss" not in config.url
    assert EventStoreConfig.postgres(config.url).url == config.url


def test_a_time_out_of_the_url_counts_unless_another_is_given():
    config = EventStoreConfig.postgres("postgresql://h/db?connect_timeout=3")
    assert config.connect_timeout == 3
    assert config.with_schema("s").connect_timeout == 3
    assert config.with_connect_timeout(4).connect_timeout == 4
    assert EventStoreConfig.postgres("postgresql://h/db?connect_timeout=0").connect_timeout == 10


@pytest.mark.parametrize(
    ("option", "cure"),
    [
        ("service=shop", "into the URL"), ("passfile=/x", "PGPASSFILE"),
        ("target_session_attrs=standby", "primary"), ("gssencmode=require", "GSSAPI"),
        ("sslnegotiation=direct", "postgres"), ("client_encoding=latin1", "UTF-8"),
        ("hostaddr=10.0.0.1", "as the host"), ("sslrootcert=/no/such.pem", "/no/such.pem"),
        ("sslmode=verify-full&sslkey=/no/such.key", "/no/such.key"), ("schema=x", "with_schema"),
        ("sslmode=disable&channel_binding=require", "sslmode=require"),
    ],
)  # fmt: skip
def test_what_a_url_asks_for_in_vain_is_refused_with_the_cure(option, cure):
    with pytest.raises(ConfigurationError, match=cure) as caught:
        EventStoreConfig.postgres(f"postgresql://u:{SECRET}@h/db?{option}")
    assert_no_secret(caught.value)


def test_a_root_certificate_of_the_environment_is_named_too(monkeypatch):
    monkeypatch.setenv("PGSSLROOTCERT", "/no/such.pem")
    with pytest.raises(ConfigurationError, match=r"PGSSLROOTCERT.*/no/such\.pem"):
        EventStoreConfig.postgres("postgresql://h/db")


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


def test_settings_of_the_url_reach_the_server(config):
    """They change nothing of what a store stores."""
    options = "options=-c%20search_path%3Dpg_temp%20-c%20datestyle%3Dgerman&connect_timeout=5"
    url = with_options(server_url(), f"{options}&sslmode=allow&application_name={config.schema}")
    with sync.EventStore.create(EventStoreConfig.postgres(url).with_schema(config.schema)) as store:
        store.save(counted("a", 1, 2))
        assert [event.number for event in store.read()] == [1, 2]
        with administrator() as beside:
            query = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = %s"
            assert beside.execute(query, [config.schema]).fetchone() == (True,)


@each_api
def test_of_several_hosts_the_one_that_answers_is_taken(api, config):
    with closed_port() as nobody, silent_host() as silent:
        own = urlsplit(server_url())
        place = own.netloc.rpartition("@")[2]
        dead, deaf = f"127.0.0.1:{nobody}", f"127.0.0.1:{silent}"
        for hosts in (f"{dead},{place}", f"{deaf},{place},{dead}"):
            url = urlunsplit(own._replace(netloc=f"{own.username}@{hosts}"))
            place = EventStoreConfig.postgres(url).with_schema(config.schema)

            async def main(place=place):
                async with opened(api, place.with_connect_timeout(3)) as store:
                    await store.save(counted(uuid4().hex, 1))
                    assert store.url == place.url
                    return [event.number async for event in store.read()]

            assert set(asyncio.run(main())) == {1}


def test_encryption_that_is_required_is_never_left_out(guarded):
    place = EventStoreConfig.postgres(f"{guarded.url}?sslmode=require").with_connect_timeout(2)
    error, _ = failure("sync", place)
    assert type(error) is StorageUnavailableError


def failure(api: str, place: EventStoreConfig) -> tuple[BaseException, float]:
    """Tries to open; returns what it meets and after how many seconds."""

    async def main():
        async with opened(api, place):
            pass

    begun = monotonic()
    with pytest.raises((ConfigurationError, DatabaseError)) as caught:
        asyncio.run(main())
    return caught.value, monotonic() - begun


# --- a server that goes away ----------------------------------------------------------------------


def test_a_store_outlives_its_server(tmp_path):
    with Private() as server:
        place = EventStoreConfig.postgres(server.url).with_connect_timeout(1)
        with sync.EventStore.create(place) as store:
            store.save(counted("a", 1))
            for turn in range(3):
                server.stop()
                again = counted(f"b-{turn}", turn + 10)
                # The second where a connection broke with the save on its way.
                with pytest.raises((StorageUnavailableError, OutcomeUnknownError)):
                    store.save(again)
                with pytest.raises(StorageUnavailableError):
                    list(store.read())
                with pytest.raises(StorageUnavailableError):
                    store.append([Counted(number=-1)])
                server.start()
                store.save(again)
            check_log(store.read(), [1, 10, 11, 12])


def test_crashes_under_load_lose_nothing_and_repeat_nothing():
    """20 immediate restarts: what is in doubt is settled by saving again, and no reader skips."""

    async def main():
        with Private() as server:
            place = EventStoreConfig.postgres(server.url).with_connect_timeout(2)
            async with EventStore.create(place) as store:
                done = asyncio.Event()
                reader = asyncio.create_task(follow(store, done))
                writers = [
                    asyncio.create_task(write(store, n, done), name="writer") for n in range(16)
                ]
                for _ in range(20):
                    await asyncio.sleep(0.1)
                    await asyncio.to_thread(server.stop, signal.SIGQUIT)
                    await asyncio.to_thread(server.start)
                done.set()
                wanted = await asyncio.gather(*writers)
                seen = await reader
                stored = [event async for event in store.read()]
                check_log(stored, chain.from_iterable(wanted))
                assert seen == [event.position for event in stored]
                assert all(wanted)

    async def write(store: EventStore, number: int, done: asyncio.Event) -> list[int]:
        ledger, numbers = Ledger(id=f"w-{number}"), []
        while not done.is_set():
            numbers.append(number * 1_000_000 + len(numbers))
            ledger.apply(Counted(number=numbers[-1]))
            while ledger.has_uncommitted_events():
                try:
                    await store.save(ledger)
                except (OutcomeUnknownError, StorageUnavailableError, StorageBusyError):
                    await asyncio.sleep(0.01)
        return numbers

    async def follow(store: EventStore, done: asyncio.Event) -> list[int]:
        seen: list[int] = []
        while True:
            # Writers end what they have begun after `done`; one read more shows that, too.
            writing = any(task.get_name() == "writer" for task in asyncio.all_tasks())
            try:
                async for event in store.read(after=seen[-1] if seen else 0):
                    seen.append(event.position)
            except StorageUnavailableError:
                continue
            if done.is_set() and not writing:
                return seen
            await asyncio.sleep(0.005)

    asyncio.run(main())


# --- fork -----------------------------------------------------------------------------------------

FORK = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
from bad_input_calls import VERBS
from eventuali import EventStore, sync
from eventuali.errors import ForkedProcessError
from ledger import Counted, counted
url, own = sys.argv[1:]
store, stop = sync.EventStore.create(url), threading.Event()
saved, codes = 0, []

def work():
    global saved
    while not stop.is_set():
        store.append([Counted(number=1)])
        saved += 1

def child():
    begun = time.monotonic()
    for verb in VERBS.values():
        try:
            verb(store)
        except ForkedProcessError:
            continue
        return 1
    if time.monotonic() - begun > 1:
        return 2
    for place in (own, url):
        with sync.EventStore.create(place) as mine:
            mine.append([Counted(number=2)])
    return 0

thread = threading.Thread(target=work)
thread.start()
for _ in range(5):
    before = saved
    while saved < before + 10:
        time.sleep(0.001)
    if (pid := os.fork()) == 0:
        signal.alarm(30)
        code = child()
        (sys.exit if _ % 2 else os._exit)(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(codes[-1])
stop.set()
thread.join()
numbers = [event.number for event in store.read()]
assert (numbers.count(1), numbers.count(2)) == (saved, 5), (saved, codes)
store.close()
"""


def test_a_forked_child_is_told_so_and_opens_stores_of_its_own(config):
    output = output_of(FORK, config, config.with_table_name("own"), timeout=120)
    assert output.split() == ["0"] * 5
