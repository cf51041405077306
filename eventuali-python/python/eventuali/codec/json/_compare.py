"""Deep, type-exact comparison of two values, and where a value can't be JSON.

Equality of Python is too kind for a store: ``True == 1``, ``0.0 == -0.0`` and ``{}`` equals an
``OrderedDict``. Here two values are the same only when nothing that can be read from one differs
in the other; but a date, time, UUID or Decimal of a subclass that adds no data may come back as its
base type, and a default that was never validated as what its field makes of it, where the two are
equal. Cached properties of a model aren't its data.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import struct
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from eventuali.event import Event

MAX_DEPTH = 64
"""Levels of nesting below the event; each container, model or dataclass is one."""

MAX_INT_DIGITS = 4300
"""JSON integers of this many digits or more aren't read back by pydantic."""

EQUAL_MEANS_SAME = frozenset({bool, int, str, bytes, type(None), date, timedelta, UUID})
"""Types whose values are the same where they are equal."""

_SEQUENCES = (list, tuple, deque)
_CONTAINERS = (*_SEQUENCES, dict, set, frozenset)
_Comparison = Callable[[Any, Any, int], None]
_NOT_FINITE = "NaN and the infinities aren't JSON"
_KEY_SHOWN = 60
_KEY_LIMIT = 10**_KEY_SHOWN


class Difference(NamedTuple):
    """Where two values differ first, and how."""

    path: str
    reason: str


class _Found(Exception):
    """Ends a walk; every level adds its step of the path on the way out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []

    def difference(self) -> Difference:
        return Difference("".join(reversed(self.steps)).removeprefix("."), self.reason)


class _OtherType(_Found):
    """Says that a value would come back as one of another type."""


def difference(left: object, right: object) -> Difference | None:
    """Finds the first place where two values differ in type or value.

    Args:
        left: A model or any value in it.
        right: What came back for it.

    Returns:
        The path, such as ``items[2].price``, and the reason; None where nothing differs.
        Nesting below `MAX_DEPTH` levels is reported as a difference with the reason ``depth``.
    """
    try:
        if isinstance(left, BaseModel):
            _same_type(left, right)
            _compare_fields(left, right, 0)
        else:
            _compare(left, right, 0)
    except _Found as found:
        return found.difference()
    return None


def unwritable(value: object, *, non_finite: bool = False) -> Difference | None:
    """Finds the first part of a value that JSON, or pydantic's JSON, can't hold.

    Args:
        value: A model or any value in it.
        non_finite: Whether NaN and the infinities count.

    Returns:
        The path and the reason; None where nothing stands out.
    """
    try:
        if isinstance(value, BaseModel):
            _search_steps(_model_steps(value), 0, non_finite, {id(value)})
        else:
            _search(value, 0, non_finite, set())
    except _Found as found:
        return found.difference()
    return None


# --- comparison ---------------------------------------------------------------------------------


def _same_type(left: object, right: object) -> None:
    if type(left) is not type(right):
        if isinstance(left, float) and not math.isfinite(left):
            raise _Found(_NOT_FINITE)
        raise _OtherType(f"{_name(left)} would come back as {_name(right)}")


def _compare(left: Any, right: Any, depth: int) -> None:
    kind: Any = type(left)
    if kind is not type(right):
        if _same_in_base_type(left, right):
            return
        _same_type(left, right)
    _comparison(kind)(left, right, depth)


def _same_in_base_type(left: Any, right: Any) -> bool:
    """Whether a value of a subclass (of freezegun, pandas, asyncpg) says no more than its base."""
    base = next((each for each in type(left).__mro__ if each in _BASES), None)
    if base is None or type(right) is not base:
        return False
    try:
        return _BASES[base](left, right) and not _has_own_data(left, base)
    except Exception:  # An equality that fails proves nothing.
        return False


def _has_own_data(value: Any, base: type) -> bool:
    own = (vars(each) for each in type(value).__mro__ if each not in base.__mro__)
    finer = getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0)
    state = getattr(value, "__dict__", None)
    return bool(state or finer or any(each.get("__slots__") for each in own))


def _same_leaf(left: Any, right: Any) -> bool:
    kind = type(left)
    return kind in EQUAL_MEANS_SAME and kind is type(right) and bool(left == right)


@lru_cache(maxsize=1024)
def _comparison(kind: type) -> _Comparison:
    if issubclass(kind, Enum):
        return _compare_identity
    for base, compare in _COMPARISONS.items():
        if issubclass(kind, base):
            return compare
    return _compare_attributes if dataclasses.is_dataclass(kind) else _compare_objects


def _compare_identity(left: object, right: object, _depth: int) -> None:
    _require(left is right, left)


def _compare_objects(left: Any, right: Any, _depth: int) -> None:
    _require(left is right or _equal(left, right), left)


def _by(same: Callable[[Any, Any], bool]) -> _Comparison:
    return lambda left, right, _depth: _require(same(left, right), left)


def _require(same: bool, value: object) -> None:
    if not same:
        raise _Found(f"{_name(value)} would come back with another value")


def _enter(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise _Found(f"depth: more than {MAX_DEPTH} levels of nesting")


def _compare_sequence(left: Any, right: Any, depth: int) -> None:
    _enter(depth)
    _require(len(left) == len(right), left)
    if isinstance(left, deque):
        _require(left.maxlen == right.maxlen, left)
    if _plainly_same(left, right):
        return
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        if _same_leaf(one, other):
            continue
        try:
            _compare(one, other, depth + 1)
        except _Found as found:
            found.steps.append(f"[{index}]")
            raise


def _plainly_same(left: Iterable[Any], right: Iterable[Any]) -> bool:
    kinds = set(map(type, left))
    return (
        len(kinds) == 1
        and kinds <= EQUAL_MEANS_SAME
        and set(map(type, right)) == kinds
        and left == right
    )


def _compare_dict(left: dict[Any, Any], right: dict[Any, Any], depth: int) -> None:
    _enter(depth)
    if isinstance(left, defaultdict) and isinstance(right, defaultdict):
        _require(left.default_factory is right.default_factory, left)
    text_keys = set(map(type, left)) == {str} == set(map(type, right))
    twins = None if text_keys else {key: key for key in right}
    for key, value in left.items():
        try:
            if key not in right:
                raise _Found(f"a key of type {_name(key)} would not come back")
            if twins is not None:
                _compare(key, twins[key], depth + 1)
            if not _same_leaf(value, right[key]):
                _compare(value, right[key], depth + 1)
        except _Found as found:
            found.steps.append(key_step(key))
            raise
    _require(len(left) == len(right), left)
    if isinstance(left, OrderedDict):
        _require(list(left) == list(right), left)


def _compare_set(left: Any, right: Any, depth: int) -> None:
    _enter(depth)
    _require(len(left) == len(right), left)
    if _plainly_same(left, right):
        return
    twins = {item: item for item in right}
    for item in left:
        if item not in twins:
            raise _Found(f"an item of type {_name(item)} would not come back")
        _compare(item, twins[item], depth + 1)


def _compare_model(left: Any, right: Any, depth: int) -> None:
    if isinstance(left, Event):
        raise _Found("an event inside another would lose its metadata; store its data as a model")
    _enter(depth)
    _compare_fields(left, right, depth + 1)


def _compare_fields(left: BaseModel, right: Any, depth: int) -> None:
    fields, given = _members(left), left.__pydantic_fields_set__
    unchecked = fields.keys() - given if len(given) < len(fields) else ()
    _compare_members(fields, _members(right), depth, unchecked)
    if left.__pydantic_extra__ or right.__pydantic_extra__:
        _compare_members(left.__pydantic_extra__ or {}, right.__pydantic_extra__ or {}, depth)
    if left.__pydantic_private__ or right.__pydantic_private__:
        _compare_private(left.__pydantic_private__ or {}, right.__pydantic_private__ or {}, depth)


def _compare_private(left: dict[str, Any], right: dict[str, Any], depth: int) -> None:
    try:
        _compare_members(left, right, depth)
    except _Found as found:
        found.reason = (
            f"{found.reason}: a private attribute isn't stored; make it a field, or a "
            "cached_property if it can be worked out again"
        )
        raise


def _compare_attributes(left: Any, right: Any, depth: int) -> None:
    _enter(depth)
    values = _attributes(left)
    defaults = {field.name: field.default for field in dataclasses.fields(left)}
    unchecked = [name for name, value in values.items() if value is defaults.get(name, _NO_DEFAULT)]
    _compare_members(values, _attributes(right), depth + 1, unchecked)


_NO_DEFAULT = object()


def _compare_members(
    left: Mapping[str, Any], right: Mapping[str, Any], depth: int, unchecked: Container[str] = ()
) -> None:
    """Compares by name.

    Args:
        left: The values.
        right: What came back for them.
        depth: Their level.
        unchecked: The names of those that may be defaults, which pydantic did not validate.
    """
    for name, value in left.items():
        try:
            if name not in right:
                raise _Found("would not come back")
            if not _same_leaf(value, right[name]):
                _compare(value, right[name], depth)
        except _Found as found:
            if name in unchecked and isinstance(found, _OtherType):
                if _is_validated(value, right[name]):
                    continue
                found.reason += DEFAULT
            found.steps.append(f".{name}")
            raise
    for name in right.keys() - left.keys() if len(right) > len(left) else ():
        added = _Found("would come back although it isn't set")
        added.steps.append(f".{name}")
        raise added


DEFAULT = (
    "; it is the default, which is not of the field's type: give one that is, or set "
    "validate_default=True"
)


def _is_validated(default: Any, right: Any) -> bool:
    """Whether pydantic made a value of another type of a plain default, such as 0 for a float."""
    plain = type(default) in _SCALARS
    return plain and type(default) is not type(right) and _equal(default, right)


_SCALARS = frozenset({bool, int, float, str, Decimal})


def _equal(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:  # An equality that fails proves nothing.
        return False


def _members(model: BaseModel) -> dict[str, Any]:
    values = model.__dict__
    fields = type(model).__pydantic_fields__
    if values.keys() == fields.keys():
        return values
    return {name: values[name] for name in fields if name in values}


def _attributes(value: Any) -> dict[str, Any]:
    names = dict.fromkeys(field.name for field in dataclasses.fields(value))
    names |= dict.fromkeys(getattr(value, "__dict__", ()))
    kind = type(value)
    return {
        name: getattr(value, name)
        for name in names
        if hasattr(value, name) and not isinstance(getattr(kind, name, None), cached_property)
    }


def _same_float(left: float, right: float) -> bool:
    return struct.pack("<d", left) == struct.pack("<d", right)


def _same_complex(left: complex, right: complex) -> bool:
    return _same_float(left.real, right.real) and _same_float(left.imag, right.imag)


def _same_decimal(left: Decimal, right: Decimal) -> bool:
    return left.as_tuple() == right.as_tuple()


def _same_datetime(left: datetime, right: datetime) -> bool:
    """PEP 495: in a fold or gap nothing equals but the same wall clock in the same zone.

    A zone that has no name, such as one of dateutil, comes back as its offset there as elsewhere.
    """
    if left.utcoffset() != right.utcoffset():
        return False
    if left.utcoffset() is None:
        return _same_clock(left, right) and _same_zone(left, right)
    if not isinstance(left.tzinfo, ZoneInfo):
        return _same_clock(left, right, fold=False)
    return left == right or (_same_clock(left, right) and _same_zone(left, right))


def _same_time(left: time, right: time) -> bool:
    if left.utcoffset() is None or right.utcoffset() is None:
        return _same_clock(left, right) and _same_zone(left, right)
    return left.utcoffset() == right.utcoffset() and _same_clock(left, right, fold=False)


def _same_clock(left: Any, right: Any, *, fold: bool = True) -> bool:
    same: bool = left.replace(tzinfo=None) == right.replace(tzinfo=None)
    return same and (not fold or left.fold == right.fold)


def _same_zone(left: Any, right: Any) -> bool:
    one, other = left.tzinfo, right.tzinfo
    if one is other:
        return True
    named = isinstance(one, ZoneInfo) and isinstance(other, ZoneInfo)  # or of a subclass
    return named and one.key is not None and one.key == other.key


_BASES: dict[type, Callable[[Any, Any], bool]] = {
    Decimal: _same_decimal,
    UUID: operator.eq,
    date: operator.eq,
    datetime: _same_datetime,
    time: _same_time,
    timedelta: operator.eq,
}
_COMPARISONS: dict[type, _Comparison] = {
    float: _by(_same_float),
    complex: _by(_same_complex),
    Decimal: _by(_same_decimal),
    datetime: _by(_same_datetime),
    time: _by(_same_time),
    list: _compare_sequence,
    tuple: _compare_sequence,
    deque: _compare_sequence,
    dict: _compare_dict,
    set: _compare_set,
    frozenset: _compare_set,
    BaseModel: _compare_model,
}


# --- search -------------------------------------------------------------------------------------


def _search(value: Any, depth: int, non_finite: bool, above: set[int]) -> None:
    if isinstance(value, str):
        if _has_surrogate(value):
            raise _Found("a lone surrogate isn't Unicode text")
    elif isinstance(value, float):
        if non_finite and not math.isfinite(value):
            raise _Found(_NOT_FINITE)
    elif isinstance(value, int):
        if abs(value) >= _INT_LIMIT:
            raise _Found(f"an int of {MAX_INT_DIGITS} digits or more isn't read back")
    elif isinstance(value, (*_CONTAINERS, BaseModel)) or dataclasses.is_dataclass(value):
        if id(value) in above:
            raise _Found("a cycle: the value contains itself")
        _enter(depth)
        above.add(id(value))
        _search_steps(_steps(value), depth + 1, non_finite, above)
        above.discard(id(value))


_INT_LIMIT = 10 ** (MAX_INT_DIGITS - 1)


def _search_steps(
    steps: Iterable[tuple[str, Any]], depth: int, non_finite: bool, above: set[int]
) -> None:
    for step, value in steps:
        try:
            _search(value, depth, non_finite, above)
        except _Found as found:
            found.steps.append(step)
            raise


def _steps(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key_step(key), key
            yield key_step(key), item
    elif isinstance(value, BaseModel):
        yield from _model_steps(value)
    elif isinstance(value, _SEQUENCES):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from (("", item) for item in value)
    else:
        yield from ((f".{name}", item) for name, item in _attributes(value).items())


def _model_steps(model: BaseModel) -> Iterable[tuple[str, Any]]:
    for name, value in {**_members(model), **(model.__pydantic_extra__ or {})}.items():
        yield f".{name}", value


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _name(value: object) -> str:
    return type(value).__name__


def key_step(key: object) -> str:
    """Returns the step of a path to the value of a key."""
    if isinstance(key, str):
        return f"[{key[:_KEY_SHOWN]!r}]"
    if key is None or (isinstance(key, int) and abs(key) < _KEY_LIMIT):
        return f"[{key!r}]"
    return f"[<{_name(key)}>]"
