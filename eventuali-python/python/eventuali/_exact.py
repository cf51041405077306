"""Events as JSON, exact or refused.

A class is analysed once. Where its JSON is exact by construction, `Codec.encode` is pydantic's own
serializer behind a check of the types; everywhere else the JSON is decoded and compared with the
event. Fields are written under their Python names, bytes as base64, and computed fields not at all.

A datetime or time that pydantic's JSON would change (seconds in the UTC offset, a fold or gap of a
``ZoneInfo``) is written in a second form, RFC 9557 with seconds allowed in the offset:
``2020-10-25T02:30:00+02:00[Europe/Berlin]``.
"""

from __future__ import annotations

import inspect
import operator
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from functools import cached_property
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic_core import (
    ErrorDetails,
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    TzInfo,
    from_json,
)

from eventuali._difference import MAX_INT_DIGITS, Difference, difference, unwritable

E = TypeVar("E", bound=BaseModel)
Node = dict[str, Any]
Test = Callable[[Any], bool]


class Inexact(Exception):
    """An event whose JSON would not give the same event back.

    Attributes:
        path: The field, such as ``items[2].price``; empty where it can't be told.
        reason: What would change.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class Codec(Generic[E]):
    """Encodes and decodes the events of one class.

    Attributes:
        cls: The class; `encode` expects its instances, not those of a subclass.
        by_construction: Whether the class's JSON is exact without a comparison of each event.
        encode: Gives an event's JSON or raises `Inexact`.
        encode_validated: The same for an event that came out of pydantic's validation and whose
            fields were not assigned since; ``model_construct`` and ``model_copy(update=...)`` make
            others. Skips the types that validation settles.
        validate_json: The fast half of `decode`: pydantic's bound method, which refuses unknown
            fields and the second form of datetimes.
    """

    encode: Callable[[E], bytes]
    encode_validated: Callable[[E], bytes]
    validate_json: Callable[[bytes], E]

    def __init__(self, cls: type[E]) -> None:
        """Analyses the class.

        Args:
            cls: A pydantic model; it is rebuilt if forward references were open.

        Raises:
            pydantic.errors.PydanticUndefinedAnnotation: A forward reference can't be resolved.
        """
        if not cls.__pydantic_complete__:
            cls.model_rebuild()
        self.cls = cls
        self._forms = forms = _Forms(cls)
        self._serializer = forms.serializer()
        self.validate_json = forms.validator().validate_json
        analysis = _Analysis(cls)
        guards = analysis.guards(cls.__pydantic_core_schema__)
        self.by_construction = guards is not None
        self.encode = self.encode_validated = self._verified
        if guards is not None:
            to_json = forms.serializer(extra="forbid").to_json
            doubts = _doubts(analysis.kinds)
            unsettled = {name: guard for name, guard in guards.items() if not guard.settled}
            self.encode = _compiled(guards, doubts, to_json, self._verified)
            self.encode_validated = _compiled(unsettled, doubts, to_json, self._verified)

    def decode(self, payload: bytes) -> E:
        """Gives the event back.

        Args:
            payload: What `encode` gave, now or with another version of the class. Fields that this
                class doesn't know are kept in ``model_extra``, in nested models too.

        Raises:
            pydantic.ValidationError: The payload isn't an event of this class.
        """
        try:
            return self.validate_json(payload)
        except ValidationError as error:
            return self._decode_leniently(payload, error)

    def _decode_leniently(self, payload: bytes, error: ValidationError) -> E:
        validate: Callable[..., E] = self._second_validator.validate_json
        if self._forms.temporal or self._forms.aliased:
            try:
                return validate(payload, by_alias=True, by_name=True)
            except ValidationError as second_error:
                error = second_error
        if any(problem["type"] in _UNKNOWN_FIELD for problem in _problems(error)):
            return validate(payload, extra="allow", by_alias=True, by_name=True)
        raise error

    def _verified(self, event: E) -> bytes:
        """Encodes, decodes and compares, in the base form and then in the second one."""
        try:
            return self._attempt(event, self._serializer)
        except Inexact:
            if not self._forms.temporal:
                raise
        return self._attempt(event, self._second_serializer)

    def _attempt(self, event: E, serializer: SchemaSerializer) -> bytes:
        try:
            payload = serializer.to_json(event, round_trip=True, warnings=False)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            self._refuse(event, unwritable(event), self._unwritten_field(event), error)
        try:
            twin = self.decode(payload)
        except ValidationError as error:
            self._refuse(event, unwritable(event), _located(event, error), error)
        found = difference(event, twin)
        if found is None and _mentions_non_finite(payload) and not _is_standard_json(payload):
            found = unwritable(event, non_finite=True) or Difference("", "NaN isn't JSON")
        if found is not None:
            raise Inexact(found.path, found.reason)
        return payload

    def _refuse(self, event: E, found: Difference | None, path: str, error: Exception) -> NoReturn:
        path, reason = found or Difference(path, _text(error))
        raise Inexact(path, reason) from error

    def _unwritten_field(self, event: E) -> str:
        for name in type(event).__pydantic_fields__:
            try:
                self._serializer.to_json(event, include={name}, warnings=False)
            except PydanticSerializationError:
                return name
        return ""

    @cached_property
    def _second_serializer(self) -> SchemaSerializer:
        return self._forms.serializer(second=True)

    @cached_property
    def _second_validator(self) -> SchemaValidator:
        return self._forms.validator(second=True)


_UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def _located(event: BaseModel, error: ValidationError) -> str:
    """Follows a validation error through the event; steps that aren't data are left out."""
    value: Any = event
    path = ""
    for step in _problems(error)[0]["loc"]:
        if isinstance(value, BaseModel) and hasattr(value, str(step)):
            value, path = getattr(value, str(step)), f"{path}.{step}"
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value, path = value[step], f"{path}[{step}]"
        elif isinstance(value, dict) and step in value:
            value, path = value[step], f"{path}[{step!r}]"
    return path.removeprefix(".")


def _problems(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"would not be read back: {_problems(error)[0]['msg']}"
    return str(error)


def _mentions_non_finite(payload: bytes) -> bool:
    return b"NaN" in payload or b"Infinity" in payload


def _is_standard_json(payload: bytes) -> bool:
    try:
        from_json(payload, allow_inf_nan=False)
    except ValueError:
        return False
    return True


# --- schemas ------------------------------------------------------------------------------------

_TEMPORAL = frozenset({"datetime", "time"})
_MODELS = frozenset({"model", "dataclass", "typed-dict"})
_WIRE: Node = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_timedelta": "iso8601",
    "ser_json_temporal": "iso8601",
    "serialize_by_alias": False,
    "validate_by_name": True,
    "validate_by_alias": False,
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


def _wire_config(node: Node, extra: str) -> Node:
    config = node.get("config") or {}
    strings = config.get("ser_json_inf_nan") == "strings"
    inf_nan = {} if strings else {"ser_json_inf_nan": "constants"}
    return {**config, **_WIRE, **inf_nan, "extra_fields_behavior": extra}


class _Forms:
    """The class's schema, rewritten for the store.

    Attributes:
        temporal: Whether there are datetimes or times in it.
        aliased: Whether a field can be read under another name.
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
        self.aliased = "validation_alias" in words

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
                node["serialization"] = _WRITING_SECOND_FORM
            return node

        with _without_prebuilt(self._schema) as options:
            return SchemaSerializer(_rewritten(self._schema, change), **options)

    def validator(self, *, second: bool = False) -> SchemaValidator:
        """Reads fields by their names; refuses unknown ones unless their model keeps them."""

        def change(node: Node) -> Node:
            if node["type"] in _MODELS:
                config = node.get("config") or {}
                behavior = node.pop("extra_behavior", config.get("extra_fields_behavior"))
                node["config"] = _wire_config(node, "allow" if behavior == "allow" else "forbid")
            if node.get("cls") is self._cls and "custom_init" in node:
                node["custom_init"] = False
            if second and node["type"] in _TEMPORAL:
                return _reading_second_form(node)
            return node

        with _without_prebuilt(self._schema) as options:
            return SchemaValidator(_rewritten(self._schema, change), **options)


def _reading_second_form(node: Node) -> Node:
    read = _read_datetime if node["type"] == "datetime" else _read_time
    outer: Node = {
        "type": "function-before",
        "function": {"type": "no-info", "function": read},
        "schema": node,
    }
    if "ref" in node:
        outer["ref"] = node.pop("ref")
    return outer


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


# --- the second form ----------------------------------------------------------------------------

_SECOND_FORM = re.compile(
    r"(?P<clock>(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(?:\.\d{6})?)"
    r"(?P<offset>[+-]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)?"
    r"(?:\[(?P<zone>[^\[\]=]+)\])?"
    r"(?P<fold>\[fold=1\])?",
    re.ASCII,
)


def _second_form_text(value: Any) -> Any:
    if not isinstance(value, (datetime, time)):
        return value
    key = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    zone = f"[{key}]" if key else ""
    fold = "[fold=1]" if value.fold and value.utcoffset() is None else ""
    return f"{value.isoformat()}{zone}{fold}"


_WRITING_SECOND_FORM: Node = {
    "type": "function-plain",
    "function": _second_form_text,
    "when_used": "json",
}


def _read_datetime(value: Any) -> Any:
    found = _SECOND_FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or "T" not in value:
        return value
    read = datetime.fromisoformat(found["clock"] + (found["offset"] or ""))
    if found["fold"]:
        read = read.replace(fold=1)
    if found["zone"] is None or found["offset"] is None:
        return read
    return _in_zone(read, found["zone"])


def _in_zone(read: datetime, key: str) -> datetime:
    """The same instant and offset in the zone, or as read where the zone now says otherwise."""
    try:
        zone = ZoneInfo(key)
    except (KeyError, ValueError, OSError):
        return read
    folds = (read.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return next((each for each in folds if each.utcoffset() == read.utcoffset()), read)


def _read_time(value: Any) -> Any:
    found = _SECOND_FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or "T" in value:
        return value
    read = time.fromisoformat(found["clock"] + (found["offset"] or ""))
    if found["fold"]:
        read = read.replace(fold=1)
    return read.replace(tzinfo=ZoneInfo(found["zone"])) if found["zone"] else read


# --- analysis -----------------------------------------------------------------------------------


class Guard(NamedTuple):
    """What makes a field's JSON exact.

    Attributes:
        types: The exact types its value may have.
        test: What else must hold of the value.
        settled: Whether validation leaves no other value.
    """

    types: frozenset[type]
    test: Test | None = None
    settled: bool = False

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
_PLAIN = {
    "none": Guard(frozenset({type(None)}), settled=True),
    "bool": Guard(frozenset({bool}), settled=True),
    "int": Guard(frozenset({int}), settled=True),
    "float": Guard(frozenset({float}), settled=True),
    "str": Guard(frozenset({str}), settled=True),
    "decimal": Guard(frozenset({Decimal}), settled=True),
    "bytes": Guard(frozenset({bytes})),
    "uuid": Guard(frozenset({UUID})),
    "date": Guard(frozenset({date})),
    "timedelta": Guard(frozenset({timedelta})),
    "datetime": Guard(frozenset({datetime}), _exact_clock),
    "time": Guard(frozenset({time}), _exact_clock),
}
_INERT = frozenset({"type", "metadata", "ref", "strict", "microseconds_precision"})
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
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "min_length": lambda value, bound: len(value) >= bound,
    "max_length": lambda value, bound: len(value) <= bound,
}
_BOUNDED = frozenset({"int", "float", "decimal", "str", "bytes", "list"})
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


class _Analysis:
    """Finds what makes the JSON of a class exact; anything unknown to it makes it inexact."""

    def __init__(self, cls: type[BaseModel]) -> None:
        self._cls = cls
        self.kinds: set[str] = set()
        self._definitions: dict[str, Node] = {}
        self._open: set[str] = set()
        self._validates_defaults = False

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
        outer = self._validates_defaults
        self._validates_defaults = bool(model.get("config", {}).get("validate_default"))
        fields = model["schema"]["fields"]
        found = {name: self._field(field) for name, field in fields.items()}
        self._validates_defaults = outer
        guards = {name: guard for name, guard in found.items() if guard is not None}
        return guards if len(guards) == len(found) else None

    def _field(self, field: Node) -> Guard | None:
        return self._guard(field["schema"]) if field.keys() <= _INERT_FIELD else None

    def _guard(self, node: Node) -> Guard | None:
        kind = node["type"]
        self.kinds.add(kind)
        rest = node.keys() - _INERT
        if kind in _BOUNDED and not rest.isdisjoint(_BOUNDS):
            inner = self._guard({key: node[key] for key in node.keys() - _BOUNDS.keys()})
            return inner and _bounded(inner, {key: node[key] for key in rest & _BOUNDS.keys()})
        if kind in _PLAIN:
            return None if rest else _PLAIN[kind]
        if kind == "model":
            return self._model(node)
        if not rest <= _NESTING.get(kind, frozenset()) or kind not in _NESTING:
            return None
        build: Callable[[Node], Guard | None] = getattr(self, f"_{kind.replace('-', '_')}")
        return build(node)

    def _model(self, node: Node) -> Guard | None:
        guards = None if node.get("custom_init") else self._fields(node)
        return None if guards is None else Guard(frozenset({node["cls"]}), _compiled_test(guards))

    def _nullable(self, node: Node) -> Guard | None:
        inner = self._guard(node["schema"])
        if inner is None:
            return None
        test = inner.test
        optional = (lambda value: value is None or test(value)) if test else None
        return Guard(inner.types | {type(None)}, optional, inner.settled)

    def _default(self, node: Node) -> Guard | None:
        inner = self._guard(node["schema"])
        if inner is None or not inner.settled or self._validates_defaults:
            return inner
        if "default" in node and inner.accepts(node["default"]):
            return inner
        return inner._replace(settled="default" not in node and "default_factory" not in node)

    def _list(self, node: Node) -> Guard | None:
        return self._items(node, list)

    def _set(self, node: Node) -> Guard | None:
        return self._items(node, set)

    def _frozenset(self, node: Node) -> Guard | None:
        return self._items(node, frozenset)

    def _items(self, node: Node, kind: type) -> Guard | None:
        items = self._guard(node["items_schema"]) if "items_schema" in node else None
        return items and Guard(frozenset({kind}), _every(items))

    def _tuple(self, node: Node) -> Guard | None:
        guards = [self._guard(item) for item in node["items_schema"]]
        known = [guard for guard in guards if guard is not None]
        if len(known) < len(guards):
            return None
        if "variadic_item_index" in node:
            return Guard(frozenset({tuple}), _every(known[0])) if len(known) == 1 else None

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
        every_key, every_value = _every(keys), _every(values)
        return Guard(
            frozenset({dict}), lambda value: every_key(value) and every_value(value.values())
        )

    def _enum(self, node: Node) -> Guard | None:
        cls: type[Enum] = node["cls"]
        kinds = {type(member.value) for member in node["members"]}
        if issubclass(cls, Flag) or kinds not in ({str}, {int}):
            return None
        exact = all(cls(member.value) is member for member in node["members"])
        return Guard(frozenset({cls}), settled=True) if exact else None

    def _literal(self, node: Node) -> Guard | None:
        expected = node["expected"]
        if not all(type(each) is str for each in expected):
            return None
        return Guard(frozenset({str}), frozenset(expected).__contains__, settled=True)

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
    )


def _every(guard: Guard) -> Callable[[Any], bool]:
    if guard.test is not None:
        return lambda values: all(map(guard.accepts, values))
    types = guard.types
    return lambda values: set(map(type, values)) <= types


def _bounded(guard: Guard, bounds: dict[str, Any]) -> Guard:
    checks = [(_BOUNDS[name], bound) for name, bound in bounds.items()]

    def test(value: Any) -> bool:
        return (guard.test is None or guard.test(value)) and all(
            holds(value, bound) for holds, bound in checks
        )

    return guard._replace(test=test)


def _doubts(kinds: set[str]) -> list[str]:
    """What in the payload itself calls for a comparison."""
    doubts = []
    if "int" in kinds:
        doubts.append(f"len(payload) >= {MAX_INT_DIGITS}")
    if not kinds.isdisjoint({"float", "decimal"}):
        doubts.append("b'NaN' in payload or b'Infinity' in payload")
    return doubts


def _compiled(
    guards: dict[str, Guard],
    doubts: list[str],
    to_json: Callable[[Any], bytes],
    verify: Callable[[E], bytes],
) -> Callable[[E], bytes]:
    """Writes the encoder as one function: a call per field would double its time."""
    checks, names = _checks(guards)
    source = _ENCODER.format(checks=checks, doubts=" or ".join(doubts) or "False")
    names |= {"to_json": to_json, "verify": verify}
    exec(source, names)  # noqa: S102
    encode: Callable[[E], bytes] = names["function"]
    return encode


def _compiled_test(guards: dict[str, Guard]) -> Test:
    checks, names = _checks(guards)
    exec(_TEST.format(checks=checks), names)  # noqa: S102
    test: Test = names["function"]
    return test


def _checks(guards: dict[str, Guard]) -> tuple[str, dict[str, Any]]:
    names: dict[str, Any] = {}
    checks = ["not value.__pydantic_extra__"]
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
def function(value):
    try:
        fields = value.__dict__
        if {checks}:
            payload = to_json(value)
            if not ({doubts}):
                return payload
    except Exception:
        pass
    return verify(value)
"""
_TEST = """
def function(value):
    fields = value.__dict__
    return {checks}
"""
