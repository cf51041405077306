"""Bad input is refused by class, alike everywhere; nothing is written; the store goes on."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from ledger import Counted, Ledger, counted
from pydantic import ValidationError, create_model
from stores import url_of
from support import output_of

from eventuali import (
    Aggregate,
    AppendCondition,
    Event,
    EventualiError,
    InvalidEventError,
    OptimisticConcurrencyError,
    Query,
    sync,
)
from eventuali.errors import PayloadTooLargeError


class Big(Event):
    text: str = ""
    data: dict[str, str] = {}  # noqa: RUF012


@pytest.fixture(scope="module", params=["memory", "sqlite"])
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


# --- ids ------------------------------------------------------------------------------------------

BAD_IDS = [
    "", "x" * 256, "x" * 1_000_000, "a\x00b", "\x00", "a\nb", "a\x1bb", "a\u202eb", "a\u200bb",
    "$all", "$", "\ud800", "ü" * 128,
]  # fmt: skip
LITERAL_IDS = [
    "'; DROP TABLE events;--", '" OR 1=1', "a$1", "%s", "{}", "../../etc/passwd", "C:\\x",
    "a/../b", "a.*", "a.>", "*", ">", "a b", "Ä", "A\u0308", "straße", "STRASSE", "İ", "i\u0307",
    "A", "a", "x", "x ", "x" * 255, "\U0001f600", "NULL", "0", "-1", "1e2", "%", "_", "a.b",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS, ids=[f"{n}" for n in range(len(BAD_IDS))])
def test_a_bad_id_is_invalid(bad, log):
    for call in (
        lambda: log.append([Counted(number=1)], stream=("Ledger", bad)),
        lambda: log.save(counted(bad, 1)),
        lambda: log.append([Counted(number=1)], stream=(bad, "a")),
    ):
        error = refused(log, call, InvalidEventError)
        assert isinstance(error, ValueError)
        assert error.field
    for call in (
        lambda: log.load(Ledger, bad),
        lambda: log.load_events(bad),
        lambda: log.get_aggregate_version(bad),
    ):
        with suppress(InvalidEventError):
            assert call() in (None, [])


@pytest.mark.parametrize("bad", [b"a", 5, None, 1.5, ("a",), True])
def test_an_id_of_another_type_is_a_type_error(bad, log):
    refused(log, lambda: log.append([Counted(number=1)], stream=("Ledger", bad)), TypeError)
    refused(log, lambda: log.append([Counted(number=1)], stream=(bad, "a")), TypeError)
    for call in (lambda: log.load(Ledger, bad), lambda: log.load_events(bad)):
        refused(log, call, TypeError)
    with pytest.raises((TypeError, ValidationError)):
        Ledger(id=bad)


@pytest.mark.parametrize("stream", ["Ledger", ("Ledger",), ("Ledger", "a", "b"), (), 5, b"ab"])
def test_a_stream_is_a_type_and_an_id(stream, log):
    call = lambda: log.append([Counted(number=1)], stream=stream)  # noqa: E731
    refused(log, call, TypeError, InvalidEventError)


def test_an_id_with_an_evil_text_is_taken_by_its_characters(log):
    class Evil(str):
        __slots__ = ()

        def __str__(self):
            return "evil"

        def encode(self, *args):
            return b"evil"

    before = log.stats().last_position
    try:
        log.append([Counted(number=1)], stream=("Ledger", Evil("good")))
    except (TypeError, InvalidEventError):
        assert list(log.read(after=before)) == []
    else:
        (event,) = log.read(after=before)
        assert event.meta.aggregate_id == "good"


def test_other_ids_are_literal_and_streams_of_their_own(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = []
    for number, one in enumerate(LITERAL_IDS):
        try:
            log.append([Counted(number=number)], stream=("Literal", one))
        except InvalidEventError:
            continue
        taken.append((one, number))
    for one, number in taken:
        assert [event.number for event in log.load_events(one, "Literal")] == [number], one
        query = Query(aggregate_type="Literal", aggregate_id=one)
        assert [event.meta.aggregate_id for event in log.read(query)] == [one]
        assert log.get_aggregate_version(one, "Literal") == 1
    listed = [stream.aggregate_id for stream in log.streams("Literal")]
    assert listed == sorted((one for one, _ in taken), key=str.encode)
    assert len(taken) >= 20, taken
    assert list(tmp_path.iterdir()) == []


def test_the_same_ids_are_taken_on_both_backends(tmp_path):
    verdicts = []
    for kind in ("memory", "sqlite", "sqlite-memory"):
        with sync.EventStore.create(url_of(kind, tmp_path), durability="relaxed") as store:
            verdict = []
            for one in [*LITERAL_IDS, *BAD_IDS]:
                try:
                    store.append([Counted(number=1)], stream=("Literal", one))
                    verdict.append((one, None))
                except EventualiError as error:
                    verdict.append((one, (type(error), getattr(error, "field", None))))
            verdicts.append(verdict)
    assert verdicts[0] == verdicts[1] == verdicts[2]


# --- expectations and ranges ----------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, -2, 2**63, 2**64, 10**30, True, 1.0, "1", None, "any", b"1"])
def test_a_bad_expectation(bad, log):
    call = lambda: log.append([Counted(number=1)], stream=("L", "e"), expected=bad)  # noqa: E731
    refused(log, call, InvalidEventError, TypeError)


def test_an_expectation_without_a_stream(log):
    call = lambda: log.append([Counted(number=1)], expected=3)  # noqa: E731
    refused(log, call, InvalidEventError, TypeError, OptimisticConcurrencyError)


@pytest.mark.parametrize("bad", [-1, 2**63, 2**64, 1.0, "1", True])
def test_a_bad_range(bad, log):
    for option in ("limit", "after", "before"):
        call = lambda option=option: list(log.read(**{option: bad}))  # noqa: E731
        try:
            events = call()
        except (ValueError, TypeError):
            continue
        assert bad == 2**63 or bad == 2**64, f"{option}={bad!r} gave {len(events)} events"
    with pytest.raises((ValueError, TypeError)):
        log.append([Counted(number=1)], condition=AppendCondition(Query(tags=["q"]), after=bad))
    if bad not in (2**63, 2**64):
        with pytest.raises((ValueError, TypeError)):
            log.load_events("none", "Ledger", from_version=bad)


def test_a_limit_of_nothing_and_of_very_much(log):
    with suppress(ValueError):
        assert list(log.read(limit=0)) == []
    assert len(list(log.read(limit=10**9, after=log.stats().last_position - 1))) == 1
    assert len(list(log.read(limit=2**62, after=log.stats().last_position - 1))) == 1


@pytest.mark.parametrize("bad", [-1, 2**64, 1.5, "1", True])
def test_a_bad_version_to_load(bad, log):
    log.append([Counted(number=1)], stream=("Ledger", "loaded"))
    with pytest.raises((ValueError, TypeError)):
        log.load(Ledger, "loaded", at_version=bad)


@pytest.mark.parametrize("bad", ["2024-01-01", 5, b"x"])
def test_a_bad_time_to_load(bad, log):
    with pytest.raises((ValueError, TypeError)):
        log.load(Ledger, "loaded", at_time=bad)


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


@pytest.mark.parametrize("thing", [5, None, Counted(number=1), Ledger, [counted("a", 1)]])
def test_what_is_no_aggregate_is_a_type_error(thing, log):
    refused(log, lambda: log.save(thing), TypeError)


def test_the_same_aggregate_twice_in_one_save(log):
    ledger, twin = counted("twice", 1), counted("twice", 2)
    for call in (lambda: log.save(ledger, ledger), lambda: log.save(ledger, twin)):
        before = log.stats().last_position
        try:
            call()
        except EventualiError:
            assert list(log.read(after=before)) == []
        else:
            numbers = [event.number for event in log.read(after=before)]
            assert numbers == sorted(set(numbers))
    assert log.get_aggregate_version("twice", "Ledger") in (None, 1, 2)


@pytest.mark.parametrize(
    "meta",
    [
        {"event_id": "not-a-uuid"}, {"event_id": UUID(int=0)}, {"event_id": 5},
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


def test_an_id_in_capitals_is_normalised(log):
    text = "0190A5B0-0000-7000-8000-00000000FFFF"
    try:
        event = Counted(number=1, event_id=text)
    except (InvalidEventError, TypeError):
        return
    log.append([event])
    (stored,) = log.read(Query(event_ids=[UUID(text)]))
    assert stored.event_id == UUID(text)


@pytest.mark.parametrize("name", ["", "x" * 10_000, "a\x00", "a\nb", "\ud800", "$system", 5])
def test_a_bad_wire_name_is_refused_when_the_class_is_made(name):
    with pytest.raises((InvalidEventError, TypeError)):
        create_model("Named", __base__=Event, __cls_kwargs__={"name": name})
    with pytest.raises((InvalidEventError, TypeError)):
        type("NamedAggregate", (Aggregate,), {"__module__": __name__}, name=name)


@pytest.mark.parametrize("version", [0, -1, 2**32, "1", 1.0, True])
def test_a_bad_schema_version_is_refused_when_the_class_is_made(version):
    with pytest.raises((InvalidEventError, TypeError)):
        create_model("Versioned", __base__=Event, __cls_kwargs__={"version": version})


def test_a_stored_name_is_never_imported(tmp_path):
    """A type is only a name: reading it raw or in vain imports nothing."""
    url = url_of("sqlite", tmp_path)
    writer = """
import sys
from eventuali import Event, sync
from pydantic import create_model
for name in ("os.system", "builtins.eval", "__class__", "antigravity", "this"):
    try:
        cls = create_model("X", __base__=Event, __cls_kwargs__={"name": name}, n=(int, 1))
    except ValueError:
        continue
    with sync.EventStore.create(sys.argv[1]) as store:
        store.append([cls()], stream=(name, "a"))
"""
    reader = """
import sys
from eventuali import sync
from eventuali.errors import UnknownEventTypeError
with sync.EventStore.create(sys.argv[1]) as store:
    list(store.read(raw=True))
    seen = []
    sys.addaudithook(lambda name, args: seen.append(args[0]) if name == "import" else None)
    for event in store.read(raw=True):
        event.data
    try:
        list(store.read())
    except UnknownEventTypeError:
        pass
    print(seen)
"""
    output_of(writer, url)
    assert output_of(reader, url) == "[]\n"


# --- sizes ----------------------------------------------------------------------------------------


def test_the_largest_event_and_one_larger(log):
    overhead = len('{"text":"","data":{}}')
    limit = 1 << 20
    log.append([Big(text="x" * (limit - overhead))])
    (stored,) = log.read(after=log.stats().last_position - 1)
    assert len(stored.text) == limit - overhead
    for size in (limit - overhead + 1, limit, 10 * limit):
        error = refused(log, lambda size=size: log.append([Big(text="x" * size)]),
                        PayloadTooLargeError)  # fmt: skip
        assert isinstance(error, ValueError)
        assert error.limit == limit
        assert error.size > limit
        assert error.what


@pytest.mark.parametrize(
    "headers",
    [{"k": "x" * (64 << 10)}, {"k" * (64 << 10): "x"}, {str(n): "" for n in range(10**5)}],
)
def test_headers_that_are_too_large(headers, log):
    call = lambda: log.append([Counted(number=1, headers=headers)])  # noqa: E731
    refused(log, call, PayloadTooLargeError, InvalidEventError)


def test_a_commit_of_too_many_events(log):
    events = [Counted(number=n) for n in range(10_001)]
    error = refused(log, lambda: log.append(events), PayloadTooLargeError)
    assert (error.size, error.limit) == (10_001, 10_000)
    refused(log, lambda: log.append([*events] * 1), PayloadTooLargeError)
    many = [Counted(number=n) for n in range(70_000)]
    refused(log, lambda: log.append(many, stream=("Ledger", "many")), PayloadTooLargeError)
    committed = log.append([Counted(number=n) for n in range(10_000)], stream=("Ledger", "most"))
    assert committed.versions == (10_000,)


def test_a_commit_that_is_too_large(log):
    events = [Big(text="x" * 1_000_000) for _ in range(17)]
    error = refused(log, lambda: log.append(events), PayloadTooLargeError)
    assert error.limit == 16 << 20
    log.append(events[:16])


def test_a_generator_of_events_that_raises(log):
    def events():
        yield Counted(number=1)
        raise ZeroDivisionError("mine")

    refused(log, lambda: log.append(events()), ZeroDivisionError)


# --- hostile payloads are data --------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"__proto__": "x"}, {"py/object": "os.system"}, {"": "!!python/object/apply:os.system"},
        {"\x00": "\x00"}, {"__class__": "X", "meta": "y", "event_id": "z"}, {"a": "cposix\nsystem"},
    ],
)  # fmt: skip
def test_a_hostile_payload_stays_data(data, log):
    log.append([Big(data=data)])
    (stored,) = log.read(after=log.stats().last_position - 1)
    assert stored.data == data
