"""What the code of an aggregate class does with events, as a digest.

Snapshots of code that may have made another state must not be used. So the digest covers the schema
of the state and of the events, and the code of the handlers with what they reach: functions,
methods and constants of the program. Comments, docstrings and the names of local variables don't
count. Code of other packages is not looked into: `snapshot_version` is for that.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property, partial, partialmethod
from hashlib import blake2b
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Decimal, UUID, date, time, timedelta)
_EVENTS = (
    "__event_version__",
    "__upcasters__",
    "__readable_by__",
    "__formerly__",
    "__becomes__",
)
"""What a class of events may say of its older versions."""
_SPECIAL = ("__init__", "__new__", "__post_init__", "model_post_init", "__setattr__")
"""Methods that run without being named."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|:\d{5,}")
_ENVIRONMENTS = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})


def fingerprint(cls: type[Aggregate]) -> str:
    """Returns the digest of a class: the same in each process that runs the same code.

    Raises:
        TypeError: The annotation of a handler names a class that does not exist.
    """
    handlers = cls.__dispatch__.complete()
    seen = _Digest(cls)
    seen.add("python", sys.version_info[:2])
    seen.add("version", cls.__snapshot_version__)
    seen.add("state", cls)
    seen.add("ignored", sorted(cls.__ignored_names__()))
    for event in sorted(handlers.annotated(), key=_path):
        seen.add("event", event)
    for name in sorted(dir(cls)):
        if name.startswith("apply_"):
            seen.add(name, getattr_static(cls, name))
    return seen.hexdigest()


class _Digest:
    """Walks through code and values; each function and class counts once."""

    def __init__(self, cls: type[Aggregate]) -> None:
        self._hash = blake2b(digest_size=16)
        self._package = cls.__module__.partition(".")[0]
        self._known: dict[int, Any] = {}
        self._receivers: list[type] = []
        self._wanted: set[str] = set()

    def hexdigest(self) -> str:
        """Returns the digest, after a look at the methods that were called by name."""
        done: set[tuple[int, str]] = set()
        while True:
            found = {
                (number, name)
                for number, receiver in enumerate(self._receivers)
                for name in self._wanted
                if _method(receiver, name) is not None
            }
            if found <= done:
                return self._hash.hexdigest()
            for number, name in sorted(found - done, key=self._order):
                self.add(name, _method(self._receivers[number], name))
            done |= found

    def _order(self, method: tuple[int, str]) -> tuple[str, str]:
        return _path(self._receivers[method[0]]), method[1]

    def add(self, name: str, value: Any) -> None:
        """Adds something under a name."""
        self._text(f"{name}=")
        self._value(value)

    def _text(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._hash.update(b"%d:" % len(data) + data)

    def _value(self, value: Any) -> None:
        if isinstance(value, Enum):
            self._text(f"{_path(type(value))}.{value.name}")
            self._value(value.value)
        elif isinstance(value, (*_PLAIN, tzinfo)):
            self._text(f"{type(value).__name__} {_named(repr(value))}")
        elif isinstance(value, Mapping):
            self._text(f"{type(value).__name__} {len(value)}")
            for key, one in value.items():
                self._value(key)
                self._value(one)
        elif isinstance(value, list | tuple):
            self._text(f"{type(value).__name__} {len(value)}")
            for one in value:
                self._value(one)
        elif isinstance(value, set | frozenset):
            self._text(f"{type(value).__name__} {sorted(_named(repr(one)) for one in value)}")
        elif isinstance(value, type):
            self._class(value)
        else:
            self._behaviour(value)

    def _behaviour(self, value: Any) -> None:
        """Adds what can be called, or stands for it; of anything else, its class."""
        if isinstance(value, staticmethod | classmethod | MethodType):
            value = value.__func__
        if isinstance(value, property):
            self._value((value.fget, value.fset))
        elif isinstance(value, cached_property):
            self._value(value.func)
        elif isinstance(value, partial | partialmethod):
            self._value((value.func, value.args, dict(value.keywords)))
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, re.Pattern):
            self._value((value.pattern, int(value.flags)))
        else:
            self._text(_named(f"{_path(type(value))} {getattr(value, '__qualname__', '')}"))
            self._class(type(value))
            if self._is_own(type(value).__module__) and id(value) not in self._known:
                self._known[id(value)] = value
                self._value(dict(getattr(value, "__dict__", {})))

    def _is_new(self, value: Any) -> bool:
        """Whether a function or class is to be looked into: it is of the program, and is new."""
        if id(value) in self._known or not self._is_own(value.__module__):
            return False
        self._known[id(value)] = value
        return True

    def _is_own(self, module: str | None) -> bool:
        package = (module or "").partition(".")[0]
        if package in ("eventuali", "pydantic", "pydantic_core") or not package:
            return False
        if package == self._package:
            return True
        if package in sys.stdlib_module_names and package != "__main__":
            return False
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        return file is None or not file.startswith(_ENVIRONMENTS)

    def _class(self, cls: type) -> None:
        self._text(_path(cls))
        if not self._is_new(cls):
            return
        self._receivers.append(cls)
        for base in cls.__mro__[1:]:
            self._class(base)
        for name in _EVENTS:
            if name in vars(cls):
                self.add(name, getattr(cls, name))
        for name in _SPECIAL:
            self._value(_method(cls, name))
        if issubclass(cls, Enum):
            self._value([(one.name, one.value) for one in cls])
        schema = vars(cls).get("__pydantic_core_schema__")
        self._value(None if schema is None else list(_cleaned(schema)))

    def _function(self, function: FunctionType) -> None:
        self._text(f"{function.__module__}.{function.__qualname__}")
        if not self._is_new(function):
            return
        self._value((function.__defaults__, function.__kwdefaults__))
        self._code(function.__code__, function.__doc__)
        names = set(_names(function.__code__))
        self._wanted |= names
        for name in sorted(names & function.__globals__.keys()):
            self._global(name, function.__globals__[name], names)
        for cell in function.__closure__ or ():
            try:
                self._value(cell.cell_contents)
            except ValueError:  # it is not set yet
                self._text("empty")

    def _global(self, name: str, value: Any, names: set[str]) -> None:
        """Adds what a function reaches by a global name; of a module, what it may use of it."""
        if not isinstance(value, ModuleType):
            self.add(name, value)
        elif self._is_own(value.__name__):
            for inner in sorted(names & vars(value).keys()):
                if not isinstance(vars(value)[inner], ModuleType):
                    self.add(f"{value.__name__}.{inner}", vars(value)[inner])

    def _code(self, code: CodeType, doc: str | None) -> None:
        constants = list(code.co_consts)
        if doc is not None and constants and constants[0] == doc:
            constants[0] = None
        self._text(f"{code.co_argcount} {code.co_kwonlyargcount} {code.co_flags}")
        self._value((code.co_code, code.co_exceptiontable, code.co_names, code.co_freevars))
        for constant in constants:
            if isinstance(constant, CodeType):
                self._code(constant, None)
            else:
                self._value(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _method(cls: type, name: str) -> Any:
    """Returns a function or the like that a class of the program defines; None if it has none."""
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("eventuali", "pydantic", "builtins"):
            continue
        found = vars(base).get(name)
        if isinstance(
            found,
            FunctionType | property | cached_property | staticmethod | classmethod | partialmethod,
        ):
            return found
    return None


def _cleaned(node: Any) -> Iterator[Any]:
    """Yields what a schema of pydantic says, without what is another in each process."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key not in ("metadata", "ref", "schema_ref"):
                yield str(key)
                yield from _cleaned(value)
        if "schema_ref" in node:
            yield _named(str(node["schema_ref"]))
    elif isinstance(node, list | tuple):
        yield len(node)
        for one in node:
            yield from _cleaned(one)
    else:
        yield node


def _named(text: str) -> str:
    return _ADDRESS.sub("", text)


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
