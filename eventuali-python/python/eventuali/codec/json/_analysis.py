"""Which events have exact JSON by construction: one look at the schema of their class."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, Flag
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import ModelPrivateAttr
from pydantic_core import (
    PydanticSerializationError,
    PydanticUndefined,
    SchemaValidator,
    to_json,
)

from eventuali.codec.json._compare import EQUAL_MEANS_SAME, MAX_DEPTH
from eventuali.codec.json._fast_path import (
    BOUNDS,
    PLAIN,
    Guard,
    bounded,
    compiled_test,
    every,
    private_test,
)
from eventuali.event import Event

Node = dict[str, Any]
_INERT = frozenset({
    "type", "metadata", "ref", "strict", "microseconds_precision", "now_op", "now_utc_offset",
})  # fmt: skip
_INERT_MODEL = frozenset({
    "type", "cls", "schema", "custom_init", "root_model", "config", "ref", "metadata", "post_init",
    "frozen", "generic_origin",
})  # fmt: skip
_INERT_CONFIG = frozenset({
    "title", "extra_fields_behavior", "frozen", "strict", "validate_default", "from_attributes",
    "revalidate_instances", "hide_input_in_errors", "validation_error_cause", "cache_strings",
    "loc_by_alias", "populate_by_name", "validate_by_name", "validate_by_alias", "ser_json_bytes",
    "val_json_bytes", "ser_json_timedelta", "ser_json_temporal", "ser_json_inf_nan",
    "serialize_by_alias", "regex_engine",
})  # fmt: skip
_INERT_FIELD = frozenset({
    "type", "schema", "metadata", "frozen", "validation_alias", "serialization_alias",
})  # fmt: skip
_BOUNDED = frozenset({"int", "float", "decimal", "str", "bytes", "list"})
_LEVELS = frozenset({"list", "set", "frozenset", "tuple", "dict", "model"})
_NESTING = {
    "nullable": {"schema"},
    "default": {
        "schema", "default", "default_factory", "default_factory_takes_data", "copy_default",
    },
    "list": {"items_schema"},
    "set": {"items_schema"},
    "frozenset": {"items_schema"},
    "tuple": {"items_schema", "variadic_item_index"},
    "dict": {"keys_schema", "values_schema"},
    "enum": {"cls", "members", "sub_type", "missing"},
    "literal": {"expected"},
    "definition-ref": {"schema_ref"},
}  # fmt: skip


class Analysis:
    """Finds what makes the JSON of a class exact; anything unknown to it makes it inexact.

    Attributes:
        kinds: The types of core schema seen.
    """

    def __init__(self, cls: type[BaseModel]) -> None:
        self._cls = cls
        self.kinds: set[str] = set()
        self._definitions: dict[str, Node] = {}
        self._open: set[str] = set()
        self._depth = 0

    def guards(self, schema: Any) -> dict[str, Guard] | None:
        """The guard of each field; None where events of the class must be compared."""
        if schema["type"] == "definitions":
            self._definitions = {each["ref"]: each for each in schema["definitions"]}
            schema = schema["schema"]
        if schema["type"] == "definition-ref":
            self._open.add(schema["schema_ref"])
            schema = self._definitions[schema["schema_ref"]]
        return self._fields(schema) if schema.get("cls") is self._cls else None

    def _fields(self, model: Node) -> dict[str, Guard] | None:
        if not _is_plain_model(model):
            return None
        fields = model["schema"]["fields"]
        found = {name: self._field(field) for name, field in fields.items()}
        guards = {name: guard for name, guard in found.items() if guard is not None}
        return guards if len(guards) == len(found) else None

    def _field(self, field: Node) -> Guard | None:
        return self._guard(field["schema"]) if field.keys() <= _INERT_FIELD else None

    def _guard(self, node: Node) -> Guard | None:
        below = node["type"] in _LEVELS
        self._depth += below
        found = self._guard_of(node) if self._depth <= MAX_DEPTH else None
        self._depth -= below
        return found

    def _guard_of(self, node: Node) -> Guard | None:
        kind = node["type"]
        self.kinds.add(kind)
        rest = node.keys() - _INERT
        if kind in _BOUNDED and not rest.isdisjoint(BOUNDS):
            inner = self._guard_of({key: node[key] for key in node.keys() - BOUNDS.keys()})
            return inner and bounded(inner, {key: node[key] for key in rest & BOUNDS.keys()})
        if kind in PLAIN:
            return None if rest else PLAIN[kind]
        if kind == "model":
            return self._model(node)
        if not rest <= _NESTING.get(kind, frozenset()) or kind not in _NESTING:
            return None
        build: Callable[[Node], Guard | None] = getattr(self, f"_{kind.replace('-', '_')}")
        return build(node)

    def _model(self, node: Node) -> Guard | None:
        refused = node.get("custom_init") or issubclass(node["cls"], Event)
        guards = None if refused else self._fields(node)
        if guards is None:
            return None
        return Guard(frozenset({node["cls"]}), compiled_test(guards, private_test(node["cls"])))

    def _nullable(self, node: Node) -> Guard | None:
        inner = self._guard(node["schema"])
        if inner is None:
            return None
        test = inner.test
        optional = (lambda value: value is None or test(value)) if test else None
        return Guard(inner.types | {type(None)}, optional)

    def _default(self, node: Node) -> Guard | None:
        return self._guard(node["schema"])

    def _list(self, node: Node) -> Guard | None:
        return self._items(node, list)

    def _set(self, node: Node) -> Guard | None:
        return self._items(node, set)

    def _frozenset(self, node: Node) -> Guard | None:
        return self._items(node, frozenset)

    def _items(self, node: Node, kind: type) -> Guard | None:
        items = self._guard(node["items_schema"]) if "items_schema" in node else None
        return items and Guard(frozenset({kind}), every(items))

    def _tuple(self, node: Node) -> Guard | None:
        guards = [self._guard(item) for item in node["items_schema"]]
        known = [guard for guard in guards if guard is not None]
        if len(known) < len(guards):
            return None
        if "variadic_item_index" in node:
            return Guard(frozenset({tuple}), every(known[0])) if len(known) == 1 else None

        def test(value: tuple[Any, ...]) -> bool:
            return len(value) == len(known) and all(
                guard.accepts(item) for guard, item in zip(known, value, strict=True)
            )

        return Guard(frozenset({tuple}), test)

    def _dict(self, node: Node) -> Guard | None:
        if node.get("keys_schema", {}).get("type") not in {"str", "int"}:
            return None
        keys = self._guard(node["keys_schema"])
        values = self._guard(node["values_schema"]) if "values_schema" in node else None
        if keys is None or values is None:
            return None
        every_key, every_value = every(keys), every(values)
        return Guard(
            frozenset({dict}), lambda value: every_key(value) and every_value(value.values())
        )

    def _enum(self, node: Node) -> Guard | None:
        cls: type[Enum] = node["cls"]
        kinds = {type(member.value) for member in node["members"]}
        if issubclass(cls, Flag) or kinds not in ({str}, {int}):
            return None
        exact = all(_is_read_back(node, member) for member in node["members"])
        return Guard(frozenset({cls})) if exact else None

    def _literal(self, node: Node) -> Guard | None:
        expected = node["expected"]
        if not all(type(each) is str for each in expected):
            return None
        return Guard(frozenset({str}), frozenset(expected).__contains__)

    def _definition_ref(self, node: Node) -> Guard | None:
        ref = node["schema_ref"]
        if ref in self._open or ref not in self._definitions:
            return None
        self._open.add(ref)
        try:
            return self._guard(self._definitions[ref])
        finally:
            self._open.discard(ref)


def _is_plain_model(node: Node) -> bool:
    post_init = getattr(node["cls"], node.get("post_init", ""), None)
    fields = node["schema"]
    return (
        node["type"] == "model"
        and node.keys() <= _INERT_MODEL
        and not node.get("root_model")
        and node.get("config", {}).keys() <= _INERT_CONFIG
        and fields["type"] == "model-fields"
        and not fields.get("extras_schema")
        and getattr(post_init, "__module__", "pydantic.").startswith("pydantic.")
        and all(map(_is_plain_private, node["cls"].__private_attributes__.values()))
    )


def _is_plain_private(attribute: ModelPrivateAttr) -> bool:
    """Whether every new object has the same value there, or none."""
    plain = attribute.default is PydanticUndefined or type(attribute.default) in EQUAL_MEANS_SAME
    return plain and attribute.default_factory is None


def _is_read_back(node: Node, member: Enum) -> bool:
    """Whether pydantic reads a member from its JSON, which it does not of an int over 64 bits."""
    try:
        read = SchemaValidator(node).validate_json(to_json(member))
    except (ValidationError, PydanticSerializationError):
        return False
    return read is member
