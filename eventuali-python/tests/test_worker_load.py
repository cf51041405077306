"""A worker is found by its name."""

from __future__ import annotations

import sys

import pytest
from support import script

from eventuali.errors import ConfigurationError
from eventuali.worker import Worker, load

MODULE = """
from eventuali.worker import Worker
from pots import Pots
app = Worker("memory://", Pots())
number = 5
def factory():
    return Worker("memory://", Pots())
async def coroutine():
    return app
def failing():
    raise ZeroDivisionError("mine")
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Makes modules in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "market").mkdir()
    (tmp_path / "market" / "__init__.py").write_text("")
    (tmp_path / "market" / "views.py").write_text(MODULE)
    (tmp_path / "market" / "broken.py").write_text("import market.missing")
    (tmp_path / "market" / "wrong.py").write_text("from pots import nothing_of_this_name")
    yield
    for name in set(sys.modules) - before:
        if name.startswith("market"):
            del sys.modules[name]


def test_a_worker_is_found_by_its_name(modules):
    assert load("market.views:app") is sys.modules["market.views"].app
    assert isinstance(load("market.views:factory"), Worker)
    assert load("market.views:factory") is not load("market.views:factory")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("market.views", "must be a module, a colon and a name"),
        ("market/views.py:app", "must be a module, a colon and a name"),
        ("market.views:factory()", "must be a module, a colon and a name"),
        (":app", "must be a module, a colon and a name"),
        ("supermarket.views:app", "there is no module 'supermarket' in "),
        ("market.viws:app", "there is no module 'market.viws' in "),
        ("market.views.app:app", "there is no module 'market.views.app' in "),
        ("market.views:apq", "market.views has no 'apq'; there is app"),
        ("market:app", "market has no 'app'"),
        ("market.views:number", "market.views:number is 5, not a Worker; write number = Worker"),
        ("market.views:coroutine", "is a coroutine function"),
    ],
)
def test_a_name_that_leads_nowhere_is_explained(text, message, modules):
    with pytest.raises(ConfigurationError) as raised:
        load(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("market.broken:app", ModuleNotFoundError, "No module named 'market.missing'"),
        ("market.wrong:app", ImportError, "cannot import name 'nothing_of_this_name'"),
        ("market.views:failing", ZeroDivisionError, "mine"),
    ],
)
def test_an_error_inside_of_the_module_is_its_own(text, error, message, modules):
    with pytest.raises(error, match=message) as raised:
        load(text)
    assert raised.type is error


def test_the_current_directory_is_on_the_path_as_for_a_module(tmp_path):
    """A console script has its own folder there instead."""
    (tmp_path / "market.py").write_text(MODULE)
    code = """
import os, sys
sys.path[:] = [each for each in sys.path if each not in ("", os.getcwd())]
from eventuali.worker import load
load("market:app")
load("market:app")
assert sys.path.count(os.getcwd()) == 1
"""
    done = script(code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
