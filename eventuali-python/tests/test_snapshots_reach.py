"""What the fingerprint of an aggregate class reaches: everything in the program that it may use."""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
import time
import zipfile
from itertools import count
from types import ModuleType
from typing import Any, ClassVar

import pytest

from eventuali import Aggregate, Event
from eventuali._engine.snapshot_record import form_of
from eventuali.snapshot._fingerprint import Unclear, fingerprint

HEAD = """
from __future__ import annotations
import collections, contextlib, enum, fractions, functools, types
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple
from pydantic import BaseModel, BeforeValidator, ConfigDict
from eventuali import Aggregate, Event, upcast
"""
EVENT = """
class Ev(Event, name="reach.ev"):
    n: int = 1
"""
AGGREGATE = """
class A(Aggregate, name="reach.a"):
    t: int = 0
    def apply_ev(self, e: Ev) -> None:
"""


def handling(body: str, before: str = "") -> str:
    """Returns a module in which a handler does something."""
    return EVENT + before + AGGREGATE + f"        {body}\n"


def fields(body: str) -> str:
    return EVENT + f"class A(Aggregate, name='reach.a'):\n    {body}\n"


CALLED = "class R:\n    def __call__(self): return 2\nr = R()"
CACHED = "@functools.cache\ndef fee(n): return n * 2"
MONEY = "class Money(BaseModel):\n    n: int = 0\n    def __add__(self, o): return self.n + o.n * 1"
DISPATCHED = (
    "@functools.singledispatch\ndef fee(e): return 1\n@fee.register\ndef _(e: Ev): return e.n * 2"
)
KEPT = "    t: int = 0\n    def apply_base(self, e: Base) -> None: self.t += e.n"
BASE = "class Base(Event, name='reach.base'):\n    n: int = 1\n"
TAKING = f"class A(Aggregate, name='reach.a'):\n{KEPT}\n"
STEP = """
    @upcast(1)
    @staticmethod
    def up(data): return data | {"n": 5}
"""
RETIRED = """
class Old(Event, name="reach.old", retired=True):
    @upcast(1, into=(Ev,))
    @staticmethod
    def apart(data): return ({"n": data["k"] * 1},)
"""
SLOTTED = """
@dataclass(slots=True)
class P:
    n: int = 2
    def __lt__(self, o): return self.n < o.n
R = P(7)
"""
TABLE = "HOW: ClassVar[Any] = {1: lambda s, e: s + e.n}\n    t: int = 0"
DESCRIBED = "class D:\n    def __get__(self, o, t): return 2"
CASES = [
    ("class variable", fields("RATE: ClassVar[int] = 2"), "= 2", "= 3"),
    ("class attribute", handling("self.t += R.X", "class R:\n    X = 2"), "X = 2", "X = 3"),
    ("table of lambdas", fields(TABLE), "s + e.n", "s - e.n"),
    ("dunder of a value", handling("self.t = Money() + Money()", MONEY), "* 1", "* 2"),
    ("call of an object", handling("r()", CALLED), "return 2", "return 3"),
    ("descriptor", handling("D()", DESCRIBED), "return 2", "return 3"),
    ("cached function", handling("self.t += fee(e.n)", CACHED), "n * 2", "n * 3"),
    ("single dispatch", handling("self.t += fee(e)", DISPATCHED), "n * 2", "n * 3"),
    ("module by attribute", handling("shop.rules.fee()", "import shop.rules"), "FEE", "3"),
    ("module of a package", handling("rules.fee()", "from shop import rules"), "FEE", "3"),
    ("relative import", handling("fee()", "from .rules import fee"), "FEE", "3"),
    ("starred import", handling("rules.fee()", "from shop import *"), "FEE", "3"),
    ("import in a handler", handling("from shop.rules import fee"), "FEE", "3"),
    ("module of a module", handling("more.fee()", "from shop import more"), "FEE", "3"),
    ("module outside", handling("beside.fee()", "import beside"), "OUT", "3"),
    ("package itself", handling("pass", "import shop.rules"), "INIT", "3"),
    ("attribute of a package", handling("shop.late.fee()", "import shop"), "LATE", "3"),
    ("namespace", handling("R.rate", "R = types.SimpleNamespace(rate=2)"), "=2", "=3"),
    ("fraction", handling("R", "R = fractions.Fraction(1, 2)"), "1, 2", "1, 3"),
    ("range", handling("R", "R = range(0, 10)"), "10", "20"),
    ("deque", handling("R", "R = collections.deque([1, 2])"), "[1, 2]", "[2, 2]"),
    ("slotted object", handling("R.n", SLOTTED), "P(7)", "P(8)"),
    ("comparison of a slotted one", handling("min(R, R)", SLOTTED), "< o.n", "> o.n"),
    ("digits in a string", handling("self.t = 'at:10000'"), "10000", "20000"),
    ("field named ref", fields("ref: int = 0"), "int = 0", "int = 5"),
    ("field named metadata", fields("metadata: int = 0"), "int = 0", "int = 5"),
    ("field named schema_ref", fields("schema_ref: int = 0"), "int = 0", "int = 5"),
    ("config", fields("model_config = ConfigDict(validate_assignment=False)"), "False", "True"),
    ("constraint", fields("t: Annotated[int, BeforeValidator(lambda v: v*2)] = 1"), "v*2", "v*3"),
    ("member of an enum", handling("K.X", "class K(enum.Enum):\n    X = 1"), "X = 1", "X = 2"),
    ("named tuple", handling("P().n", "class P(NamedTuple):\n    n: int = 2"), "= 2", "= 3"),
    ("step", BASE.replace("base'", "base', version=2") + STEP + TAKING, '"n": 5', '"n": 6'),
    ("step of a retired class", handling("self.t += e.n", RETIRED), "* 1", "* 2"),
]  # fmt: skip
OTHERS = {
    "shop/__init__.py": "FIRST, __all__ = 'INIT', ['rules']",
    "shop/rules.py": "def fee(): return 'FEE'",
    "shop/more.py": "from shop.rules import fee",
    "shop/late.py": "def fee(): return 'LATE'",
    "beside.py": "def fee(): return 'OUT'",
}
NAMES = ("shop", "beside", "reach_subclass")
_numbers = count()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes a program and imports it; its modules are gone afterwards."""

    def written(code: str, old: str = "", new: str = "", load=("shop.m",), **more: str):
        folder = tmp_path / f"v{next(_numbers)}"
        files = OTHERS | {"shop/m.py": HEAD + code} | {f"{k}.py": v for k, v in more.items()}
        assert not old or any(old in each for each in files.values())
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text.replace(old, new) if old else text)
        return loaded(str(folder), load)

    def loaded(path: str, load=("shop.m",)):
        forget()
        monkeypatch.syspath_prepend(path)
        importlib.invalidate_caches()
        first, *_ = [importlib.import_module(name) for name in load]
        return first.A

    def forget():
        for name in [each for each in sys.modules if each.partition(".")[0] in NAMES]:
            del sys.modules[name]

    written.loaded = loaded
    yield written
    forget()


@pytest.mark.parametrize(("what", "code", "old", "new"), CASES, ids=[each[0] for each in CASES])
def test_what_it_sees(what, code, old, new, program):
    load = ("shop.m", "shop.late") if "late" in code else ("shop.m",)
    before = fingerprint(program(code, load=load))
    assert fingerprint(program(code, load=load)) == before
    assert fingerprint(program(code, old, new, load)) != before


@pytest.mark.parametrize("change", ["n: int = 2", "k: int = 2", "version", "step"])
def test_a_subclass_of_what_a_handler_takes_counts(change, program):
    """It may be in a module that the aggregate's knows nothing of."""
    sub = "from shop.m import *\nfrom shop.m import Base, upcast\nclass Sub(Base, name='reach.sub'"
    plain = f"{sub}):\n    n: int = 1\n    k: int = 1\n"
    changed = plain.replace(change.replace("2", "1"), change)
    if change in ("version", "step"):
        changed = plain.replace("sub'", "sub', version=2") + STEP
        plain = plain if change == "version" else changed.replace('"n": 5', '"n": 6')
    load = ("shop.m", "reach_subclass")
    prints = {fingerprint(program(BASE + TAKING, load=load, reach_subclass=plain))}
    prints.add(fingerprint(program(BASE + TAKING, load=load, reach_subclass=changed)))
    prints.add(fingerprint(program(BASE + TAKING)))
    assert len(prints) == 3


def test_a_class_that_is_loaded_later_counts(program):
    sub = "from shop.m import Base\nclass Sub(Base, name='reach.later'):\n    k: int = 1\n"
    cls = program(BASE + TAKING, reach_subclass=sub)
    before = form_of(cls)
    assert form_of(cls) is before
    importlib.import_module("reach_subclass")
    assert form_of(cls).fingerprint != before.fingerprint


OPEN = "@functools.singledispatch\ndef fee(e): return 1"
METHOD = "class Fees:\n    @functools.singledispatchmethod\n    def fee(self, e): return 1"
LAMBDA = "def made(k):\n    return lambda e: e.n * k\nfee.register(Ev, made(2))"


@pytest.mark.parametrize(
    ("before", "registers", "old", "new"),
    [
        (OPEN, "@fee.register\ndef _(e: Ev): return e.n * 2", "n * 2", "n * 3"),
        (METHOD, "@Fees.fee.register\ndef _(self, e: Ev): return e.n * 2", "n * 2", "n * 3"),
        (OPEN, "import beside\n@fee.register\ndef _(e: Ev): return beside.fee()", "OUT", "3"),
        (OPEN, LAMBDA, "made(2)", "made(3)"),
    ],
    ids=["function", "method", "module of a module", "closure"],
)
def test_what_another_module_registers_counts(before, registers, old, new, program):
    """Nothing that the aggregate reaches imports that module."""
    code = handling("fee(e)", before)
    more = f"from shop.m import *\nfrom shop.m import {'Fees' if before is METHOD else 'fee'}\n"
    given = {"load": ("shop.m", "reach_subclass"), "reach_subclass": more + registers}
    prints = [fingerprint(program(code, **given)), fingerprint(program(code, **given))]
    prints += [fingerprint(program(code, old, new, **given)), fingerprint(program(code))]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_what_is_registered_later_counts(program):
    registers = "from shop.m import *\n@fee.register\ndef _(e: Ev): return 2"
    cls = program(handling("fee(e)", OPEN), reach_subclass=registers)
    before = form_of(cls)
    assert form_of(cls) is before
    importlib.import_module("reach_subclass")
    assert form_of(cls).fingerprint != before.fingerprint


def test_the_order_of_registration_does_not_count(program):
    one, other = "@fee.register\ndef _(e: int): return 2", "@fee.register\ndef _(e: str): return 3"
    given = {"load": ("shop.m", "shop.n", "shop.o"), "shop/n": f"from shop.m import *\n{one}"}
    given["shop/o"] = f"from shop.m import *\n{other}"
    before = fingerprint(program(handling("fee(e)", OPEN), **given))
    given["load"] = ("shop.m", "shop.o", "shop.n")
    assert fingerprint(program(handling("fee(e)", OPEN), **given)) == before


def test_what_is_outside_does_not_count(program):
    before = fingerprint(program(handling("self.t += 1")))
    assert fingerprint(program(handling("self.t += 1"), "FEE", "3")) == before
    assert fingerprint(program(handling("self.t += 1  # twice"), "OUT", "3")) == before


def test_a_file_that_was_changed_since_is_not_trusted(program):
    cls = program(handling("fee()", "from shop.rules import fee"))
    rules = sys.modules["shop.rules"].__file__
    later = time.time() + 60
    os.utime(rules, (later, later))
    with pytest.raises(Unclear, match=r"rules\.py was changed after A was made"):
        fingerprint(cls)


@pytest.mark.parametrize("how", ["compiled", "zipped", "zipped and compiled"])
def test_modules_without_a_source_file(how, program, tmp_path):
    prints = []
    for version in ("n * 2", "n * 2", "n * 3"):
        folder = tmp_path / f"packed{next(_numbers)}"
        (folder / "shop").mkdir(parents=True)
        code = HEAD + handling("self.t += e.n * 2").replace("n * 2", version)
        texts = {"__init__": "", "m": code}
        for name, text in texts.items():
            file = folder / "shop" / f"{name}.py"
            file.write_text(text)
            if "compiled" in how:
                py_compile.compile(str(file), str(file) + "c", doraise=True)
                file.unlink()
        path = folder
        if "zipped" in how:
            path = folder / "all.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for file in sorted((folder / "shop").iterdir()):
                    archive.write(file, f"shop/{file.name}")
                    file.unlink()
            (folder / "shop").rmdir()
        prints.append(fingerprint(program.loaded(str(path))))
    assert prints[0] == prints[1] != prints[2]


def notebook(code: str) -> str:
    """Returns the fingerprint of the class, made as in a notebook, in a module without a file."""
    module = ModuleType("reach_notebook")
    sys.modules["reach_notebook"] = module
    try:
        exec(HEAD.replace("from __future__ import annotations", "") + code, vars(module))
        return fingerprint(module.A)
    finally:
        del sys.modules["reach_notebook"]


IN_NOTEBOOKS = [
    each for each in CASES if "shop" not in each[1] and "beside" not in each[1]
    and each[0] not in ("descriptor", "relative import")
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "code", "old", "new"), IN_NOTEBOOKS, ids=[each[0] for each in IN_NOTEBOOKS]
)
def test_what_it_sees_in_a_notebook(what, code, old, new):
    before = notebook(code)
    assert notebook(code) == before
    assert notebook(code.replace(old, new)) != before


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("R = list(range(60_000))", "more than 50,000 values"),
        ("R = None\nfor n in range(2000): R = [R]", "more than values 100 deep"),
        ("import threading\nR = threading.Lock()", "can't be looked into"),
    ],
)
def test_what_is_too_much_is_refused(before, why):
    with pytest.raises(Unclear, match=why):
        notebook(handling("self.t += bool(R)", before))


class Ticked(Event, name="reach.ticked"):
    n: int = 1


def test_classes_made_in_a_function_count_with_what_they_hold():
    def made(factor, given=(), default=0):
        class Local(Aggregate, name="reach.local"):
            t: int = default
            table: ClassVar[Any] = dict(given)

            def apply_ticked(self, event: Ticked) -> None:
                self.t += event.n * factor

        return fingerprint(Local)

    prints = [made(1), made(2), made(1, {1: 2}), made(1, {1: 3}), made(1, (), 7), made(1)]
    assert len(set(prints)) == 5
    assert prints[0] == prints[-1]
