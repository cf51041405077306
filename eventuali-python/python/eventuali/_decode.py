"""From stored rows to events, and from events to what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import ValidationError

from eventuali import _registry
from eventuali._envelope import EventMeta, Headers, utc
from eventuali._eventuali import Kind, Row
from eventuali._exact import Codec, Inexact
from eventuali.errors import InvalidEventError, SerializationError, UnknownEventTypeError
from eventuali.event import Event, UnknownEvent, set_envelope

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

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
        SerializationError: The payload does not fit the class.
    """
    try:
        event: Event = codec.decode(payload)
    except ValueError as error:
        name = row.event_type
        text = f"the {name} at position {row.position} does not fit its class: {error}"
        raise SerializationError(text, event_type=name) from error
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
    """Which class a stored event type stands for, where no aggregate says so."""

    def __init__(self) -> None:
        self._named: dict[str, type[Event]] = {}

    def register(self, name: str, cls: type[Event]) -> None:
        """Decides for this store what `name` stands for."""
        if not (isinstance(cls, type) and issubclass(cls, Event)):
            raise TypeError(f"{cls!r:.60} is not a class of events")
        if not isinstance(name, str) or not name:
            raise InvalidEventError("an event type is a name", field="event_type")
        self._named[name] = cls

    def find(self, name: str) -> type[Event] | None:
        """Returns the class of a name, or None where nothing claims it.

        Raises:
            UnknownEventTypeError: Several classes claim it.
        """
        if name in self._named:
            return self._named[name]
        claims = _registry.registered(name)
        if len(claims) > 1:
            paths = " and ".join(f"{cls.__module__}.{cls.__qualname__}" for cls in claims)
            text = f"{name} is claimed by {paths}; say which with register_event_class"
            raise UnknownEventTypeError(text, event_type=name)
        return claims[0] if claims else None

    def decoders(self, *, raw: bool) -> Decoders:
        """Returns an empty table that is filled from here."""
        return Decoders(self, raw=raw)


class Decoders:
    """Turns pages into events; looks each event type up once."""

    def __init__(self, classes: EventClasses, *, raw: bool) -> None:
        self._classes = classes
        self._raw = raw
        self._table: dict[TypeKey, tuple[Decode, Codec[Any]] | None] = {}

    def events(self, columns: Columns) -> Iterator[Event]:
        """Yields the events of a page, each decoded when its turn comes."""
        table = self._table
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table[name]
            except KeyError:
                found = table[name] = self._find(name, row)
            if found is None:
                yield UnknownEvent.from_stored(row, payload)
                continue
            validate, codec = found
            try:
                event = validate(payload)
            except ValidationError:
                event = decode(codec, payload, row)
            set_envelope(event, row)
            yield event

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        name = readable(key, row)
        cls = self._classes.find(name)
        if cls is not None:
            codec = wire(cls).codec
            return codec.validate_json, codec
        if self._raw:
            return None
        text = (
            f"no class is known for the event type {name!r} at position {row.position}; "
            "import its module, use register_event_class, or read with raw=True"
        )
        raise UnknownEventTypeError(text, event_type=name)


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
            except ValidationError:
                event = decode(codec, payload, row)
            set_envelope(event, row)
            handler(aggregate, event)
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
                f"{row.meta().aggregate_id!r}, a {name!r}: add a handler, or list it in `ignores`"
            )
            raise UnknownEventTypeError(text, event_type=name) from error
        codec = wire(cls).codec
        return codec.validate_json, codec, self._cls.__handlers__()[cls]


class OwnEvents(Decoders):
    """Turns pages of one aggregate into events, by the classes that its handlers take."""

    def __init__(self, cls: type[Aggregate], classes: EventClasses) -> None:
        super().__init__(classes, raw=True)
        self._replay = Replay(cls)

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        found = self._replay.find(key, row)
        if found is not None:
            return found[:2]
        try:
            return super()._find(key, row)
        except UnknownEventTypeError:  # several claim it: which one matters to nobody here
            return None
