"""The pytest plugin: a store for each test, on any backend, and a clock.

It is active wherever Eventuali is installed, and imports nothing of it before a test asks for a
fixture. A fixture of the same name in a `conftest.py` or a test module takes its place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eventuali import EventStore, sync
    from eventuali.testing._clock import Clock
    from eventuali.testing._stores import Opened

__all__ = ["clock", "event_registry", "store", "sync_store"]

URL_VARIABLE = "EVENTUALI_TEST_POSTGRES_URL"
_BACKENDS = ("memory", "sqlite", "postgres")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the settings."""
    parser.addini(
        "eventuali_backends",
        "the backends on which a test with the fixture store or sync_store runs: "
        "memory, sqlite, postgres",
        type="args",
        default=["memory"],
    )
    parser.addini(
        "eventuali_postgres_url",
        f"the PostgreSQL database of the tests; the environment variable {URL_VARIABLE} goes first",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Adds the marker."""
    config.addinivalue_line(
        "markers",
        "eventuali(backends=None, inline=()): the backends on which the stores of the test are "
        "opened, and their inline projections",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for a store once for each backend."""
    if "eventuali_backend" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("eventuali")
    chosen = _options(marker)["backends"]
    backends = metafunc.config.getini("eventuali_backends") if chosen is None else chosen
    if isinstance(backends, str) or not backends or not set(_BACKENDS).issuperset(backends):
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: {backends!r} are not backends of Eventuali; give a "
            f"list of {', '.join(_BACKENDS)}"
        )
    # The ids of the tests stay as they are where nobody has chosen.
    if chosen is not None or backends != ["memory"]:
        metafunc.parametrize("eventuali_backend", backends, indirect=True, ids=backends)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forgets what was left before the test, of which its fixtures are a part."""
    _left()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fails a test in which, or in whose fixtures, something happens that nobody checks."""
    yield
    _refuse_left()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Does the same for what happens after the test, in its fixtures."""
    _left()  # of a test that was skipped, or has failed for another reason
    yield
    _refuse_left()


def _left() -> list[str]:
    """Returns what is wrong with what nobody has checked so far, and forgets it."""
    module = sys.modules.get("eventuali.testing._outcome")
    if module is None:
        return []
    left = [each.unchecked for each in module.unchecked]
    module.unchecked.clear()
    return left


def _refuse_left() -> None:
    if left := _left():
        pytest.fail("\n".join(left), pytrace=False)


@pytest.fixture
def eventuali_backend(request: pytest.FixtureRequest) -> str:
    """The backend of the test's store: `memory`, `sqlite` or `postgres`."""
    backend: str = getattr(request, "param", "memory")
    return backend


@pytest.fixture
def event_registry() -> Iterator[None]:
    """Forgets, after the test, the classes that were made in functions, and their wire names.

    It also takes back what `EventStore.register_event_class` registers for all stores. The fixtures
    `store` and `sync_store` bring it.
    """
    from eventuali.event._registry import LocalClaims

    before = LocalClaims()
    yield
    before.restore()


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock at 1 January 2025, UTC, which the test's store and new events go by."""
    from eventuali.testing import Clock

    with Clock() as clock:
        yield clock


@pytest.fixture
def _eventuali_opened(
    eventuali_backend: str, event_registry: None, request: pytest.FixtureRequest
) -> Iterator[Opened]:
    from eventuali.testing._stores import Opened

    options = _options(request.node.get_closest_marker("eventuali"))
    with_clock = "clock" in request.fixturenames
    clock = request.getfixturevalue("clock") if with_clock else None
    opened = Opened(_place(eventuali_backend, request), options["inline"], clock)
    yield opened
    opened.close()


@pytest.fixture
def store(_eventuali_opened: Opened) -> EventStore:
    """An empty `eventuali.EventStore`, for this test alone.

    The fixture is a plain one: it needs no plugin for asyncio, and the store can be used in any
    event loop, with pytest-asyncio, AnyIO's plugin or `asyncio.run`.
    """
    return _eventuali_opened.asynchronous


@pytest.fixture
def sync_store(_eventuali_opened: Opened) -> sync.EventStore:
    """An empty `eventuali.sync.EventStore`, for this test alone.

    With `store` in the same test, both are the same store.
    """
    return _eventuali_opened.blocking


def _place(backend: str, request: pytest.FixtureRequest) -> Any:
    """Returns what opens a store of a backend."""
    if backend == "memory":
        return "memory://"
    if backend == "sqlite":
        return request.getfixturevalue("tmp_path") / "eventuali.db"
    url = os.environ.get(URL_VARIABLE) or request.config.getini("eventuali_postgres_url")
    if not url:
        pytest.skip(
            f"no PostgreSQL for tests: set {URL_VARIABLE}, or eventuali_postgres_url in the "
            "configuration of pytest"
        )
    from eventuali.testing._stores import postgres

    return postgres(url)


def _options(marker: pytest.Mark | None) -> dict[str, Any]:
    """Returns what the marker says.

    Raises:
        UsageError: It takes nothing of the kind.
    """
    options: dict[str, Any] = {"backends": None, "inline": ()}
    if marker is None:
        return options
    unknown = marker.kwargs.keys() - options.keys()
    if marker.args or unknown:
        wrong = min(unknown) if unknown else "positional arguments"
        raise pytest.UsageError(
            f"the marker eventuali does not take {wrong}; write "
            '@pytest.mark.eventuali(backends=["memory", "sqlite"])'
        )
    return {**options, **marker.kwargs}
