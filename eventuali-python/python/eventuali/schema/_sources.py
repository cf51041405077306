"""Who makes which event, found by reading the source."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from eventuali.event import Event


class Maker(NamedTuple):
    """A function or method that makes events.

    Attributes:
        owner: The class of a method; None for a function.
        name: The name: `place`, or `Order.place` with its class.
        event: The class of the events.
    """

    owner: type[Any] | None
    name: str
    event: type[Event]


def makers(modules: Iterable[ModuleType], events: Iterable[type[Event]]) -> list[Maker]:
    """Returns the functions and methods in which a class of events is called, sorted.

    A class that a function imports itself, or gets as a value, is not seen.
    """
    known = set(events)
    found: dict[tuple[str, int], Maker] = {}
    for module in modules:
        try:
            tree = ast.parse(inspect.getsource(module))
        except (OSError, TypeError, SyntaxError):  # a module without a source, such as a namespace
            continue
        for maker in _in_body(tree.body, module, None, "", known):
            found.setdefault((f"{module.__name__}.{maker.name}", id(maker.event)), maker)
    return [found[key] for key in sorted(found)]


def _in_body(
    body: list[ast.stmt],
    module: ModuleType,
    owner: type[Any] | None,
    prefix: str,
    known: set[type[Event]],
) -> Iterator[Maker]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            inner = _attribute(owner or module, node.name)
            cls = inner if isinstance(inner, type) else None
            yield from _in_body(node.body, module, cls, f"{prefix}{node.name}.", known)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for call in ast.walk(node):
                made = _called(call, module, owner)
                if made in known:
                    yield Maker(owner, f"{prefix}{node.name}", made)


def _called(node: ast.AST, module: ModuleType, owner: type[Any] | None) -> Any:
    """Returns what a call calls, as far as names of the module and the class say."""
    if not isinstance(node, ast.Call):
        return None
    steps: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        steps.append(function.attr)
        function = function.value
    if isinstance(function, ast.Subscript):
        return _subscripted(function, module)
    if not isinstance(function, ast.Name):
        return None
    is_own = function.id in ("self", "cls") and owner is not None and steps
    found: Any = owner if is_own else _attribute(module, function.id)
    for step in reversed(steps):
        found = _attribute(found, step)
    return found if isinstance(found, type) else None


def _subscripted(node: ast.Subscript, module: ModuleType) -> Any:
    """Returns the class of `Changed[int](…)`, whose arguments are names."""
    if not (isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Name)):
        return None
    generic = _attribute(module, node.value.id)
    argument = _attribute(module, node.slice.id)
    if argument is None:
        argument = _attribute(builtins, node.slice.id)
    made = isinstance(generic, type) and issubclass(generic, Event) and argument is not None
    return generic[argument] if made else None


def _attribute(holder: Any, name: str) -> Any:
    """Returns an attribute without running code for it; None if there is none."""
    return inspect.getattr_static(holder, name, None)
