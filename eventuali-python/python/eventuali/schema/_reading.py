"""How the code reads a stored payload: through the steps of its class, as a store does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from eventuali._engine.encode import wire
from eventuali.event import Event
from eventuali.schema._samples import Named

Step = Callable[[dict[str, Any]], Any]


class StepFailed(Exception):
    """A step that is missing, raised, or gave something that is no event.

    Attributes:
        version: The version that the step leads away from.
        is_missing: Whether there is none.
        data: What it was to be given.
    """

    def __init__(
        self, version: int, text: str, data: Any = None, *, is_missing: bool = False
    ) -> None:
        super().__init__(text)
        self.version = version
        self.is_missing = is_missing
        self.data = data


class Place(NamedTuple):
    """Where something was refused, and how: what two refusals have in common."""

    location: tuple[str, ...]
    kind: str


class Read(NamedTuple):
    """What became of a payload.

    Attributes:
        payload: What the steps gave, or the payload itself.
        event: The event; None if it was refused.
        refused: Why it was refused; empty if it was not.
        places: Where it was refused.
        unchecked: Whether checks of the class were passed over.
        differs: Where the event says something else than the payload, each with both.
        swapped: The models within it that are of another class than was written: the path, the
            class that was written, and the other one.
        unknown: The fields that the class does not know, which are kept.
    """

    payload: Any
    event: Event | None = None
    refused: str = ""
    places: frozenset[Place] = frozenset()
    unchecked: bool = False
    differs: tuple[tuple[str, str], ...] = ()
    swapped: frozenset[tuple[str, str, str]] = frozenset()
    unknown: frozenset[str] = frozenset()


def steps_of(cls: type[Event]) -> Mapping[int, Step]:
    """Returns the steps of a class, by the version that each leads away from."""
    found: Mapping[int, Step] = getattr(cls, "__upcasters__", None) or {}
    return found


def formerly_of(cls: type[Event]) -> tuple[str, ...]:
    """Returns the earlier wire names of a class."""
    found: tuple[str, ...] = getattr(cls, "__formerly__", None) or ()
    return found


def readable_by(cls: type[Event]) -> int | None:
    """Returns the oldest version whose readers may read what the class stores."""
    found: int | None = getattr(cls, "__readable_by__", None)
    return found


def becomes(cls: type[Event]) -> tuple[type[Event], ...] | None:
    """Returns the classes that events of a retired class become; None if it is not retired."""
    found: tuple[type[Event], ...] | None = getattr(cls, "__becomes__", None)
    return found


def upcast(cls: type[Event], version: int, data: Any) -> list[tuple[type[Event], Any]]:
    """Takes a payload through the steps of a class.

    Returns:
        What each event has in it, with its class; of a retired class several, or nothing.

    Raises:
        StepFailed: A step is missing, or something is wrong with it.
    """
    steps, newest = steps_of(cls), cls.__event_version__
    for number in range(version, newest):
        if number not in steps:
            text = f"@upcast({number}) is missing"
            raise StepFailed(number, text, data, is_missing=True)
        data = _checked(number, _taken(steps[number], number, data))
    into = becomes(cls)
    if into is None:
        return [(cls, data)]
    if not into:
        return []
    if newest not in steps:
        text = f"@upcast({newest}, into=…) is missing"
        raise StepFailed(newest, text, data, is_missing=True)
    given = _taken(steps[newest], newest, data)
    parts = [given] if isinstance(given, dict) or given is None else list(given)
    if len(parts) != len(into):
        text = f"@upcast({newest}) gave {len(parts)} events for {len(into)} classes"
        raise StepFailed(newest, text)
    made = zip(into, parts, strict=True)
    return [(each, _checked(newest, part)) for each, part in made if part is not None]


def _taken(step: Step, number: int, data: Any) -> Any:
    try:
        return step(deepcopy(data))
    except Exception as error:
        raise StepFailed(number, f"@upcast({number}) raised {error!r}") from error


def _checked(number: int, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        text = f"@upcast({number}) gave {data!r:.60}, which is no dict"
        raise StepFailed(number, text)
    return data


def read(cls: type[Event], data: Any) -> Read:
    """Reads a payload of the current version of a class."""
    codec = wire(cls).codec
    text = to_json(data, inf_nan_mode="constants")
    try:
        event: Event = codec.decode(text)
    except ValidationError as error:
        return Read(data, refused=refusal(error), places=_places(error))
    except Exception as error:
        place = Place((), type(error).__name__)
        return Read(data, refused=repr(error), places=frozenset({place}))
    return Read(
        data,
        event,
        unchecked=not codec.accepts(text),
        differs=tuple(_differences(data, from_json(codec.written(event)), "")),
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
