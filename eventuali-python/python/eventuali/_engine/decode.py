"""From stored rows to events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from uuid import UUID

from eventuali._engine.encode import wire
from eventuali._engine.event_types import EventTypes
from eventuali._eventuali import FlatName, Row, build_metadata_with
from eventuali.codec.json import Codec
from eventuali.codec.json._path import stored_place
from eventuali.errors import SerializationError, UnknownEventTypeError
from eventuali.event import Event, UnknownEvent, _registry
from eventuali.event._envelope import ROW_FIELDS, EventMeta, Headers, utc
from eventuali.event._slot import set_stored

Decode: TypeAlias = Callable[[bytes], Event]
TypeKey: TypeAlias = str | tuple[str, str]
"""The type of a stored event; with its codec if that is not JSON."""
Columns: TypeAlias = tuple[list[TypeKey], list[bytes], list[Row]]


def readable(key: TypeKey, row: Row) -> str:
    """Returns the name of an event type.

    Raises:
        SerializationError: The event is stored by a codec that this release does not know.
    """
    if isinstance(key, str):
        return key
    name, codec = key
    text = (
        f"the {name} at position {row.position} is stored with the codec {codec!r}, which this "
        "release can't read: a newer release wrote it"
    )
    raise SerializationError(text, event_type=name)


def decode(codec: Codec[Any], payload: bytes, row: Row) -> Event:
    """Returns the event of a payload after fast decoding has failed.

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
    """Makes the metadata of a stored event, for its row.

    Raises:
        SerializationError: A time is outside the range of datetime.
    """
    position, event_id, (aggregate_type, aggregate_id, version), kind, happened, recorded = stored
    correlation_id, causation_id, user_id, headers, tags = given
    try:
        timestamp, recorded_at = utc(happened), utc(recorded)
    except OverflowError as error:
        text = f"the {kind[0]} at position {position} has a time outside the range of datetime"
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


class Decoders:
    """Turns pages into events; looks up each event type once."""

    def __init__(self, event_types: EventTypes, *, raw: bool) -> None:
        self._event_types = event_types
        self._raw = raw
        self._table: dict[TypeKey, tuple[Decode, Codec[Any]] | None] = {}
        self._closer: dict[tuple[str, str], tuple[Decode, Codec[Any]] | None] = {}

    def events(self, columns: Columns) -> Iterator[Event]:
        """Yields the events of a page, each decoded when it is requested."""
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
            set_stored(event, row)
            yield event

    def _steps_over(self, key: TypeKey) -> bool:
        """Whether an event that does not fit its class is returned raw."""
        return self._raw

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any]] | None:
        """Returns how the events of a type are decoded in every stream; None if streams differ."""
        name = readable(key, row)
        cls = self._event_types.find(name)
        return None if cls is None else self._decoder(cls, name)

    def _decoder(self, cls: type[Event], name: str) -> tuple[Decode, Codec[Any]] | None:
        try:
            return decoder(cls)
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
        found = self._event_types.of(*key)
        if len(found) == 1:
            return self._decoder(found[0], name)
        if self._raw:
            return None
        if found:
            claims = " and ".join(map(_registry.shown, found))
            text = (
                f"{name} is claimed by {claims}; choose one with register_event_class or read "
                "with raw=True, and give one of them a wire name of its own"
            )
        else:
            text = (
                f"no class is known for the event type {name!r} at position {row.position}; "
                "import its module, use register_event_class, or read with raw=True"
            )
        raise UnknownEventTypeError(text, event_type=name)


def decoder(cls: type[Event]) -> tuple[Decode, Codec[Any]]:
    """Returns the fast decoder of a class, and the codec for what that refuses."""
    codec = wire(cls).codec
    return codec.validate_json, codec


build_metadata_with(meta_from_row)
for _name in ROW_FIELDS:  # where the event is stored, in a third of the time that Python takes
    if not isinstance(vars(Event)[_name], FlatName):
        setattr(Event, _name, FlatName(_name, vars(Event)[_name]))
