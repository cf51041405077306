"""The modules of a program that some of them reach, and their code as digests.

A module is found by name, and its code read where it was loaded from; none is imported.
"""

from __future__ import annotations

import ast
import dis
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import resolve_name
from os import stat
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

_LIBRARIES = ("eventuali", "pydantic", "pydantic_core", "builtins")
_ENVIRONMENTS = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})
_Documented: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Unclear(Exception):
    """Says why it can't be told what code does."""


class Source(NamedTuple):
    """What a module is made of.

    Attributes:
        digest: Of its code, without comments, docstrings and line numbers.
        imports: What it imports, anywhere: (level, module, names).
        names: All that its code names.
    """

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    names: frozenset[str]


class Place(NamedTuple):
    """Where the code of a module is.

    Attributes:
        name: Its name as it was loaded, another one than `__main__`.
        package: Against which its relative imports count.
        file: The file; None for a module that was never in one.
        loader: What reads it if the file is no source.
        inner: Where its modules are, if it is a package.
    """

    name: str
    package: str
    file: str | None
    loader: Any
    inner: tuple[str, ...] | None


def is_own(name: str, packages: Iterable[str]) -> bool:
    """Says whether a module is of the program: of some packages, or in no environment."""
    package = name.partition(".")[0]
    if package in _LIBRARIES or not package:
        return False
    if package in packages or package == "__main__":
        return True
    if package in sys.stdlib_module_names:
        return False
    place = place_of(package)
    if place is None:
        return False
    files = (place.file,) if place.file else place.inner or ()
    return not any(file.startswith(_ENVIRONMENTS) for file in files)


def place_of(name: str) -> Place | None:
    """Returns where a module is; None if there is none of this name."""
    module = sys.modules.get(name)
    if module is None:
        spec = _spec(name)
        if spec is None:
            return None
        file = spec.origin if spec.has_location else None
        return Place(name, spec.parent or "", file, spec.loader, _tuple(spec))
    known: ModuleSpec | None = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None)
    loader = getattr(module, "__loader__", None)
    inner = getattr(module, "__path__", None)
    loaded_as = name if known is None else known.name
    package = getattr(module, "__package__", None) or ""
    return Place(loaded_as, package, file, loader, None if inner is None else tuple(inner))


def _spec(name: str) -> ModuleSpec | None:
    """Looks for a module that is not loaded yet."""
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    place = place_of(parent)
    return None if place is None or place.inner is None else PathFinder.find_spec(name, place.inner)


def _tuple(spec: ModuleSpec) -> tuple[str, ...] | None:
    inner = spec.submodule_search_locations
    return None if inner is None else tuple(inner)


def has_source(name: str) -> bool:
    """Says whether a module's code can be read; not so in a notebook."""
    place = place_of(name)
    return place is not None and source_of(place) is not None


def source_of(place: Place) -> Source | None:
    """Returns what a module is made of; None if it is nowhere to be read.

    Raises:
        Unclear: It is there, and can't be read.
    """
    if place.file is None and place.inner is not None:
        return Source("", (), frozenset())  # a package without a file has no code
    try:
        file = place.file
        if file is not None and not file.endswith(".pyc") and Path(file).is_file():
            found = stat(file)
            return _in_file(file, (found.st_mtime_ns, found.st_size, found.st_ino))
        return _by_loader(place)
    except (OSError, SyntaxError, ValueError) as error:
        raise Unclear(f"the code of the module {place.name} can't be read: {error}") from error


@lru_cache(maxsize=4096)
def _in_file(file: str, version: tuple[int, ...]) -> Source:
    """Reads a file; `version` is what tells it from the one that it was before."""
    data = Path(file).read_bytes()
    if file.endswith(tuple(EXTENSION_SUFFIXES)):
        return Source(blake2b(data, digest_size=16).hexdigest(), (), frozenset())
    return _of_source(data, file)


def _by_loader(place: Place) -> Source | None:
    """Reads a module in an archive, say."""
    for method, made in (("get_source", _of_source), ("get_code", _of_code)):
        try:
            found = getattr(place.loader, method)(place.name)
        except (AttributeError, ImportError):
            continue
        if found is not None:
            return made(found)
    return None


def changed_at(place: Place) -> float:
    """Returns when the file of a module was written or put in its place, in s since 1970."""
    file = place.file
    if file is None or not Path(file).is_file():
        file = getattr(place.loader, "archive", None)
    if file is None:
        return 0.0
    found = stat(file)
    return max(found.st_mtime, found.st_ctime)


def _of_source(data: str | bytes, file: str = "<module>") -> Source:
    tree = ast.parse(data, file)
    for node in ast.walk(tree):
        if isinstance(node, _Documented):
            _drop_docstring(node)
    return _of_code(compile(tree, "<module>", "exec", dont_inherit=True))


def _drop_docstring(node: _Documented) -> None:
    first = node.body[0] if node.body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return
    if isinstance(first.value.value, str):
        del node.body[0]
        if not node.body:
            node.body.append(ast.copy_location(ast.Pass(), first))


def _of_code(code: CodeType) -> Source:
    hashed = blake2b(digest_size=16)
    names: set[str] = set()
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for each in codes(code):
        for part in parts_of(each):
            text = part.encode("utf-8", "surrogatepass")
            hashed.update(b"%d:" % len(text) + text)
        names.update(each.co_names)
        imports.extend(imports_of(each))
    return Source(hashed.hexdigest(), tuple(imports), frozenset(names))


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yields a code object and all within."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def parts_of(code: CodeType) -> Iterator[str]:
    """Yields what a code object does, without the ones within, as text."""
    yield f"{code.co_name} {code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount}"
    yield f"{code.co_flags} {code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}"
    yield f"{code.co_code!r} {code.co_exceptiontable!r}"
    yield f"{code.co_names} {code.co_freevars} {code.co_cellvars}"
    for constant in code.co_consts:
        yield _constant(constant)


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return "code"
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {[_constant(one) for one in value]}"
    return f"{type(value).__name__} {value!r}"


def imports_of(code: CodeType) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yields the imports of a code object: (level, module, names)."""
    before: list[Any] = [0, None]
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level, names = before
            yield level, str(step.argval), tuple(names or ())
        before = [before[1], step.argval]


def absolute(package: str, imports: Iterable[tuple[int, str, tuple[str, ...]]]) -> Iterator[str]:
    """Yields the names of the modules that imports may reach, of any package."""
    for level, module, names in imports:
        try:
            name = resolve_name("." * level + module, package) if level else module
        except ImportError:
            continue  # it leads out of its package, and fails when it runs
        yield name
        loaded = sys.modules.get(name)
        listed = getattr(loaded, "__all__", ()) if names == ("*",) else names
        yield from (f"{name}.{each}" for each in listed)


def imported(place: Place, source: Source, is_own: Callable[[str], bool]) -> Iterator[str]:
    """Yields the names of modules of the program that a module may reach.

    Those that it imports, and those that it may find as attributes of them.
    """
    packages = set()
    for name in absolute(place.package, source.imports):
        if is_own(name):
            packages.add(name.partition(".")[0] + ".")
            yield name
    for each in list(sys.modules):
        start, _, last = each.rpartition(".")
        if start and last in source.names and each.startswith(tuple(packages)):
            yield each
