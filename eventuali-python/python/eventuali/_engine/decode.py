"""From stored rows to events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias
from uuid import UUID

from eventuali._engine.encode import wire
from eventuali._engine.event_types import EventTypes
from eventuali._engine.parts import in_order, parts, upcast_error
from eventuali._engine.upcast import (
    Becoming,
    Nothing,
    Older,
    StepError,
    StoredKind,
    becoming,
    reader,
    stored_kind,
)
from eventuali._eventuali import FlatName, Row, build_metadata_with
from eventuali.codec.json import Codec
from eventuali.codec.json._path import stored_place
from eventuali.errors import SerializationError, UnknownEventTypeError, UpcastError
from eventuali.event import Event, UnknownEvent, _registry
from eventuali.event._envelope import ROW_FIELDS, EventMeta, Headers, utc
from eventuali.event._slot import set_stored
from eventuali.query import Query, names_parts, shows

Decode: TypeAlias = Callable[[bytes], Event]
TypeKey: TypeAlias = str
"""The kind of a stored event as a page gives it: its type, and what else is not as usual."""
Columns: TypeAlias = tuple[list[TypeKey], list[bytes], list[Row]]
Slow: TypeAlias = Codec[Any] | Older
"""What decodes where the fast decoder has failed."""
Found: TypeAlias = tuple[Decode, Slow] | Becoming | Nothing | None
"""How events are decoded: as one, as what they have become, or not at all."""
Raw: TypeAlias = bool | Literal["all"]
"""Which events are returned as they are stored: none, those that can't be decoded, or all."""


def decode(codec: Slow, payload: bytes, row: Row, failure: Exception) -> Event:
    """Returns the event of a payload after fast decoding has failed.

    Args:
        codec: What decodes it.
        payload: The payload.
        row: Where it is stored.
        failure: What fast decoding has raised.

    Raises:
        SerializationError: The payload does not fit the class; `path` says where.
        UpcastError: A step failed.
    """
    try:
        if isinstance(failure, StepError):
            raise failure
        event: Event = codec.decode(payload)
    except StepError as error:
        raise upcast_error(error, row) from error.__cause__
    except Exception as error:
        name, path = row.event_type, stored_place(error)
        where = f"{name}.{path}" if path else name
        text = (
            f"the {where} at position {row.position} does not fit its class; read with raw=True "
            f"to get it as it is stored: {str(error) or repr(error)}"
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
    """Turns pages into events; looks up each kind of events once.

    Attributes:
        backwards: Whether pages are read from the last event to the first.
        passed: How many stored events have given none, since they have become nothing.
    """

    def __init__(
        self, event_types: EventTypes, *, raw: Raw, query: Query[Any] | None = None
    ) -> None:
        """Begins with no kind known.

        Args:
            event_types: Which class a type stands for.
            raw: Which events are returned as they are stored.
            query: What was asked for; of what a retired event has become, only that is shown.

        Raises:
            ValueError: `raw` is something else.
        """
        if raw not in (True, False, "all"):
            raise ValueError(f"raw must be True, False or 'all', not {raw!r:.60}")
        self._event_types = event_types
        self._raw = raw
        self._query = query if names_parts(query) else None
        self._table: dict[TypeKey, tuple[Decode, Slow] | None] = {}
        self._closer: dict[tuple[str, str], Found] = {}
        self.backwards = False
        self.passed = 0

    def events(self, columns: Columns) -> Iterator[Event]:
        """Yields the events of a page, each decoded when it is requested."""
        table = self._table
        for key, payload, row in zip(*columns, strict=True):
            try:
                found = table[key]
            except KeyError:
                found = table[key] = self._find(key, row)
            if found is None:
                closer = self._look_closer(key, row)
                if closer is None:
                    yield self._as_stored(key, payload, row)
                    continue
                if not isinstance(closer, tuple):
                    yield from self._parts(closer, payload, row)
                    continue
                found = closer
            validate, codec = found
            try:
                event = validate(payload)
            except Exception as failure:
                try:
                    event = decode(codec, payload, row, failure)
                except SerializationError:
                    if not self._steps_over(row):
                        raise
                    event = self._as_stored(key, payload, row)
            set_stored(event, row)
            yield event

    def _as_stored(self, key: TypeKey, payload: bytes, row: Row) -> UnknownEvent:
        kind = stored_kind(key, row.position)
        return UnknownEvent.from_stored(row, payload, kind.readable_by)

    def _parts(self, found: Becoming | Nothing, payload: bytes, row: Row) -> Sequence[Event]:
        """Returns what a stored event has become, as far as it was asked for."""
        shown = parts(found, payload, row)
        if self._query is not None:
            meta = row.meta()
            shown = [event for event in shown if shows(self._query, event, meta)]
        if not shown:
            self.passed += 1
        return in_order(shown[::-1] if self.backwards else shown)

    def _steps_over(self, row: Row) -> bool:
        """Whether an event that does not fit its class is returned raw."""
        return bool(self._raw)

    def _keeps(self, name: str) -> bool:
        """Whether events of a retired class are returned raw, instead of what they become."""
        return bool(self._raw)

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Slow] | None:
        """Returns how the events of a kind are decoded in every stream; None if streams differ."""
        kind = stored_kind(key, row.position)
        cls = None if self._raw == "all" else self._event_types.find(kind.name)
        if cls is None or cls.__becomes__ is not None:
            return None
        return self._decoder(cls, kind, row)

    def _decoder(self, cls: type[Event], kind: StoredKind, row: Row) -> tuple[Decode, Slow] | None:
        try:
            return decoder(cls, kind, row.position)
        except Exception as error:
            if self._raw:
                return None
            if isinstance(error, UpcastError | UnknownEventTypeError):
                raise
            text = f"{cls.__qualname__}, the class of {kind.name}, can't read events: {error}"
            raise SerializationError(text, event_type=kind.name) from error

    def _look_closer(self, key: TypeKey, row: Row) -> Found:
        place = (key, row.aggregate_type or "")
        if place not in self._closer:
            self._closer[place] = self._find_in(key, row)
        return self._closer[place]

    def _find_in(self, key: TypeKey, row: Row) -> Found:
        """Returns how the events of a kind are decoded in streams of a type; None: not at all."""
        kind = stored_kind(key, row.position)
        name = kind.name
        if self._raw == "all":
            return None
        found = self._event_types.of(name, row.aggregate_type or "")
        if len(found) == 1:
            if found[0].__becomes__ is None:
                return self._decoder(found[0], kind, row)
            return None if self._keeps(name) else becoming(found[0], kind, row.position)
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


def decoder(cls: type[Event], kind: StoredKind, position: int) -> tuple[Decode, Slow]:
    """Returns the fast decoder of the events of a kind, and what decodes where that refuses.

    Raises:
        UpcastError: The class has no step from their version.
        UnknownEventTypeError: A newer version of the class wrote them, for newer readers.
    """
    if kind.version == cls.__event_version__:
        codec = wire(cls).codec
        return codec.validate_json, codec
    found = reader(cls, kind, position)
    return (found.validate if isinstance(found, Older) else found.validate_json), found


build_metadata_with(meta_from_row)
for _name in ROW_FIELDS:  # where the event is stored, in a third of the time that Python takes
    if not isinstance(vars(Event)[_name], FlatName):
        setattr(Event, _name, FlatName(_name, vars(Event)[_name]))
