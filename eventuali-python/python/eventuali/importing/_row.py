"""One row of the older table, checked, in the form for the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from eventuali.errors import (
    EventualiError,
    InvalidEventError,
    PayloadTooLargeError,
    SerializationError,
)
from eventuali.event import MAX_EVENT_VERSION, UnknownEvent
from eventuali.event._envelope import CANONICAL_UUID, DetachedMeta, Envelope, EventMeta, parse, utc
from eventuali.event._names import check_name
from eventuali.importing._source import COLUMNS, Row

_MAX_PAYLOAD = 1 << 20  # as `Limits` of the core
_MAX_HEADERS = 64 << 10
_MAX_TAGS = 64
_REFERENCES = ("correlation_id", "causation_id")
_NO_PLACE = "metadata has {!r}, which an event can't store"
_METADATA = {*_REFERENCES, "user_id", "headers", "tags", "text"}


@dataclass(frozen=True, slots=True)
class LegacyEvent:
    """A row of the older table whose values are acceptable.

    Attributes:
        event_id: Its id.
        aggregate_type: The type of its stream.
        aggregate_id: The id of its stream.
        aggregate_version: Its number in the stream.
        event_type: The wire name.
        event_version: The version of the schema.
        timestamp: When it happened, µs since 1970 UTC.
        payload: The bytes as they are.
        metadata: The metadata as it is written: JSON, or empty if there is none.
    """

    event_id: UUID
    aggregate_type: str
    aggregate_id: str
    aggregate_version: int
    event_type: str
    event_version: int
    timestamp: int
    payload: bytes
    metadata: str

    @property
    def size(self) -> int:
        """About the bytes that it takes in a commit."""
        return len(self.payload) + len(self.metadata)

    def __str__(self) -> str:
        stream = f"{self.aggregate_type}/{self.aggregate_id}"
        return f"row {self.event_id} ({stream}, version {self.aggregate_version})"

    def meta(self) -> EventMeta:
        """Returns its metadata for the store."""
        given = _envelope(self.event_id, self.timestamp, self.metadata)
        return EventMeta(
            event_id=self.event_id,
            event_type=self.event_type,
            event_version=self.event_version,
            timestamp=utc(self.timestamp),
            aggregate_id=self.aggregate_id,
            aggregate_type=self.aggregate_type,
            aggregate_version=self.aggregate_version,
            correlation_id=given.correlation_id,
            causation_id=given.causation_id,
            user_id=given.user_id,
            headers=given.headers,
            tags=given.tags,
        )

    def event(self) -> UnknownEvent:
        """Returns it as an event to append, whether or not a class for it is known."""
        return UnknownEvent.from_stored(DetachedMeta(self.meta()), self.payload)


def checked(row: Row) -> LegacyEvent:
    """Returns a row whose values are acceptable.

    Raises:
        InvalidEventError: An id, a name, a version, a time or the metadata is not; the text names
            the row.
        SerializationError: The payload is not JSON; the text names the row.
    """
    values = dict(zip(COLUMNS, row, strict=True))
    try:
        return _checked(values)
    except (InvalidEventError, SerializationError) as error:
        stream = f"{_shown(values['aggregate_type'])}/{_shown(values['aggregate_id'])}"
        version = _shown(values["aggregate_version"])
        where = f"row {_shown(values['id'])} ({stream}, version {version})"
        raise told(error, where) from error.__cause__


def told(error: EventualiError, where: str) -> EventualiError:
    """Returns the same error, with the row before its text."""
    same = type(error)(f"{where}: {error}")
    vars(same).update(vars(error))
    return same


def _checked(values: dict[str, Any]) -> LegacyEvent:
    for field in ("aggregate_type", "aggregate_id", "event_type"):
        if not isinstance(values[field], str):
            raise InvalidEventError(f"{field} is not text", field=field)
        check_name(field, values[field])
    event_type: str = values["event_type"]
    if event_type.startswith("__") and event_type.endswith("__"):
        raise InvalidEventError(f"event_type {event_type!r} is reserved", field="event_type")
    version = _number("event_version", values["event_version"], MAX_EVENT_VERSION)
    event_id = _id(values["id"])
    timestamp = _microseconds(values["timestamp"])
    metadata = _metadata_text(values["metadata"])
    _envelope(event_id, timestamp, metadata)
    return LegacyEvent(
        event_id=event_id,
        aggregate_type=values["aggregate_type"],
        aggregate_id=values["aggregate_id"],
        aggregate_version=_number("aggregate_version", values["aggregate_version"], 2**63 - 1),
        event_type=event_type,
        event_version=version,
        timestamp=timestamp,
        payload=_payload(values["event_data"], values["event_data_type"], event_type),
        metadata=metadata,
    )


def _number(field: str, given: object, highest: int) -> int:
    if type(given) is not int or not 1 <= given <= highest:
        text = f"{field} {given!r:.60} is not an int from 1 to {highest}"
        raise InvalidEventError(text, field=field)
    return given


def _id(given: object) -> UUID:
    if isinstance(given, bytes) and len(given) == 16:
        return UUID(bytes=given)
    return parse({"event_id": given}).fix_id()


def _microseconds(given: object) -> int:
    """Returns a time as µs since 1970; one without a zone is taken as UTC."""
    if not isinstance(given, str):
        text = f"timestamp {given!r:.60} is not a time in ISO 8601"
        raise InvalidEventError(text, field="timestamp")
    try:
        time = datetime.fromisoformat(given)
    except ValueError as error:
        text = f"timestamp {given!r:.60} is not a time in ISO 8601"
        raise InvalidEventError(text, field="timestamp") from error
    if time.utcoffset() is None:
        time = time.replace(tzinfo=UTC)
    return parse({"timestamp": time}).timestamp


def _payload(given: object, kind: object, event_type: str) -> bytes:
    if not (isinstance(kind, str) and kind.lower() == "json"):
        text = f"event_data_type {kind!r:.60} is not 'json'; this can't be imported"
        raise SerializationError(text, event_type=event_type)
    payload = given.encode() if isinstance(given, str) else given
    if not isinstance(payload, bytes):
        text = f"event_data {given!r:.60} is neither text nor bytes"
        raise SerializationError(text, event_type=event_type)
    if len(payload) > _MAX_PAYLOAD:
        text = f"payload: {len(payload)} bytes, and the limit is {_MAX_PAYLOAD} bytes"
        raise PayloadTooLargeError(
            text, what="payload", size=len(payload), limit=_MAX_PAYLOAD, event_type=event_type
        )
    try:
        value = from_json(payload, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        raise SerializationError(
            f"event_data is not JSON: {error}", event_type=event_type
        ) from error
    if not isinstance(value, dict):
        raise SerializationError("event_data is not a JSON object", event_type=event_type)
    return payload


def _metadata_text(given: object) -> str:
    if given is None:
        return ""
    if isinstance(given, bytes):
        try:
            given = given.decode()
        except UnicodeDecodeError as error:
            raise InvalidEventError("metadata is not UTF-8", field="metadata") from error
    if not isinstance(given, str):
        raise InvalidEventError(f"metadata {given!r:.60} is not text", field="metadata")
    return given


def _envelope(event_id: UUID, timestamp: int, metadata: str) -> Envelope:
    """Returns what the metadata says, checked as that of a new event."""
    written = _metadata(metadata)
    given = written.copy()
    texts = _texts(given.pop("text", []))
    for field in _REFERENCES:
        value = given.get(field)
        if isinstance(value, str) and field not in texts and CANONICAL_UUID.fullmatch(value):
            given[field] = UUID(value)
    headers = given.get("headers")
    if isinstance(headers, list):
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in headers):
            raise InvalidEventError("headers must be pairs or an object", field="headers")
        given["headers"] = dict(headers)
    envelope = parse(given)
    _check_kept(envelope, written)
    envelope.event_id, envelope.timestamp = event_id, timestamp
    size = sum(len(k.encode()) + len(v.encode()) for k, v in envelope.headers.items())
    for what, found, limit in (
        ("headers", size, _MAX_HEADERS),
        ("tags", len(envelope.tags), _MAX_TAGS),
    ):
        if found > limit:
            text = f"{what}: {found}, and the limit is {limit}"
            raise PayloadTooLargeError(text, what=what, size=found, limit=limit)
    return envelope


def _texts(written: object) -> list[str]:
    """Returns which references look like a UUID but are text, as the store notes it."""
    if not isinstance(written, list) or any(each not in _REFERENCES for each in written):
        raise InvalidEventError(_NO_PLACE.format("text"), field="metadata")
    return written


def _check_kept(envelope: Envelope, written: dict[str, Any]) -> None:
    """Refuses metadata that an event would not keep as it is written."""
    for field in written.keys() - {"text"}:
        kept, wanted = getattr(envelope, field), written[field]
        if isinstance(kept, UUID):
            kept = str(kept)
        elif isinstance(kept, tuple):
            kept = list(kept)
        elif isinstance(wanted, list):
            kept = list(map(list, kept.items()))
        if kept != wanted:
            text = f"{field} {wanted!r:.60} can't be kept: an event would have {kept!r:.60}"
            raise InvalidEventError(text, field=field)


def _metadata(metadata: str) -> dict[str, Any]:
    """Returns the parts of the metadata that are not null."""
    if not metadata:
        return {}
    try:
        given = json.loads(metadata, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"metadata is not JSON: {error}", field="metadata") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidEventError("metadata is not a JSON object", field="metadata")
    if strange := sorted(given.keys() - _METADATA):
        raise InvalidEventError(_NO_PLACE.format(strange[0][:60]), field="metadata")
    return {field: value for field, value in given.items() if value is not None}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise InvalidEventError(f"metadata has {name!r:.60} twice", field="metadata")
    return made


def _shown(value: object) -> str:
    return value[:60] if isinstance(value, str) else repr(value)[:60]
