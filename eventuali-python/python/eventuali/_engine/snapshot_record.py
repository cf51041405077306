"""A snapshot as it is stored: two lines of JSON, what it stands for and the state, and a checksum.

Nothing of it is trusted: `taken` says what is wrong with one, and the stream has the last word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, time, tzinfo
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, ref

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from eventuali._eventuali import __version__
from eventuali.aggregate import Aggregate, hidden_state
from eventuali.aggregate._copies import IMMUTABLE
from eventuali.aggregate._handlers import forget
from eventuali.codec.json import Codec, Inexact
from eventuali.event import _registry
from eventuali.snapshot._fingerprint import Unclear, examined, handled

A = TypeVar("A", bound=Aggregate)

LAYOUT = 1
BYTES = 8 << 20
"""The most that a record holds."""


class At(NamedTuple):
    """The event after which a state is the state."""

    event_id: UUID
    position: int
    recorded_at: int


class WrongSnapshot(Exception):
    """Says why a snapshot can't be used."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Taken(NamedTuple, Generic[A]):
    """A snapshot that was read: a state, if the stream has the event that it stands on.

    Attributes:
        aggregate: The state.
        at: The event.
        written_at: When it was written, in µs since 1970 by the store's clock.
        place: Its key and the version of its record.
    """

    aggregate: A
    at: At
    written_at: int
    place: tuple[str, int]


class Form:
    """How the snapshots of one class are stored.

    Attributes:
        fingerprint: What its code does, as a digest; empty if that can't be told.
        kind: By which they are found for cleaning.
        refused: Why there can be none.
        cls: The class.
    """

    def __init__(self, cls: type[Aggregate]) -> None:
        hidden, generation = hidden_state(cls), _registry.generation
        self.refused = hidden and f"{hidden} is no field, and a snapshot holds fields only"
        try:
            digest, dispatches = examined(cls)
            self.fingerprint = _digest(f"{__version__} {digest}".encode())
            self._dispatches = [(each, dict(each)) for each in dispatches]
            self._events = list(map(ref, handled(cls)))
        except Exception as error:  # an annotation names what does not exist, say
            why = str(error) if isinstance(error, Unclear) else repr(error)
            self.fingerprint, self.refused = "", f"what its code does can't be told: {why}"
            self._events, self._dispatches = [], []
        self._generation = generation
        self.kind = f"{type_digest(cls.__aggregate_type__)}/{self.fingerprint}"
        self.cls = cls
        self._codec: Codec[Any] = Codec(cls)

    def holds(self) -> bool:
        """Says whether its class still does the same, whatever modules were loaded."""
        if any(now != then for now, then in self._dispatches):
            return False
        if self._generation is not (generation := _registry.generation):
            if not self.fingerprint or list(map(ref, handled(self.cls))) != self._events:
                return False
            self._generation = generation
        return True

    def series(self, aggregate_id: str) -> str:
        """Returns under what the snapshots of a stream are found."""
        return _digest(f"{self.kind}/{aggregate_id}".encode())

    def written(self, aggregate: Aggregate, at: At, written_at: int) -> bytes:
        """Returns what is stored; of two states, the bytes of the later one are the greater ones.

        Raises:
            Inexact: The state would not come back as it is.
        """
        state = _state(aggregate)
        body = self._codec.encode(state)
        given = _check_same(state, self._codec.decode(body))
        head = {
            "layout": LAYOUT,
            "version": f"{aggregate.version:020}",
            "written_at": written_at,
            "stream": [aggregate.__aggregate_type__, aggregate.id],
            "fingerprint": self.fingerprint,
            "event_id": str(at.event_id),
            "position": at.position,
            "recorded_at": at.recorded_at,
            "set": sorted(aggregate.__pydantic_fields_set__),
        }
        if given is not None:
            head["given"] = given
        lines = to_json(head) + b"\n" + body
        if len(lines) + 33 > BYTES:
            raise Inexact("", f"it has {len(lines):,} bytes, and a record holds {BYTES:,}")
        return lines + b"\n" + _digest(lines).encode()

    def taken(self, aggregate_id: str, at_most: int, found: tuple[str, int, bytes]) -> Taken[Any]:
        """Returns the state of what is stored: (key, version of its record, bytes).

        Raises:
            WrongSnapshot: It is damaged, or of something else.
        """
        lines, _, checksum = found[2].rpartition(b"\n")
        if not _is_whole(lines, checksum):
            raise WrongSnapshot("damaged", "its checksum does not fit")
        first, _, body = lines.partition(b"\n")
        try:
            head = from_json(first)
            version = int(head["version"])
            stands_for = head["layout"], *head["stream"], head["fingerprint"]
            at = At(UUID(head["event_id"]), int(head["position"]), int(head["recorded_at"]))
            written_at, own = int(head["written_at"]), set(map(str, head["set"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WrongSnapshot("damaged", f"it can't be read: {error!r:.200}") from error
        wanted = LAYOUT, self.cls.__aggregate_type__, aggregate_id, self.fingerprint
        if stands_for != wanted or not 0 < version <= at_most:
            raise WrongSnapshot("mismatched", f"it is of {stands_for!r:.300} at {version}")
        try:
            aggregate = self._codec.decode(body)
            if (given := head.get("given")) is not None:
                _give(aggregate, given)
        except Exception as error:
            raise WrongSnapshot("damaged", f"its state can't be read: {error!r:.200}") from error
        if aggregate.id != aggregate_id or aggregate.version != version:
            raise WrongSnapshot("mismatched", f"its state is of {aggregate.version}")
        object.__setattr__(aggregate, "__pydantic_fields_set__", own)
        return Taken(aggregate, at, written_at, (found[0], found[1]))


def form_of(cls: type[Aggregate]) -> Form:
    """Returns how the snapshots of a class are stored; worked out for each set of events once."""
    form = _forms.get(cls)
    if form is None or not form.holds():
        form = _forms[cls] = Form(cls)
    return form


_forms: WeakKeyDictionary[type[Aggregate], Form] = WeakKeyDictionary()


def type_digest(aggregate_type: str) -> str:
    """Returns what the kinds of all snapshots of a type begin with."""
    return _digest(aggregate_type.encode())


def _is_whole(lines: bytes, checksum: bytes) -> bool:
    return _digest(lines).encode() == checksum


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _state(aggregate: Aggregate) -> Aggregate:
    """Returns an aggregate with the same fields, and no cached values."""
    cls = type(aggregate)
    state = cls.__new__(cls)
    own = aggregate.__dict__.copy()
    forget(own, cls.__dispatch__.cached)
    object.__setattr__(state, "__dict__", own)
    object.__setattr__(state, "__pydantic_fields_set__", aggregate.__pydantic_fields_set__.copy())
    object.__setattr__(state, "__pydantic_extra__", None)
    object.__setattr__(state, "__pydantic_private__", None)
    return state


class _Twins:
    """What was met in a state and its twin, which is the state as it would come back.

    Attributes:
        seen: The ids of the mutable values.
        models: The models within, in order, each with its twin.
    """

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.models: list[tuple[BaseModel, BaseModel]] = []

    def given(self) -> Given | None:
        """Returns which fields of the models within were set; None if that comes back anyway."""
        if all(
            one.__pydantic_fields_set__ == twin.__pydantic_fields_set__ for one, twin in self.models
        ):
            return None
        numbers: dict[frozenset[str], int] = {}
        of = [
            numbers.setdefault(frozenset(one.__pydantic_fields_set__), len(numbers))
            for one, _ in self.models
        ]
        return {"sets": [sorted(each) for each in numbers], "of": of}


class Given(TypedDict):
    """Which fields of the models within a state were set; of many models, few sets differ."""

    sets: list[list[str]]
    of: list[int]


def _check_same(state: Aggregate, twin: Aggregate) -> Given | None:
    """Checks that a state came back in the same types, and shares no mutable value with itself.

    That the values are equal is for the codec to see to, which is kinder to events.

    Returns:
        Which fields of the models within were set, if that would not come back.

    Raises:
        Inexact: It did not.
    """
    twins = _Twins()
    for name in sorted(state.__dict__):
        _check(name, state.__dict__[name], twin.__dict__.get(name), twins)
    return twins.given()


def _give(state: Aggregate, given: Given) -> None:
    """Says of the models within a state which of their fields were set.

    Raises:
        ValueError: It is of another state.
    """
    sets = [set(map(str, each)) for each in given["sets"]]
    models = [each for name in sorted(state.__dict__) for each in _models(state.__dict__[name])]
    for model, number in zip(models, given["of"], strict=True):
        object.__setattr__(model, "__pydantic_fields_set__", sets[number].copy())


def _models(value: Any) -> Iterator[BaseModel]:
    """Yields the models within a value, in the order in which `_check` meets them."""
    if type(value) in IMMUTABLE:
        return
    if isinstance(value, dict):
        for parts in (value, value.values()):
            for one in parts:
                yield from _models(one)
    elif isinstance(value, list | tuple | deque):
        for one in value:
            yield from _models(one)
    elif isinstance(value, BaseModel) or is_dataclass(value):
        if isinstance(value, BaseModel):
            yield value
        for inner in _fields_of(value).values():
            yield from _models(inner)


def _check(path: str, value: Any, twin: Any, twins: _Twins) -> None:
    kind = type(value)
    if kind is not type(twin):
        text = f"{kind.__name__} would come back as {type(twin).__name__}"
        raise Inexact(path, text)
    if kind in _ZONED and value.tzinfo is not None:
        _check_zone(path, value.tzinfo, twin.tzinfo)
    if kind in IMMUTABLE:
        return
    if _is_mutable(value):
        if id(value) in twins.seen:
            raise Inexact(path, "the state holds it twice, and would get it back as two")
        twins.seen.add(id(value))
    if isinstance(value, dict):
        _check_items(path, value, twin, twins)
        _check_items(path, value.values(), twin.values(), twins)
    elif isinstance(value, set | frozenset):
        _check_set(path, value, twin)
    elif isinstance(value, list | tuple | deque):
        _check_items(path, value, twin, twins)
    elif isinstance(value, BaseModel) or is_dataclass(value):
        if isinstance(value, BaseModel):
            twins.models.append((value, twin))
        others = _fields_of(twin)
        for name, inner in _fields_of(value).items():
            _check(f"{path}.{name}", inner, others.get(name), twins)


def _check_set(path: str, value: Iterable[Any], twin: Iterable[Any]) -> None:
    """Checks the members of a set, of which nobody can tell whose twin is whose."""
    kinds = sorted(each.__qualname__ for each in map(type, value))
    if kinds != sorted(each.__qualname__ for each in map(type, twin)):
        raise Inexact(path, "its members would come back as others")
    for one in value:
        if type(one) in _ZONED and one.tzinfo is not None:
            _check_zone(path, one.tzinfo, None)
    if sorted(map(_sets_within, value)) != sorted(map(_sets_within, twin)):
        raise Inexact(path, "which fields of its members were set would not come back")


def _sets_within(value: Any) -> str:
    """Describes which fields of the models in a value were set, whatever the order of its sets."""
    if type(value) in IMMUTABLE:
        return ""
    if isinstance(value, dict):
        return f"{[*map(_sets_within, value), *map(_sets_within, value.values())]}"
    if isinstance(value, set | frozenset):
        return f"{sorted(map(_sets_within, value))}"
    if isinstance(value, list | tuple | deque):
        return f"{list(map(_sets_within, value))}"
    if isinstance(value, BaseModel) or is_dataclass(value):
        own = sorted(value.__pydantic_fields_set__) if isinstance(value, BaseModel) else ()
        return f"{own}{list(map(_sets_within, _fields_of(value).values()))}"
    return ""


_ZONED = (datetime, time)
_SIMPLE = frozenset(IMMUTABLE).difference(_ZONED)


def _check_zone(path: str, zone: tzinfo, twin: tzinfo | None) -> None:
    """Checks that a time zone is one of a fixed offset, or came back."""
    if zone.utcoffset(None) is None and zone != twin:
        raise Inexact(path, f"the time zone {zone} would come back as {twin}")


def _is_mutable(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return not value.model_config.get("frozen")
    params = getattr(value, "__dataclass_params__", None)
    if params is not None:
        return not params.frozen
    return isinstance(value, list | dict | set | deque | bytearray)


def _fields_of(value: Any) -> dict[str, Any]:
    """Returns the fields of a model or dataclass, without cached values."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).__pydantic_fields__}
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _check_items(path: str, values: Iterable[Any], others: Iterable[Any], twins: _Twins) -> None:
    kinds = list(map(type, values))
    if kinds == list(map(type, others)) and _SIMPLE.issuperset(kinds):
        return
    for index, (value, twin) in enumerate(zip(values, others, strict=True)):
        _check(f"{path}[{index}]", value, twin, twins)
