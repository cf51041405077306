"""Strategies of Hypothesis for what pydantic's annotations allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from types import UnionType
from typing import Annotated, Any, NewType, TypeVar, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, NaiveDatetime, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import TypeAliasType

M = TypeVar("M", bound=BaseModel)

_LISTS: dict[Any, Callable[..., st.SearchStrategy[Any]]] = {
    list: st.lists,
    set: st.sets,
    frozenset: st.frozensets,
}
_LONGEST = 8
"""The most items of a collection that says nothing of its length."""
_DEFAULT: Any = type("_Default", (), {"__repr__": lambda _: "the default"})()

_models: dict[type[BaseModel], st.SearchStrategy[Any]] = {}


def of_model(
    cls: type[M], given: Mapping[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[M]:
    """Returns a strategy for the instances of a model that its validators accept."""
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    own = given or {}
    values = {
        name: own[name] if name in own else _of_field(field)
        for name, field in cls.__pydantic_fields__.items()
    }

    def make(values: Mapping[str, Any]) -> M | None:
        there = {name: value for name, value in values.items() if value is not _DEFAULT}
        try:
            return cls.model_validate(there, by_name=True, by_alias=True)
        except ValidationError:
            return None

    return _not_none(st.fixed_dictionaries(values).map(make))


def _not_none(strategy: st.SearchStrategy[M | None]) -> st.SearchStrategy[M]:
    return strategy.filter(lambda value: value is not None)  # type: ignore[return-value]


def _nested(cls: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Returns the strategy of a model within another, which may contain itself."""
    if cls not in _models:
        _models[cls] = st.deferred(lambda: of_model(cls))
    return _models[cls]


def _of_field(field: FieldInfo) -> st.SearchStrategy[Any]:
    found = _of(field.annotation, list(field.metadata))
    if field.default is PydanticUndefined and field.default_factory is None:
        return found
    return st.one_of(st.just(_DEFAULT), found)


def _of(kind: Any, limits: list[Any]) -> st.SearchStrategy[Any]:
    """Returns a strategy for an annotation with limits, such as `Gt` or a pattern."""
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            limits = [*_flat(more), *limits]
        elif isinstance(kind, TypeAliasType):
            kind = kind.__value__
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        else:
            break
    limits = list(_flat(limits))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([_of(one, limits if one is not type(None) else []) for one in arguments])
    if origin in _LISTS and arguments:
        least, most = _lengths(limits)
        return _LISTS[origin](_of(arguments[0], []), min_size=least, max_size=most)
    if origin is dict and arguments:
        least, most = _lengths(limits)
        key, value = (_of(one, []) for one in arguments)
        return st.dictionaries(key, value, min_size=least, max_size=most)
    if origin is tuple and arguments:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            least, most = _lengths(limits)
            return st.lists(_of(arguments[0], []), min_size=least, max_size=most).map(tuple)
        return st.tuples(*(_of(one, []) for one in arguments))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _nested(kind)
    return _of_value(kind, limits)


def _of_value(kind: Any, limits: list[Any]) -> st.SearchStrategy[Any]:
    general = {k: v for limit in limits if _is_general(limit) for k, v in vars(limit).items()}
    known = [limit for limit in limits if isinstance(limit, annotated_types.BaseMetadata)]
    if kind is str and (pattern := general.get("pattern")) is not None:
        return _limited(st.from_regex(re.compile(pattern)), known)
    if kind is Decimal:
        places = general.get("decimal_places")
        numbers = st.decimals(
            allow_nan=False, allow_infinity=False, places=places, **_bounds(known)
        )
        return _limited(numbers, known)
    if kind is float:
        return _limited(st.floats(allow_nan=False, **_bounds(known)), known)
    if kind is AwareDatetime:
        return st.datetimes(timezones=st.just(UTC))
    if kind is NaiveDatetime:
        return st.datetimes()
    if kind is datetime:
        return st.datetimes(timezones=st.none() | st.just(UTC))
    limited: Any = Annotated[kind, *known] if known else kind
    return st.from_type(limited)


def _bounds(limits: Iterable[Any]) -> dict[str, Any]:
    """Returns the least and the greatest number, both included."""
    found: dict[str, Any] = {}
    for limit in limits:
        if isinstance(limit, annotated_types.Ge | annotated_types.Gt):
            found["min_value"] = limit.ge if isinstance(limit, annotated_types.Ge) else limit.gt
        elif isinstance(limit, annotated_types.Le | annotated_types.Lt):
            found["max_value"] = limit.le if isinstance(limit, annotated_types.Le) else limit.lt
    return found


def _limited(strategy: st.SearchStrategy[Any], limits: Iterable[Any]) -> st.SearchStrategy[Any]:
    """Returns what is within limits that the strategy itself does not know."""
    for limit in limits:
        if isinstance(limit, annotated_types.Gt):
            strategy = strategy.filter(partial(_exceeds, limit.gt))
        elif isinstance(limit, annotated_types.Lt):
            strategy = strategy.filter(partial(_is_below, limit.lt))
    return strategy


def _exceeds(least: Any, value: Any) -> bool:
    return bool(value > least)


def _is_below(most: Any, value: Any) -> bool:
    return bool(value < most)


def _lengths(limits: Iterable[Any]) -> tuple[int, int]:
    """Returns the least and the greatest number of items."""
    least, most = 0, None
    for limit in limits:
        if isinstance(limit, annotated_types.MinLen):
            least = limit.min_length
        elif isinstance(limit, annotated_types.MaxLen):
            most = limit.max_length
    return least, least + _LONGEST if most is None else most


def _flat(limits: Iterable[Any]) -> Iterable[Any]:
    """Yields limits one by one that may come together, such as those of `Field`."""
    for limit in limits:
        if isinstance(limit, FieldInfo):
            yield from _flat(limit.metadata)
        elif isinstance(limit, annotated_types.GroupedMetadata):
            yield from _flat(limit)
        else:
            yield limit


def _is_general(limit: Any) -> bool:
    """Tells whether a limit is one of pydantic's own, which keeps them as attributes."""
    return type(limit).__name__ == "_PydanticGeneralMetadata"
