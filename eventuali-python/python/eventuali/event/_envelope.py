"""Metadata of an event: its parts, how it is given, and its ids. `_slot` is where it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import urandom
from time import time_ns
from typing import Any, Never, Self
from uuid import UUID

from eventuali.errors import InvalidEventError
from eventuali.event._names import check_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def uuid7(ns: int) -> UUID:
    """Makes a UUIDv7 (RFC 9562, 5.7) of a time in nanoseconds; the rest is random."""
    return UUID(int=_uuid7(ns))


def new_id() -> UUID:
    """Makes a UUIDv7 of the time that events go by, which a test can set."""
    return uuid7(time_ns())


def now() -> datetime:
    """Returns what time it is for an event that is made now: aware, UTC, in µs.

    That is the time of the machine. Within the block of an `eventuali.testing.Clock` it is what
    that shows, so code that asks here can be tested at any time.
    """
    return utc(time_ns() // 1000)


def _uuid7(ns: int) -> int:
    rest = int.from_bytes(urandom(10))
    high = ((ns // 1_000_000) & (1 << 48) - 1) << 80
    return high | 7 << 76 | (rest >> 68) << 64 | 2 << 62 | rest & (1 << 62) - 1


def utc(microseconds: int) -> datetime:
    """Turns µs since 1970 into an aware datetime."""
    return _EPOCH + microseconds * _MICROSECOND


def since_epoch(time: datetime) -> int | None:
    """Returns the µs since 1970 of a datetime, by its UTC offset; None if it has none.

    It uses only the parts of the datetime, because subclasses may redefine its arithmetic.
    """
    offset = time.utcoffset()
    if offset is None:
        return None
    day = (time.year, time.month, time.day)
    clock = (time.hour, time.minute, time.second, time.microsecond)
    return (datetime(*day, *clock, tzinfo=UTC) - _EPOCH - offset) // _MICROSECOND


class Headers(dict[str, str]):
    """The headers of an event: a dict that can't be changed."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Never:
        raise TypeError("headers can't be changed; give them when the event is created")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (dict(self),)


NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True)
class EventMeta:
    """The metadata of an event: data about it besides its fields.

    Where a stored event always has a value and a new one has None, the type is `str | Any` or the
    like: what handles stored events need not ask for None, and type checkers find other mistakes.

    Attributes:
        event_id: The id of the event, which never changes.
        event_type: The wire name.
        event_version: The version of the schema, from 1.
        timestamp: When it happened: aware, UTC, in µs.
        aggregate_id: The stream's id; None before `apply` and for events of no stream.
        aggregate_type: The stream's type; None like `aggregate_id`.
        aggregate_version: The number in its stream, from 1; None like `aggregate_id`.
        correlation_id: What the event belongs to, such as a request; a UUID or a str, as given.
        causation_id: What caused the event; a UUID or a str, as given.
        user_id: Who caused it.
        headers: Other metadata, as strings; can't be changed.
        tags: The tags by which queries find it.
        position: Its position in the log; None before it is stored.
        recorded_at: The store's clock when it was stored; None before.
    """

    event_id: UUID
    event_type: str
    event_version: int
    timestamp: datetime
    aggregate_id: str | Any = None
    aggregate_type: str | Any = None
    aggregate_version: int | Any = None
    correlation_id: UUID | str | None = None
    causation_id: UUID | str | None = None
    user_id: str | None = None
    headers: Mapping[str, str] = NO_HEADERS
    tags: tuple[str, ...] = ()
    position: int | Any = None
    recorded_at: datetime | Any = None


class IdRange:
    """The consecutive ids of a range of events. Event `i` has the id `first + i`.

    The events of a range are saved together as a rule, but a copy of an aggregate can save a part
    of one, and so can a second attempt at an append.

    Attributes:
        first: The id of the first event as an integer; 0 before they are sent.
        under_way: How many commits with events of this range wait for their answer.
    """

    __slots__ = ("_made", "_stored", "first", "under_way")

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._made: list[int] = []
        self.under_way = 0
        self._stored: list[tuple[int, Sequence[int], int]] = []

    def fix_first(self) -> int:
        """Returns the id of the first event, made now if there is none; it never changes after."""
        if not self.first:
            # With one bit clear, the ids that follow stay within the random part of a UUIDv7. The
            # list decides between threads without a lock, which a fork could leave taken.
            self._made.append(_uuid7(time_ns()) & ~(1 << 61))
            self.first = self._made[0]
        return self.first

    @property
    def untouched(self) -> bool:
        """Whether no event of the range is stored."""
        return not self._stored

    def note(self, index: int, positions: Sequence[int], recorded_at: int) -> None:
        """Notes where the events from `index` on are stored, and when they were, in µs."""
        if not self._stored or self.at(index) is None:
            self._stored.append((index, positions, recorded_at))

    def at(self, index: int) -> tuple[int, int] | None:
        """Returns position and time of an event, in µs since 1970; None before it is stored."""
        for start, positions, recorded_at in self._stored:
            if 0 <= index - start < len(positions):
                return positions[index - start], recorded_at
        return None

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> tuple[int, list[tuple[int, Sequence[int], int]]]:
        return self.first, self._stored

    def __setstate__(self, state: tuple[int, list[tuple[int, Sequence[int], int]]]) -> None:
        self.first, self._stored = state
        self._made = []
        self.under_way = 0


class Envelope:
    """The metadata of an event that is not stored yet, as far as it was given or read.

    `version` is 0 and the names of the stream are empty if there is no stream.
    """

    __slots__ = (
        "aggregate_id",
        "aggregate_type",
        "causation_id",
        "correlation_id",
        "event_id",
        "has_context",
        "has_own_tags",
        "headers",
        "ids",
        "index",
        "tags",
        "timestamp",
        "user_id",
        "version",
    )

    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp  # µs since 1970
        self.event_id: UUID | None = None
        self.correlation_id: UUID | str | None = None
        self.causation_id: UUID | str | None = None
        self.user_id: str | None = None
        self.headers: Headers = NO_HEADERS
        self.tags: tuple[str, ...] = ()
        self.has_own_tags = False  # those that the class of the event says
        self.has_context = False  # what the block gave in which it was made, applied or stored
        self.bind("", "", 0, None, 0)

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        self.has_context = False  # of a pickle that does not say it
        for name, value in state[1].items():
            setattr(self, name, value)

    def bind(
        self, aggregate_type: str, aggregate_id: str, version: int, ids: IdRange | None, index: int
    ) -> None:
        """Notes which stream the event belongs to, and which save it is part of."""
        self.aggregate_type = aggregate_type
        self.aggregate_id = aggregate_id
        self.version = version
        self.ids = ids
        self.index = index

    @property
    def bound(self) -> bool:
        """Whether the event belongs to a stream, or a save of it has begun."""
        return self.version != 0 or self.ids is not None

    def fix_id(self, ns: int | None = None) -> UUID:
        """Returns the id of the event, made now if it has none; it never changes after."""
        if self.event_id is None:
            ids = self.ids
            made = uuid7(ns or time_ns()) if ids is None else UUID(int=ids.first + self.index)
            self.event_id = made
        return self.event_id

    def meta(self, event_type: str, event_version: int) -> EventMeta:
        """Returns all that is known; makes the id if there is none."""
        position, recorded_at = stored_at(self.ids, self.index)
        return EventMeta(
            self.fix_id(),
            event_type,
            event_version,
            utc(self.timestamp),
            self.aggregate_id or None,
            self.aggregate_type or None,
            self.version or None,
            self.correlation_id,
            self.causation_id,
            self.user_id,
            self.headers,
            self.tags,
            position,
            recorded_at,
        )


class DetachedMeta:
    """The metadata of a stored event that was copied or pickled away from its row."""

    __slots__ = ("_meta",)

    def __init__(self, meta: EventMeta) -> None:
        self._meta = meta

    def meta(self) -> EventMeta:
        """Returns what the row gave."""
        return self._meta


def stored_at(ids: IdRange | None, index: int) -> tuple[int | None, datetime | None]:
    """Returns position and `recorded_at` of an event of a range, if they are known."""
    found = None if ids is None else ids.at(index)
    return (None, None) if found is None else (found[0], utc(found[1]))


def parse_from(data: dict[str, Any], keywords: frozenset[str]) -> Envelope:
    """Takes the metadata out of the keywords of a new event."""
    return parse({key: data.pop(key) for key in keywords & data.keys()})


def from_text(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns metadata that was written as JSON as it is given to an event.

    Raises:
        InvalidEventError: The time is not in ISO 8601.
    """
    read = dict(given)
    for field in ("correlation_id", "causation_id"):
        if isinstance(read.get(field), str) and CANONICAL_UUID.fullmatch(read[field]):
            read[field] = UUID(read[field])
    if isinstance(read.get("timestamp"), str):
        try:
            read["timestamp"] = datetime.fromisoformat(read["timestamp"])
        except ValueError as error:
            text = f"timestamp {read['timestamp']!r:.60} is not a time in ISO 8601"
            raise InvalidEventError(text, field="timestamp") from error
    return read


def parse(given: Mapping[str, Any]) -> Envelope:
    """Checks the metadata that was given with a new event.

    Raises:
        InvalidEventError: A value is not acceptable, or only the library may set it.
        TypeError: A value has the wrong type.
    """
    envelope = Envelope(time_ns() // 1000)
    for field, value in given.items():
        reader = _READERS.get(field)
        if reader is None:
            raise InvalidEventError(
                f"{field} is set by the library and can't be given to an event", field=field
            )
        setattr(envelope, field, reader(field, value))
    return envelope


def _event_id(field: str, value: object) -> UUID:
    if isinstance(value, str) and _UUID.fullmatch(value):
        value = UUID(str.__str__(value))
    if not isinstance(value, UUID):
        raise InvalidEventError(f"{field} {value!r:.60} is not a UUID", field=field)
    if value.int == 0:
        raise InvalidEventError(f"{field} must not be the nil UUID", field=field)
    return value


def _timestamp(field: str, value: object) -> int:
    if not isinstance(value, datetime):
        raise InvalidEventError(f"{field} must be a datetime, not {_kind(value)}", field=field)
    microseconds = since_epoch(value)
    if microseconds is None:
        raise InvalidEventError(f"{field} {value} has no time zone", field=field)
    try:
        utc(microseconds)
    except OverflowError:
        raise InvalidEventError(f"{field} {value} is out of range in UTC", field=field) from None
    return microseconds


def _reference(field: str, value: object) -> UUID | str | None:
    if value is None or isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise InvalidEventError(f"{field} must be a UUID or a str, not {_kind(value)}", field=field)
    return check_name(field, value)


def _user_id(field: str, value: object) -> str | None:
    return None if value is None else _text(field, value)


def _headers(field: str, value: object) -> Headers:
    if value is None:
        return NO_HEADERS
    if not isinstance(value, Mapping):
        raise InvalidEventError(f"{field} must be a mapping, not {_kind(value)}", field=field)
    return Headers({_text(field, k): _text(field, v) for k, v in value.items()})


def checked_tags(field: str, value: object) -> tuple[str, ...]:
    """Returns tags.

    Raises:
        InvalidEventError: They are not an iterable of names.
    """
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidEventError(f"{field} must be an iterable of str", field=field)
    return tuple(check_name(field, _text(field, tag)) for tag in value)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidEventError(f"{field} takes str, not {_kind(value)}", field=field)
    text = str.__str__(value)  # a plain str, whatever a subclass says
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidEventError(f"{field} has a lone surrogate", field=field) from None
    return text


def _kind(value: object) -> str:
    return type(value).__name__


_READERS = {
    "event_id": _event_id,
    "timestamp": _timestamp,
    "correlation_id": _reference,
    "causation_id": _reference,
    "user_id": _user_id,
    "headers": _headers,
    "tags": checked_tags,
}
FIELDS = frozenset(EventMeta.__dataclass_fields__)
GIVEN = frozenset(_READERS)
ROW_FIELDS = frozenset(
    {
        "aggregate_id",
        "aggregate_type",
        "aggregate_version",
        "event_type",
        "event_version",
        "position",
    }
)
"""What a stored row has as attributes, as in `EventMeta`."""
