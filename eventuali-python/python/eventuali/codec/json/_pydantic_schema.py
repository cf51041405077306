"""Pydantic's core schemas, rewritten for the store."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from pydantic_core import SchemaSerializer, SchemaValidator

from eventuali.codec.json._without_checks import strict_beside, unchecked
from eventuali.codec.json._zoned_time import WRITING, reading

Node = dict[str, Any]
_TEMPORAL = frozenset({"datetime", "time"})
_MODELS = frozenset({"model", "dataclass", "typed-dict"})
_WIRE: Node = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_timedelta": "iso8601",
    "ser_json_temporal": "iso8601",
    "serialize_by_alias": False,
    "validate_by_name": False,
    "validate_by_alias": True,
}
_NOT_SCHEMA = frozenset({
    "cls", "config", "custom_error_context", "default", "default_factory", "expected", "function",
    "members", "metadata", "missing",
})  # fmt: skip
_BY_NAME = frozenset({"fields", "choices"})


def _rewritten(node: Any, change: Callable[[Node], Node]) -> Any:
    """Copies a core schema; `change` gets each copied node, innermost first."""
    if isinstance(node, dict):
        copy = {key: _rewritten_item(key, item, change) for key, item in node.items()}
        return change(copy) if isinstance(node.get("type"), str) else copy
    if isinstance(node, (list, tuple)):
        return type(node)(_rewritten(item, change) for item in node)
    return node


def _rewritten_item(key: str, item: Any, change: Callable[[Node], Node]) -> Any:
    if key in _NOT_SCHEMA:
        return item
    if key in _BY_NAME and isinstance(item, dict):
        return {name: _rewritten(value, change) for name, value in item.items()}
    return _rewritten(item, change)


def _names_first(node: Node) -> None:
    """Has fields looked for under their names, where they are written, and then by alias."""
    fields = node.get("fields", {})
    if node["type"] == "dataclass-args":
        fields = {field["name"]: field for field in fields}
    for name, field in fields.items() if isinstance(fields, dict) else ():
        alias = field.get("validation_alias")
        if alias is None:
            continue
        paths = [[alias]] if isinstance(alias, str) else alias
        paths = paths if isinstance(paths[0], (list, tuple)) else [paths]
        if field.get("serialization_exclude"):  # not written, it is not what has that name
            paths = [path for path in paths if path[0] not in fields]
        field["validation_alias"] = [[name], *map(list, paths)]


def _wire_config(node: Node, extra: str) -> Node:
    config = node.get("config") or {}
    strings = config.get("ser_json_inf_nan") == "strings"
    inf_nan = {} if strings else {"ser_json_inf_nan": "constants"}
    return {**config, **_WIRE, **inf_nan, "extra_fields_behavior": extra}


class Forms:
    """The class's schema, rewritten for the store.

    Attributes:
        temporal: Whether there are datetimes or times in it.
        unions: Whether a value of several types can be in it.
    """

    def __init__(self, cls: type[BaseModel]) -> None:
        self._cls = cls
        self._schema: Any = cls.__pydantic_core_schema__
        words: set[str] = set()

        def collect(node: Node) -> Node:
            words.update((node["type"], *node))
            return node

        _rewritten(self._schema, collect)
        self.temporal = not words.isdisjoint(_TEMPORAL)
        self.unions = "union" in words

    def serializer(self, *, extra: str = "allow", second: bool = False) -> SchemaSerializer:
        """Writes every field by its name, and unknown ones if `extra` is ``allow``."""

        def change(node: Node) -> Node:
            if node["type"] in _MODELS:
                node["config"] = _wire_config(node, extra)
            if node["type"] == "typed-dict":
                node["extra_behavior"] = extra
            if "computed_fields" in node:
                node["computed_fields"] = []
            if second and node["type"] in _TEMPORAL and "serialization" not in node:
                node["serialization"] = WRITING
            return node

        with _without_prebuilt(self._schema) as options:
            return SchemaSerializer(_rewritten(self._schema, change), **options)

    def validator(self, *, second: bool = False) -> SchemaValidator:
        """Reads fields by their names, and by their aliases where those aren't there.

        Refuses unknown ones unless their model keeps them. A date may be past or future: that
        was judged when the event was made.
        """
        return self._validator(self._reading(second=second))

    def unchecked(self, *, second: bool, reverse: bool) -> SchemaValidator:
        """Reads what the class's checks refuse.

        Args:
            second: Whether it reads the second form of datetimes.
            reverse: Whether the last type that a value of a union may have is tried first.
        """
        beside = _rewritten(self._reading(second=second), strict_beside(_rewritten))
        return self._validator(_rewritten(beside, unchecked(reverse=reverse)))

    def _reading(self, *, second: bool) -> Any:
        def change(node: Node) -> Node:
            if node["type"] in _MODELS:
                config = node.get("config") or {}
                behavior = node.pop("extra_behavior", config.get("extra_fields_behavior"))
                node["config"] = _wire_config(node, "allow" if behavior == "allow" else "forbid")
            _names_first(node)
            if node.get("cls") is self._cls and "custom_init" in node:
                node["custom_init"] = False
            node.pop("now_op", None)
            if second and node["type"] in _TEMPORAL:
                return reading(node)
            return node

        return _rewritten(self._schema, change)

    def _validator(self, schema: Any) -> SchemaValidator:
        with _without_prebuilt(self._schema) as options:
            return SchemaValidator(schema, **options)


_HAS_PREBUILT_OPTION = "_use_prebuilt" in inspect.signature(SchemaSerializer).parameters
_BUILDING = threading.Lock()


@contextmanager
def _without_prebuilt(schema: Any) -> Iterator[dict[str, Any]]:
    """Makes nested models follow the rewritten schema, not the serializer of their class.

    Before pydantic gave this an option, an incomplete class was the only one without a prebuilt
    serializer; so for a moment all nested ones are.
    """
    if _HAS_PREBUILT_OPTION:
        yield {"_use_prebuilt": False}
        return
    classes: set[Any] = set()

    def collect(node: Node) -> Node:
        if node["type"] in {"model", "dataclass"} and "__pydantic_complete__" in vars(node["cls"]):
            classes.add(node["cls"])
        return node

    _rewritten(schema, collect)
    with _BUILDING:
        complete = {each: each.__pydantic_complete__ for each in classes}
        try:
            for each in complete:
                each.__pydantic_complete__ = False
            yield {}
        finally:
            for each, before in complete.items():
                each.__pydantic_complete__ = before
