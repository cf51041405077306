"""Row-level security: what a role that is given a tenant sees and changes, and can't do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from cross_tenant import MINE, NOTED, OTHER, CrossJar, CrossNoted
from psycopg import sql
from roles import Roles
from stores import administrator, url_of

from eventuali import Event, sync
from eventuali.errors import (
    ConfigurationError,
    InvalidEventError,
    TenantAccessError,
    TenantLimitError,
)
from eventuali.tenants import TenantLimits

RELATIONS = {
    "events": "tenant", "events_log": "stream", "events_streams": "tenant", "events_runs": "stream",
    "events_kind_spans": "first", "events_tags": "tenant", "events_records": "tenant",
    "events_record_index": "tenant", "events_documents": "tenant",
}  # fmt: skip
"""What a role may read that has rows of tenants, and the column that says whose."""
DENIED = (psycopg.errors.InsufficientPrivilege,)


@pytest.fixture
def roles(tmp_path):
    """Two tenants with one of everything, each of which has a role."""
    with Roles(url_of("postgres", tmp_path), MINE.name, OTHER.name) as made:
        with sync.EventStore.create(made.place) as store:
            MINE.settle(store.for_tenant(MINE.name), 2)
            OTHER.settle(store.for_tenant(OTHER.name), 3)
        yield made


def rows(db: psycopg.Connection, roles: Roles, relation: str, whose: str | None = None) -> int:
    """Counts the rows of a relation that there are to see, or those of a tenant."""
    name = sql.Identifier(roles.place.schema, relation)
    column = RELATIONS[relation]
    condition = {
        "tenant": "r.tenant = %s",
        "stream": "EXISTS (SELECT FROM {streams} AS s WHERE s.id = r.stream AND s.tenant = %s)",
        "first": "EXISTS (SELECT FROM {log} AS l INNER JOIN {streams} AS s ON s.id = l.stream"
        " WHERE l.position = r.first AND s.tenant = %s)",
    }[column]
    filled = sql.SQL(condition).format(
        streams=sql.Identifier(roles.place.schema, "events_streams"),
        log=sql.Identifier(roles.place.schema, "events_log"),
    )
    counting = sql.SQL("SELECT count(*) FROM {} AS r").format(name)
    if whose is not None:
        counting += sql.SQL(" WHERE ") + filled
    row = db.execute(counting, [whose] if whose is not None else []).fetchone()
    assert row is not None
    return int(row[0])


def leaks(roles: Roles) -> list[str]:
    """Returns the relations in which a role does not see all of its tenant's rows and no others."""
    found = []
    with administrator() as owner, roles.connect(MINE.name) as db:
        for relation in RELATIONS:
            mine, theirs = (rows(owner, roles, relation, one.name) for one in (MINE, OTHER))
            assert mine > 0 < theirs, relation
            if (rows(db, roles, relation), rows(db, roles, relation, OTHER.name)) != (mine, 0):
                found.append(relation)
    return found


def test_sql_of_a_role_sees_its_tenant_only(roles) -> None:
    assert leaks(roles) == []


@pytest.mark.parametrize("relation", sorted(RELATIONS))
def test_a_table_without_its_policy_is_noticed(roles, relation) -> None:
    """The positive control: security is turned off for one relation."""
    name = f"{roles.place.schema}.{relation}"
    with administrator() as owner:
        if relation in ("events", "events_documents"):
            owner.execute(f"ALTER VIEW {name} SET (security_invoker = false)")
        else:
            owner.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
    assert relation in leaks(roles)


def test_sql_of_a_role_changes_its_tenants_records_only(roles) -> None:
    records = f"{roles.place.schema}.events_records"
    entries = f"{roles.place.schema}.events_record_index"
    with administrator() as owner, roles.connect(MINE.name) as db:
        before = [rows(owner, roles, each, OTHER.name) for each in ("events_records", "events")]
        for table in (records, entries):
            for change in (f"UPDATE {table} SET space = 'x'", f"DELETE FROM {table}"):
                assert db.execute(f"{change} WHERE tenant = '{OTHER.name}'").rowcount == 0
        new = f"INSERT INTO {records} (tenant, space, key, version, commit_id) VALUES"
        with pytest.raises(DENIED):
            db.execute(f"{new} ('{OTHER.name}', 's', 'k', 1, gen_random_uuid())")
        with pytest.raises(DENIED):
            db.execute(f"UPDATE {records} SET tenant = '{OTHER.name}'")
        # A key of the other one's is as free as any.
        key = owner.execute(f"SELECT space, key FROM {records} WHERE tenant = '{OTHER.name}'")
        space, name = key.fetchone()
        db.execute(f"{new} ('{MINE.name}', %s, %s, 1, gen_random_uuid())", [space, name])
        assert db.execute(f"DELETE FROM {entries}").rowcount > 0
        after = [rows(owner, roles, each, OTHER.name) for each in ("events_records", "events")]
        assert after == before


def test_a_role_cant_do_what_would_end_its_restriction(roles) -> None:
    schema, other = roles.place.schema, roles.names[OTHER.name]
    with roles.connect(MINE.name) as db:
        for statement in [
            *(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table}" for table in (
                f"{schema}.events_{one}"
                for one in ("log", "streams", "runs", "tags", "kind_spans", "store", "format")
            )),
            *(f"{change} {schema}.events_log" for change in ("DELETE FROM", "TRUNCATE")),
            f"UPDATE {schema}.events_streams SET version = 0",
            f"UPDATE {schema}.events_kinds SET event_type = 'x'",
            f"SELECT * FROM {schema}.events_roles",
            f"INSERT INTO {schema}.events_roles VALUES (current_user, '{OTHER.name}')",
            f"UPDATE {schema}.events_roles SET tenant = '{OTHER.name}'",
            *(f"ALTER TABLE {schema}.{table} DISABLE ROW LEVEL SECURITY"
              for table in ("events_log", "events_records")),
            f"DROP POLICY tenant ON {schema}.events_log",
            f"CREATE POLICY all_of_it ON {schema}.events_log USING (true)",
            f"ALTER VIEW {schema}.events SET (security_invoker = false)",
            f"CREATE OR REPLACE FUNCTION {schema}.events_whose() RETURNS TEXT LANGUAGE sql AS "
            f"$$ SELECT '{OTHER.name}' $$",
            f"SELECT setval('{schema}.events_position', 1000000)",
            f"SELECT nextval('{schema}.events_position')",
            f"SET ROLE {other}",
            f"SET SESSION AUTHORIZATION {other}",
            "ALTER ROLE current_user BYPASSRLS",
            f"GRANT {other} TO current_user",
            f"SELECT {schema}.events_loose_as('{OTHER.name}')",
            f"SELECT {schema}.events_draw(1)",
        ]:  # fmt: skip
            with pytest.raises(psycopg.Error) as caught:
                db.execute(statement)
            assert isinstance(caught.value, DENIED), (statement, caught.value)
        db.execute("SET row_security = off")
        with pytest.raises(psycopg.Error, match="row-level security"):
            db.execute(f"SELECT * FROM {schema}.events")
        db.execute("RESET row_security")
        for setting in ("eventuali.tenant", "app.tenant", "my.role"):
            db.execute("SELECT set_config(%s, %s, false)", [setting, OTHER.name])
        # What is of the caller's own making comes before no table and no function of the store.
        db.execute(
            "CREATE TEMP TABLE events_roles AS SELECT current_user AS role, 'rival' AS tenant"
        )
        db.execute("SET search_path = pg_temp, public")
        assert rows(db, roles, "events", OTHER.name) == 0
        assert rows(db, roles, "events") > 0
    assert leaks(roles) == []


def append_as(db: psycopg.Connection, schema: str, **given: Any) -> Any:
    """Appends an event of no aggregate as a store would, or with something else in its place."""
    (kind,) = db.execute(f"SELECT min(id) FROM {schema}.events_kinds").fetchone()
    db.execute(f"SELECT {schema}.events_loose_as('{MINE.name}')")
    (loose,) = db.execute(
        f"SELECT id FROM {schema}.events_streams WHERE aggregate_type = '' AND tenant = %s",
        [MINE.name],
    ).fetchone()
    event_id = uuid4()
    arguments = {
        "families": [1], "s_tenant": [], "s_type": [], "s_id": [], "s_expected": [], "s_added": [],
        "s_last": [], "loose": [loose], "e_stream": [1], "e_number": [0], "e_id": [event_id],
        "e_kind": [kind], "e_timestamp": [1], "e_crc": [1], "e_metadata": [None],
        "e_payload": [b"{}"], "r_first": [event_id], "r_last": [event_id], "r_place": [1],
        "r_count": [1], "r_records": [0], "k_kind": [kind], "k_first": [1], "k_last": [1],
        "t_tenant": [], "t_tag": [], "t_place": [],
    } | given  # fmt: skip
    types = {
        "families": "bigint", "s_expected": "bigint", "s_added": "integer", "s_last": "integer",
        "loose": "bigint", "e_stream": "integer", "e_number": "integer", "e_id": "uuid",
        "e_kind": "integer", "e_timestamp": "bigint", "e_crc": "bigint", "e_payload": "bytea",
        "r_first": "uuid", "r_last": "uuid", "r_place": "integer", "r_count": "integer",
        "r_records": "bigint", "k_kind": "integer", "k_first": "integer", "k_last": "integer",
        "t_place": "integer",
    }  # fmt: skip
    places = ", ".join(f"{name} => %s::{types.get(name, 'text')}[]" for name in arguments)
    asked = f"SELECT first_position FROM {schema}.events_append_as({places})"
    return db.execute(asked, list(arguments.values())).fetchone()[0]


def test_what_a_role_appends_by_sql_is_of_its_tenant_and_no_more(roles) -> None:
    schema = roles.place.schema
    with administrator() as owner, roles.connect(MINE.name) as db:
        (last,) = owner.execute(f"SELECT max(position) FROM {schema}.events_log").fetchone()
        assert append_as(db, schema) > last, "as a store does it"
        theirs = owner.execute(
            f"SELECT id FROM {schema}.events_streams WHERE tenant = %s", [OTHER.name]
        ).fetchone()[0]
        everything = UUID(int=0), UUID(int=2**128 - 1)
        one = uuid4()
        for wrong in [
            {"s_tenant": [OTHER.name], "s_type": ["T"], "s_id": ["i"], "s_expected": [-1],
             "s_added": [1], "s_last": [1], "e_number": [1]},
            {"t_tenant": [OTHER.name], "t_tag": ["t"], "t_place": [1]},
            {"t_tenant": [MINE.name], "t_tag": ["t"], "t_place": [-5]},
            {"loose": [theirs]},
            {"loose": [10**9]},
            {"e_kind": [10**6], "k_kind": [10**6]},
            {"r_first": [everything[0]], "r_last": [everything[1]]},
            {"r_last": [UUID(int=one.int + 5)], "r_first": [one], "e_id": [one], "r_count": [6]},
            {"r_first": [one], "r_last": [one]},
            {"r_place": [7]},
            {"r_count": [0]},
            {"r_first": [], "r_last": [], "r_place": [], "r_count": [], "r_records": []},
            {"k_first": [-3]},
            {"k_last": [900]},
        ]:  # fmt: skip
            with pytest.raises(DENIED):
                append_as(db, schema, **wrong)
        # Nor is it told where others' ids lie.
        look = (
            f"SELECT known FROM {schema}.events_look_as(false, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        )
        nothing: list[Any] = [[]] * 7
        with pytest.raises(DENIED):
            db.execute(look, [*nothing, [everything[0]], [everything[1]]])
        ids = f"SELECT * FROM {schema}.events_runs_as(%s)"
        assert db.execute(ids, [[OTHER.id(1), one]]).fetchall() == [
            (OTHER.id(1), OTHER.id(1), 0, 0),
            (None, None, None, None),
        ]


def test_two_tenants_save_at_once(roles) -> None:
    rounds, workers = 60, 3
    before = {}

    def saving(tenant, store: sync.EventStore, worker: int) -> None:
        for number in range(rounds):
            jar = CrossJar(id=f"shared-{number % 7}-{worker}")
            jar = store.load(CrossJar, jar.id) or jar
            jar.apply(CrossNoted(number=1, text=tenant.label, tags=["both"]))
            store.save(jar)

    with (
        sync.EventStore.create(roles.of(MINE.name), tenant=MINE.name) as mine,
        sync.EventStore.create(roles.of(OTHER.name), tenant=OTHER.name) as theirs,
    ):
        for store in (mine, theirs):
            before[store] = store.usage().events
        with ThreadPoolExecutor(2 * workers) as pool:
            work = [
                pool.submit(saving, tenant, store, worker)
                for worker in range(workers)
                for tenant, store in ((MINE, mine), (OTHER, theirs))
            ]
            for each in work:
                each.result()
        for tenant, store in ((MINE, mine), (OTHER, theirs)):
            assert store.usage().events - before[store] == rounds * workers
            events = [event for event in store.read(NOTED) if "both" in event.meta.tags]
            assert {event.text for event in events} == {tenant.label}
            assert len(events) == rounds * workers
            jars = [store.load_one(CrossJar, f"shared-{n}-0") for n in range(7)]
            assert sum(jar.total for jar in jars) == rounds
    with sync.EventStore.create(roles.place) as store:
        found = store.verify()
        assert found.damage == ()
        assert found.events == sum(used.events for used in store.all_tenants().usage())


def test_a_role_opens_the_store_of_its_tenant_only(roles) -> None:
    place = roles.of(MINE.name)
    for tenant in (OTHER.name, "", "nobody"):
        with pytest.raises(
            TenantAccessError, match=f'restricted to tenant "{MINE.name}"'
        ) as caught:
            sync.EventStore.create(place, tenant=tenant)
        assert caught.value.tenant == MINE.name
    with sync.EventStore.create(place, tenant=MINE.name, limits=TenantLimits(events=0)) as store:
        for refused in (
            lambda: store.for_tenant(OTHER.name),
            lambda: store.all_tenants(),
            lambda: store.verify(),
        ):
            with pytest.raises(TenantAccessError):
                refused()
        with pytest.raises(TenantLimitError):
            store.append([CrossNoted(number=1)])
        assert store.for_tenant(MINE.name).usage() == store.usage()


def test_a_role_without_a_tenant_is_told_so(roles) -> None:
    schema, role = roles.place.schema, roles.names[MINE.name]
    with administrator() as owner:
        owner.execute(f"DELETE FROM {schema}.events_roles WHERE role = '{role}'")
    for tenant in ("", MINE.name):
        with pytest.raises(ConfigurationError, match="has no tenant"):
            sync.EventStore.create(roles.of(MINE.name), tenant=tenant)
    with roles.connect(MINE.name) as db:
        assert rows(db, roles, "events") == 0


def test_the_owner_sees_everything_as_before(roles) -> None:
    with sync.EventStore.create(roles.place) as store:
        for tenant in (MINE, OTHER):
            own = store.for_tenant(tenant.name)
            assert own.load(CrossJar, tenant.named(0)) is not None
            own.append([CrossNoted(number=1)])
        assert {each.tenant for each in store.all_tenants().usage()} == {MINE.name, OTHER.name}
        assert store.verify().damage == ()


def test_another_store_wakes_a_role_that_follows(roles) -> None:
    with (
        sync.EventStore.create(roles.of(MINE.name), tenant=MINE.name) as store,
        sync.EventStore.create(roles.place) as owner,
        ThreadPoolExecutor(1) as pool,
    ):
        start = store.horizon().last_position

        def follow() -> Event:
            with store.subscribe(after=start) as events:
                return next(events)

        followed = pool.submit(follow)
        owner.for_tenant(OTHER.name).append([CrossNoted(number=1)])
        owner.for_tenant(MINE.name).append([CrossNoted(number=2)])
        assert followed.result(timeout=60).number == 2


def test_names_that_need_quotes_are_refused(tmp_path) -> None:
    place: Any = url_of("postgres", tmp_path)
    for role in ("", 'a"; DROP TABLE x; --', "A", "1a", "a" * 49, "a b"):
        with pytest.raises(ConfigurationError, match="role"):
            place.tenant_role_sql(role, "acme")
    for tenant in ("", "a'b", "../b", "a" * 65):
        with pytest.raises(InvalidEventError) as caught:
            place.tenant_role_sql("acme", tenant)
        assert caught.value.field == "tenant"
    with pytest.raises(TypeError):
        place.tenant_role_sql("acme", None)
