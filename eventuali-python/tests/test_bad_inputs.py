"""Bad input beyond the table of `test_bad_input_table.py`; the same must hold."""

from __future__ import annotations

import pytest
from bad_input_names import INVALID, LITERAL
from ledger import Counted, Ledger, counted
from pydantic import create_model
from stores import BACKENDS, KINDS, url_of

from eventuali import (
    Event,
    EventualiError,
    InvalidEventError,
    Query,
    sync,
)


@pytest.fixture(scope="module", params=BACKENDS)
def log(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with sync.EventStore.create(url_of(request.param, folder), durability="relaxed") as store:
        yield store


@pytest.fixture(autouse=True)
def unharmed(request):
    """Checks, after each test that takes the log, that it still works."""
    yield
    if "log" in request.fixturenames:
        store = request.getfixturevalue("log")
        before = store.stats().last_position
        store.append([Counted(number=-1)])
        assert [event.number for event in store.read(after=before)] == [-1]


def refused(store, call, *errors):
    before = store.stats().last_position
    with pytest.raises(errors) as caught:
        call()
    assert list(store.read(after=before, raw=True)) == []
    return caught.value


def test_the_same_ids_are_taken_everywhere(tmp_path):
    ids = [one for table in (LITERAL, INVALID) for row in table.values() for one in row]
    verdicts = []
    for kind in KINDS:
        with sync.EventStore.create(url_of(kind, tmp_path), durability="relaxed") as store:
            verdict = []
            for one in ids:
                try:
                    store.append([Counted(number=1)], stream=("Literal", one))
                    verdict.append((one, None))
                except EventualiError as error:
                    verdict.append((one, (type(error), getattr(error, "field", None))))
            verdicts.append(verdict)
    assert verdicts[0] == verdicts[1] == verdicts[2]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tags": "even"}, {"event_types": "Counted"}, {"tags": []}, {"event_types": []},
        {"event_ids": []}, {"event_ids": ["x"]}, {"tags": [5]}, {"aggregate_id": 5},
        {"event_types": [int]}, {"aggregate_id": "\ud800"}, {"correlation_id": 5},
    ],
)  # fmt: skip
def test_a_bad_query(arguments):
    with pytest.raises((InvalidEventError, TypeError)):
        Query(**arguments)


@pytest.mark.parametrize("query", [None, "Counted", [], {}, Counted])
def test_a_query_of_another_type(query, log):
    with pytest.raises(TypeError):
        list(log.read(query))


# --- events and metadata --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events", [[5], ["x"], [None], [{"number": 1}], 5, None, [Counted], Counted(number=1)]
)
def test_what_is_no_event_is_a_type_error(events, log):
    refused(log, lambda: log.append(events), TypeError)


def test_an_aggregate_is_saved_and_not_appended(log):
    refused(log, lambda: log.append(counted("a", 1)), TypeError)
    with pytest.raises(TypeError, match=r"write save\(…\) for the Ledger"):
        log.append(counted("a", 1))
    with pytest.raises(TypeError, match="a decision must return events, aggregates or None, not"):
        log.decide(Query(), lambda events: {"a": counted("a", 1)})


@pytest.mark.parametrize("thing", [5, None, Counted(number=1), Ledger, [counted("a", 1)]])
def test_what_is_no_aggregate_is_a_type_error(thing, log):
    refused(log, lambda: log.save(thing), TypeError)


@pytest.mark.parametrize(
    "meta",
    [
        {"timestamp": "yesterday"}, {"timestamp": 5},
        {"headers": {"a": 5}}, {"headers": {5: "a"}}, {"headers": "x"},
        {"headers": {"a": "\ud800"}},
        {"tags": "tag"}, {"tags": [5]}, {"tags": [""]}, {"tags": ["\ud800"]}, {"tags": ["a\x00"]},
        {"correlation_id": "\ud800"}, {"correlation_id": 5}, {"causation_id": b"x"},
        {"user_id": 5}, {"user_id": "\ud800"},
    ],
)  # fmt: skip
def test_bad_metadata_is_refused_when_the_event_is_made_or_stored(meta, log):
    before = log.stats().last_position
    with pytest.raises((InvalidEventError, TypeError)):
        log.append([Counted(number=1, **meta)])
    assert list(log.read(after=before)) == []


@pytest.mark.parametrize("version", [0, -1, 2**32, "1", 1.0, True])
def test_a_bad_schema_version_is_refused_when_the_class_is_made(version):
    with pytest.raises((InvalidEventError, TypeError)):
        create_model("Versioned", __base__=Event, __cls_kwargs__={"version": version})
