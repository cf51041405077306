"""The fingerprint of an aggregate class: it changes with the code that makes the state."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from textwrap import dedent

import pytest
from support import TESTS

from eventuali import Aggregate
from eventuali.snapshot._fingerprint import fingerprint

CODE = '''
from __future__ import annotations

import enum
import functools
from decimal import Decimal

from pydantic import BaseModel, Field, field_validator

import {helper} as helper
from {helper} import rounded
from eventuali import Aggregate, Event

RATE = Decimal("0.1")
NAMES = {{"a": 1}}
CODES = {{"x", "y", "z"}}

class Color(enum.Enum):
    RED = 1

class Money(BaseModel):
    amount: Decimal = Decimal(0)
    color: Color = Color.RED

    def doubled(self) -> Decimal:
        return self.amount * 2

class Put(Event, name="{unique}.put"):
    money: Money
    count: int = 1

    @field_validator("count")
    @classmethod
    def check(cls, value: int) -> int:
        return value

class Named(Event, name="{unique}.named"):
    text: str = "a"

class Jar(Aggregate, name="{unique}.jar"):
    """Some jar."""

    total: Decimal = Decimal(0)
    monies: list[Money] = Field(default_factory=list)

    @property
    def limit(self) -> int:
        return 10

    def _add(self, money: Money) -> None:
        bonus = money.doubled() * RATE
        self.total += rounded(bonus) + helper.inner(1)

    def apply_put(self, event: Put) -> None:
        """Handles it."""
        if self.total < self.limit and "x" in CODES:
            self._add(event.money)
        self.total += NAMES["a"] + sum(x for x in (1, 2) if x > 1)

    def apply_named(self, event) -> None:
        pass

    def shown(self) -> str:
        return f"total {{self.total}}"
'''
HELPER = """
OTHER = 5

def inner(x):
    return deeper(x)

def deeper(x):
    y = x + 1
    return y * OTHER

def rounded(x):
    return x

def unused(x):
    return x
"""
MEANT = [
    ("a constant of a module", 'Decimal("0.1")', 'Decimal("0.2")'),
    ("a table", '{{"a": 1}}', '{{"a": 2}}'),
    ("a set", '"x", "y", "z"', '"x", "y"'),
    ("the handler", "x > 1", "x > 0"),
    ("a method", "rounded(bonus) +", "rounded(bonus) -"),
    ("a property", "return 10", "return 11"),
    ("a default of the state", "total: Decimal = Decimal(0)", "total: Decimal = Decimal(1)"),
    ("a field of the state", "monies: list[Money]", "moneys: list[Money]"),
    ("a type of the state", "monies: list[Money]", "monies: tuple[Money, ...]"),
    ("a field within", "amount: Decimal = Decimal(0)", "amount: Decimal = Decimal(2)"),
    ("a method of a value", "self.amount * 2", "self.amount * 3"),
    ("a member of an enum", "RED = 1", "RED = 2"),
    ("a default of an event", "count: int = 1", "count: int = 2"),
    ("a validator of an event", "return value", "return value + 1"),
    ("an event found by name", 'text: str = "a"', 'text: str = "b"'),
    ("a constant of a helper", "x + 1", "x + 2"),
    ("a constant that a helper reads", "OTHER = 5", "OTHER = 6"),
    ("what no handler reaches", 'f"total', 'f"sum'),
    ("a helper that nobody calls", "def unused(x):\n    return x", "def unused(x):\n    return 1"),
    ("an event without a handler", "def apply_named", "ignores = (Named,)\n\n    def other_named"),
]
NOT_MEANT = [
    ("a docstring", '"""Handles it."""', '"""Handles this."""'),
    ("a comment", "        bonus =", "        # Twice.\n        bonus ="),
    ("the name of a local", "bonus", "extra"),
    ("the name of a local of a helper", "y = x + 1\n    return y", "z = x + 1\n    return z"),
]
_numbers = count()


def printed(folder, monkeypatch, old: str = "", new: str = "", unique: str = "snapshots_print"):
    """Returns the fingerprint of the class, with a change, in modules of the same names."""
    monkeypatch.syspath_prepend(str(folder))
    names = {"unique": unique, "helper": "snapshots_print_helper"}
    assert old in CODE + HELPER
    place = folder / f"v{next(_numbers)}"
    place.mkdir()
    (place / "snapshots_print_helper.py").write_text(HELPER.replace(old, new) if old else HELPER)
    code = (CODE.replace(old, new) if old else CODE).format(**names)
    (place / "snapshots_print_module.py").write_text(dedent(code))
    monkeypatch.syspath_prepend(str(place))
    for name in ("snapshots_print_helper", "snapshots_print_module"):
        sys.modules.pop(name, None)
    try:
        return fingerprint(__import__("snapshots_print_module").Jar)
    finally:
        for name in ("snapshots_print_helper", "snapshots_print_module"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(("what", "old", "new"), MEANT, ids=[each[0] for each in MEANT])
def test_what_changes_it(what, old, new, tmp_path, monkeypatch):
    before = printed(tmp_path, monkeypatch)
    assert printed(tmp_path, monkeypatch) == before
    assert printed(tmp_path, monkeypatch, old, new) != before


@pytest.mark.parametrize(("what", "old", "new"), NOT_MEANT, ids=[each[0] for each in NOT_MEANT])
def test_what_does_not(what, old, new, tmp_path, monkeypatch):
    before = printed(tmp_path, monkeypatch)
    assert printed(tmp_path, monkeypatch, old, new) == before


def test_the_explicit_version_changes_it():
    def numbered(version: int) -> type[Aggregate]:
        class Numbered(Aggregate, name="SnapshotsNumbered", snapshot_version=version):
            pass

        return Numbered

    versions = [fingerprint(numbered(version)) for version in (0, 1, 2, 0)]
    assert len(set(versions)) == 3
    assert versions[0] == versions[3]


def test_what_an_event_says_of_its_older_versions_changes_it(tmp_path, monkeypatch):
    before = printed(tmp_path, monkeypatch)
    said = '__formerly__ = ("old",)\n    __upcasters__ = {{1: lambda payload: payload}}\n'
    text = "    text: str"
    after = printed(tmp_path, monkeypatch, text, f"    {said}{text}")
    changed = said.replace(": payload", ": {{}}")
    other = printed(tmp_path, monkeypatch, text, f"    {changed}{text}")
    assert len({before, after, other}) == 3


def test_it_is_the_same_in_each_process(tmp_path, monkeypatch):
    printed(tmp_path, monkeypatch)
    (place,) = [each for each in tmp_path.iterdir() if each.is_dir()]
    code = """
from eventuali import Aggregate
from eventuali.snapshot._fingerprint import fingerprint
from snapshots_print_module import Jar
print(fingerprint(Jar))
"""
    seen = set()
    for seed in ("0", "1", "77"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(place), str(TESTS)]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1
