"""What travels in a pickle comes back equal, and is named where no part of the path is private."""

import copy
import io
import pickle
from datetime import UTC, datetime, timedelta
from typing import get_type_hints
from uuid import UUID

import pytest
from ledger import Counted, Ledger, counted
from pydantic import TypeAdapter

from eventuali import (
    ALL,
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    AppendCondition,
    CheckpointInfo,
    Committed,
    Damage,
    EventMeta,
    Horizon,
    Query,
    StoreStats,
    StreamInfo,
    Tracking,
    UnknownEvent,
    Verification,
    errors,
    sync,
)
from eventuali._engine.pending_commit import of_aggregates
from eventuali.command import Handled
from eventuali.context import Metadata
from eventuali.history import Change, Step
from eventuali.importing import Imported

NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
META = EventMeta(UUID(int=1), "counted", 1, NOON, headers={"a": "b"}, tags=("t",), position=3)
TRAVELS = [
    *(lambda it, n=n: pickle.loads(pickle.dumps(it, n)) for n in range(2, 6)),
    copy.deepcopy,
]
NAMES = [*(f"protocol {n}" for n in range(2, 6)), "deepcopy"]
VALUES = [
    META,
    Committed((1, 2), (2,), NOON),
    CheckpointInfo("n", 3, NOON, 1),
    Tracking("n", 3),
    StreamInfo("ledger", "a", 2, 7),
    Horizon(3, 4, 1, timedelta(seconds=2)),
    StoreStats("memory://", "memory", "", 3),
    Damage(3, "it is gone"),
    Verification(1, 1, 0, (Damage(None, "a row"),), True),
    Imported(1, 1, 1, 0),
    Change(0, 1),
    Query(tags=["a"], event_types=["counted"]),
    Query(tags=["a"], user_id="ada"),
    ALL,
    AppendCondition(Query(tags=["a"]), after=4),
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Handled(1, 2),
    Metadata("r", headers={"a": "b"}),
]


@pytest.fixture(scope="module")
def store():
    with sync.EventStore.create("memory://") as store:
        yield store


def given():
    return Counted(
        number=2, user_id="u", correlation_id=UUID(int=5), headers={"a": "b"}, tags=["t"]
    )


def applied():
    return counted("a", 1).get_uncommitted_events()[0]


def saved(store):
    ledger = counted(f"s{store.horizon().position}", 1)
    (event,) = ledger.get_uncommitted_events()
    store.save(ledger)
    return event


def loaded(store):
    saved(store)
    *_, event = store.read()
    assert type(event) is Counted
    return event


def unknown(store):
    saved(store)
    return UnknownEvent.from_stored(loaded(store)._envelope, b'{"number": 1}')


EVENTS = {
    "new": lambda _: Counted(number=1),
    "with metadata": lambda _: given(),
    "applied": lambda _: applied(),
    "saved": saved,
    "loaded": loaded,
    "unknown": unknown,
}


def named(pickled: bytes) -> set[str]:
    """Returns the paths of all that a pickle names."""
    found = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            found.add(f"{module}.{name}")
            return super().find_class(module, name)

    Reader(io.BytesIO(pickled)).load()
    return found


def private(it: object) -> set[str]:
    """Returns the private modules of ours that pickles of something name."""
    paths = set().union(*(named(pickle.dumps(it, protocol)) for protocol in range(2, 6)))
    ours = {path.rpartition(".")[0] for path in paths if path.startswith("eventuali.")}
    return {path for path in ours if any(part.startswith("_") for part in path.split("."))}


@pytest.mark.parametrize("travel", TRAVELS, ids=NAMES)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_a_value_comes_back_equal(value, travel):
    arrived = travel(value)
    assert type(arrived) is type(value)
    assert arrived == value


@pytest.mark.parametrize("travel", TRAVELS, ids=NAMES)
@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_comes_back_with_its_metadata(kind, travel, store):
    event = EVENTS[kind](store)
    arrived = travel(event)
    assert type(arrived) is type(event)
    assert arrived == event
    assert arrived.meta == event.meta
    assert travel(arrived).meta == event.meta


def with_uncommitted(store):
    return counted(f"u{store.horizon().position}", 1, 2)


def after_a_save(store):
    ledger = counted(f"a{store.horizon().position}", 1)
    store.save(ledger)
    ledger.apply(given())
    return ledger


AGGREGATES = {
    "new": lambda _: Ledger(id="n"),
    "with uncommitted events": with_uncommitted,
    "after a save": after_a_save,
}


@pytest.mark.parametrize("travel", TRAVELS, ids=NAMES)
@pytest.mark.parametrize("kind", AGGREGATES)
def test_an_aggregate_comes_back_with_what_waits_in_it(kind, travel, store):
    aggregate = AGGREGATES[kind](store)
    arrived = travel(aggregate)
    assert arrived == aggregate
    ours, theirs = aggregate.get_uncommitted_events(), arrived.get_uncommitted_events()
    assert theirs == ours
    assert [event.meta for event in theirs] == [event.meta for event in ours]
    store.save(arrived)
    assert store.load(Ledger, arrived.id) == (arrived if arrived.version else None)


@pytest.mark.parametrize("travel", TRAVELS, ids=NAMES)
@pytest.mark.parametrize("cls", [getattr(errors, name) for name in errors.__all__])
def test_an_error_comes_back(cls, travel):
    error = cls("what went wrong")
    arrived = travel(error)
    assert (type(arrived), arrived.args, vars(arrived)) == (cls, error.args, vars(error))
    assert private(error) == set()


def test_a_pickle_names_nothing_private(store):
    made = [make(store) for make in (*EVENTS.values(), *AGGREGATES.values())]
    step = Step(loaded(store), Ledger(id="a"), {"numbers": Change([], [1])})
    for it in (*VALUES, *made, step):
        assert private(it) == set(), it


def test_an_aggregate_whose_save_is_open_names_what_is_sent(store):
    # The one exception: what is sent is nobody's business, and lives until the save is repeated.
    ledger = counted("open", 1, 2)
    of_aggregates([ledger])
    engine = {"eventuali._engine.commit_builder", "eventuali._engine.pending_commit"}
    assert private(ledger) == engine | {"eventuali._eventuali"}
    for travel in TRAVELS:
        store.save(travel(ledger))  # the same events: they are stored once
    found = store.load(Ledger, "open")
    assert (found.numbers, found.version) == ([1, 2], 2)


@pytest.mark.parametrize("cls", dict.fromkeys(map(type, VALUES[:8])), ids=lambda c: c.__name__)
def test_the_annotations_of_what_is_named_elsewhere_are_found(cls):
    assert set(get_type_hints(cls)) == set(cls.__dataclass_fields__)
    assert TypeAdapter(cls).core_schema
