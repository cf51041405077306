"""From stored rows to events, and from events to what is stored."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    TypeAlias,
    TypeVar,
)
from uuid import UUID

from eventuali._eventuali import Kind, Row
from eventuali.aggregate._handlers import returned_value
from eventuali.codec.json import Codec, Inexact
from eventuali.codec.json._path import stored_place
from eventuali.errors import InvalidEventError, SerializationError, UnknownEventTypeError
from eventuali.event import Event, UnknownEvent, _registry, set_envelope
from eventuali.event._envelope import EventMeta, Headers, utc

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

P = ParamSpec("P")
R = TypeVar("R")
Decode: TypeAlias = Callable[[bytes], Event]
TypeKey: TypeAlias = str | tuple[str, str]
"""The type of a stored event; with its codec, where that is not JSON."""
Columns: TypeAlias = tuple[list[TypeKey], list[bytes], list[Row]]


class Wire(NamedTuple):
    """How the events of a class are stored."""

    kind: Kind
    codec: Codec[Any]


def wire(cls: type[Event]) -> Wire:
    """Returns how events of `cls` are stored; worked out once a class."""
    found: Wire | None = cls.__codec__
    if found is None:
        codec = Codec(cls)
        kind = Kind(cls.__event_type__, cls.__event_version__, "json")
        found = cls.__codec__ = Wire(kind, codec)
    return found


def encoded(how: Wire, events: Iterable[Event]) -> list[bytes]:
    """Returns the payloads of events of one class, exact.

    Raises:
        SerializationError: A value would not come back as it is; `path` says which.
    """
    try:
        return how.codec.encode_all(events)
    except Inexact as refused:
        name: str = how.codec.cls.__event_type__
        where = f"{name}.{refused.path}" if refused.path else name
        text = f"{where} can't be stored exactly: {refused.reason}"
        raise SerializationError(text, path=refused.path, event_type=name) from refused.__cause__


def as_stored(event: UnknownEvent) -> tuple[Kind, list[Event], list[bytes]]:
    """Returns an event that no class claimed when it was read, with the kind and payload it had."""
    meta = event.meta
    return Kind(meta.event_type, meta.event_version, "json"), [event], [event.payload]


def readable(key: TypeKey, row: Row) -> str:
    """Returns the name of an event type.

    Raises:
        SerializationError: The event is stored by a codec that this release does not know.
    """
    if isinstance(key, str):
        return key
    name, codec = key
    text = (
        f"the {name} at position {row.position} is stored by the codec {codec!r}, which this "
        "release can't read; a newer one wrote it"
    )
    raise SerializationError(text, event_type=name)


def decode(codec: Codec[Any], payload: bytes, row: Row) -> Event:
    """Returns the event of a payload, after the fast way to do so has failed.

    Raises:
        SerializationError: The payload does not fit the class; `path` says where.
    """
    try:
        event: Event = codec.decode(payload)
    except Exception as error:
        name, path = row.event_type, stored_place(error)
        where = f"{name}.{path}" if path else name
        text = (
            f"the {where} at position {row.position} does not fit its class; read with raw=True "
            f"to get it as it is stored: {error or repr(error)}"
        )
        raise SerializationError(text, path=path or None, event_type=name) from error
    return event


def meta_from_row(
    stored: tuple[int, UUID, tuple[str, str, int], tuple[str, int], int, int],
    given: tuple[UUID | str | None, UUID | str | None, str | None, list[Any], list[str]],
) -> EventMeta:
    """Makes the metadata of a stored event; the extension calls this.

    Raises:
        SerializationError: A time is none that Python has.
    """
    position, event_id, (aggregate_type, aggregate_id, version), kind, happened, recorded = stored
    correlation_id, causation_id, user_id, headers, tags = given
    try:
        timestamp, recorded_at = utc(happened), utc(recorded)
    except OverflowError as error:
        text = f"the {kind[0]} at position {position} has a time that no datetime can have"
        raise SerializationError(text, event_type=kind[0]) from error
    return EventMeta(
        event_id=event_id,
        event_type=kind[0],
        event_version=kind[1],
        timestamp=timestamp,
        aggregate_id=aggregate_id or None,
        aggregate_type=aggregate_type or None,
        aggregate_version=version or None,
        correlation_id=correlation_id,
        causation_id=causation_id,
        user_id=user_id,
        headers=Headers(headers),
        tags=tuple(tags),
        position=position,
        recorded_at=recorded_at,
    )


class EventClasses:
    """Which class a stored event type stands for, where no aggregate is loaded.

    In this order: the one that `register_event_class` says; the one that this store has saved under
    the name; the one that aggregates of the stream's type take; the only one that claims the name.
    """

    def __init__(self, named: dict[str, type[Event]] | None = None) -> None:
        self._named = ChainMap({} if named is None else named, _registry.named)
        # By type of the stream; by "" for events of no stream, and of streams that no aggregate
        # that is known here has events of this name in.
        self._saved: dict[tuple[str, str], type[Event]] = {}
        self._noted: set[tuple[str, type[Event]]] = set()

    def register(self, name: str, cls: type[Event]) -> None:
        """Decides what `name` stands for."""
        if not (isinstance(cls, type) and issubclass(cls, Event)):
            raise TypeError(f"{cls!r:.60} is not a class of events")
        if not isinstance(name, str) or not name:
            raise InvalidEventError("an event type is a name", field="event_type")
        self._named[name] = cls

    def unregister(self, name: str) -> None:
        """Takes back what `register` said of a name, if anything."""
        self._named.maps[0].pop(name, None)

    def named(self) -> dict[str, type[Event]]:
        """Returns what `register` said, for this store and for all."""
        return dict(self._named)

    def saves(self, aggregate_type: str, events: Iterable[Event], *, applied: bool) -> None:
        """Notes the classes of events that are about to be saved in a stream of a type.

        Args:
            aggregate_type: The type of the stream; empty for events of no stream.
            events: The events.
            applied: Whether an aggregate of that type has taken them.

        Raises:
            InvalidEventError: Another class has the wire name: who reads could not tell the two.
        """
        for cls in set(map(type, events)):
            if (aggregate_type, cls) not in self._noted:
                self._note(aggregate_type, cls, applied=applied)

    def _note(self, aggregate_type: str, cls: type[Event], *, applied: bool) -> None:
        name = cls.__event_type__
        if name in self._named or issubclass(cls, UnknownEvent):
            return
        taken = _taken(aggregate_type, name)
        keys = [(aggregate_type, name)]
        rivals: list[type[Event]] = []
        # A local class ends with its function: it is nobody's rival but where both are saved.
        rival = not applied and not _registry.is_local(cls)
        if not (applied or taken):
            keys.append(("", name))
            rivals = _registry.living(name) if rival else []
        elif rival and not any(_registry.same(cls, other) for other in taken):
            rivals = taken
        others = [other for other in rivals if not _registry.is_local(other)]
        others += (self._saved[key] for key in keys if key in self._saved)
        for other in others:
            if not _registry.same(cls, other):
                text = _TWO_CLAIM.format(*map(_registry.shown, (other, cls)), name)
                raise InvalidEventError(text, field="event_type")
        self._saved.update(dict.fromkeys(keys, cls))
        self._noted.add((aggregate_type, cls))

    def find(self, name: str) -> type[Event] | None:
        """Returns the class of a name, whatever the stream; None where that needs a closer look."""
        if name in self._named:
            return self._named[name]
        claims = _registry.registered(name)
        if len(claims) != 1 or _registry.is_local(claims[0]):
            return None
        saved = (cls for (_, saved), cls in self._saved.items() if saved == name)
        return claims[0] if all(_registry.same(claims[0], cls) for cls in saved) else None

    def of(self, name: str, aggregate_type: str) -> list[type[Event]]:
        """Returns the classes that a name may stand for in a stream of a type."""
        if named := self._named.get(name):
            return [named]
        if saved := self._saved.get((aggregate_type, name)):
            return [_registry.newest(saved)]
        if len(taken := _taken(aggregate_type, name)) == 1:
            return taken
        if saved := self._saved.get(("", name)):
            return [_registry.newest(saved)]
        return _registry.living(name)

    def decoders(self, *, raw: bool) -> Decoders:
        """Returns an empty table that is filled from here."""
        return Decoders(self, raw=raw)


_TWO_CLAIM = (
    "{} and {} have the same wire name {!r}, so that who reads could take one for the other; "
    "give one of them a name of its own: class …(Event, name='…')"
)


def _taken(aggregate_type: str, name: str) -> list[type[Event]]:
    """Returns the classes of a wire name that aggregates of a type take, each once."""
    handlers = (cls.__dispatch__ for cls in _registry.aggregates(aggregate_type))
    taken = (found for each in handlers if (found := each.taken(name)) is not None)
    return list(dict.fromkeys(taken))


class StoreOrClass(Generic[P, R]):
    """A method of stores that can be called on their class as well: it is about all of them then.

    Its first argument is the store or the class.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self.__func__ = function
        self.__doc__ = function.__doc__

    def __get__(self, store: Any, cls: object = None) -> Callable[P, R]:
        bound: Callable[P, R] = MethodType(self.__func__, cls if store is None else store)
        return bound


def classes_of(store: Any) -> EventClasses:
    """Returns the classes that a store goes by, or, of the class of stores, all of them."""
    classes: EventClasses = _all if isinstance(store, type) else store._classes
    return classes


_all = EventClasses(_registry.named)


class Decoders:
    """Turns pages into events; looks each event type up once."""

    def __init__(self, classes: EventClasses, *, raw: bool) -> None:
        self._classes = classes
        self._raw = raw
        self._table: dict[TypeKey, tuple[Decode, Codec[Any]] | None] = {}
        self._closer: dict[tuple[str, str], tuple[Decode, Codec[Any]] | None] = {}

    def events(self, columns: Columns) -> Iterator[Event]:
        """Yields the events of a page, each decoded when its turn comes."""
        table = self._table
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table[name]
            except KeyError:
                found = table[name] = self._find(name, row)
            if found is None:
                found = self._look_closer(name, row)
            if found is None:
                yield UnknownEvent.from_stored(row, payload)
                continue
            validate, codec = found
            try:
                event = validate(payload)
            except Exception:
                try:
                    event = decode(codec, payload, row)
                except SerializationError:
                    if not self._steps_over(name):
                        raise
                    event = UnknownEvent.from_stored(row, payload)
            set_envelope(event, row)
            yield event

    def _steps_over(self, key: TypeKey) -> bool:
        """Whether an event that does not fit its class is given as it is stored."""
        return self._raw

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        """Returns how the events of a type are decoded in every stream; None where that differs."""
        name = readable(key, row)
        cls = self._classes.find(name)
        return None if cls is None else self._decoder(cls, name)

    def _decoder(self, cls: type[Event], name: str) -> tuple[Decode, Codec[Any]] | None:
        try:
            return _decoder(cls)
        except Exception as error:
            if self._raw:
                return None
            text = f"{cls.__qualname__}, the class of {name}, can't read events: {error}"
            raise SerializationError(text, event_type=name) from error

    def _look_closer(self, name: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        key = (readable(name, row), row.aggregate_type or "")
        if key not in self._closer:
            self._closer[key] = self._find_in(key, row)
        return self._closer[key]

    def _find_in(self, key: tuple[str, str], row: Row) -> tuple[Decode, Codec[Any]] | None:
        name = key[0]
        found = self._classes.of(*key)
        if len(found) == 1:
            return self._decoder(found[0], name)
        if self._raw:
            return None
        if found:
            claims = " and ".join(map(_registry.shown, found))
            text = (
                f"{name} is claimed by {claims}; say which with register_event_class, "
                "read with raw=True, and give one of them a wire name of its own"
            )
        else:
            text = (
                f"no class is known for the event type {name!r} at position {row.position}; "
                "import its module, use register_event_class, or read with raw=True"
            )
        raise UnknownEventTypeError(text, event_type=name)


def _decoder(cls: type[Event]) -> tuple[Decode, Codec[Any]]:
    codec = wire(cls).codec
    return codec.validate_json, codec


class Replay:
    """Applies the stored events of one aggregate."""

    def __init__(self, cls: type[Aggregate]) -> None:
        self._cls = cls
        self._ignored = cls.__ignored_names__()
        self._table: dict[TypeKey, tuple[Decode, Codec[Any], Any] | None] = {}

    def apply(self, aggregate: Aggregate, columns: Columns) -> None:
        """Applies a page to `aggregate` and sets its version."""
        table = self._table
        row = None
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table[name]
            except KeyError:
                found = table[name] = self.find(name, row)
            if found is None:
                continue  # ignored
            validate, codec, handler = found
            try:
                event = validate(payload)
            except Exception:
                event = decode(codec, payload, row)
            set_envelope(event, row)
            if (returned := handler(aggregate, event)) is not None:
                raise returned_value(aggregate, event, returned)
        if row is not None:
            aggregate.__dict__["version"] = row.version

    def find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any], Any] | None:
        """Returns how the events of a type are decoded and handled; None where they are ignored.

        Raises:
            SerializationError: They are not JSON.
            UnknownEventTypeError: The aggregate has no handler for them.
        """
        name = readable(key, row)
        if name in self._ignored:
            return None
        try:
            cls = self._cls.__event_classes__()[name]
        except UnknownEventTypeError as error:
            text = (
                f"{self._cls.__name__} can't replay version {row.version} of "
                f"{row.meta().aggregate_id!r}, a {name!r}: {error}"
            )
            raise UnknownEventTypeError(text, event_type=name) from error
        return *_decoder(cls), self._cls.__dispatch__[cls]


class OwnEvents(Decoders):
    """Turns pages of one aggregate into events, by the classes that its handlers take."""

    def __init__(self, cls: type[Aggregate], classes: EventClasses) -> None:
        super().__init__(classes, raw=True)
        self._replay = Replay(cls)
        self._ignored = cls.__ignored_names__()

    def _steps_over(self, key: TypeKey) -> bool:
        return key in self._ignored  # all others are applied

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        found = self._replay.find(key, row)
        return super()._find(key, row) if found is None else found[:2]
