"""PostgreSQL: standbys, poolers, settings of a role, a clock: what lies around a store."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from bad_input_calls import COMPILER, SHIM
from ledger import Counted, counted
from pooler import pooled
from postgres_server import Private, server_url
from stores import administrator, each_api, opened, url_of
from support import output_of

from eventuali import ConfigurationError, EventStoreConfig, OutcomeUnknownError, sync
from eventuali.errors import StorageUnavailableError

# --- standbys and fail-over -----------------------------------------------------------------------


def config_of(server: Private, seconds: float = 1.0) -> EventStoreConfig:
    return EventStoreConfig.postgres(server.url).with_connect_timeout(seconds)


@contextmanager
def streaming(primary: Private) -> Iterator[Private]:
    """A standby that follows a primary."""
    rules = primary.folder / "data" / "pg_hba.conf"
    rules.write_text(f"{rules.read_text()}host replication postgres 127.0.0.1/32 trust\n")
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
    standby = Private()
    try:
        shutil.rmtree(standby.folder / "data")
        standby._run(
            "pg_basebackup", "-D", str(standby.folder / "data"), "-d", primary.url, "-R",
            "-X", "stream", "--no-sync", "--checkpoint=fast",
        )  # fmt: skip
        standby.start()
        yield standby
    finally:
        standby.remove()


def test_the_primary_among_several_hosts_is_taken_again_after_a_failover():
    with Private() as primary, streaming(primary) as standby:
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        place = EventStoreConfig.postgres(url).with_connect_timeout(10)
        with sync.EventStore.create(place) as store:
            store.save(counted("a", 1))
            with psycopg.connect(primary.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            store.save(counted("b", 2))
            primary.stop()
            with psycopg.connect(standby.url, autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            store.save(counted("c", 3))
            assert [event.number for event in store.read()] == [1, 2, 3]


@each_api
def test_a_standby_is_refused(api):
    with Private() as primary:
        with sync.EventStore.create(config_of(primary)) as store:
            store.save(counted("a", 1))
        with streaming(primary) as standby:

            async def main():
                async with opened(api, config_of(standby)):
                    pass

            with pytest.raises(ConfigurationError, match="standby"):
                asyncio.run(main())
            with psycopg.connect(standby.url, autocommit=True) as connection:
                assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
                connection.execute("SELECT pg_promote()")
            with sync.EventStore.create(config_of(standby)) as store:
                assert store.load_events("a")[0].number == 1


def become_a_standby(server: Private) -> None:
    server.stop()
    signal = server.folder / "data" / "standby.signal"
    signal.touch()
    shutil.chown(signal, (signal.parent / "PG_VERSION").stat().st_uid)
    server.start()


def test_a_store_waits_for_a_standby_to_become_the_primary():
    with Private() as server, sync.EventStore.create(config_of(server)) as store:
        store.save(counted("a", 1))
        become_a_standby(server)
        late = counted("b", 2)
        # The second where a connection broke with the save on its way.
        with pytest.raises((StorageUnavailableError, OutcomeUnknownError)):
            store.save(late)
        with pytest.raises(StorageUnavailableError, match="standby"):
            store.append([Counted(number=-1)])
        with pytest.raises(StorageUnavailableError, match="standby"):
            list(store.read())
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        store.save(late)
        assert [event.number for event in store.read()] == [1, 2]


def test_a_promotion_in_time_is_not_noticed():
    async def main():
        with Private() as server:
            async with opened("async", config_of(server, 30)) as store:
                await store.save(counted("a", 1))
                become_a_standby(server)
                saving = asyncio.create_task(store.save(counted("b", 2)))
                await asyncio.sleep(0.3)
                assert not saving.done()
                with psycopg.connect(server.url, autocommit=True) as connection:
                    connection.execute("SELECT pg_promote()")
                await saving
                assert [event.number async for event in store.read()] == [1, 2]

    asyncio.run(main())


def test_a_server_that_is_read_only_is_unavailable_to_writers():
    """As a primary that lost its role, and keeps its connections."""
    with Private() as server, sync.EventStore.create(config_of(server)) as store:
        store.save(counted("a", 1))
        read_only(server, "on")
        for _ in range(2):
            with pytest.raises(StorageUnavailableError, match="read-only"):
                store.append([Counted(number=-1)])
            assert [event.number for event in store.read()] == [1]
        read_only(server, "off")
        store.save(counted("b", 2))
        assert [event.number for event in store.read()] == [1, 2]


def read_only(server: Private, setting: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {setting}")
        connection.execute("SELECT pg_reload_conf()")
    while True:
        with psycopg.connect(server.url, autocommit=True) as connection:
            if connection.execute("SHOW default_transaction_read_only").fetchone() == (setting,):
                return


# --- poolers --------------------------------------------------------------------------------------


@each_api
def test_a_pooler_that_shares_sessions_is_refused(api, tmp_path):
    """It would run a statement on a session on which somebody else has prepared another one."""
    place = url_of("postgres", tmp_path)
    with pooled(server_url()) as url:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,), "it is a pooler that works"

        async def main():
            async with opened(api, EventStoreConfig.postgres(url).with_schema(place.schema)):
                pass

        for _ in range(3):
            with pytest.raises(ConfigurationError, match="session mode"):
                asyncio.run(main())
    with sync.EventStore.create(place) as store:
        store.save(counted("a", 1))


# --- durability -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("durability", "of_the_role", "wanted"),
    [
        ("full", "off", "on"),
        ("full", "local", "local"),
        ("full", "remote_apply", "remote_apply"),
        ("relaxed", "on", "off"),
        ("relaxed", "off", "off"),
    ],
)
def test_what_a_commit_waits_for(durability, of_the_role, wanted, tmp_path):
    """Full durability is not taken away by a setting of the role; one that is stronger stays."""
    place = url_of("postgres", tmp_path)
    schema, role = place.schema, f"role_{place.schema}"
    with administrator() as beside:
        beside.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'secret'")
        beside.execute(f"ALTER ROLE {role} SET synchronous_commit = {of_the_role}")
        url = psycopg.conninfo.conninfo_to_dict(server_url())
        host, port, database = url["host"], url.get("port", 5432), url["dbname"]
        config = EventStoreConfig.postgres(f"postgresql://{role}:secret@{host}:{port}/{database}")
        try:
            with sync.EventStore.create(config.with_schema(schema), durability=durability) as store:
                beside.execute(
                    f"""CREATE TABLE {schema}.waited (setting TEXT);
                    CREATE FUNCTION {schema}.note() RETURNS TRIGGER LANGUAGE plpgsql AS $$
                    BEGIN
                        INSERT INTO {schema}.waited SELECT current_setting('synchronous_commit');
                        RETURN NULL;
                    END $$;
                    CREATE TRIGGER note AFTER INSERT ON {schema}.events_log
                    EXECUTE FUNCTION {schema}.note();"""
                )
                store.save(counted("a", 1))
            rows = beside.execute(f"SELECT setting FROM {schema}.waited").fetchall()
            assert rows == [(wanted,)]
        finally:
            beside.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


# --- the clock ------------------------------------------------------------------------------------

BEFORE_1970 = """
import os, sys
import psycopg
from eventuali import EventStoreConfig, sync
from eventuali.errors import StorageUnavailableError
from ledger import Counted, counted
from pooler import pooled
from stores import administrator

def step(seconds):
    with open(os.environ["CLOCK_STEP"], "w") as file:
        file.write(str(seconds))

def refused(call):
    try:
        call()
    except StorageUnavailableError as error:
        assert "before 1970" in str(error), error
    else:
        raise AssertionError("it went on")

place, schema = sys.argv[1:]
separator = "&" if "?" in place else "?"
plain = place + separator + "sslmode=disable"
encrypted, unencrypted = (
    EventStoreConfig.postgres(url + extra).with_schema(schema).with_connect_timeout(1)
    for url, extra in ((place, separator + "application_name=" + schema), (plain, ""))
)
with sync.EventStore.create(encrypted) as store:
    store.append([Counted(number=1)])
    step(-80 * 365 * 86400)
    store.append([Counted(number=2)])  # over the connection that is there
    refused(lambda: sync.EventStore.create(encrypted))
    with sync.EventStore.create(unencrypted) as other:
        other.append([Counted(number=3)])
    with administrator() as beside:
        beside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE application_name = %s", [schema])
        late = counted("late", 4)
        refused(lambda: list(store.read()))
        refused(lambda: store.save(late))
    step(0)
    store.save(late)
    numbers = [event.number for event in store.read()]
    assert numbers == [1, 2, 3, 4], numbers
"""


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler on Linux, to set the clock")
def test_a_clock_before_1970_is_told_where_connections_are_encrypted(tmp_path, monkeypatch):
    library = build_shim(tmp_path)
    monkeypatch.setenv("CLOCK_STEP", str(tmp_path / "clock"))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    place = url_of("postgres", tmp_path)
    assert output_of(BEFORE_1970, server_url(), place.schema, timeout=60) == ""


def build_shim(folder: Path) -> Path:
    library, source = folder / "clock.so", folder / "clock.c"
    source.write_text(SHIM)
    command = [COMPILER, "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library
