"""What a class stores, as JSON Schema, and fingerprints of that and of its validators."""

from __future__ import annotations

import ast
import inspect
import json
import math
import textwrap
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema

from eventuali.codec.json._pydantic_schema import _rewritten

Schema = dict[str, Any]

ZONE = "x-timezone"
"""Says of a `date-time` that it has a time zone (`aware`) or none (`naive`)."""
KEYS = "x-keys"
"""The schema of the keys of an object that are more than texts."""
PARTIAL = "x-partial"
"""Marks an object that may be written without some of its fields; others always have them all."""
DECIMAL = "decimal"
"""The format of a `Decimal`, which is stored as a text."""

_SUBSCHEMAS = ("items", "additionalProperties", KEYS)
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs")
_WORDS = frozenset({"description", "examples", "$comment", "deprecated", "title"})
"""What describes a value to people and does not change what is stored."""
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "max_digits": "x-max-digits",
    "decimal_places": "x-decimal-places",
}
_LIBRARIES = ("pydantic", "pydantic_core", "eventuali", "annotated_types")


class _AsStored(GenerateJsonSchema):
    """Describes what the codec writes: fields by their names, texts of bytes, nothing computed."""

    def __init__(self, **_: Any) -> None:
        super().__init__(by_alias=False)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def bytes_schema(self, schema: core_schema.BytesSchema) -> Schema:
        return {"type": "string", "format": "base64"}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> Schema:
        zone = schema.get("tz_constraint")
        return {
            "type": "string",
            "format": "date-time",
            **({ZONE: zone} if isinstance(zone, str) else {}),
        }

    def date_schema(self, schema: core_schema.DateSchema) -> Schema:
        return {"type": "string", "format": "date"}

    def time_schema(self, schema: core_schema.TimeSchema) -> Schema:
        return {"type": "string", "format": "time"}

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> Schema:
        return {"type": "string", "format": "duration"}

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> Schema:
        limits: Any = schema
        found = {ours: str(limits[key]) for key, ours in _LIMITS.items() if key in limits}
        return {"type": "string", "format": DECIMAL, **found}

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        found = super().dict_schema(schema)
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        return found if keys in ({}, {"type": "string"}) else found | {KEYS: keys}

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        found = super().typed_dict_schema(schema)
        every = found.get("properties", {}).keys() <= set(found.get("required", ()))
        return found if every else found | {PARTIAL: True}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        return {"$comment": f"anything: JSON Schema can't describe {schema['type']}"}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Says nothing: a default that can't be written is left out."""


def described(cls: type[BaseModel]) -> Schema:
    """Returns the JSON Schema of what a store keeps of an event, without titles.

    Raises:
        pydantic.errors.PydanticUndefinedAnnotation: A forward reference can't be resolved.
    """
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    core: CoreSchema = _rewritten(cls.__pydantic_core_schema__, _without_computed)
    cleaned = _cleaned(_AsStored().generate(core, mode="serialization"), drop=("title",))
    found: Schema = _sorted(_unwrapped(cleaned))
    return found


def _without_computed(node: Schema) -> Schema:
    return node | {"computed_fields": []} if "computed_fields" in node else node


def _unwrapped(schema: Schema) -> Schema:
    """Returns a schema with the top of a recursive class in its place, not behind a reference."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    top: Schema = schema["$defs"][reference.rpartition("/")[2]]
    return top | {"$defs": schema["$defs"]}


def _sorted(value: Any) -> Any:
    """Sorts keys, so that moving a field in its class changes nothing."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _cleaned(schema: Any, drop: tuple[str, ...] | frozenset[str]) -> Any:
    """Copies a schema without some keywords; a property of such a name stays."""
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for key, value in schema.items():
        if key in drop:
            continue
        if key in _SUBSCHEMAS:
            found[key] = _cleaned(value, drop)
        elif key in _LISTS:
            found[key] = [_cleaned(each, drop) for each in value]
        elif key in _NAMED:
            found[key] = {name: _cleaned(each, drop) for name, each in value.items()}
        else:
            found[key] = sorted(value) if key == "required" else _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Returns a value that any reader of JSON takes: a NaN as a text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


# --- fingerprints ---------------------------------------------------------------------------------


def fingerprint(schema: Schema) -> str:
    """Returns a fingerprint of what is stored; names of nested classes and texts don't count."""
    plain = _cleaned(schema, _WORDS)
    return _digest(canonical(_canonical(plain, plain.get("$defs", {}), {})))


def _canonical(schema: Any, definitions: Schema, known: dict[str, int]) -> Any:
    """Replaces references by the number of their first use, where it stands in full.

    In a union without a discriminator the names count, for its order says which class is read.
    """
    if isinstance(schema, list):
        return [_canonical(each, definitions, known) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    found = {
        key: _canonical(schema[key], definitions, known)
        for key in sorted(schema)
        if key not in ("$defs", "$ref", "discriminator")
    }
    for key in ("anyOf", "oneOf"):
        names = [each["$ref"] for each in schema.get(key, ()) if "$ref" in each]
        if len(names) > 1 and "discriminator" not in schema:
            found["order"] = names
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        if name in known:
            return found | {"$ref": known[name]}
        known[name] = len(known)
        found["$ref"] = [known[name], _canonical(definitions.get(name), definitions, known)]
    return found


def canonical(value: Any) -> str:
    """Returns the one text of a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(text: str) -> str:
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def checks_of(cls: type[BaseModel]) -> str | None:
    """Returns a fingerprint of the source of a class's own validators; None if it has none.

    What a validator calls or looks at is not part of it.
    """
    found = sorted(set(_sources(cls.__pydantic_core_schema__, set())))
    return _digest("\n".join(found)) if found else None


def _sources(node: Any, seen: set[int]) -> Iterator[str]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, list | tuple):
        for each in node:
            yield from _sources(each, seen)
    if not isinstance(node, dict):
        return
    if str(node.get("type", "")).startswith("function-"):
        yield from _source_of(node["function"])
    for key, each in node.items():
        if key not in ("metadata", "serialization", "cls", "default", "function"):
            yield from _sources(each, seen)


def _source_of(holder: Any) -> Iterator[str]:
    """Yields the source of a validator, without comments and layout, if it is a user's."""
    function: Any = holder["function"] if isinstance(holder, dict) else holder
    function = inspect.unwrap(getattr(function, "func", function))
    module = str(getattr(function, "__module__", None) or "")
    if module.partition(".")[0] in _LIBRARIES or not callable(function):
        return
    yield _normalised(function)


def _normalised(function: Callable[..., Any]) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # made by `exec`, or in C
        return str(getattr(function, "__qualname__", type(function).__qualname__))
    try:
        return ast.unparse(ast.parse(source))
    except SyntaxError:  # a lambda in the middle of an expression
        return " ".join(source.split())
