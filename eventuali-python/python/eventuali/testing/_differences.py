"""What differs between what a test expects and what it gets, in words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import SequenceMatcher
from numbers import Number
from typing import Any

from pydantic import BaseModel

from eventuali.event import Event, UnknownEvent

_LONGEST = 200
"""The most characters of a value."""
_INDENT = "    "
_MOST = 20
"""The most events of a list."""


def shown(value: Any) -> str:
    """Returns a value as a failure shows it."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def differences(
    expected: Any, got: Any, path: str = "", ignore: Collection[str] = ()
) -> Iterator[tuple[str, Any, Any]]:
    """Yields the innermost parts in which two values differ, by their path: `lines[1].price`.

    Whether they differ is told by `==`, but a bool is no number, not even within a list, a dict or
    a model. A part that only one of them has is `MISSING` in the other.

    Args:
        expected: The one value.
        got: The other.
        path: Where they are.
        ignore: Names of fields of the outermost model that don't count.
    """
    equal = _equal(expected, got)
    if equal and not ignore and not _is_transparent(expected):
        return
    one, other = _parts(expected), _parts(got)
    found: list[tuple[str, Any, Any]] = []
    ignored = False
    if type(expected) is type(got) and one is not None and other is not None:
        ignored = bool(ignore)
        for name in dict.fromkeys((*one, *other)):
            if name not in ignore:
                pair = one.get(name, MISSING), other.get(name, MISSING)
                found += differences(*pair, _joined(path, name))
    # Without what is ignored, the parts are all that can be compared.
    if not (equal or found or ignored):
        found = [(path, expected, got)]
    yield from found


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()


def of_values(found: Iterator[tuple[str, Any, Any]]) -> list[str]:
    """Returns two lines for each part that differs."""
    lines = []
    for path, expected, got in found:
        one, other = shown(expected), shown(got)
        if one == other:
            names = type(expected).__name__, type(got).__name__
            if names[0] == names[1]:
                names = names[0], f"{names[1]}, which is not == to it"
            one, other = f"{one} ({names[0]})", f"{other} ({names[1]})"
        lines += [
            f"{path or 'value'}: expected {one}",
            f"{' ' * len(path or 'value')}  got      {other}",
        ]
    return lines


def of_events(
    expected: Sequence[Event], got: Sequence[Event], meta: Collection[str], ignore: Collection[str]
) -> list[str]:
    """Returns what differs between two lists of events; empty if nothing does.

    Args:
        expected: The events that are expected.
        got: The events that there are.
        meta: Names of metadata that counts.
        ignore: Names of fields that don't.
    """
    pairs = _aligned(expected, got)
    lines: list[str] = []
    for number, (one, other) in enumerate(pairs, 1):
        if one is None:
            lines.append(f"event {number} is extra: got {shown(other)}")
        elif other is None:
            lines.append(f"event {number} is missing: expected {shown(one)}")
        elif type(one) is not type(other):
            lines += [f"event {number} is another one: expected {shown(one)}"]
            lines += [f"{' ' * len(f'event {number} is another one')}  got      {shown(other)}"]
        else:
            found = of_values(_of_event(one, other, meta, ignore))
            if found:
                lines.append(f"event {number}, {type(one).__name__}:")
                lines += [_INDENT + line for line in found]
    return lines


def of_documents(expected: Mapping[Any, BaseModel], got: Mapping[Any, BaseModel]) -> list[str]:
    """Returns what differs between documents by their keys; empty if nothing does."""
    lines: list[str] = []
    for key in dict.fromkeys((*expected, *got)):
        one, other = expected.get(key), got.get(key)
        if one is None:
            lines.append(f"document {key!r} is extra: got {shown(other)}")
        elif other is None:
            lines.append(f"document {key!r} is missing: expected {shown(one)}")
        elif found := of_values(differences(one, other)):
            lines.append(f"document {key!r}, {type(one).__name__}:")
            lines += [_INDENT + line for line in found]
    return lines


def listed(
    title: str, events: Sequence[object], mark: Callable[[int], str] = lambda _: ""
) -> list[str]:
    """Returns a numbered line for each event, with a title before the first; the last 20."""
    first = max(len(events) - _MOST, 0)
    lines = [f"{first} more"] if first else []
    lines += [
        f"{index + 1} {shown(each)}{mark(index)}"
        for index, each in enumerate(events)
        if index >= first
    ]
    texts = lines or ["nothing"]
    return [f"{title if index == 0 else '':8}{line}" for index, line in enumerate(texts)]


def _of_event(
    expected: Event, got: Event, meta: Collection[str], ignore: Collection[str]
) -> Iterator[tuple[str, Any, Any]]:
    yield from differences(expected, got, ignore=ignore)
    for name in meta:
        one, other = (getattr(event.meta, name) for event in (expected, got))
        if one != other:
            yield f"meta.{name}", one, other


def _aligned(
    expected: Sequence[Event], got: Sequence[Event]
) -> Iterator[tuple[Event | None, Event | None]]:
    """Yields events that stand for each other; None where one has none.

    Events of the same class are paired in their order, so that one event too few does not make
    all that follow differ.
    """
    kinds, found = ([type(event) for event in events] for events in (expected, got))
    matcher = SequenceMatcher(None, kinds, found, autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        for offset in range(max(b - a, d - c)):
            one = expected[a + offset] if a + offset < b else None
            other = got[c + offset] if c + offset < d else None
            yield one, other


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        if isinstance(one, BaseModel):
            return False
        if isinstance(one, bool) or isinstance(other, bool):
            numbers = isinstance(one, Number) and isinstance(other, Number)
            return not numbers and bool(one == other)
    return bool(one == other)


def _is_transparent(value: Any) -> bool:
    """Tells whether values are equal if their parts are, so that a bool in them can be found."""
    if isinstance(value, BaseModel):
        return type(value).__eq__ in (BaseModel.__eq__, Event.__eq__)
    return type(value) in (list, tuple, dict)


def _parts(value: Any) -> dict[Any, Any] | None:
    """Returns the parts of a value by their names; None if it has none."""
    if isinstance(value, BaseModel) and not isinstance(value, UnknownEvent):
        held = {name: getattr(value, name) for name in type(value).__pydantic_fields__}
        return held | (value.__pydantic_extra__ or {})
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value) if each.compare}
    if type(value) is dict:
        return {_Key(key): item for key, item in value.items()}
    if type(value) in (list, tuple):
        return dict(enumerate(value))
    return None


class _Key:
    """A key of a dict, which is not the name of a field."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and _equal(self.key, other.key)

    def __hash__(self) -> int:
        return hash(self.key)


def _joined(path: str, name: Any) -> str:
    if isinstance(name, _Key):
        return f"{path}[{name.key!r}]"
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else str(name)
