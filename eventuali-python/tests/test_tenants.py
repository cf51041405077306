"""Tenants: their limits, what they have stored, and the handle that reads all of them."""

from __future__ import annotations

import asyncio
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cross_tenant import CrossJar, CrossNoted
from roles import Roles
from stores import (
    administrator,
    each_api,
    each_backend,
    each_shared,
    each_store,
    gathered,
    opened,
    run,
    url_of,
)
from support import TESTS

import eventuali
from eventuali import EventStore, Query, sync
from eventuali.errors import (
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    StoreClosedError,
    TenantAccessError,
    TenantLimitError,
)
from eventuali.tenants import AllTenants, TenantEvent, TenantLimits, TenantUsage


def events(many: int = 1, **options) -> list[CrossNoted]:
    return [CrossNoted(number=number, **options) for number in range(many)]


def jar(many: int, key: str = "a") -> CrossJar:
    made = CrossJar(id=key)
    for event in events(many):
        made.apply(event)
    return made


def limited(store, **limits: int):
    """Returns the store of a tenant with limits, by either API."""
    return store.for_tenant("acme", limits=TenantLimits(**limits))


# --- limits ---------------------------------------------------------------------------------------


@each_store
def test_a_commit_beyond_a_limit_writes_nothing(kind, api, tmp_path) -> None:
    async def test(store):
        acme = limited(store, events=5)
        await acme.save(jar(3))
        with pytest.raises(TenantLimitError) as caught:
            await acme.save(jar(3, "b"))
        error = caught.value
        assert (error.tenant, error.limit) == ("acme", "events")
        assert (error.allowed, error.used, error.asked) == (5, 3, 3)
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
        assert await acme.get_aggregate_version("b") is None
        # What fits is accepted, and so is the same aggregate with less.
        await acme.save(jar(2, "b"))
        with pytest.raises(TenantLimitError):
            await acme.append(events())
        # Others are not limited, and neither is what adds no event.
        await store.append(events(20))
        await store.for_tenant("other").append(events(20))
        await store.for_tenant("acme").append(events())
        assert (await acme.usage()).events == 6
        assert await acme.save() is not None

    run(api, kind, tmp_path, test)


@each_store
def test_bytes_are_those_that_are_stored(kind, api, tmp_path) -> None:
    async def test(store):
        one = events(1, text="ä" * 10, tags=["red"], user_id="ada", headers={"a": "b"})
        free = store.for_tenant("free")
        await free.append(one)
        size = (await free.usage()).bytes
        acme = limited(store, bytes=2 * size)
        again = {"text": "ä" * 10, "tags": ["red"], "user_id": "ada", "headers": {"a": "b"}}
        for _ in range(2):
            await acme.append(events(1, **again))
        with pytest.raises(TenantLimitError) as caught:
            await acme.append(events())
        assert caught.value.limit == "bytes"
        assert (caught.value.used, caught.value.allowed) == (2 * size, 2 * size)

    run(api, kind, tmp_path, test)


@each_store
def test_a_repeated_save_is_answered_at_the_limit(kind, api, tmp_path) -> None:
    async def test(store):
        acme = limited(store, events=3)
        some = events(3)
        first = await acme.append(some, stream=("cross.jar", "a"))
        assert await acme.append(some, stream=("cross.jar", "a")) == first
        with pytest.raises(IdempotencyConflictError):
            await acme.append([*some, *events()], stream=("cross.jar", "a"))
        with pytest.raises(OptimisticConcurrencyError):
            await acme.append(events(), stream=("cross.jar", "a"), expected=1)
        with pytest.raises(InvalidEventError):
            await acme.append(events(), stream=("", "a"))
        assert (await acme.usage()).events == 3

    run(api, kind, tmp_path, test)


@each_api
def test_limits_of_create_and_of_a_view(api, tmp_path) -> None:
    async def main():
        limits = TenantLimits(events=1)
        async with opened(api, url_of("sqlite", tmp_path), tenant="acme", limits=limits) as acme:
            await acme.append(events())
            with pytest.raises(TenantLimitError):
                await acme.append(events())
            assert (await acme.usage()).limits == limits
            # The same tenant is no way around them; new ones take their place.
            same = acme.for_tenant("acme")
            with pytest.raises(TenantLimitError):
                await same.append(events())
            assert (await same.usage()).limits == limits
            await limited(acme, events=2).append(events())
        async with opened(api, url_of("sqlite", tmp_path), limits=limits) as default:
            await default.append(events())
            with pytest.raises(TenantLimitError) as caught:
                await default.append(events())
            assert caught.value.tenant == ""
            await default.for_tenant("acme").append(events(5))

    asyncio.run(main())


def test_what_is_no_limit_is_refused() -> None:
    for wrong in (-1, 2**63):
        for name in ("events", "bytes"):
            with pytest.raises(InvalidEventError):
                TenantLimits(**{name: wrong})
    for kind in ("1", 1.0, True):
        with pytest.raises(TypeError):
            TenantLimits(events=kind)
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(TypeError, match="TenantLimits"):
            store.for_tenant("acme", limits=5)
        with pytest.raises(TypeError, match="TenantLimits"):
            sync.EventStore.create("memory://", limits={"events": 5})
        store.for_tenant("acme", limits=TenantLimits()).append(events(50))


@each_backend
def test_threads_at_the_limit_store_as_much_as_is_allowed(kind, tmp_path) -> None:
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        acme = limited_sync(store, 100)

        def saving(worker: int) -> int:
            accepted = 0
            for _ in range(40):
                try:
                    acme.append(events(2), stream=("cross.jar", str(worker)))
                except TenantLimitError:
                    continue
                accepted += 2
            return accepted

        with ThreadPoolExecutor(8) as pool:
            accepted = sum(pool.map(saving, range(8)))
        assert accepted == acme.usage().events == 100


def limited_sync(store: sync.EventStore, many: int) -> sync.EventStore:
    return store.for_tenant("acme", limits=TenantLimits(events=many))


PROCESS = """
import sys
from pathlib import Path
from cross_tenant import CrossNoted
from stores import url_of
from eventuali import EventStoreConfig, sync
from eventuali.errors import StorageBusyError, TenantLimitError
from eventuali.tenants import TenantLimits
url, schema, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
place = EventStoreConfig.postgres(url).with_schema(schema) if schema else url
with sync.EventStore.create(place) as store:
    acme = store.for_tenant("acme", limits=TenantLimits(events=many))
    print("ready", flush=True)
    sys.stdin.readline()
    stored = 0
    while True:
        try:
            acme.append([CrossNoted(number=1)])
            stored += 1
        except StorageBusyError:
            continue
        except TenantLimitError as error:
            break
    print(stored)
"""


@each_shared
def test_processes_exceed_a_limit_by_what_is_in_flight_at_the_most(kind, tmp_path) -> None:
    """Each has one commit in flight: near the limit, they exceed it by fewer than they are."""
    many, processes = 3_000, 3
    place = url_of(kind, tmp_path)
    url, schema = (place, "") if isinstance(place, str) else (place._secret, place.schema)
    with sync.EventStore.create(place) as store:
        store.for_tenant("acme").append(events(int(many * 0.95)))
        running = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, url, schema, str(many)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS,
            )
            for _ in range(processes)
        ]  # fmt: skip
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("\n")
            process.stdin.flush()
        stored = [int(process.communicate(timeout=120)[0]) for process in running]
        found = store.for_tenant("acme").usage().events
    assert found == int(many * 0.95) + sum(stored)
    assert many <= found < many + processes


# --- usage ----------------------------------------------------------------------------------------


@each_store
def test_usage_is_the_tenants_own(kind, api, tmp_path) -> None:
    async def test(store):
        acme, other = store.for_tenant("acme"), store.for_tenant("other")
        assert await acme.usage() == TenantUsage("acme", 0, 0, 0)
        await acme.save(jar(3), jar(1, "b"))
        await acme.append(events(2))
        await other.append(events(7, text="more"))
        await store.append(events(1))
        used = await acme.usage()
        assert (used.events, used.streams, used.limits) == (6, 2, None)
        payloads = [event.model_dump_json() async for event in acme.read()] if api == "async" else [
            event.model_dump_json() for event in await gathered(acme.read())
        ]  # fmt: skip
        assert used.bytes == sum(len(each.encode()) for each in payloads)
        # It goes on from there.
        await acme.save(jar(2, "c"))
        await acme.append(events(1), stream=("cross.jar", "a"))
        used = await store.for_tenant("acme").usage()
        assert (used.events, used.streams) == (9, 3)
        assert (await other.usage()).events == 7
        assert (await store.usage()).tenant == ""
        assert (await store.usage()).events == 1

    run(api, kind, tmp_path, test)


@each_shared
def test_usage_knows_what_others_have_written(kind, tmp_path) -> None:
    with (
        sync.EventStore.create(url_of(kind, tmp_path)) as one,
        sync.EventStore.create(url_of(kind, tmp_path)) as two,
    ):
        for round_ in range(1, 5):
            one.for_tenant("acme").append(events(2))
            assert two.for_tenant("acme").usage().events == 2 * round_
            assert limited_sync(one, 1000).usage().events == 2 * round_


# --- all tenants ----------------------------------------------------------------------------------


async def fill(store) -> list[tuple[str, int]]:
    """Writes events of several tenants in turn; whose they are, and their numbers."""
    written = []
    for number in range(12):
        tenant = ["", "acme", "globex"][number % 3]
        seen = store.for_tenant(tenant) if tenant else store
        event = CrossNoted(number=number, tags=["even"] * (number % 2 == 0))
        stream = ("cross.jar", "shared") if number < 6 else None
        await seen.append([event], stream=stream)
        written.append((tenant, number))
    return written


async def owned(iterator) -> list[tuple[str, int]]:
    if hasattr(iterator, "__aiter__"):
        return [(each.tenant, each.event.number) async for each in iterator]
    found = await asyncio.to_thread(list, iterator)
    return [(each.tenant, each.event.number) for each in found]


def everyone(store):
    return (store if isinstance(store, EventStore) else store.store).all_tenants()


@each_store
def test_all_tenants_are_read_in_the_order_of_the_log(kind, api, tmp_path) -> None:
    async def test(store):
        written, every = await fill(store), everyone(store)
        assert await owned(every.read()) == written
        assert await owned(every.read(limit=4)) == written[:4]
        assert await owned(every.read(backwards=True, limit=4)) == written[:-5:-1]
        assert await owned(every.read(after=3, before=8)) == written[3:7]
        assert await owned(every.read(Query(tags=["even"]))) == written[::2]
        assert await owned(every.read(Query(event_types=[CrossNoted]))) == written
        shared = Query(aggregate_type="cross.jar", aggregate_id="shared")
        assert await owned(every.read(shared)) == written[:6]
        assert await owned(every.read(Query(aggregate_type="cross.jar"))) == written[:6]
        assert await owned(every.read(Query(user_id="ada"))) == []
        now = datetime.now(UTC)
        assert await owned(every.read(until=now.replace(year=now.year - 1))) == []
        assert (
            await owned(every.read(since=now.replace(year=now.year - 1), raw="all", limit=0)) == []
        )
        found = every.read(limit=1)
        if api == "async":
            first = [each async for each in found]
        else:
            first = await asyncio.to_thread(list, found)
        (one,) = first
        assert isinstance(one, TenantEvent)
        assert one.event.meta.position == 1

        async def counted(*query, **bounds):
            if api == "async":
                return await every.count(*query, **bounds)
            return await asyncio.to_thread(lambda: every.count(*query, **bounds))

        assert await counted() == 12
        assert await counted(shared) == 6
        assert await counted(Query(tags=["even"]), after=6) == 3

    run(api, kind, tmp_path, test)


@each_store
def test_all_tenants_are_listed_with_what_they_have(kind, api, tmp_path) -> None:
    async def test(store):
        every = everyone(store)

        async def usage():
            return await every.usage() if api == "async" else await asyncio.to_thread(every.usage)

        assert await usage() == []
        await fill(store)
        listed = await usage()
        assert [(each.tenant, each.events, each.streams) for each in listed] == [
            ("", 4, 1), ("acme", 4, 1), ("globex", 4, 1),
        ]  # fmt: skip
        for each in listed:
            seen = store.for_tenant(each.tenant) if each.tenant else store
            assert await seen.usage() == each

    run(api, kind, tmp_path, test)


def test_a_long_log_is_read_and_counted_in_parts(tmp_path) -> None:
    with sync.EventStore.create(url_of("sqlite", tmp_path), durability="relaxed") as store:
        many = 0
        for turn in range(14):
            for tenant in ("acme", "globex"):
                store.for_tenant(tenant).append(events(5_000), stream=("cross.jar", str(turn)))
                many += 5_000
        assert many > 1 << 17, "several windows of counting"
        assert [(each.events, each.streams) for each in store.all_tenants().usage()] == [
            (many // 2, 14)
        ] * 2
        assert store.for_tenant("acme").usage().events == many // 2
        found = sum(1 for each in store.all_tenants().read() if each.tenant == "acme")
        assert found == many // 2


@each_backend
def test_nothing_of_it_writes(kind, tmp_path) -> None:
    """The handle has no verb that writes, and what lies beneath would not let it."""
    for cls in (AllTenants, sync.AllTenants):
        assert {name for name in vars(cls) if not name.startswith("_")} == {
            "count",
            "read",
            "usage",
        }
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append(events(), stream=("cross.jar", "a"))
        beneath = store.all_tenants()._store
        refused = [
            lambda: beneath.commit([], [], [("space", "key", None, b"x", None)]),
            lambda: beneath.put_record("space", "key", None, b"x", events()[0].meta.event_id),
            lambda: beneath.record("space", "key"),
            lambda: beneath.streams(None, None, None, 10),
            lambda: beneath.for_tenant("acme").commit([], [], [("s", "k", None, b"x", None)]),
        ]
        for call in refused:
            with pytest.raises(TenantAccessError):
                call().wait()
        assert store.usage().events == 1


@each_api
def test_a_tenants_store_gives_no_access_to_others(api, tmp_path) -> None:
    async def main():
        async with opened(api, url_of("sqlite", tmp_path), tenant="acme") as acme:
            inner = acme if api == "async" else acme.store
            for name in ("other", "nobody"):
                with pytest.raises(TenantAccessError, match="another tenant") as caught:
                    inner.for_tenant(name)
                assert caught.value.tenant == "acme"
            with pytest.raises(TenantAccessError, match="all tenants"):
                inner.all_tenants()
            with pytest.raises(TenantAccessError, match="verify"):
                await acme.verify()

    asyncio.run(main())


@each_backend
def test_a_closed_store_counts_and_reads_nothing(kind, tmp_path) -> None:
    store = sync.EventStore.create(url_of(kind, tmp_path))
    acme, every = limited_sync(store, 10), store.all_tenants()
    acme.append(events())
    store.close()
    for call in (
        acme.usage,
        every.usage,
        every.count,
        lambda: list(every.read()),
        lambda: acme.append(events()),
        lambda: limited_sync(store, 1).append(events()),
    ):
        with pytest.raises(StoreClosedError):
            call()


# --- the page -------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs/tenants.md"


def test_the_sql_of_the_page_does_what_it_says(tmp_path) -> None:
    """The statements of docs/tenants.md, in the schema of the test and with another role."""
    made, seen, ended = re.findall(r"^ *```sql\n(.*?)^ *```$", PAGE.read_text(), re.M | re.S)
    place = url_of("postgres", tmp_path)
    with Roles(place) as roles, sync.EventStore.create(place) as store:
        roles.names["acme"] = role = f"ev_page_{place.schema}"
        roles.password = "change-me"
        for tenant in ("acme", "globex"):
            store.for_tenant(tenant).append(events(2))
        with administrator() as owner:
            owner.execute(f"SET search_path = {place.schema}")
            owner.execute(made.replace("acme_role", role))
            # What the page writes to a file.
            owner.execute(place.row_security_sql() + place.tenant_role_sql(role, "acme"))
            with sync.EventStore.create(roles.of("acme"), tenant="acme") as acme:
                acme.append(events(1))
            with roles.connect("acme") as db:
                db.execute(f"SET search_path = {place.schema}")
                assert db.execute(seen).fetchall() == [("acme", 3)]
            owner.execute(ended.replace("acme_role", role))
            left = owner.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [role])
            assert left.fetchone() == (0,)


def test_the_names_are_where_the_page_says() -> None:
    assert eventuali.TenantLimits is TenantLimits
    assert {"AllTenants", "TenantEvent", "TenantLimits", "TenantUsage"} == set(
        eventuali.tenants.__all__
    )
