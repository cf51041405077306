"""From events to their stored form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from eventuali._eventuali import Kind
from eventuali.codec.json import Codec, Inexact
from eventuali.errors import InvalidEventError, SerializationError
from eventuali.event import Event, UnknownEvent


class Wire(NamedTuple):
    """How the events of a class are stored."""

    kind: Kind
    codec: Codec[Any]


def wire(cls: type[Event]) -> Wire:
    """Returns how events of `cls` are stored; determined once per class.

    Raises:
        InvalidEventError: The class is retired.
    """
    found: Wire | None = cls.__codec__
    if found is None:
        if cls.__becomes__ is not None:
            raise retired(cls)
        codec = Codec(cls)
        name = codec_name(cls.__readable_by__)
        kind = Kind(cls.__event_type__, cls.__event_version__, name)
        found = cls.__codec__ = Wire(kind, codec)
    return found


def encoded(how: Wire, events: Iterable[Event]) -> list[bytes]:
    """Returns the exact payloads of events of one class.

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
    """Returns a raw event with the kind and payload that it was stored with."""
    meta = event.meta
    kind = Kind(meta.event_type, meta.event_version, codec_name(event.readable_by))
    return kind, [event], [event.payload]


JSON = "json"
READABLE_BY = ";readable_by="


def codec_name(readable_by: int | None) -> str:
    """Returns the name of the codec of events that may say which versions can read them."""
    return JSON if readable_by is None else f"{JSON}{READABLE_BY}{readable_by}"


def retired(cls: type[Event]) -> InvalidEventError:
    """Returns the error for an event of a retired class."""
    text = f"{cls.__name__} is retired: its events are read, and no new one is stored"
    return InvalidEventError(text, field="event_type")
