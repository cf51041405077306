"""A copy of the store, older or another one, is put under a store that is open."""

from __future__ import annotations

from time import sleep

import pytest
from ledger import Counted
from support import output_of

from eventuali import Event, Projection, Query, ReadModel, sync
from eventuali.errors import CheckpointMismatchError, ProjectionError


class Paid(Event, name="restored.paid"):
    n: int


class Sent(Event, name="restored.sent"):
    n: int


class Packed(Event, name="restored.packed"):
    n: int


COPY = """
import sqlite3, sys
source, target = map(sqlite3.connect, sys.argv[1:])
source.backup(target)
target.close()
source.close()
"""


def copy(source, target):
    output_of(COPY, source, target)


@pytest.fixture
def places(tmp_path):
    return tmp_path / "events.db", tmp_path / "copy.db"


def numbers(store, *classes):
    return [event.n for event in store.read(Query(event_types=list(classes)))]


def test_an_older_copy_is_read_and_written_as_it_is(places):
    path, old = places
    with sync.EventStore.create(path) as store:
        store.append([Paid(n=0), *(Sent(n=n) for n in range(59))], stream=("Order", "o-1"))
        copy(path, old)
        store.append([Packed(n=n) for n in range(10)], stream=("Box", "b-1"))
        store.append([Paid(n=n) for n in range(1, 11)], stream=("Order", "o-2"))
        assert len(list(store.read())) == 80
        copy(old, path)
        assert [event.meta.position for event in store.read()] == list(range(1, 61))
        store.append([Sent(n=n) for n in range(60, 65)], stream=("Order", "o-3"))
        store.append([Counted(number=1)], stream=("Crate", "c-1"))
        store.append([Packed(n=99)], stream=("Box", "b-1"))
        assert numbers(store, Sent) == [*range(59), *range(60, 65)]
        assert numbers(store, Paid) == [0]
        assert numbers(store, Packed) == [99]
        assert store.get_aggregate_version("b-1", "Box") == 1
        assert [event.n for event in store.load_events("o-3", "Order")] == list(range(60, 65))
        assert [event.number for event in store.load_events("c-1", "Crate")] == [1]
        assert store.verify().ok


def test_a_decision_is_made_once(places):
    path, old = places
    with sync.EventStore.create(path) as store:
        store.append([Paid(n=0)] + [Sent(n=n) for n in range(59)])
        copy(path, old)
        store.append([Paid(n=n) for n in range(10)])
        copy(old, path)
        store.append([Sent(n=n) for n in range(5)])

        def once(paid):
            return None if any(event.n == 99 for event in paid) else Paid(n=99)

        decided = [store.decide(Query(event_types=[Paid]), once) for _ in range(2)]
        assert [len(done.positions) for done in decided] == [1, 0]
        assert numbers(store, Paid) == [0, 99]


def test_another_store_altogether(places, tmp_path):
    path, _ = places
    other = tmp_path / "other.db"
    with sync.EventStore.create(other) as store:
        store.append([Packed(n=n) for n in range(3)], stream=("Box", "b-1"))
    with sync.EventStore.create(path) as store:
        store.append([Paid(n=0)], stream=("Order", "o-1"))
        assert numbers(store, Paid) == [0]
        copy(other, path)
        assert store.load_events("o-1", "Order") == []
        assert numbers(store, Packed) == [0, 1, 2]
        store.append([Paid(n=1)], stream=("Order", "o-1"))
        assert numbers(store, Paid) == [1]
        assert store.verify().ok


@pytest.mark.parametrize("name", [None, "follower"])
def test_a_follower_is_told(places, name):
    path, old = places
    with sync.EventStore.create(path) as store:
        store.append([Sent(n=n) for n in range(5)])
        copy(path, old)
        store.append([Sent(n=n) for n in range(5, 10)])
        # On a slow machine a checkpoint was written into the copy that is gone, and misses first.
        either = "another copy of the store" + ("" if name is None else "|moved by another")
        told = pytest.raises(CheckpointMismatchError, match=either)
        with told, store.subscribe(name=name) as events:
            assert [next(events).n for _ in range(10)] == list(range(10))
            copy(old, path)
            store.append([Sent(n=n) for n in range(20, 40)])
            next(events)
        with store.subscribe() as events:
            assert [next(events).n for _ in range(25)] == [*range(5), *range(20, 40)]


def test_a_follower_that_waits_is_told_of_a_copy_that_somebody_else_goes_on_with(places):
    path, old = places
    more = (
        "import sys; from ledger import Counted; from eventuali import sync\n"
        "with sync.EventStore.create(sys.argv[1]) as store: store.append([Counted(number=7)])"
    )
    with sync.EventStore.create(path) as store:
        store.append([Counted(number=n) for n in range(5)])
        copy(path, old)
        store.append([Counted(number=n) for n in range(5, 10)])
        with store.subscribe() as events:
            assert [next(events).number for _ in range(10)] == list(range(10))
            copy(old, path)
            output_of(more, path)
            with pytest.raises(CheckpointMismatchError):
                next(events)


def test_a_stream_that_was_loaded_is_another_one_in_the_copy(places):
    """Numbers of streams are given again, and whoever asks for a version reads nothing before."""
    path, old = places
    with sync.EventStore.create(path) as store:
        store.append([Paid(n=0)], stream=("Order", "first"))
        copy(path, old)
        store.append([Paid(n=n) for n in range(3)], stream=("Order", "second"))
        assert len(store.load_events("second", "Order")) == 3
        assert store.get_aggregate_version("second", "Order") == 3
        copy(old, path)
        with sync.EventStore.create(path) as other:
            other.append([Paid(n=n) for n in range(7)], stream=("Order", "third"))
        versions = [store.get_aggregate_version("second", "Order") for _ in range(9)]
        assert versions == [None] * 9
        assert store.get_aggregate_version("third", "Order") == 7


class Tally(ReadModel):
    count: int = 0
    total: int = 0


class Tallies(Projection[Tally]):
    def key(self, event: Paid | Sent) -> str:
        return str(event.n % 3)

    def on_paid(self, event: Paid, doc: Tally | None) -> Tally:
        doc = doc or Tally()
        doc.count += 1
        doc.total += event.n
        return doc

    def on_sent(self, event: Sent, doc: Tally | None) -> Tally:
        doc = doc or Tally()
        doc.total -= event.n
        return doc


def tallies(store):
    return {each.key: each for each in store.find(Tally)}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_projection_is_told_and_its_documents_are_those_of_the_log(places, elsewhere):
    """The copy has documents and a cursor of its own; somebody else may have gone on with it."""
    path, old = places
    with sync.EventStore.create(path) as store:
        store.append([Paid(n=n) for n in range(10)])
        with store.run(Tallies()) as running:
            running.caught_up(timeout=10)
            copy(path, old)
            for n in range(10, 15):
                running.wait_for(store.append([Paid(n=n)]), timeout=10)
            if elsewhere:
                with sync.EventStore.create(old) as other, other.run(Tallies()) as beside:
                    for n in range(20, 30):
                        beside.wait_for(other.append([Sent(n=n)]), timeout=10)
            copy(old, path)
            last = store.append([Sent(n=99)]).position
            while running.status()[0].state != "faulted":
                sleep(0.01)
            with pytest.raises(ProjectionError) as told:
                running.wait_for(last, timeout=10)
            assert isinstance(told.value.__cause__, CheckpointMismatchError)
        with store.run(Tallies()) as running:
            running.wait_for(last, timeout=10)
        assert tallies(store) == Tallies().fold(store.read())
        assert store.verify().ok
