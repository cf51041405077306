"""Events: fields, metadata beside them, names, copies, and what type checkers see."""

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Generic, TypeVar
from unicodedata import category
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, ValidationError, computed_field, model_validator

from eventuali import event as module
from eventuali.errors import InvalidEventError, SerializationError
from eventuali.event import (
    DomainEvent,
    Event,
    EventMeta,
    SystemEvent,
    UnknownEvent,
    UserDeactivated,
    UserRegistered,
    registered,
)
from eventuali.event._envelope import Envelope, IdRange
from eventuali.event._slot import content, set_content

T = TypeVar("T")
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)


class Paid(Event, name="invoice.paid", version=3):
    invoice: str
    cents: int = 0


def paid(**more):
    return Paid(invoice="i-1", **more)


class Row:
    """What the extension hands over for a stored event."""

    def meta(self):
        return EventMeta(ID, "Paid", 1, NOON, "i-1", "Invoice", 4, position=9, recorded_at=NOON)


# --- fields ---------------------------------------------------------------------------------------


def test_fields_are_validated_and_immutable():
    event = paid(cents="12")
    assert event.cents == 12
    with pytest.raises(ValidationError):
        event.cents = 13


@pytest.mark.parametrize("wrong", [{"invoice": "i", "cent": 1}, {}, {"invoice": "i", "meta": 1}])
def test_misspelt_unknown_and_missing_fields_are_refused(wrong):
    with pytest.raises(ValidationError):
        Paid(**wrong)


def test_repr_and_equality_are_about_fields_only():
    one, other = paid(), paid(correlation_id="c")
    assert repr(one) == "Paid(invoice='i-1', cents=0)"
    assert one == other
    assert one.event_id != other.event_id
    assert hash(one) == hash(other)


def test_validation_of_json_bypasses_init_and_keeps_extras_when_asked():
    assert Paid.__pydantic_custom_init__ is False
    event = Paid.__pydantic_validator__.validate_json(b'{"invoice":"i","new":1}', extra="allow")
    assert event.invoice == "i"
    assert event.model_extra == {"new": 1}
    assert event.meta.event_type == "invoice.paid"


def test_bytes_are_base64_and_nan_is_not_null():
    class Blob(Event):
        data: bytes
        x: float

    text = Blob(data=b"\xff", x=float("nan")).model_dump_json()
    assert text == '{"data":"_w==","x":NaN}'
    assert Blob.model_validate_json(text).data == b"\xff"


def test_mixins_generics_and_validators_work():
    class Mixin(BaseModel):
        note: str = ""

    class Both(Mixin, Event):
        n: int

        @model_validator(mode="before")
        @classmethod
        def no_metadata_here(cls, data):
            assert "user_id" not in data
            return data

    event = Both(n=1, user_id="u")
    assert (event.n, event.note, event.user_id) == (1, "", "u")

    class Changed(Event, Generic[T], name="changed", version=2):
        value: T

    meta = Changed[int](value="3", user_id="u").meta
    assert (meta.event_type, meta.event_version, meta.user_id) == ("changed[int]", 2, "u")
    assert Changed[int](value=3).event_type != Changed[str](value="3").event_type


def test_a_users_own_init_works():
    class Own(Event):
        n: int

        def __init__(self, n, **more):
            super().__init__(n=n, **more)

    assert Own(1, user_id="u").user_id == "u"


# --- metadata -------------------------------------------------------------------------------------


def test_time_is_taken_at_creation_and_the_id_follows_it():
    before = datetime.now(UTC)
    event = paid()
    after = datetime.now(UTC)
    first = event.meta
    assert before - timedelta(microseconds=1) <= first.timestamp <= after
    assert first.timestamp.tzinfo is UTC
    assert event.meta == first
    assert first.event_id.version == 7
    assert first.event_id.variant == "specified in RFC 4122"
    assert first.event_id.int >> 80 == int(first.timestamp.timestamp() * 1000)
    assert first.position is first.recorded_at is first.aggregate_id is None


def test_everything_given_is_given_back():
    event = paid(
        event_id=ID,
        timestamp=NOON,
        correlation_id=ID,
        causation_id="cmd-1",
        user_id="ada",
        headers={"k": "v"},
        tags=["a", "b"],
    )
    meta = event.meta
    assert meta.event_id == event.event_id == ID
    assert meta.timestamp == NOON
    assert meta.correlation_id is ID
    assert meta.causation_id == "cmd-1"
    assert meta.user_id == "ada"
    assert meta.headers == {"k": "v"}
    assert meta.tags == ("a", "b")


def test_other_time_zones_become_utc():
    given = datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2, seconds=7)))
    meta = paid(timestamp=given).meta
    assert meta.timestamp == given
    assert meta.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", [str(ID), str(ID).upper()])
def test_an_event_id_may_be_text(text):
    assert paid(event_id=text).event_id == ID


def test_none_means_not_given_where_none_is_a_value():
    meta = paid(correlation_id=None, causation_id=None, user_id=None, headers=None, tags=None).meta
    assert (meta.correlation_id, meta.user_id, dict(meta.headers), meta.tags) == (
        None,
        None,
        {},
        (),
    )


BAD = [
    *[
        ("event_id", v)
        for v in ("x", "", UUID(int=0), str(UUID(int=0)), 1, None, b"x" * 16, ID.hex)
    ],
    *[("event_id", v) for v in (f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n")],
    *[("timestamp", v) for v in (datetime(2024, 1, 1), date(2024, 1, 1), "2024-01-01", 0, None)],
    ("timestamp", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))),
    *[("correlation_id", v) for v in ("", "x" * 256, 1, "\ud800", b"x", "a\0")],
    *[("causation_id", v) for v in ("", "x" * 256, "\udfff")],
    *[("user_id", v) for v in (1, "\ud800", b"x")],
    *[
        ("headers", v)
        for v in ({"k": 1}, {1: "v"}, {"\ud800": "v"}, {"k": "\ud800"}, [("k", "v")], "x")
    ],
    *[("tags", v) for v in ("abc", 1, [1], [""], ["\ud800"], ["$x"])],
    *[(f, "x") for f in ("aggregate_id", "aggregate_type", "event_type", "recorded_at")],
    *[(f, 1) for f in ("aggregate_version", "event_version", "position")],
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_metadata_is_refused_by_name(field, value):
    with pytest.raises(InvalidEventError) as caught:
        paid(**{field: value})
    assert caught.value.field == field


def test_headers_cannot_be_changed_and_are_a_copy():
    given = {"k": "v"}
    headers = paid(headers=given).headers
    given["k"] = "w"
    assert headers == {"k": "v"}
    for change in (
        lambda: headers.update(a="b"),
        lambda: headers.__setitem__("a", "b"),
        lambda: headers.pop("k"),
        lambda: headers.clear(),
        lambda: headers.__ior__({"a": "b"}),
    ):
        with pytest.raises(TypeError):
            change()
    assert pickle.loads(pickle.dumps(headers)) == copy.deepcopy(headers) == {"k": "v"}
    assert hash(paid(headers=given).meta)


def test_a_declared_field_wins_over_metadata():
    class Hired(Event):
        user_id: int
        position: str
        event_id: str = "own"

    event = Hired(user_id=7, position="engineer", correlation_id="c")
    assert (event.user_id, event.position, event.event_id) == (7, "engineer", "own")
    assert event.correlation_id == "c"
    assert event.meta.user_id is None
    assert event.meta.position is None
    assert event.meta.event_id.version == 7


def test_an_alias_wins_over_metadata():
    class Aliased(Event):
        who: str = Field(alias="user_id")

    event = Aliased(user_id="u")
    assert event.who == "u"
    assert event.user_id is None


@pytest.mark.parametrize("body", ["meta: int", "meta: int = 3", "meta = property(lambda self: 1)"])
def test_meta_is_reserved(body):
    with pytest.raises(TypeError, match="'meta' is reserved"):
        exec(f"class Bad(Event):\n    {body}", {"Event": Event})


def test_unknown_attributes_are_attribute_errors():
    with pytest.raises(AttributeError):
        _ = paid().event_idd


# --- the slot, which the store knows --------------------------------------------------------------


def test_a_new_event_keeps_a_time_only():
    assert type(content(paid())) is int
    assert type(content(paid(user_id="u"))) is Envelope


def test_the_ids_of_a_range_count_up_and_positions_appear_once_stored():
    ids, event, given = IdRange(ID.int), paid(), paid(user_id="u")
    set_content(event, (1_000_000_123, "Invoice", "i-1", 4, ids, 2))
    content(given).bind("Invoice", "i-1", 5, ids, 3)
    assert event.event_id == UUID(int=ID.int + 2)
    assert given.event_id == UUID(int=ID.int + 3)
    assert event.meta.position is None
    ids.note(0, [7, 8, 9, 10], 1_500_000)
    for one, index in ((event, 2), (given, 3)):
        meta = one.meta
        assert meta.position == 7 + index
        assert meta.recorded_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
        assert (meta.aggregate_type, meta.aggregate_id) == ("Invoice", "i-1")
        assert meta.aggregate_version == 2 + index
    assert event.timestamp == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert isinstance(content(event), tuple)


def test_reading_the_id_before_a_save_fixes_it():
    event = paid()
    set_content(event, (1, "Invoice", "i-1", 4, IdRange(), 0))
    fixed = event.event_id
    envelope = content(event)
    assert type(envelope) is Envelope
    envelope.bind("Invoice", "i-1", 4, IdRange(99), 0)
    assert event.event_id == fixed
    assert event.aggregate_version == 4


def test_a_given_id_survives_a_range():
    event = paid(event_id=ID)
    content(event).bind("Invoice", "i-1", 1, IdRange(99), 0)
    assert event.event_id == ID


def test_a_stored_row_answers_for_itself():
    event = Paid.model_validate_json('{"invoice":"i"}')
    set_content(event, Row())
    assert event.meta == Row().meta()
    assert event.position == 9


# --- copies ---------------------------------------------------------------------------------------


def stored():
    event = paid()
    set_content(event, Row())
    return event


def in_range():
    event, ids = paid(), IdRange(ID.int)
    ids.note(0, [5], 6)
    set_content(event, (10**9, "Invoice", "i-1", 4, ids, 0))
    return event


MAKERS = [paid, lambda: paid(user_id="u", headers={"a": "b"}), stored, in_range]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_copies_and_pickles_keep_the_metadata(make, travel):
    event = make()
    arrived = travel(event)
    assert arrived == event
    assert arrived.meta == event.meta


def test_a_copy_shares_no_envelope():
    event = paid(user_id="u")
    copied = copy.copy(event)
    content(event).bind("Invoice", "i-1", 1, None, 0)
    assert copied.aggregate_id is None


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("deep", [False, True])
def test_model_copy_is_a_new_event_in_the_same_context(make, deep):
    event = make()
    new = event.model_copy(update={"cents": 5}, deep=deep)
    assert (new.cents, new.invoice) == (5, "i-1")
    assert new.event_id != event.event_id
    assert new.timestamp > NOON
    assert new.aggregate_id is new.position is None
    assert (new.user_id, new.headers) == (event.user_id, event.headers)


def test_model_copy_takes_metadata_and_refuses_the_unknown():
    new = paid(user_id="u").model_copy(update={"correlation_id": "c", "event_id": ID})
    assert (new.user_id, new.correlation_id, new.event_id) == ("u", "c", ID)
    assert "correlation_id" not in vars(new)
    for wrong in ({"cent": 1}, {"position": 1}):
        with pytest.raises(InvalidEventError):
            paid().model_copy(update=wrong)


# --- names and the registry -----------------------------------------------------------------------


def test_wire_names_and_versions_are_not_inherited():
    class Later(Paid):
        pass

    assert (Paid.__event_type__, Paid.__event_version__) == ("invoice.paid", 3)
    assert (Later.__event_type__, Later.__event_version__) == ("Later", 1)
    assert (paid().event_type, paid().event_version) == ("invoice.paid", 3)


@pytest.mark.parametrize(
    "name",
    [
        *("", " a", "a ", "$a", "a\0", "a\n", "a\x85", "\x1b[0m", "a\u202e", "a\u200bb", "\ufeff"),
        *("x" * 256, "é" * 128, "\ud800", "__class__", "x" * 10_000),
        *("os.system", "builtins.eval", "os.path.join", "eventuali.event.Event"),
        f"{__name__}.Paid",
    ],
)
def test_bad_names_are_refused(name):
    with pytest.raises(InvalidEventError) as caught:
        type(Event)("Bad", (Event,), {"__module__": __name__, "__qualname__": "Bad"}, name=name)
    assert caught.value.field == "event_type"


@pytest.mark.parametrize(
    "name",
    [
        "order.placed",
        "Confirmation of receipt",
        "T02 a/b",
        "Ä",
        "🙂",
        "a.*",
        "x" * 255,
        "..",
        "os.",
    ],
)
def test_other_names_are_taken(name):
    class Fine(Event, name=name):
        pass

    assert Fine().event_type == name
    assert registered(name) == [Fine]


def test_what_nobody_sees_is_in_no_name():
    """Whatever Unicode calls a format character, and fillers, but for joiners."""
    hidden = [chr(c) for c in range(0x110000) if category(chr(c)) == "Cf"]
    fillers = "\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\ufff0\U000e0080\U000e01f0"
    for character in {*hidden, *fillers} - {"\u200c", "\u200d"}:
        with pytest.raises(InvalidEventError, match="control or invisible"):
            paid(tags=[f"a{character}b"])
    seen = (
        "a\u200cb",
        "a\u200db",
        "\u2764\ufe0f",
        "\u845b\U000e0100",
        "\u3000a\u3000"[1:2],
        "a\xa0b",
    )
    assert paid(tags=seen).tags == seen


def test_looking_at_a_name_imports_nothing(monkeypatch):
    lazy = type(sys)("lazy_module_of_test")
    lazy.__getattr__ = lambda name: pytest.fail("computed")
    monkeypatch.setitem(sys.modules, lazy.__name__, lazy)
    loaded = set(sys.modules)

    class Safe(Event, name="lazy_module_of_test.thing"):
        pass

    class Absent(Event, name="wave.open"):
        pass

    assert set(sys.modules) == loaded


@pytest.mark.parametrize("version", [0, -1, 2**32, True, 1.0, "1"])
def test_bad_versions_are_refused(version):
    with pytest.raises(InvalidEventError) as caught:

        class Bad(Event, version=version):
            pass

    assert caught.value.field == "event_version"


def test_classes_register_themselves_and_the_same_path_replaces():
    def define():
        class Registered(Event, name="test.registered"):
            pass

        return Registered

    first = define()
    assert registered("test.registered") == [first]
    second = define()
    assert registered("test.registered") == [second]

    class Rival(Event, name="test.registered"):
        pass

    assert registered("test.registered") == [second, Rival]
    assert registered("test.nobody") == []


def test_classes_that_nobody_uses_are_forgotten():
    def define():
        class Mortal(Event, name="test.mortal"):
            pass

    define()
    gc.collect()
    assert registered("test.mortal") == []


def test_bases_are_not_registered():
    assert not any(registered(c.__name__) for c in (Event, DomainEvent, SystemEvent, UnknownEvent))
    assert registered("UserRegistered") == [UserRegistered]
    assert isinstance(UserDeactivated(), DomainEvent)


# --- dicts and JSON -------------------------------------------------------------------------------


class Shipment(Event, name="test.shipped"):
    box: bytes = b"\xff\x00"
    weight: float = 0.1
    cost: Decimal = Field(Decimal("1.50"), alias="price")
    secret: str = Field("s", exclude=True)
    user_id: int = 7
    more: tuple[date, ...] = (date(2024, 2, 29),)

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.cost} EUR"


GIVEN = {
    "event_id": ID,
    "timestamp": NOON,
    "correlation_id": ID,
    "causation_id": "c",
    "headers": {"h": "v"},
    "tags": ["t", "u"],
}


@pytest.mark.parametrize(
    "event", [Shipment(), Shipment(price="2.0", **GIVEN), paid(), paid(user_id="u", **GIVEN)]
)
def test_dicts_and_json_give_the_event_back(event):
    cls = type(event)
    data = event.to_dict()
    for again in (cls.from_dict(data), cls.from_json(event.to_json())):
        assert again == event
        assert again.meta == event.meta
    assert cls.from_json(event.to_json().encode()).to_dict() == data
    assert "label" not in data
    assert cls.get_event_type() == event.event_type


def test_what_is_no_event_is_refused_by_from_dict_and_from_json():
    with pytest.raises(ValidationError, match="invioce"):
        Paid.from_dict({"invioce": "i-1"})
    for text, field in (
        ("[]", "event"),
        ('{"invoice": "i", "timestamp": "noon"}', "timestamp"),
        ('{"invoice": "i", "event_id": 5}', "event_id"),
        ('{"invoice": "i", "position": 5}', "position"),
    ):
        with pytest.raises(InvalidEventError) as caught:
            Paid.from_json(text)
        assert caught.value.field == field
    with pytest.raises(ValidationError):
        Paid.from_json('{"cents": 1}')


# --- unknown events -------------------------------------------------------------------------------


def test_an_unknown_event_shows_what_is_stored():
    event = UnknownEvent.from_stored(Row(), b'{"a": [1]}')
    assert event.payload == b'{"a": [1]}'
    assert event.data == {"a": [1]}
    assert (event.event_type, event.position) == ("Paid", 9)
    assert event != UnknownEvent.from_stored(Row(), b"{}")
    for copied in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert copied == event
        assert copied.meta == event.meta
    with pytest.raises(SerializationError, match=r"this Paid .* EOF") as caught:
        _ = UnknownEvent.from_stored(Row(), b"{").data
    assert caught.value.event_type == "Paid"


# --- the module -----------------------------------------------------------------------------------


def test_importing_needs_no_loop_and_no_extension():
    code = f"""
import sys, types
package = types.ModuleType("eventuali")  # without its __init__, which imports the store
package.__path__ = [{module.__file__.removesuffix("event/__init__.py")!r}]
sys.modules["eventuali"] = package
import eventuali.aggregate
print(*{{"asyncio", "eventuali._eventuali"}} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


SNIPPET = """
from typing import Any, assert_type
from uuid import UUID
from datetime import datetime, UTC
from eventuali.event import Event
from eventuali.aggregate import Aggregate

class UserCreated(Event):
    user_id: str
    email: str

class Hired(Event, name="hired", version=2):
    user_id: int
    position: str

    @property
    def tags(self) -> list[str]:
        return [self.position]

class Account(Aggregate, name="account"):
    owner: str = ""

    def apply_user_created(self, event: UserCreated) -> None:
        self.owner = event.email

event = UserCreated(user_id="u", email="e", correlation_id="c", timestamp=datetime.now(UTC))
Hired(user_id=1, position="p", tags=["t"], event_id=UUID(int=1), headers={"a": "b"})
assert_type(event.user_id, str)
assert_type(event.event_id, UUID)
assert_type(event.meta.position, int | Any)
assert_type(event.aggregate_id, str | Any)
account = Account(id="a")
account.apply(event)
assert_type(Account.from_events([event]), Account)
UserCreated(user_id="u", emial="e")  # wrong
UserCreated(user_id="u", email="e", corelation_id="c")  # wrong
UserCreated(user_id="u", email="e", aggregate_id="c")  # wrong
UserCreated(user_id=1, email="e")  # wrong
UserCreated(email="e")  # wrong
Account(ownre="x")  # wrong
account.ownre = "x"  # wrong
event.position = 3  # wrong
"""


@pytest.mark.parametrize(
    "plugins", ["", "plugins = pydantic.mypy\n[pydantic-mypy]\ninit_typed = True"]
)
def test_mypy_knows_the_keywords(plugins, tmp_path):
    api = pytest.importorskip("mypy.api")
    source = tmp_path / "snippet.py"
    source.write_text(textwrap.dedent(SNIPPET))
    config = tmp_path / "mypy.ini"
    root = module.__file__.removesuffix("/eventuali/event.py")
    config.write_text(
        f"[mypy]\nstrict = True\nmypy_path = {root}\n"
        "namespace_packages = True\nexplicit_package_bases = True\nfollow_imports = silent\n"
        + plugins
    )
    cache = str(tmp_path / "cache")
    out, err, _ = api.run([str(source), "--config-file", str(config), "--cache-dir", cache])
    wrong = {n for n, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# wrong")}
    found = {int(line.split(":")[1]) for line in out.splitlines() if ": error:" in line}
    assert found == wrong, out + err
