"""What must hold of a field's value for its JSON to be exact, and the encoder that asks."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, TzInfo

from eventuali.codec.json._compare import MAX_INT_DIGITS

E = TypeVar("E", bound=BaseModel)
Test = Callable[[Any], bool]


class Guard(NamedTuple):
    """What makes a field's JSON exact.

    Attributes:
        types: The exact types its value may have.
        test: What else must hold of the value.
    """

    types: frozenset[type]
    test: Test | None = None

    def accepts(self, value: Any) -> bool:
        """Tells whether the value's JSON is exact."""
        return type(value) in self.types and (self.test is None or self.test(value))


def _exact_clock(value: datetime | time) -> bool:
    zone = value.tzinfo
    if zone is None:
        return not value.fold
    if zone is UTC:
        return True
    if type(zone) not in _FIXED_OFFSET:
        return False
    offset = value.utcoffset()
    return offset is not None and not offset % _MINUTE


_FIXED_OFFSET = frozenset({timezone, TzInfo})
_MINUTE = timedelta(minutes=1)
PLAIN = {
    "none": Guard(frozenset({type(None)})),
    "bool": Guard(frozenset({bool})),
    "int": Guard(frozenset({int})),
    "float": Guard(frozenset({float})),
    "str": Guard(frozenset({str})),
    "decimal": Guard(frozenset({Decimal})),
    "bytes": Guard(frozenset({bytes})),
    "uuid": Guard(frozenset({UUID})),
    "date": Guard(frozenset({date})),
    "timedelta": Guard(frozenset({timedelta})),
    "datetime": Guard(frozenset({datetime}), _exact_clock),
    "time": Guard(frozenset({time}), _exact_clock),
}
BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "min_length": lambda value, bound: len(value) >= bound,
    "max_length": lambda value, bound: len(value) <= bound,
}


def every(guard: Guard) -> Callable[[Any], bool]:
    """Whether the guard accepts each of many values."""
    if guard.test is not None:
        return lambda values: all(map(guard.accepts, values))
    types = guard.types
    return lambda values: set(map(type, values)) <= types


def bounded(guard: Guard, bounds: dict[str, Any]) -> Guard:
    """The guard with bounds that are keys of `BOUNDS`."""
    checks = [(BOUNDS[name], bound) for name, bound in bounds.items()]

    def test(value: Any) -> bool:
        return (guard.test is None or guard.test(value)) and all(
            holds(value, bound) for holds, bound in checks
        )

    return guard._replace(test=test)


def panicked(error: BaseException) -> bool:
    """Tells whether pydantic's core gave up, as it does on a dict that grows while it is written.

    Its exception can't be imported, and is no `Exception`.
    """
    kind = type(error)
    return (kind.__module__, kind.__name__) == ("pyo3_runtime", "PanicException")


def _doubts(kinds: set[str]) -> list[str]:
    """What in the payload itself calls for a comparison."""
    doubts = []
    if "int" in kinds:
        doubts.append(f"len(payload) >= {MAX_INT_DIGITS}")
    if not kinds.isdisjoint({"float", "decimal"}):
        # `in` is three times slower: it first tries the bytes as a number.
        doubts.append("payload.find(b'NaN') >= 0 or payload.find(b'Infinity') >= 0")
    if "dict" in kinds:
        # A lone surrogate in a key becomes U+FFFD where pydantic writes it.
        doubts.append(r"payload.find(b'\xef\xbf\xbd') >= 0")
    return doubts


def encoder(
    guards: dict[str, Guard],
    kinds: set[str],
    to_json: Callable[[Any], bytes],
    verify: Callable[[E], bytes],
    private: Test | None = None,
) -> Callable[[Iterable[E]], list[bytes]]:
    """Writes an encoder of many events as one function: a call per field would double its time.

    Args:
        guards: What must hold of each field.
        kinds: The types of core schema in the class.
        to_json: Gives the JSON of an event that the guards accept.
        verify: Encodes every other event, and compares.
        private: What must hold of the private attributes.
    """
    doubts = _doubts(kinds)
    checks, names = _checks(guards, private)
    template = _ENCODER if guards else _ENCODER.replace("fields = value.__dict__", "")
    source = template.format(checks=checks, doubts=" or ".join(doubts) or "False")
    names |= {"to_json": to_json, "verify": verify}
    names["panicked"] = panicked
    exec(source, names)  # noqa: S102
    encode_all: Callable[[Iterable[E]], list[bytes]] = names["function"]
    return encode_all


def compiled_test(guards: dict[str, Guard], private: Test | None) -> Test:
    """The test of a nested model, from the guards of its fields and private attributes."""
    checks, names = _checks(guards, private)
    exec(_TEST.format(checks=checks), names)  # noqa: S102
    test: Test = names["function"]
    return test


def private_test(cls: type[BaseModel]) -> Test | None:
    """Whether private attributes are as new objects of a class have them; None where it has none.

    Each has one default, of a type in `EQUAL_MEANS_SAME`, or none.
    """
    if not cls.__private_attributes__:
        return None
    attributes = cls.__private_attributes__.items()
    defaults = {name: each.default for name, each in attributes}
    new = {name: each for name, each in defaults.items() if each is not PydanticUndefined}
    types = {name: type(default) for name, default in new.items()}
    return lambda value: (
        value == new and all(type(each) is types[name] for name, each in value.items())
    )


def _checks(guards: dict[str, Guard], private: Test | None) -> tuple[str, dict[str, Any]]:
    names: dict[str, Any] = {}
    checks = ["not value.__pydantic_extra__"]
    if private is not None:
        names["private"] = private
        checks.append("private(value.__pydantic_private__)")
    for index, (name, guard) in enumerate(guards.items()):
        field = f"fields[{name!r}]"
        one = len(guard.types) == 1
        names[f"type{index}"] = next(iter(guard.types)) if one else guard.types
        checks.append(f"type({field}) {'is' if one else 'in'} type{index}")
        if guard.test is not None:
            names[f"test{index}"] = guard.test
            checks.append(f"test{index}({field})")
    return " and ".join(checks), names


_ENCODER = """
def function(values):
    payloads = []
    for value in values:
        try:
            fields = value.__dict__
            if {checks}:
                payload = to_json(value)
                if not ({doubts}):
                    payloads.append(payload)
                    continue
        except Exception:
            pass
        except BaseException as error:
            if not panicked(error):
                raise
        payloads.append(verify(value))
    return payloads
"""
_TEST = """
def function(value):
    fields = value.__dict__
    return {checks}
"""
