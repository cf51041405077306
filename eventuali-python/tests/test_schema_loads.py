"""The gate and a store say the same of stored events: steps, former names, retired types."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic_core import to_json
from schema_pairs import HALVES, PAIRS, Done, Done2, Pair, euros, event, halves, same, with_steps
from stores import each_kind, url_of

from eventuali import Event, Query, sync
from eventuali._engine.encode import wire
from eventuali._engine.upcast import StoredKind
from eventuali.errors import SerializationError, UnknownEventTypeError, UpcastError
from eventuali.schema import Finding, Registry, StoredType, Verdict, _evidence, check, check_stored
from eventuali.schema._samples import samples

UNLIKE_A_LOAD = {
    # It refuses what the gate makes of its own schema, which proves nothing.
    "a validator that alone says what is read, added",
    # An event is stored with the value of the default, so none lacks it.
    "a default removed",
    # It is read, as another model than was stored.
    "a union: reordered, of models with the same fields",
    # Only code that is older than the class can't read what it stores.
    "readable_by, and old code can't",
}


def events_of(cls: type[Event]) -> list[Event]:
    """Returns an event for each payload that the gate makes of the schema of a class."""
    (entry,) = Registry.of(cls).values()
    return [wire(cls).codec.decode(to_json(each)) for each in samples(entry.schema)]


def stored(*old: type[Event]) -> sync.EventStore:
    store = sync.EventStore.create("memory://")
    for cls in old:
        for each in events_of(cls):
            try:
                store.append([each])
            except SerializationError:  # such as a float that another value is nearer to
                continue
    return store


def errors(pair: Pair) -> list[Finding]:
    found = check(Registry.of(pair.old), Registry.of(pair.new))
    return [each for each in found if each.level == "error"]


def failed(rows: list[StoredType]) -> int:
    return sum(row.failed for row in rows)


def load(pair: Pair, *, raw: bool = False) -> list[Event]:
    """Reads the events of the old class as a program with the new one does."""
    with stored(pair.old) as store:
        for name in (pair.new.__event_type__, *pair.new.__formerly__):
            store.register_event_class(name, pair.new)
        return list(store.read(raw=raw))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.change)
def test_the_check_of_a_file_says_what_a_store_does(pair) -> None:
    with stored(pair.old) as store:
        assert store.stats().last_position
        rows = check_stored(store, Registry.of(pair.new), sample=None)
    said = errors(pair)
    if pair.change in UNLIKE_A_LOAD:
        assert bool(failed(rows)) != bool(said)
        return
    if pair.verdict is Verdict.REMOVED:
        assert failed(rows) == rows[0].read
        return
    assert bool(failed(rows)) == bool(said), (rows, said)
    if not said:
        load(pair)
        return
    with pytest.raises(SerializationError) as refused:
        load(pair)
    assert load(pair, raw=True)
    kinds = {
        Verdict.STEP: UpcastError,
        Verdict.VERSION: UnknownEventTypeError,
        Verdict.UPCASTER: UpcastError if pair.new.__event_version__ > 1 else SerializationError,
        Verdict.PROMISE: SerializationError,
    }
    assert type(refused.value) is kinds[pair.verdict]
    if pair.verdict is Verdict.STEP:
        (text,) = {each.text.partition(": ")[2] for each in said}
        assert text in str(refused.value)
        assert any(each.payload for row in rows for each in row.failures)


def test_a_gate_with_a_runner_of_its_own_is_caught(monkeypatch) -> None:
    def forgiving(cls: type[Event], kind: StoredKind, data: Any) -> list[tuple[type[Event], Any]]:
        """The control: it gives a step a dict that the step may change."""
        for version in range(kind.version, cls.__event_version__):
            data = cls.__upcasters__[version](deepcopy(data))
        return [(cls, data)]

    pair = next(each for each in PAIRS if each.change == "a step that changes what it is given")
    monkeypatch.setattr(_evidence, "upcast", forgiving)
    assert errors(pair) == []
    with pytest.raises(UpcastError, match="must not change what it is given"):
        load(pair)


@each_kind
def test_a_former_name_is_read_once(kind, tmp_path) -> None:
    old = event(1, "loads.before", total=int)
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([old(total=n) for n in range(3)])
        new = with_steps(event(2, "loads.after", total=int, currency=str), {1: euros},
                         formerly="loads.before")  # fmt: skip
        store.append([new(total=9, currency="EUR")])
        for sample in (None, 100, 2):
            rows = check_stored(store, Registry.of(new), sample=sample)
            read = 2 if sample == 2 else 3
            assert [(row.event_type, row.version, row.read, row.failed) for row in rows] == [
                ("loads.after", 2, 1, 0),
                ("loads.before", 1, read, 0),
            ]


@each_kind
def test_a_type_that_became_others_is_read_once_and_a_part_that_fails_is_told(
    kind, tmp_path
) -> None:
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Done(total=1, to="a"), Done(total=2, to="b")])
        # Of the sample alone, or the type would be asked for under each of its parts.
        done = with_steps(Done2, {1: same, 2: halves}, into=HALVES, retired=True)
        new = Registry.of(done, *HALVES)
        for sample in (None, 100, 2):
            (row,) = check_stored(store, new, sample=sample)
            assert (row.event_type, row.version, row.read, row.failed) == ("schema.done", 1, 2, 0)

        def swapped(data: dict[str, Any]) -> Any:
            return {"total": 1 if data["to"] == "a" else data["to"]}, None

        wrong = with_steps(Done2, {1: same, 2: swapped}, into=HALVES, retired=True)
        (row,) = check_stored(store, Registry.of(wrong, *HALVES))
        (failure,) = row.failures
        assert (row.failed, failure.position, failure.path) == (1, 2, "total")
        assert failure.text.startswith("total: Input should be a valid integer")
        assert (failure.payload, failure.became) == ('{"total": 2, "to": "b"}', '{"total": "b"}')
        gone = with_steps(event(1, "schema.done"), {}, retired=True)
        (row,) = check_stored(store, Registry.of(gone))
        assert (row.read, row.failed) == (2, 0)


@each_kind
def test_a_step_that_fails_or_is_missing_is_told_as_a_load_tells_it(kind, tmp_path) -> None:
    def halved(data: dict[str, Any]) -> dict[str, Any]:
        return {"a": 1 // data["a"]}

    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([event(1, "loads.step", a=int)(a=n) for n in (1, 0)])
        for steps, count in (({1: halved}, 1), ({}, 2)):
            new = with_steps(event(2, "loads.step", a=int), steps)
            (row,) = check_stored(store, Registry.of(new))
            assert (row.read, row.failed) == (2, count)
            store.register_event_class("loads.step", new)
            with pytest.raises(UpcastError) as refused:
                list(store.read())
            assert row.failures[0].text == str(refused.value)
            assert row.failures[0].became == ""


@each_kind
def test_events_of_newer_code_are_read_as_far_as_they_say(kind, tmp_path) -> None:
    steps = {1: same, 2: same}
    open_ = with_steps(event(3, "loads.open", a=int, b=str), steps, readable_by=2)
    closed = with_steps(event(3, "loads.closed", a=int), steps)
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([open_(a=1, b="x"), closed(a=1)])

        def failures(version: int) -> dict[str, list[str]]:
            of_version = [event(version, name, a=int) for name in ("loads.open", "loads.closed")]
            rows = check_stored(store, Registry.of(*of_version))
            return {row.event_type: [each.text for each in row.failures] for row in rows}

        found = failures(2)
        assert found["loads.open"] == []
        assert "which classes from version 3 on can read" in found["loads.closed"][0]
        assert "which classes from version 2 on can read" in failures(1)["loads.open"][0]


def test_the_last_event_of_a_sample_is_found_without_decoding_it() -> None:
    with sync.EventStore.create("memory://") as store:
        store.append([Done(total=n, to="a") for n in range(5)])
        done = with_steps(Done, {1: halves}, into=HALVES, retired=True)
        store.register_event_class("schema.done", done)
        (row,) = check_stored(store, Registry.of(done), sample=3)
        assert (row.read, row.failed) == (3, 0)
        assert len(list(store.read(Query(event_types=["schema.done"])))) == 10
