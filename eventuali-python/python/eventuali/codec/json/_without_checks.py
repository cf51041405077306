"""Core schemas without their checks, so that what was valid when it was stored can be read.

A check may look at the clock, at files or at a list that has changed since. The types of a class
decide how its JSON is read; what only accepts or refuses a value did so when it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any

from pydantic_core import PydanticOmit, PydanticUseDefault

Node = dict[str, Any]
Change = Callable[[Node], Node]
Function = Callable[..., Any]

_BOUNDS = frozenset({
    "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "max_digits",
    "decimal_places", "tz_constraint",
})  # fmt: skip
_CONFIG_BOUNDS = frozenset({"str_min_length", "str_max_length"})
_CONTROL = (PydanticOmit, PydanticUseDefault)
"""What a validator raises to say what becomes of a value, not to refuse it."""

_AS_DECLARED = {"eventuali": "as the class says"}
_BOTH = {"eventuali": "as the class says, or else without checks"}


def strict_beside(rewritten: Callable[[Any, Change], Any]) -> Change:
    """Puts a copy of each union, which `unchecked` leaves as it is, before it.

    So what a value of a union is stays decided by its checks while one of its types accepts it.

    Args:
        rewritten: Copies a schema with a change of each node.
    """

    def mark(node: Node) -> Node:
        if node.get("metadata") is _BOTH:
            as_declared: Node = node["choices"][0]
            return as_declared
        if node["type"] == "definition-ref":
            node["schema_ref"] = node["schema_ref"].removesuffix("'") + "'"
        if node["type"] in _PASSED_OVER:
            node = _with_function(node, _refusing)
        return node | {"metadata": _AS_DECLARED}

    def change(node: Node) -> Node:
        if node["type"] == "union":
            choices = [rewritten(node, mark), node]
            return {
                "type": "union",
                "mode": "left_to_right",
                "choices": choices,
                "metadata": _BOTH,
            }
        if node["type"] == "definitions":
            strict = (rewritten(each, mark) for each in node["definitions"])
            node["definitions"] += [each | {"ref": each["ref"] + "'"} for each in strict]
        return node

    return change


def unchecked(*, reverse: bool = False) -> Change:
    """Drops the bounds of a node, and passes over the validators of a class that refuse.

    Args:
        reverse: Whether the choices of a union are tried from the last to the first.
    """

    def change(node: Node) -> Node:
        metadata = node.get("metadata")
        if metadata is _AS_DECLARED or metadata is _BOTH:
            return node
        node = {key: item for key, item in node.items() if key not in _BOUNDS}
        if node.get("config"):
            node["config"] = {
                key: item for key, item in node["config"].items() if key not in _CONFIG_BOUNDS
            }
        if node["type"] == "union":
            node["mode"] = "left_to_right"
            if reverse:
                node["choices"] = node["choices"][::-1]
        elif node["type"] in _PASSED_OVER:
            node = _with_function(node, _PASSED_OVER[node["type"]])
        elif node.get("post_init") and not _given_at_init(node):
            return _initialised(node)
        return node

    return change


def _with_function(node: Node, change: Callable[[Function], Function]) -> Node:
    function = node["function"]
    if not isinstance(function, dict):
        return node  # a serializer
    return node | {"function": {**function, "function": change(function["function"])}}


def _refusing(function: Function) -> Function:
    """Refuses a value whatever the validator raises, so that another type is tried."""

    @wraps(function, updated=())
    def refusing(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except _CONTROL:
            raise
        except Exception as error:
            raise ValueError(str(error)) from error

    return refusing


def _passing_over(function: Function) -> Function:
    """Gives what a validator gives; where it refuses, what it was given."""

    @wraps(function, updated=())
    def passed_over(value: Any, *more: Any) -> Any:
        try:
            return function(value, *more)
        except _CONTROL:
            raise
        except Exception:
            if _holds_more(value):
                raise
            return value

    return passed_over


def _passing_over_before(function: Function) -> Function:
    """The same for one that may change what it was given before it refuses it."""

    @wraps(function, updated=())
    def passed_over(value: Any, *more: Any) -> Any:
        try:
            return function(deepcopy(value), *more)
        except _CONTROL:
            raise
        except Exception:
            return value

    return passed_over


def _passing_over_around(function: Function) -> Function:
    """The same for one around others, which then are asked without it."""

    @wraps(function, updated=())
    def passed_over(value: Any, handler: Callable[[Any], Any], *more: Any) -> Any:
        try:
            return function(deepcopy(value), handler, *more)
        except _CONTROL:
            raise
        except Exception:
            inner = handler(value)
            if _holds_more(inner):
                raise
            return inner

    return passed_over


def _holds_more(value: Any) -> bool:
    """Whether it has private attributes, which a validator may have set, and JSON doesn't hold."""
    return bool(getattr(value, "__pydantic_private__", None))


_PASSED_OVER = {
    "function-after": _passing_over,
    "function-before": _passing_over_before,
    "function-wrap": _passing_over_around,
}


def _given_at_init(node: Node) -> bool:
    """Whether a dataclass takes what is in no field."""
    fields = node["schema"].get("fields", ())
    return isinstance(fields, list) and any(field.get("init_only") for field in fields)


def _initialised(node: Node) -> Node:
    """Calls what a model or dataclass does after its ``__init__`` where it can be passed over."""
    name = node.pop("post_init")

    def initialise(made: Any) -> Any:
        if name is True:
            made.__post_init__()
        else:
            getattr(made, name)(None)
        return made

    outer: Node = {
        "type": "function-after",
        "function": {"type": "no-info", "function": _passing_over(initialise)},
        "schema": node,
    }
    if "ref" in node:
        outer["ref"] = node.pop("ref")
    return outer
