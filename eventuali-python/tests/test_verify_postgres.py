"""verify() finds what is damaged in PostgreSQL, and nothing in a store that is whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger import Counted
from stores import administrator, schema_of, url_of

from eventuali import Event, Query, Verification, sync


class Tagged(Event, name="verify_postgres.tagged"):
    number: int


class Large(Event, name="verify_postgres.large"):
    text: str


@pytest.fixture
def place(tmp_path):
    place = url_of("postgres", tmp_path)
    with sync.EventStore.create(place) as store:
        for number in range(10):
            store.append([Counted(number=number)], stream=("Series", f"s-{number % 2}"))
        store.append([Tagged(number=1, tags=["red"]), Tagged(number=2, tags=["blue"])])
        with store.subscribe(Query(tags=["red"]), name="reds") as events:
            next(events)
    return place


def by_hand(folder, *statements):
    """Changes the tables as nobody should."""
    with administrator() as connection:
        connection.execute(f"SET search_path = {schema_of(folder)}")
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement


def verified(place) -> Verification:
    with sync.EventStore.create(place) as store:
        return store.verify()


DAMAGE = {
    "a row is gone": "DELETE FROM events_log WHERE position = 3",
    "the last row is gone": "DELETE FROM events_log WHERE position = 12",
    "a row has another number": "UPDATE events_log SET position = 99 WHERE position = 12",
    "a row has another version": "UPDATE events_log SET version = 9 WHERE position = 3",
    "a row has another stream": (
        "UPDATE events_log SET stream = (SELECT stream FROM events_log WHERE position = 4)"
        " WHERE position = 3"
    ),
    "a row has a stream of nobody": "UPDATE events_log SET stream = 99 WHERE position = 3",
    "a row has a kind of nobody": "UPDATE events_log SET kind = 99 WHERE position = 3",
    "a row has another id": "UPDATE events_log SET event_id = gen_random_uuid() WHERE position = 3",
    "a payload is another": "UPDATE events_log SET payload = '{}' WHERE position = 3",
    "metadata is gone": "UPDATE events_log SET metadata = NULL WHERE position = 11",
    "time falls": "UPDATE events_log SET recorded_at = 1 WHERE position = 3",
    "a stream has another id": (
        "UPDATE events_streams SET aggregate_id = 's-9' WHERE aggregate_id = 's-1'"
    ),
    "a stream has no name": "DELETE FROM events_streams WHERE aggregate_id = 's-1'",
    "a stream has a higher version": (
        "UPDATE events_streams SET version = version + 1 WHERE aggregate_id = 's-1'"
    ),
    "a stream has a lower version": (
        "UPDATE events_streams SET version = version - 1 WHERE aggregate_id = 's-1'"
    ),
    "a stream ends elsewhere": (
        "UPDATE events_streams SET last_position = 3 WHERE aggregate_id = 's-1'"
    ),
    "a kind has another name": (
        "UPDATE events_kinds SET event_type = 'X'"
        " WHERE id = (SELECT kind FROM events_log WHERE position = 3)"
    ),
    "a run is gone": "DELETE FROM events_runs WHERE position = 3",
    "the last run is gone": "DELETE FROM events_runs WHERE position = 10",
    "a run without a stream is gone": "DELETE FROM events_runs WHERE position = 11",
    "a run lies elsewhere": "UPDATE events_runs SET position = 2 WHERE position = 3",
    "a run is longer": "UPDATE events_runs SET count = 2 WHERE position = 3",
    "a run lies beyond all positions": (
        "UPDATE events_runs SET position = 9223372036854775807, count = 2 WHERE position = 3"
    ),
    "a run has more ids": (
        "UPDATE events_runs SET last_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'"
        " WHERE position = 10"
    ),
    "a run has another id": (
        "UPDATE events_runs SET first_id = gen_random_uuid() WHERE position = 3"
    ),
    "a run has another stream": "UPDATE events_runs SET stream = 99 WHERE position = 3",
    "a run names another version": "UPDATE events_runs SET first_version = 9 WHERE position = 3",
    "a run names nothing": (
        "INSERT INTO events_runs"
        " (first_id, last_id, stream, first_version, position, records, count)"
        " SELECT i.id, i.id, 1, 0, 99, 0, 1 FROM (SELECT gen_random_uuid() AS id) AS i"
    ),
    "a span is gone": "DELETE FROM events_kind_spans WHERE first = 3",
    "a span lies elsewhere": ("UPDATE events_kind_spans SET first = 99, last = 99 WHERE first = 3"),
    "a span is longer": "UPDATE events_kind_spans SET last = 99 WHERE first = 10",
    "a span is of another kind": "UPDATE events_kind_spans SET kind = 99 WHERE first = 3",
    "a tag is gone": "DELETE FROM events_tags WHERE tag = 'red'",
    "a tag lies elsewhere": "UPDATE events_tags SET position = 12 WHERE tag = 'red'",
    "a tag names nothing": "UPDATE events_tags SET position = 99 WHERE tag = 'red'",
    "a tag is another's": "UPDATE events_tags SET tenant = 'other' WHERE tag = 'red'",
    "a record has no version": "UPDATE events_records SET version = 0",
    "a record is gone": (
        "INSERT INTO events_record_index (tenant, space, name, rank, whole, fraction, words, key)"
        " VALUES ('', 'space', 'owner', 0, 1, 0, '', 'gone')"
    ),
}


def test_a_store_that_is_whole(place):
    assert verified(place) == Verification(12, 2, 1, (), True)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(place, tmp_path, name):
    by_hand(tmp_path, DAMAGE[name])
    found = verified(place)
    assert found.damage, name
    assert found.complete
    assert not found.ok


def test_a_store_that_is_open_sees_it_too(place, tmp_path):
    """What a connection remembers of the names is not what is checked."""
    with sync.EventStore.create(place) as store:
        assert store.verify().ok
        by_hand(tmp_path, DAMAGE["a stream has another id"], DAMAGE["a kind has another name"])
        assert {found.position for found in store.verify().damage} >= {2, 3}


def test_it_names_the_event(place, tmp_path):
    by_hand(tmp_path, DAMAGE["a payload is another"], DAMAGE["a tag is gone"])
    damage = verified(place).damage
    assert {found.position for found in damage} == {3, 11}
    assert "the event is missing in the index of tags, under 'red'" in [
        found.text.replace('"', "'") for found in damage
    ]


def test_positions_without_an_event_are_no_damage(place, tmp_path):
    by_hand(tmp_path, "SELECT setval('events_position', 500)")
    with sync.EventStore.create(place) as store:
        store.append([Counted(number=10)], stream=("Series", "s-0"))
        assert store.verify() == Verification(13, 2, 1, (), True)


def test_what_a_refused_commit_leaves_is_no_damage(place, tmp_path):
    """A name of a stream, and a record that was claimed and never written."""
    by_hand(
        tmp_path,
        "INSERT INTO events_streams (version, last_position, tenant, aggregate_type, aggregate_id)"
        " VALUES (0, 0, '', 'Series', 'never')",
        "INSERT INTO events_records (tenant, space, key, version, commit_id)"
        " VALUES ('', 'space', 'never', 0, gen_random_uuid())",
    )
    assert verified(place) == Verification(12, 2, 1, (), True)


def test_what_cannot_be_read_is_named(place, tmp_path):
    """A row on a damaged page fails the statement, and is told apart from those beside it."""
    with administrator() as connection:
        connection.execute(f"SET search_path = {schema_of(tmp_path)}")
        connection.execute("ALTER TABLE events_log RENAME TO whole")
        connection.execute(
            "CREATE VIEW events_log AS SELECT position, stream, version, timestamp, recorded_at,"
            " checksum, event_id, kind, metadata, CASE WHEN position IN (3, 12)"
            " THEN convert_to((1 / (position - position))::text, 'UTF8') ELSE payload END"
            " AS payload FROM whole"
        )
    found = verified(place)
    assert [(damage.position, damage.text) for damage in found.damage] == [
        (position, "PostgreSQL: division by zero") for position in (3, 12)
    ]
    assert (found.events, found.complete) == (10, True)


def test_a_table_that_cannot_be_read_is_named(place, tmp_path):
    with administrator() as connection:
        connection.execute(f"SET search_path = {schema_of(tmp_path)}")
        connection.execute("ALTER TABLE events_tags RENAME TO whole")
        connection.execute(
            "CREATE VIEW events_tags AS"
            " SELECT tenant, tag, position / (position - position) AS position FROM whole"
        )
    found = verified(place)
    texts = [damage.text for damage in found.damage]
    assert "the index of tags: PostgreSQL: division by zero" in texts
    assert (found.streams, found.records, found.complete) == (2, 1, True)


def test_a_writer_beside_it_is_no_damage(place):
    with sync.EventStore.create(place) as store, ThreadPoolExecutor() as threads:
        stopped = threading.Event()

        def write(stream):
            while not stopped.is_set():
                events = [Tagged(number=n, tags=[f"t-{n % 3}"]) for n in range(5)]
                store.append(events, stream=("Series", stream))
                store.append([Counted(number=1)])

        writers = [threads.submit(write, f"s-{n}") for n in range(3)]
        try:
            found = [store.verify() for _ in range(8)]
        finally:
            stopped.set()
        for writer in writers:
            writer.result()
        assert all(verification.ok for verification in found), found
        assert store.verify().events > 12


def test_more_than_one_step(tmp_path):
    with sync.EventStore.create(url_of("postgres", tmp_path)) as store:
        for commit in range(6):
            events = [Counted(number=n) for n in range(1000)]
            store.append(events, stream=("Series", f"s-{commit}"))
        for number in range(1200):
            event = Tagged(number=number, tags=[f"t-{number % 7}"])
            store.append([event], stream=("T", f"{number}"))
        store.append([Large(text="x" * size) for size in (10, 3_000, 1_000_000, 20)])
        told = []
        found = store.verify(progress=lambda checked, total: told.append((checked, total)))
        assert found == Verification(7204, 1206, 0, (), True)
        assert told == sorted(told)
        assert {total for _, total in told} == {told[-1][0]}
        by_hand(tmp_path, "UPDATE events_log SET payload = '{}' WHERE position = 7203")
        assert [damage.position for damage in store.verify().damage] == [7203]
