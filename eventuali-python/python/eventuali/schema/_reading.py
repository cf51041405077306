"""What the code makes of a stored payload, by what decodes the events of a store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from eventuali._engine.encode import wire
from eventuali._engine.upcast import (
    Nothing,
    Older,
    StepError,
    StoredKind,
    as_json,
    becoming,
    decoded,
    reader,
    written,
)
from eventuali.event import Event
from eventuali.schema._samples import Named


class Place(NamedTuple):
    """Where something was refused, and how: what two refusals have in common."""

    location: tuple[str, ...]
    kind: str


class Read(NamedTuple):
    """What became of a payload.

    Attributes:
        cls: The class that has read it.
        payload: What the steps gave, or the payload itself.
        event: The event; None if it was refused.
        refused: Why it was refused; empty if it was not.
        path: The field that was refused; empty if it is the event as a whole.
        places: Where it was refused.
        unchecked: Whether checks of the class were passed over.
        differs: Where the event says something else than the payload, each with both.
        swapped: The models within it that are of another class than was written: the path, the
            class that was written, and the other one.
        unknown: The fields that the class does not know, which are kept.
    """

    cls: type[Event]
    payload: Any
    event: Event | None = None
    refused: str = ""
    path: str = ""
    places: frozenset[Place] = frozenset()
    unchecked: bool = False
    differs: tuple[tuple[str, str], ...] = ()
    swapped: frozenset[tuple[str, str, str]] = frozenset()
    unknown: frozenset[str] = frozenset()


def upcast(cls: type[Event], kind: StoredKind, data: Any) -> list[tuple[type[Event], Any]]:
    """Takes a stored payload through the steps of a class, as a load does.

    Returns:
        What each event has in it, with its class; of a retired class several, or nothing. It is
        `data` itself where the class has nothing to do.

    Raises:
        UpcastError: There is no step from the version.
        UnknownEventTypeError: The version is above that of the class, for newer readers.
        StepError: A step failed.
    """
    if cls.__becomes__ is not None:
        becomes = becoming(cls, kind, 0)
        if isinstance(becomes, Nothing):
            return []
        return [(part, fields) for _, part, fields in becomes.fields(written(data))]
    found = reader(cls, kind, 0)
    return [(cls, found.fields(written(data)) if isinstance(found, Older) else data)]


def read(cls: type[Event], data: Any) -> Read:
    """Reads a payload of the current version of a class.

    Raises:
        StepError: It is not JSON.
    """
    codec = wire(cls).codec
    text = as_json(data)
    try:
        event = decoded(cls, codec, text)
    except StepError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            return Read(cls, data, path=error.path, refused=refusal(cause), places=_places(cause))
        place = Place((), type(cause).__name__)
        return Read(cls, data, refused=repr(cause), places=frozenset({place}))
    return Read(
        cls,
        data,
        event,
        unchecked=not codec.accepts(text),
        differs=tuple(_differences(from_json(text), from_json(codec.written(event)), "")),
        swapped=frozenset(_swapped(data, event, "")),
        unknown=frozenset(event.model_extra or ()),
    )


def _places(error: ValidationError) -> frozenset[Place]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return frozenset(
        Place(tuple("[]" if isinstance(s, int) else s for s in each["loc"]), each["type"])
        for each in found
    )


def refusal(error: ValidationError) -> str:
    """Returns what pydantic says of a payload, on one line."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{_path(each['loc'])}: {each['msg']}" if each["loc"] else each["msg"]
             for each in found[:3]]  # fmt: skip
    more = len(found) - len(lines)
    return "; ".join([*lines, *([f"and {more} more"] if more else [])])


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _differences(stored: Any, again: Any, path: str) -> list[tuple[str, str]]:
    """Returns where two values of JSON differ, fields aside that only one has."""
    if isinstance(stored, dict) and isinstance(again, dict):
        shared = (name for name in stored if name in again)
        return [
            found
            for name in shared
            for found in _differences(stored[name], again[name], f"{path}.{name}" if path else name)
        ]
    if isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        if sorted(map(repr, stored)) == sorted(map(repr, again)):  # a set has no order
            return []
        pairs = enumerate(zip(stored, again, strict=True))
        return [f for n, (a, b) in pairs for f in _differences(a, b, f"{path}[{n}]")]
    if _same(stored, again):
        return []
    return [(path, f"{shown(stored, 60)} would be read as {shown(again, 60)}")]


def shown(value: Any, most: int = 300) -> str:
    """Returns a value of JSON for people, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _same(stored: Any, again: Any) -> bool:
    """Whether two values are the same, also where a number became a text or a float."""
    if type(stored) is type(again):
        return bool(stored == again)
    left, right = _as_number(stored), _as_number(again)
    return left is not None and left == right


def _as_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _swapped(written: Any, value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yields the models that are of another class than the definition they were made of."""
    if isinstance(written, Named) and isinstance(value, BaseModel):
        name = type(value).__name__
        if name != written.definition:
            yield path, written.definition, name
    if isinstance(written, dict):
        for key, each in written.items():
            inner = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
            yield from _swapped(each, inner, f"{path}.{key}" if path else key)
    elif isinstance(written, list) and isinstance(value, list | tuple):
        for each, inner in zip(written, value, strict=False):
            yield from _swapped(each, inner, f"{path}[]")
