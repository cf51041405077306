"""A program in a folder of its own, and the command line on it."""

from __future__ import annotations

import gc
import importlib
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from eventuali.__main__ import main

EVENTS = '''
from decimal import Decimal
from enum import Enum
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field
from eventuali import Event

T = TypeVar("T")


class Colour(Enum):
    RED = "r"
    GREEN = "g"


class Line(BaseModel):
    sku: str
    count: int = 1


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"


class Tree(BaseModel):
    children: list["Tree"] = []


class Placed(Event, name="bazaar.placed"):
    """An order | was *placed*."""

    order_id: str = Field(description="The id | of the order")
    lines: list[Line]
    colour: Colour = Colour.RED
    paid: Annotated[Card | Cash, Field(discriminator="kind")] | None = None
    tree: Tree = Tree()


class Changed(Event, Generic[T], name="bazaar.changed"):
    new: T


ChangedNumber = Changed[int]


class Odd(Event, name='odd|`name` "with" <all> #1'):
    total: Decimal = Decimal(0)
'''

MODEL = """
from eventuali import Aggregate, Projection, ReadModel, UnitOfWork
from eventuali.command import Command, handles
from shop.events import ChangedNumber, Odd, Placed


class Place(Command):
    order_id: str


class Audit(Command):
    pass


class Order(Aggregate):
    placed: int = 0

    @handles(Place, id="order_id", creates=True)
    def place(self, command: Place) -> None:
        self.apply(Placed(order_id=command.order_id, lines=[]))

    def change(self) -> None:
        self.apply(ChangedNumber(new=1))

    def apply_placed(self, event: Placed) -> None:
        self.placed += 1

    def apply_changed(self, event: ChangedNumber) -> None:
        self.placed = event.new


@handles(Audit)
async def audit(command: Audit, work: UnitOfWork) -> None:
    work.append([Odd()])


class OrderCount(ReadModel):
    count: int = 0


class Orders(Projection[OrderCount]):
    def on_placed(self, event: Placed, doc: OrderCount | None) -> OrderCount:
        return OrderCount(count=1)
"""


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Terminal(io.StringIO):
    """A stream on which a progress bar is drawn."""

    def isatty(self) -> bool:
        return True


class Shop:
    """A package `shop` in a folder, which is the current directory of the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "shop"
        self.file = folder / "events.schema.json"
        self.package.mkdir()
        self._writes = 1
        self.write("__init__", "")
        self.write("events", EVENTS)
        self.write("model", MODEL)

    def write(self, module: str, source: str) -> None:
        path = self.package / f"{module}.py"
        path.write_text(source)
        self._writes += 1  # or a compiled file of the same second is taken for it
        os.utime(path, (self._writes, self._writes))

    def change(self, old: str, new: str, module: str = "events") -> None:
        source = (self.package / f"{module}.py").read_text()
        assert old in source
        self.write(module, source.replace(old, new))

    def run(self, *words: object, module: str = "shop", terminal: bool = False) -> Done:
        """Runs a verb in this process, as if it were a new one."""
        before = os.getcwd(), list(sys.path)
        out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
        _forget()
        os.chdir(self.folder)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = _called("schema", words[0], module, *words[1:])
        finally:
            os.chdir(before[0])
            sys.path[:] = before[1]
            _forget()
        return Done(code, out.getvalue(), err.getvalue())

    def command(self, *words: object) -> Done:
        """Runs `python -m eventuali` in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "eventuali", *map(str, words)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def _called(*words: object) -> int:
    try:
        return main(list(map(str, words)))
    except SystemExit as error:  # argparse
        return int(error.code or 0)


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    gc.collect()  # a class that is left would claim its wire name


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop, noted in its file."""
    made = Shop(tmp_path)
    done = made.run("snapshot")
    assert (done.returncode, done.stderr) == (0, "")
    return made
