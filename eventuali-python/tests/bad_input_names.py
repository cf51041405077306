"""Rows 1-12, 33, 34, 45, 53: ids, names, tenants, and what a person would see of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from bad_input_case import Case, Place, append, bad, either, good
from ledger import Counted, Ledger, counted
from pydantic import ValidationError, create_model
from support import output_of

from eventuali import Aggregate, Event, InvalidEventError, Query, sync

INVALID = {
    1: [""],
    2: ["x" * 256, "x" * 1_000_000, "ü" * 128],
    3: ["a\x00b", "\x00", "a\x00", "\x00a"],
    4: [
        "a\nb",
        "a\x1bb",
        "a\u202eb",
        "a\u200bb",
        "a\x7fb",
        "a\x85b",
        "a\u2066b",
        "\ufeffa",
        "a\u00adb",
        "a\u034fb",
        "a\u180eb",
        "\u3164",
        "a\uffa0",
        "a\ufff9b",
        "a\U000e0041b",
    ],
    5: ["$1"],
    9: ["x ", " x", "\tx"],
    10: ["$all", "$", "$ "],
    11: ["\ud800", "a\udfffb"],
}
LITERAL = {
    2: ["x" * 255],
    5: [
        "'; DROP TABLE events;--", '" OR 1=1', "a$1", "%s", "{}", "NULL", "0", "-1", "1e2", "%",
        "_", "?", ":1", "`x`", "\\", "'", '"', "true",
    ],
    6: ["../../etc/passwd", "C:\\x", "a/../b", "/etc/passwd", "..", ".", "~", "file:x"],
    7: ["a.*", "a.>", "*", ">", "a b", "a.b", "a.", "a"],
    8: ["\U0001f600", "\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb"],
}  # fmt: skip
PAIRS = {
    5: [("%", "x"), ("_", "x"), ("%x%", "axa")],
    7: [("a.*", "a.b"), ("a.>", "a.b"), ("*", "a"), (">", "a"), ("a b", "a")],
    8: [("Ä", "A\u0308"), ("straße", "STRASSE"), ("İ", "i\u0307"), ("ﬁ", "fi"), ("K", "\u212a")],
    9: [("A", "a"), ("x", "X"), ("0", "00"), ("1", "1.0")],
}  # fmt: skip
NO_TEXT = [b"a", 5, None, 1.5, ("a",), True, ["a"]]


def invalid_ids() -> Iterator[Case]:
    for row, ids in INVALID.items():
        for one in ids:
            calls: dict[str, tuple[Callable[[Place], object], str]] = {
                "append to": (append(Counted(number=1), stream=("Ledger", one)), "aggregate_id"),
                "save": (lambda at, one=one: at.store.save(counted(one, 1)), "aggregate_id"),
                "type": (append(Counted(number=1), stream=(one, "a")), "aggregate_type"),
            }
            for name, (act, field) in calls.items():
                yield bad(row, f"{name} {one[:20]!r}", act, InvalidEventError, field=field)
            yield either(row, f"read {one[:20]!r}", nothing_there(one), InvalidEventError)


def nothing_there(one: str) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        refusals = []
        for call in (
            lambda: at.store.load(Ledger, one),
            lambda: at.store.load_events(one),
            lambda: at.store.get_aggregate_version(one),
            lambda: list(at.store.read(Query(aggregate_id=one))),
        ):
            try:
                assert call() in (None, [])
            except InvalidEventError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    return act


def literal(one: str, neighbour: str | None = None) -> Callable[[Place], None]:
    """Stores under an id (and one that resembles it), and finds exactly that again."""

    def act(at: Place) -> None:
        ids = [one] if neighbour is None else [one, neighbour]
        with at.fresh() as store:
            store.append([Counted(number=7)], stream=("Literal", "other"))
            for number, name in enumerate(ids):
                store.append([Counted(number=number)], stream=("Literal", name))
            for number, name in enumerate(ids):
                assert [e.number for e in store.load_events(name, "Literal")] == [number]
                query = Query(aggregate_type="Literal", aggregate_id=name)
                assert [event.meta.aggregate_id for event in store.read(query)] == [name]
                assert store.get_aggregate_version(name) == 1
            assert [e.number for e in store.load_events("other")] == [7]
            listed = [stream.aggregate_id for stream in store.streams("Literal")]
            assert listed == sorted([*ids, "other"], key=str.encode)
        files = {path.name for path in at.folder.rglob("*") if path.is_file()}
        assert files <= {"events.db", "events.db-wal", "events.db-shm"}

    return act


def ids_of_other_types() -> Iterator[Case]:
    for one in NO_TEXT:
        calls: dict[str, Callable[[Place], object]] = {
            "id": append(Counted(number=1), stream=("Ledger", one)),
            "type": append(Counted(number=1), stream=(one, "a")),
            "load": lambda at, one=one: at.store.load(Ledger, one),
            "events": lambda at, one=one: at.store.load_events(one),
            "version": lambda at, one=one: at.store.get_aggregate_version(one),
            "tenant": lambda at, one=one: at.store.for_tenant(one),
        }
        for name, act in calls.items():
            yield bad(12, f"{name} {one!r}", act, TypeError)
        yield bad(12, f"aggregate {one!r}", lambda _, one=one: Ledger(id=one), ValidationError)
    for one in ["Ledger", ("Ledger",), ("Ledger", "a", "b"), (), 5, b"ab"]:
        yield bad(12, f"stream {one!r}", append(Counted(number=1), stream=one), TypeError)
    yield good(12, "a str that lies", evil)


class Evil(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "evil"

    def encode(self, *args: object) -> bytes:
        return b"evil"


def evil(at: Place) -> None:
    """The characters count, whatever the methods say; a TypeError would be right as well."""
    at.store.append([Counted(number=1)], stream=("Ledger", Evil("good")))
    assert [event.meta.aggregate_id for event in at.new()] == ["good"]


# --- event ids, wire names, tenants ---------------------------------------------------------------


def normalised(at: Place) -> None:
    text = "0190A5B0-0000-7000-8000-00000000FFFF"
    at.store.append([Counted(number=1, event_id=text)])
    (stored,) = at.store.read(Query(event_ids=[UUID(text)]))
    assert (stored.event_id, str(stored.event_id)) == (UUID(text), text.lower())


BAD_EVENT_IDS = [
    "not-a-uuid", "", UUID(int=0), str(UUID(int=0)), 5, b"x" * 16, "0" * 32,
    "{0190a5b0-0000-7000-8000-00000000ffff}", "urn:uuid:0190a5b0-0000-7000-8000-00000000ffff",
]  # fmt: skip
BAD_NAMES = [
    "", "x" * 10_000, "__class__", "os.system", "builtins.eval", "a\x00", "a\nb", "\ud800",
    "$system", "json.decoder.JSONDecoder", " x",
]  # fmt: skip


def new_class(name: object) -> type[Event]:
    return create_model("Named", __base__=Event, __cls_kwargs__={"name": name}, n=(int, 1))


def new_aggregate(name: object) -> type:
    return type("NamedAggregate", (Aggregate,), {"__module__": __name__}, name=name)


STRANGE_NAMES = """
import sys
from eventuali import Event, sync
from eventuali.errors import UnknownEventTypeError
import pytest
from bad_input_case import plant
names = ["os.system", "builtins.eval", "antigravity", "this", "antigravity.fly", "a.b.c"]
with sync.EventStore.create(sys.argv[1]) as store:
    for name in names:
        plant(store, name, b'{"n":1}')
    list(store.read(raw=True))
    seen = []
    sys.addaudithook(lambda name, args: seen.append(args[0]) if name == "import" else None)
    assert [event.data for event in store.read(raw=True)] == [{"n": 1}] * len(names)
    for after in range(len(names)):
        try:
            list(store.read(after=after, limit=1))
        except UnknownEventTypeError:
            pass
    print(seen)
"""


def imports_nothing(at: Place) -> None:
    assert output_of(STRANGE_NAMES, at.url()) == "[]\n"


BAD_TENANTS = ["../b", "a' OR '1'='1", "*", "x" * 65, "a b", "\ud800", "a\x00", "ä", "a.b", "$x"]


def opened_for(tenant: str) -> Callable[[Place], None]:
    def act(at: Place) -> None:
        with sync.EventStore.create(at.url(), tenant=tenant):
            pass

    return act


def other_tenants(at: Place) -> None:
    with at.fresh() as store:
        blue, red = store.for_tenant("blue"), store.for_tenant("red")
        blue.save(counted("a", 1))
        (event,) = blue.read()
        for other in (red, store, store.for_tenant("Blue"), store.for_tenant("blu")):
            assert list(other.read()) == []
            assert list(other.read(Query(event_ids=[event.event_id]))) == []
            assert other.load(Ledger, "a") is None
            assert other.get_aggregate_version("a") is None
            assert list(other.streams()) == []


def one_line(call: Callable[[Place], object]) -> Callable[[Place], None]:
    """The text of an error, which a program logs, is one line without control characters."""

    def act(at: Place) -> None:
        with pytest.raises((InvalidEventError, TypeError)) as caught:
            call(at)
        assert str(caught.value).isprintable(), repr(str(caught.value))

    return act


def headers_stay_data(at: Place) -> None:
    headers = {"a\r\nX-Admin: 1": "b\r\n2024-01-01 INFO fine", "\x1b[2J": "\x00\x7f"}
    at.store.append([Counted(number=1, headers=headers)])
    (stored,) = at.new()
    assert stored.headers == headers


FORGED = "a\r\n2024-01-01 INFO all is well\x1b[2J"

CASES = [
    *invalid_ids(),
    *(good(row, f"{one[:20]!r}", literal(one)) for row, ids in LITERAL.items() for one in ids),
    *(good(row, f"{a!r} and {b!r}", literal(a, b)) for row, two in PAIRS.items() for a, b in two),
    *ids_of_other_types(),
    *(
        bad(33, f"{one!r:.50}", lambda _, one=one: Counted(number=1, event_id=one),
            InvalidEventError, field="event_id")
        for one in BAD_EVENT_IDS
    ),
    good(33, "upper case", normalised),
    *(
        bad(34, f"event {one!r:.30}", lambda _, one=one: new_class(one), InvalidEventError,
            field="event_type")
        for one in BAD_NAMES
    ),
    *(
        bad(34, f"aggregate {one!r:.30}", lambda _, one=one: new_aggregate(one), InvalidEventError,
            field="aggregate_type")
        for one in BAD_NAMES if "." not in one and one != "__class__"
    ),
    bad(34, "event 5", lambda _: new_class(5), TypeError),
    bad(34, "aggregate 5", lambda _: new_aggregate(5), TypeError),
    good(34, "stored names import nothing", imports_nothing),
    *(
        bad(45, f"{one!r:.30}", lambda at, one=one: at.store.for_tenant(one), InvalidEventError,
            field="tenant")
        for one in BAD_TENANTS
    ),
    *(bad(45, f"open {one!r:.30}", opened_for(one), InvalidEventError) for one in BAD_TENANTS),
    bad(45, "empty, of another tenant",
        lambda at: at.store.for_tenant("blue").for_tenant(""), InvalidEventError),
    good(45, "another tenant's events", other_tenants),
    good(53, "headers", headers_stay_data),
    good(53, "an id in an error", one_line(append(Counted(number=1), stream=("Ledger", FORGED)))),
    good(53, "a type in an error", one_line(append(Counted(number=1), stream=(FORGED, "a")))),
    good(53, "a tag in an error", one_line(lambda _: Counted(number=1, tags=[FORGED]))),
    good(53, "a reference in an error",
         one_line(lambda _: Counted(number=1, correlation_id=FORGED))),
    good(53, "a tenant in an error", one_line(lambda at: at.store.for_tenant(FORGED))),
    good(53, "a stream in an error", one_line(append(Counted(number=1), stream=FORGED))),
    good(53, "a wire name in an error", one_line(lambda _: new_class(FORGED))),
]  # fmt: skip
