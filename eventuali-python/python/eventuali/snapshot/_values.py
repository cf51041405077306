"""Values, functions and classes as a digest, for those whose module does not show what they are.

Such are classes made in functions, with what these hold for them, and classes of a notebook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property, partial, partialmethod
from hashlib import blake2b
from types import (
    BuiltinFunctionType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, TypeVar
from uuid import UUID

from eventuali.event import Event
from eventuali.snapshot._modules import Unclear, absolute, codes, imports_of, parts_of

_VALUES = 50_000
"""The most values that are looked at."""
_DEPTH = 100
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Decimal, UUID, date, time, timedelta)
_NAMED = (
    BuiltinFunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
_EVENTS = (
    "__event_type__",
    "__event_version__",
    "__upcasters__",
    "__readable_by__",
    "__formerly__",
    "__becomes__",
)
"""What a class of events says of its older versions."""
_MACHINERY = ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "_abc_impl")
_LOCAL = re.compile("<locals>|<lambda>")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|:\d{5,}")


class Values:
    """Walks through values; each function, class and container counts once.

    Attributes:
        modules: The modules of the program that were met.
    """

    def __init__(self, is_own: Callable[[str], bool], is_read: Callable[[str], bool]) -> None:
        """Takes whether a module is of the program, and whether its code can be read."""
        self.modules: set[str] = set()
        self._is_own = is_own
        self._is_read = is_read
        self._hash = blake2b(digest_size=16)
        self._known: dict[int, Any] = {}
        self._depth = self._count = 0

    def hexdigest(self) -> str:
        """Returns the digest of what was added."""
        return self._hash.hexdigest()

    def add(self, name: str, value: Any) -> None:
        """Adds something under a name.

        Raises:
            Unclear: It can't be told what it is.
        """
        self._text(name)
        self._value(value)

    def _text(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._hash.update(b"%d:" % len(data) + data)

    def _value(self, value: Any) -> None:
        self._depth += 1
        self._count += 1
        if self._count > _VALUES or self._depth > _DEPTH:
            text = f"{_VALUES:,} values" if self._count > _VALUES else f"values {_DEPTH} deep"
            raise Unclear(f"it reaches more than {text}; put them into a module of the program")
        try:
            self._of_type(value)
        finally:
            self._depth -= 1

    def _of_type(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            zone = getattr(value, "tzinfo", None)
            self._text(f"{kind.__name__} {value!r}" if zone is None else f"{kind} {value}")
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, Enum):
            self._text(value.name)
            self._class(kind)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, ModuleType):
            self._module(value.__name__)
        elif isinstance(value, _NAMED):
            self._text(f"{kind.__name__} {getattr(value, '__qualname__', value.__name__)}")
        elif self._is_new(value):
            self._inside(value)
        else:
            self._text("again")

    def _is_new(self, value: Any) -> bool:
        if id(value) in self._known:
            return False
        self._known[id(value)] = value  # and so keeps its id
        return True

    def _inside(self, value: Any) -> None:
        """Adds what is in a container, a wrapper or an object."""
        self._text(_path(type(value)))
        if isinstance(value, Mapping):
            self._all([part for item in value.items() for part in item])
        elif isinstance(value, list | tuple):
            self._all(value)
        elif isinstance(value, set | frozenset):
            self._all(sorted(value, key=lambda one: (type(one).__name__, repr(one))))
        elif isinstance(value, staticmethod | classmethod | MethodType):
            self._all((value.__func__, getattr(value, "__self__", None)))
        elif isinstance(value, property):
            self._all((value.fget, value.fset, value.fdel))
        elif isinstance(value, cached_property):
            self._value(value.func)
        elif isinstance(value, partial | partialmethod):
            self._all((value.func, value.args, dict(value.keywords)))
        elif isinstance(value, tzinfo | TypeVar | GenericAlias | UnionType) or _is_typing(value):
            self._text(_ADDRESS.sub("", repr(value)))
        elif hasattr(value, "__wrapped__"):
            self._all((value.__wrapped__, getattr(value, "registry", None)))
        else:
            self._object(value)

    def _all(self, values: Any) -> None:
        values = list(values)
        self._text(str(len(values)))
        for each in values:
            self._value(each)

    def _object(self, value: Any) -> None:
        """Adds an object as it would be copied."""
        self._class(type(value))
        try:
            made = value.__reduce_ex__(2)
        except Exception as error:
            text = f"it reaches a {_path(type(value))}, which can't be looked into: {error}"
            raise Unclear(text) from error
        if isinstance(made, str):
            self._text(made)
            return
        self._all(made[:3])
        for part in made[3:5]:
            self._all(part or ())

    def _module(self, name: str) -> None:
        self._text(name)
        if self._is_own(name):
            self.modules.add(name)

    def _shows(self, module: str) -> bool:
        """Whether a module of the program tells what is in it; or it is of another package."""
        self._module(module)
        return not self._is_own(module) or self._is_read(module)

    def _class(self, cls: type) -> None:
        self._text(_path(cls))
        if not self._is_new(cls):
            return
        shows = self._shows(cls.__module__) and "<locals>" not in cls.__qualname__
        for base in cls.__mro__[1:]:
            self._class(base)
        for kind in getattr(cls, "__pydantic_generic_metadata__", {}).get("args", ()):
            self._value(kind)
        if issubclass(cls, Event) and self._is_own(cls.__module__):
            for name in _EVENTS:
                self.add(name, getattr(cls, name))
        if shows or not self._is_own(cls.__module__):
            return
        if issubclass(cls, Enum):
            self._all([(one.name, one.value) for one in cls])
        for name, value in sorted(vars(cls).items()):
            if name not in _MACHINERY and not _is_ours(name):
                self.add(name, value)
        schema = vars(cls).get("__pydantic_core_schema__")
        self._all([] if schema is None else list(_cleaned(schema)))

    def _function(self, function: FunctionType) -> None:
        module = function.__module__ or ""
        self._text(f"{module}.{function.__qualname__}")
        if not self._is_new(function):
            return
        shows = self._shows(module)
        if not self._is_own(module):
            return
        self._code(function)
        if not shows:
            self._globals(function)
        elif not _LOCAL.search(function.__qualname__):
            return
        self._all((function.__defaults__, function.__kwdefaults__, vars(function)))
        if hasattr(function, "registry") and hasattr(function, "dispatch"):
            self._value(dict(function.registry))  # the rest of it is a cache
            return
        for cell in function.__closure__ or ():
            try:
                self._value(cell.cell_contents)
            except ValueError:  # it is not set yet
                self._text("empty")

    def _code(self, function: FunctionType) -> None:
        doc = function.__doc__
        for code in codes(function.__code__):
            for part in parts_of(code):
                self._text("" if part == f"str {doc!r}" and code is function.__code__ else part)

    def _globals(self, function: FunctionType) -> None:
        """Adds what a function of a notebook reaches by its global names, and may import."""
        names = {name for code in codes(function.__code__) for name in code.co_names}
        for name in sorted(names & function.__globals__.keys()):
            value = function.__globals__[name]
            self.add(name, value)
            if isinstance(value, ModuleType):
                inner = (getattr(value, each, None) for each in sorted(names))
                self._all(one for one in inner if isinstance(one, ModuleType))
        package = function.__globals__.get("__package__") or ""
        for code in codes(function.__code__):
            for name in absolute(package, imports_of(code)):
                self._module(name)


def _is_typing(value: Any) -> bool:
    return type(value).__module__ in ("typing", "typing_extensions", "types")


def _is_ours(name: str) -> bool:
    """Whether an attribute is what pydantic and this library have made of a class."""
    return name.startswith("__pydantic_") or name in _OURS


_OURS = {
    "__aggregate_type__", "__assignable__", "__own_slots__", "__dispatch__", "__commands__",
    "__snapshot_every__", "__snapshot_version__", "__made_at__", "__event_type__",
    "__meta_keywords__", "__says_tags__", "__codec__", "__signature__", "__class_vars__",
    "__private_attributes__", "__static_attributes__", "__annotations_cache__",
    "__dataclass_fields__", "__dataclass_params__", "__abstractmethods__",
    "_member_map_", "_value2member_map_", *_EVENTS,
}  # fmt: skip


def _cleaned(node: Any) -> Iterator[Any]:
    """Yields what a schema of pydantic says, without what is another in each process."""
    if isinstance(node, Mapping):
        is_schema = isinstance(node.get("type"), str)
        for key, value in node.items():
            if is_schema and key in ("metadata", "ref"):
                continue
            yield str(key)
            if is_schema and key == "schema_ref":
                yield _ADDRESS.sub("", str(value))
            elif is_schema and key == "default":
                yield value
            else:
                yield from _cleaned(value)
    elif isinstance(node, list | tuple):
        yield len(node)
        for one in node:
            yield from _cleaned(one)
    else:
        yield node


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
