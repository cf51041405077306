"""verify() finds what is damaged, names it, and finds nothing in a store that is whole."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from ledger import Counted

from eventuali import Event, EventStore, Query, Verification, sync
from eventuali.errors import StorageCorruptedError


class Tagged(Event, name="verify.tagged"):
    number: int


def filled(path):
    with sync.EventStore.create(path) as store:
        for number in range(10):
            store.append([Counted(number=number)], stream=("Series", f"s-{number % 2}"))
        store.append([Tagged(number=1, tags=["red"]), Tagged(number=2, tags=["blue"])])
        with store.subscribe(Query(tags=["red"]), name="reds") as events:
            next(events)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "events.db"
    filled(path)
    return path


def by_hand(path, *statements):
    """Changes the file as nobody should."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER event_log_keeps")
        db.execute("DROP TRIGGER event_log_stays")
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement
        db.commit()


def verified(path) -> Verification:
    with sync.EventStore.create(path) as store:
        return store.verify()


def test_a_store_that_is_whole(path):
    found = verified(path)
    assert found.ok
    assert (found.events, found.damage, found.complete) == (12, (), True)
    assert (found.streams, found.records) == (2, 1)


def test_a_store_in_memory():
    with sync.EventStore.create("memory://") as store:
        store.append([Counted(number=1)], stream=("Series", "s"))
        assert store.verify() == Verification(1, 1, 0, (), True)


def test_an_empty_store(tmp_path):
    assert verified(tmp_path / "empty.db").ok


DAMAGE = {
    "a row is gone": "DELETE FROM event_log WHERE position = 3",
    "the last row is gone": "DELETE FROM event_log WHERE position = 12",
    "a row has another number": "UPDATE event_log SET position = 99 WHERE position = 12",
    "a row has another version": "UPDATE event_log SET version = 9 WHERE position = 3",
    "a row has another stream": "UPDATE event_log SET stream = 2 WHERE position = 3",
    "a payload is another": "UPDATE event_log SET payload = '{}' WHERE position = 3",
    "a stream has another id": "UPDATE streams SET aggregate_id = 's-9' WHERE aggregate_id = 's-1'",
    "a type has another name": "UPDATE categories SET aggregate_type = 'X' WHERE id = 1",
    "a kind has another name": "UPDATE kinds SET event_type = 'X' WHERE id = 1",
    "a run is gone": "DELETE FROM stream_runs WHERE stream = 1 AND first_version = 2",
    "the last run is gone": "DELETE FROM stream_runs WHERE stream = 1 AND first_version = 5",
    "a run lies elsewhere": (
        "UPDATE stream_runs SET position = 2 WHERE stream = 1 AND first_version = 2"
    ),
    "the last run lies beyond the log": (
        "UPDATE stream_runs SET position = position + 16384 WHERE stream = 1 AND first_version = 5"
    ),
    "a run is longer": "UPDATE stream_runs SET count = 2 WHERE stream = 1 AND first_version = 5",
    "an id is gone": "DELETE FROM id_runs WHERE position = 3",
    "an id lies elsewhere": "UPDATE id_runs SET position = 4 WHERE position = 3",
    "a block is gone": "DELETE FROM kind_blocks WHERE kind = 1",
    "a block is another": "UPDATE kind_blocks SET block = 5 WHERE kind = 1 AND block = 0",
    "a tag is gone": "DELETE FROM tags WHERE tag = 'red'",
    "a tag lies elsewhere": "UPDATE tags SET position = 3 WHERE tag = 'red'",
    "a tag's end is gone": "DELETE FROM tag_ends WHERE tag = 'red'",
    "a tag ends elsewhere": "UPDATE tag_ends SET position = 12 WHERE tag = 'red'",
    "a tag follows another": "UPDATE tags SET prior = 0 WHERE tag = 'blue'",
    "a block follows another": "UPDATE kind_blocks SET prior = 0 WHERE kind = 1",
    "an end is gone": "DELETE FROM stream_runs WHERE stream = 1 AND count = 0",
    "the end of the log is lower": "UPDATE id_runs SET position = 3 WHERE count = 0",
    "time falls": "UPDATE event_log SET recorded_at = 1 WHERE position = 3",
    "a version of a record": "UPDATE records SET version = 0",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(path, name):
    by_hand(path, DAMAGE[name])
    found = verified(path)
    assert found.damage, name
    assert found.complete
    assert not found.ok


def test_it_names_the_event(path):
    by_hand(path, DAMAGE["a payload is another"], "DELETE FROM event_log WHERE position = 5")
    damage = verified(path).damage
    assert {found.position for found in damage} >= {3, 5}
    assert "the event at position 5 is missing" in [found.text for found in damage]


SHORT = ("a row is gone", "the last row is gone", "a row has another number", "a run is gone",
         "the last run is gone", "a run lies elsewhere", "a run is longer", "an end is gone",
         "the last run lies beyond the log", "a row has another version",
         "a row has another stream")  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_no_read_comes_short_in_silence(path, name):
    """Each stream and the log give what was written, or an error; and nothing is saved upon it."""
    by_hand(path, DAMAGE[name])
    with sync.EventStore.create(path) as store:
        told = 0
        asked = {
            **{f"s-{n}": lambda n=n: store.load_events(f"s-{n}", "Series") for n in range(2)},
            "log": lambda: list(store.read(raw=True)),
            "backwards": lambda: list(store.read(raw=True, backwards=True)),
        }
        for key, due in {"s-0": 5, "s-1": 5, "log": 12, "backwards": 12}.items():
            try:
                assert len(asked[key]()) == due, key
            except StorageCorruptedError:
                told += 1
        assert told > 0


RUNS = "SELECT stream, first_version FROM stream_runs WHERE count > 0"


@pytest.mark.parametrize("shift", [-2, -1, 1, 2, 16384])
def test_no_stream_comes_short_in_silence_on_any_side_of_a_position(path, shift, tmp_path):
    """The same where a reader does not begin at the beginning, or not end at the end."""
    queries = [Query(aggregate_type="Series", aggregate_id=f"s-{n}") for n in range(2)]
    bounds = [{"before": n} for n in range(2, 15)] + [{"after": n} for n in range(14)]

    def answers(file, bound):
        with sync.EventStore.create(file) as store:
            found = []
            for query in queries:
                try:
                    found.append([e.meta.position for e in store.read(query, **bound)])
                except StorageCorruptedError:
                    found.append(None)
            return found

    with closing(sqlite3.connect(path)) as db:
        runs = db.execute(RUNS).fetchall()
    told = 0
    for number, (stream, first) in enumerate(runs):
        copy = tmp_path / f"copy-{number}.db"
        shutil.copy(path, copy)
        by_hand(
            copy,
            f"UPDATE stream_runs SET position = max(position + {shift}, 0) "
            f"WHERE stream = {stream} AND first_version = {first}",
        )
        for bound in bounds:
            for right, answer in zip(answers(path, bound), answers(copy, bound), strict=True):
                assert answer in (right, None), (stream, first, bound)
                told += answer is None
    assert told > 0


@pytest.mark.parametrize("place", [1, 500, 1500, 3000])
def test_no_stream_of_several_pages_comes_short_in_silence(tmp_path, place):
    path = tmp_path / "pages.db"
    with sync.EventStore.create(path) as store:
        for number in range(3):
            events = [Counted(number=1000 * number + n) for n in range(1000)]
            store.append(events, stream=("Series", "long"))
        store.append([Counted(number=0)], stream=("Series", "other"))
        store.append([Counted(number=3000)], stream=("Series", "long"))
    by_hand(path, f"UPDATE stream_runs SET position = {place} WHERE first_version = 3001")
    with sync.EventStore.create(path) as store, pytest.raises(StorageCorruptedError):
        store.load_events("long", "Series")


def test_streams_are_listed_with_the_position_of_their_last_event(path):
    by_hand(path, "UPDATE stream_runs SET position = position - 1 WHERE first_version = 5")
    with sync.EventStore.create(path) as store, pytest.raises(StorageCorruptedError):
        list(store.streams())


def test_a_limit_ends_it(path):
    by_hand(path, "UPDATE event_log SET payload = '{}'")
    with sync.EventStore.create(path) as store:
        found = store.verify(limit=3)
        assert (len(found.damage), found.complete, found.ok) == (3, False, False)
        with pytest.raises(ValueError, match="limit must be at least 1"):
            store.verify(limit=0)


def test_it_says_how_far_it_is(path, capsys):
    told = []
    with sync.EventStore.create(path) as store:
        store.verify(progress=lambda checked, total: told.append((checked, total)))
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] > 12
        store.verify(progress=True)
    assert "100%" in capsys.readouterr().err


def test_the_asynchronous_one(path):
    async def check():
        async with EventStore.create(path) as store:
            return await store.verify()

    assert asyncio.run(check()).ok


def test_more_than_one_step(tmp_path):
    path = tmp_path / "many.db"
    with sync.EventStore.create(path) as store:
        for commit in range(6):
            events = [Counted(number=n) for n in range(1000)]
            store.append(events, stream=("Series", f"s-{commit}"))
        for number in range(1200):
            store.append(
                [Tagged(number=number, tags=[f"t-{number % 7}"])], stream=("T", f"{number}")
            )
        found = store.verify()
        assert (found.ok, found.events, found.streams) == (True, 7200, 1206)
