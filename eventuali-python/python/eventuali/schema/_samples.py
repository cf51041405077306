"""Payloads that a schema allows: an ordinary one, and one for each thing that may differ in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from eventuali.schema._described import DECIMAL, KEYS, ZONE, Schema, canonical

MOST = 1000
"""Payloads of a schema, at the most."""
_DEEPEST = 1
"""How often a definition may contain itself in a payload."""
_LONGEST = 10_000
"""Characters of a text, or items of a list, that a payload has for the sake of a limit."""
_WIDE = 2**53 + 1
"""The first whole number that no float is."""

_TEXTS = ("a", "", "é 1")
_FOR_PATTERNS = (
    "a", "A", "1", "0", "", "ab", "AB", "12", "abc", "ABC", "123", "a1", "A1", "abcd", "1234",
    "12345", "abc-123", "ABC-123", "a_b", "a-b", "a.b", "+491234567", "a@example.org", "#aabbcc",
    "DE", "EUR", "2020-02-29", "00000000-0000-4000-8000-000000000000",
)  # fmt: skip
_FORMATS: dict[str, tuple[Any, ...]] = {
    "base64": ("YQ==", "", "_-8="),
    "date": ("2020-02-29", "0001-01-01"),
    "time": ("12:34:56.789012", "00:00:00"),
    "duration": ("P1DT1H", "-P1D", "PT0S"),
    "uuid": ("00000000-0000-4000-8000-000000000001",),
    "uri": ("https://example.org/a",),
    "email": ("ada@example.org",),
    "name-email": ("Ada <ada@example.org>",),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "ipvanyaddress": ("192.0.2.1", "2001:db8::1"),
    "json-string": ('{"a": 1}',),
}
_ZONED, _ZONELESS = "2020-02-29T12:34:56.789012Z", "2020-02-29T12:34:56.789012"


class Named(dict[str, Any]):
    """An object of a definition, which a union may have several of."""

    definition: str = ""

    @classmethod
    def of(cls, name: str, values: dict[str, Any]) -> Named:
        """Notes of which definition an object is."""
        made = cls(values)
        made.definition = name
        return made


class _Endless(Exception):
    """There is no value without another one of the same definition in it."""


def samples(schema: Schema) -> list[Any]:
    """Returns payloads that the schema allows, the ordinary one first; the same each time.

    Where a schema has `examples`, those stand for what it allows.
    """
    try:
        found = _Samples(schema.get("$defs", {})).of(schema)
    except _Endless:
        return []
    return list(islice(_distinct(found), MOST))


def _distinct(values: Iterable[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for value in values:
        text = canonical(value)
        if text not in seen:
            seen.add(text)
            yield value


class _Samples:
    """Makes values of the schemas of one document."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._within: dict[str, int] = {}

    def of(self, schema: Any) -> list[Any]:
        """Returns values of a schema, at least one.

        Raises:
            _Endless: There is none that ends.
        """
        found = list(islice(_distinct(self._values(schema)), MOST))
        if not found:
            raise _Endless
        return found

    def _values(self, schema: Any) -> Iterable[Any]:
        if not isinstance(schema, dict) or not schema.keys() - {"description", "default"}:
            return [None, 1, "a", [], {}]
        if schema.get("examples"):
            return list(schema["examples"])
        if "const" in schema:
            return [schema["const"]]
        if "enum" in schema:
            return list(schema["enum"])
        if "$ref" in schema:
            return self._referred(schema["$ref"].rpartition("/")[2])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._of_each(schema[key])
        if "allOf" in schema:
            merged: Schema = {}
            for each in schema["allOf"]:
                merged |= each
            return self._values(merged)
        return self._of_type(schema)

    def _referred(self, name: str) -> list[Any]:
        if self._within.get(name, 0) >= _DEEPEST:
            raise _Endless
        self._within[name] = self._within.get(name, 0) + 1
        try:
            found = self.of(self._definitions.get(name))
            return [Named.of(name, each) if isinstance(each, dict) else each for each in found]
        finally:
            self._within[name] -= 1

    def _of_each(self, choices: list[Any]) -> Iterator[Any]:
        """Yields the ordinary values of all choices, then the others."""
        rest: list[Any] = []
        for each in choices:
            try:
                first, *others = self.of(each)
            except _Endless:
                continue
            yield first
            rest += others
        yield from rest

    def _of_type(self, schema: Schema) -> Iterable[Any]:
        kind = schema.get("type")
        if kind == "object":
            return self._objects(schema)
        if kind == "array":
            return self._arrays(schema)
        if kind == "string":
            return _texts(schema)
        if kind in ("integer", "number"):
            return _numbers(schema, whole=kind == "integer")
        if kind == "boolean":
            return [True, False]
        if kind == "null":
            return [None]
        return [None, 1, "a", [], {}]

    def _objects(self, schema: Schema) -> Iterator[Any]:
        required = schema.get("required", ())
        values: dict[str, list[Any]] = {}
        for name, each in schema.get("properties", {}).items():
            try:
                values[name] = self.of(each)
            except _Endless:
                if name in required:
                    raise
        whole = {name: found[0] for name, found in values.items()}
        if "properties" not in schema:
            yield from self._mappings(schema)
            return
        yield whole
        for name, (_, *others) in values.items():
            yield from (whole | {name: other} for other in others)
        tags = {name for name in whole if "const" in schema["properties"][name]}
        optional = [name for name in whole if name not in required and name not in tags]
        for name in optional:
            yield {key: value for key, value in whole.items() if key != name}
        yield {key: value for key, value in whole.items() if key not in optional}

    def _mappings(self, schema: Schema) -> Iterator[Any]:
        least = schema.get("minProperties", 0)
        keys = [key for key in map(_key, self.of(schema.get(KEYS) or {"type": "string"})) if key]
        keys += [f"key {n}" for n in range(len(keys), least)]
        try:
            values = self.of(schema.get("additionalProperties"))
        except _Endless:
            values = []
        if values and keys:
            size = max(least, 1)
            for value in values:
                yield dict.fromkeys(keys[:size], value)
            for key in keys[1:]:
                yield dict.fromkeys([*keys[: size - 1], key], values[0])
        if not least:
            yield {}

    def _arrays(self, schema: Schema) -> Iterator[Any]:
        if "prefixItems" in schema:
            yield from self._tuples(schema["prefixItems"])
            return
        least = schema.get("minItems", 0)
        most = schema.get("maxItems")
        try:
            values = self.of(schema.get("items"))
        except _Endless:
            values = []
        if schema.get("uniqueItems"):
            if len(values) >= max(least, 1):
                size = len(values) if most is None else min(len(values), most)
                yield values[: max(least, 1)]
                yield from ([value] for value in (values[1:] if least <= 1 else ()))
                yield values[:size]
        elif values and most != 0:
            yield from ([value] * max(least, 1) for value in values)
            longest = max(least, 2) if most is None else min(most, _LONGEST)
            yield [values[0]] * longest
        if not least:
            yield []

    def _tuples(self, items: list[Any]) -> Iterator[Any]:
        values = [self.of(each) for each in items]
        whole = [found[0] for found in values]
        yield whole
        for index, (_, *others) in enumerate(values):
            yield from ([*whole[:index], other, *whole[index + 1 :]] for other in others)


def _key(value: Any) -> str:
    """Returns a value as the key of an object."""
    return value if isinstance(value, str) else json.dumps(value)


def _texts(schema: Schema) -> Iterator[Any]:
    form = schema.get("format")
    if form == "date-time":
        zone = schema.get(ZONE)
        yield from [_ZONED] if zone != "naive" else []
        yield from [_ZONELESS] if zone != "aware" else []
        return
    if form == DECIMAL:
        yield from _decimals(schema)
        return
    if form in _FORMATS:
        yield from _FORMATS[form]
        return
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    pattern = schema.get("pattern")
    candidates: tuple[str, ...] = _TEXTS if pattern is None else _FOR_PATTERNS
    if pattern is None:
        lengths = [least, *([] if most is None else [min(most, _LONGEST)])]
        candidates += tuple("a" * length for length in lengths)
    for text in candidates:
        within = len(text) >= least and (most is None or len(text) <= most)
        if within and (pattern is None or _matches(pattern, text)):
            yield text


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # it is one of Rust's
        return False


def _numbers(schema: Schema, *, whole: bool) -> Iterator[Any]:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    candidates: list[Any] = [1, 0, -1] if whole else [1.5, 0.0, -1.5, 0.1]
    if step is not None:
        candidates = [step * n for n in (1, 0, -1, 3)]
    small = 1 if whole else 2.0**-10
    candidates += [each for each in (least, most) if each is not None]
    candidates += [] if above is None else [above + small]
    candidates += [] if below is None else [below - small]
    candidates += [_WIDE] if whole else [1e300]
    for number in candidates:
        if (
            (least is None or number >= least)
            and (most is None or number <= most)
            and (above is None or number > above)
            and (below is None or number < below)
            and (step is None or number % step == 0)
        ):
            yield number


def _decimals(schema: Schema) -> Iterator[str]:
    def limit(key: str) -> Decimal | None:
        return Decimal(schema[key]) if key in schema else None

    least, most = limit("minimum"), limit("maximum")
    above, below = limit("exclusiveMinimum"), limit("exclusiveMaximum")
    step, digits, places = limit("multipleOf"), limit("x-max-digits"), limit("x-decimal-places")
    small = Decimal(1) if places == 0 else Decimal("0.1")
    candidates = [Decimal(each) for each in ("1", "1.50", "0", "-1.5", "0.125")]
    candidates += [each for each in (least, most) if each is not None]
    candidates += [] if above is None else [above + small]
    candidates += [] if below is None else [below - small]
    candidates += [] if step is None else [step, step * 3]
    for number in candidates:
        parts = number.as_tuple()
        exponent = int(parts.exponent)
        if (
            (least is None or number >= least)
            and (most is None or number <= most)
            and (above is None or number > above)
            and (below is None or number < below)
            and (step is None or number % step == 0)
            and (places is None or -exponent <= places)
            and (digits is None or max(len(parts.digits), -exponent) <= digits)
        ):
            yield str(number)
