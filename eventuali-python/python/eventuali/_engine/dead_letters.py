"""Dead letters: what is stored of them, and what people do with them."""

from __future__ import annotations

import json as _json
from collections.abc import Callable, Iterable, Iterator
from time import time_ns
from typing import Any, TypeAlias
from uuid import UUID

from eventuali._engine.encode import JSON, encoded, wire
from eventuali._engine.operation import Operation
from eventuali._eventuali import Row, Store
from eventuali.errors import DeadLetterNotFoundError, InvalidEventError, OptimisticConcurrencyError
from eventuali.event import Event
from eventuali.event._envelope import utc
from eventuali.event._names import check_name
from eventuali.event._registry import names
from eventuali.expected import at_least, checked_position
from eventuali.group import DeadLetter, Reason

__all__ = [
    "Columns",
    "Store",
    "all_letters",
    "asked",
    "asked_all",
    "begun_again",
    "begun_before",
    "discarded",
    "edited",
    "failed_again",
    "found",
    "group_name",
    "letter_of",
    "listed",
    "not_again",
    "position_of",
    "stream_of",
    "with_payload",
]

PAGE = 1000
"""How many letters are read at a time."""
_ERROR, _TRACE = 4_000, 16_000
"""How many characters are kept of an error, and of the end of its trace."""

Letter: TypeAlias = dict[str, Any]
Columns: TypeAlias = tuple[list[str], list[bytes], list[Row]]


# --- for those who handle events ------------------------------------------------------------------


def letter_of(
    store: Store,
    row: Row,
    partition: int,
    key: int,
    reason: Reason,
    error: str,
    trace: str,
    handled_by: str,
    tries: int,
) -> bytes:
    """Returns what is stored of an event that is given up, as JSON."""
    stream = None if row.aggregate_id is None else (row.aggregate_type, row.aggregate_id)
    now = store.clock()
    return _dumped(
        {
            "position": row.position,
            "event_id": str(row.event_id),
            "event_type": row.event_type,
            "stream": stream,
            "partition": partition,
            "key": key,
            "reason": reason,
            "error": _shown(error)[:_ERROR],
            "trace": _shown(trace)[-_TRACE:],
            "handled_by": _shown(handled_by),
            "tries": tries,
            "parked_at": time_ns() // 1000 if now is None else now,
            "edited": None,
            "again": False,
            "begun": 0,
        }
    )


def begun_before(json: bytes) -> int:
    """Returns how often a replay was begun and not ended."""
    begun: int = _json.loads(json).get("begun", 0)
    return begun


def begun_again(json: bytes) -> bytes:
    """Returns a letter whose replay begins."""
    letter: Letter = _json.loads(json)
    return _dumped(letter | {"begun": letter.get("begun", 0) + 1})


def failed_again(json: bytes, reason: Reason, error: str, trace: str, handled_by: str) -> bytes:
    """Returns a letter that was replayed in vain, and is not replayed again by itself."""
    letter: Letter = _json.loads(json)
    letter |= {
        "reason": reason,
        "error": _shown(error)[:_ERROR],
        "trace": _shown(trace)[-_TRACE:],
        "handled_by": _shown(handled_by),
        "tries": letter["tries"] + max(letter.get("begun", 0), 1),
        "again": False,
        "begun": 0,
    }
    return _dumped(letter)


def not_again(json: bytes) -> bytes:
    """Returns a letter that is not replayed now, since one before it in its stream failed."""
    letter: Letter = _json.loads(json)
    return _dumped(letter | {"again": False, "begun": 0})


def stream_of(json: bytes) -> tuple[str, str] | None:
    """Returns the type and id of the stream of a letter; None without a stream."""
    stream = _json.loads(json)["stream"]
    return None if stream is None else (stream[0], stream[1])


def position_of(json: bytes) -> int:
    """Returns the position of the event of a letter."""
    position: int = _json.loads(json)["position"]
    return position


def with_payload(json: bytes, columns: Columns) -> Columns:
    """Returns a stored event, with the payload that was edited if it was."""
    edited = _json.loads(json)["edited"]
    if edited is None:
        return columns
    payload, version = edited
    name = columns[2][0].event_type
    kind = name if version == 1 else f"{name}\0{version}\0{JSON}"
    return [kind], [payload.encode()], columns[2]


def _dumped(letter: Letter) -> bytes:
    return _json.dumps(letter).encode()


def _shown(text: str) -> str:
    """Returns a text without lone surrogates, which JSON can't have."""
    return text.encode("utf-8", "replace").decode()


# --- for those who look after them ----------------------------------------------------------------


def shown(group: str, json: bytes) -> DeadLetter:
    """Returns a letter as people see it."""
    letter: Letter = _json.loads(json)
    aggregate_type, aggregate_id = letter["stream"] or (None, None)
    return DeadLetter(
        group=group,
        position=letter["position"],
        event_id=UUID(letter["event_id"]),
        event_type=letter["event_type"],
        aggregate_type=aggregate_type,
        aggregate_id=aggregate_id,
        partition=letter["partition"],
        reason=letter["reason"],
        error=letter["error"],
        trace=letter["trace"],
        handled_by=letter["handled_by"],
        tries=letter["tries"],
        parked_at=utc(letter["parked_at"]),
        edited=None if letter["edited"] is None else letter["edited"][0],
        again=letter["again"],
    )


def group_name(name: object) -> str:
    """Returns the name of a group after a check."""
    return check_name("group", name)


def listed(store: Store, group: str, after: int, limit: int) -> Operation[list[DeadLetter]]:
    """Returns a page of letters."""
    after = checked_position(after, "after")
    limit = at_least(1, limit, "limit")
    found = yield store.dead_letters(group, after, limit)
    return [shown(group, json) for json, _ in found]


def all_letters(store: Store, group: str) -> Operation[list[DeadLetter]]:
    """Returns all letters."""
    letters: list[DeadLetter] = []
    after = 0
    while page := (yield from listed(store, group, after, PAGE)):
        letters += page
        after = page[-1].position
        if len(page) < PAGE:
            break
    return letters


def found(store: Store, group: str, position: int) -> Operation[DeadLetter]:
    """Returns the letter of a position.

    Raises:
        DeadLetterNotFoundError: There is none.
    """
    json, _ = yield from _stored(store, group, position)
    return shown(group, json)


def _stored(store: Store, group: str, position: int) -> Operation[tuple[bytes, int]]:
    position = checked_position(position, "position")
    answer: list[tuple[bytes, int]] = yield store.dead_letter(group, position)
    if not answer:
        raise DeadLetterNotFoundError(
            f"the group {group!r} has no dead letter of position {position}",
            group=group,
            position=position,
        )
    return answer[0]


def edited(store: Store, group: str, position: int, event: object) -> Operation[DeadLetter]:
    """Has another event handled in the place of the stored one, which stays as it is.

    Raises:
        DeadLetterNotFoundError: There is no such letter.
        InvalidEventError: It is of another type.
        SerializationError: A value would not come back as it is.
    """
    if not isinstance(event, Event):
        raise TypeError(f"edit takes the event to handle instead, not {event!r:.60}")

    def change(letter: Letter) -> None:
        cls = type(event)
        if letter["event_type"] not in names(cls):
            text = f"the event is a {letter['event_type']}, and not a {cls.__event_type__}"
            raise InvalidEventError(text, field="event")
        payload = encoded(wire(cls), [event])[0].decode()
        letter["edited"] = payload, cls.__event_version__

    return (yield from _changed(store, group, position, change))


def asked(store: Store, group: str, positions: Iterable[int]) -> Operation[int]:
    """Has letters handled again; returns how many were found."""
    count = 0
    for position in sorted(set(_all(positions))):
        try:
            yield from _changed(store, group, position, _ask)
        except DeadLetterNotFoundError:
            continue
        count += 1
    return count


def asked_all(store: Store, group: str) -> Operation[int]:
    """Has all letters handled again; returns how many there are."""
    letters = yield from all_letters(store, group)
    return (yield from asked(store, group, [letter.position for letter in letters]))


def _ask(letter: Letter) -> None:
    letter["again"] = True


def _changed(
    store: Store, group: str, position: int, change: Callable[[Letter], None]
) -> Operation[DeadLetter]:
    """Changes a letter as it is now, whoever changes it meanwhile."""
    while True:
        json, version = yield from _stored(store, group, position)
        letter: Letter = _json.loads(json)
        change(letter)
        new = _dumped(letter)
        if letter == _json.loads(json):
            return shown(group, json)  # what is being replayed is left alone
        try:
            yield store.change_dead_letter(group, new, version)
        except OptimisticConcurrencyError:
            continue
        return shown(group, new)


def discarded(store: Store, group: str, positions: Iterable[int]) -> Operation[int]:
    """Removes letters whose events are not to be handled; returns how many there were."""
    count = 0
    for position in _all(positions):
        while True:
            try:
                _, version = yield from _stored(store, group, position)
                yield store.discard_dead_letter(group, position, version)
            except OptimisticConcurrencyError:
                continue  # it has just been tried in vain, or edited
            except DeadLetterNotFoundError:
                break
            count += 1
            break
    return count


def _all(positions: Iterable[int]) -> Iterator[int]:
    for position in positions:
        yield checked_position(position, "position")
