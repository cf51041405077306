"""The pytest plugin, in runs of pytest of their own."""

import importlib
import sys
from uuid import uuid4

import pytest
from postgres_server import server_url
from stores import administrator

pytest_plugins = ["pytester"]

DOMAIN = """
from eventuali import Aggregate, Event

class Opened(Event, name="kit_plugin_opened"):
    owner: str

class Account(Aggregate, name="KitPluginAccount"):
    owner: str = ""

    def apply_opened(self, event: Opened) -> None:
        self.owner = event.owner

def account(id="a"):
    made = Account(id=id)
    made.apply(Opened(owner="Ada"))
    return made
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs tests; only with the plugins that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("EVENTUALI_TEST_POSTGRES_URL", raising=False)
    pytester.makepyfile(domain=DOMAIN)

    def run(test, *arguments, plugins=("eventuali.testing.plugin",)):
        pytester.makepyfile(test_it=test)
        named = [part for plugin in plugins for part in ("-p", plugin)]
        return pytester.runpytest_subprocess(
            "-W",
            "error",
            "--strict-markers",
            "-p",
            "no:cacheprovider",
            *named,
            *arguments,
            timeout=120,
        )

    return run


def test_each_test_has_a_store_of_its_own(run):
    result = run("""
        import asyncio
        import pytest
        from domain import account, Account

        @pytest.mark.parametrize("number", range(3))
        def test_blocking(sync_store, number):
            assert sync_store.save(account()).versions == (1,)
            assert sync_store.url == "memory://"

        @pytest.mark.parametrize("number", range(3))
        def test_without_a_plugin(store, number):
            async def main():
                assert (await store.save(account())).versions == (1,)
                assert (await store.load_one(Account, "a")).owner == "Ada"
            asyncio.run(main())
            asyncio.run(store.close())

        def test_both_are_one_store(store, sync_store):
            sync_store.save(account())
            assert asyncio.run(store.load_one(Account, "a")).owner == "Ada"
            sync_store.register_event_class
    """)
    result.assert_outcomes(passed=7)


ASYNC = """
import asyncio
import pytest
from domain import account, Account

MARK

@pytest.fixture
async def stored(store):
    await store.save(account())
    yield account

@pytest.mark.MARKER
@pytest.mark.eventuali(backends=["memory", "sqlite"])
async def test_awaited(store, sync_store, stored):
    loaded = await store.load_one(Account, "a")
    assert loaded.owner == "Ada"
    await asyncio.gather(*(store.save(account(str(n))) for n in range(20)))
    assert len([s async for s in store.streams(Account)]) == 21
    with pytest.raises(RuntimeError, match="event loop is running"):
        sync_store.save(account("b"))
"""


def test_it_works_with_pytest_asyncio(run):
    for mode in ("auto", "strict"):  # of pytest-asyncio
        fixture = "import pytest_asyncio" if mode == "strict" else ""
        test = ASYNC.replace("MARKER", "asyncio").replace("MARK", fixture)
        if mode == "strict":
            test = test.replace("@pytest.fixture\nasync", "@pytest_asyncio.fixture\nasync")
        options = (
            "-o",
            f"asyncio_mode={mode}",
            "-o",
            "asyncio_default_fixture_loop_scope=function",
        )
        result = run(test, *options, plugins=("eventuali.testing.plugin", "pytest_asyncio.plugin"))
        result.assert_outcomes(passed=2)


def test_it_works_with_anyio(run):
    backend = "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    test = ASYNC.replace("MARKER", "anyio").replace("MARK", backend)
    result = run(test, plugins=("eventuali.testing.plugin", "anyio.pytest_plugin"))
    result.assert_outcomes(passed=2)


def test_the_marker_chooses_the_backends(run):
    result = run(
        """
        import pytest
        from domain import account

        @pytest.mark.eventuali(backends=["memory", "sqlite"])
        def test_both(sync_store, eventuali_backend):
            assert sync_store.stats().backend == eventuali_backend
            sync_store.save(account())

        def test_default(sync_store):
            assert sync_store.stats().backend == "memory"

        @pytest.mark.eventuali(backends=["sqlite"])
        class TestClass:
            def test_one(self, sync_store):
                assert sync_store.stats().backend == "sqlite"

        def test_none():
            pass
        """,
        "-v",
    )
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines_random(
        ["*::test_both?memory? *", "*::test_both?sqlite? *", "*::test_default PASSED*",
         "*::test_one?sqlite? *", "*::test_none PASSED*"]
    )  # fmt: skip


def test_the_setting_chooses_them_for_all(run, pytester):
    pytester.makeini("[pytest]\neventuali_backends = memory sqlite\n")
    test = "def test_it(sync_store): sync_store.horizon()"
    result = run(test, "-v")
    result.assert_outcomes(passed=2)
    pytester.makeini("[pytest]\neventuali_backends = oracle\n")
    result = run(test)
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["*'oracle'? are not backends of Eventuali; give a list of memory, sq*"]
    )


POSTGRES = """
import pytest
from domain import account

@pytest.mark.eventuali(backends=["postgres"])
@pytest.mark.parametrize("number", range(2))
def test_it(sync_store, number, request):
    assert sync_store.save(account()).positions == (1,)
    place = request.getfixturevalue("_eventuali_opened")._place
    print("schema:", place.schema)
    assert FAILS != number
"""


def test_on_postgres_each_test_has_a_schema_that_is_dropped(run, pytester, monkeypatch):
    pytester.makeini(f"[pytest]\neventuali_postgres_url = {server_url()}\n")
    result = run(POSTGRES.replace("FAILS", "1"), "-rA", "-s")
    result.assert_outcomes(passed=1, failed=1)
    schemas = {line.split()[-1] for line in result.outlines if "schema: " in line}
    assert len(schemas) == 2
    assert all(schema.startswith("eventuali_test_") for schema in schemas)
    with administrator() as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(schemas)]
        ).fetchall()
    assert left == []
    # The environment goes first.
    monkeypatch.setenv("EVENTUALI_TEST_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run(POSTGRES.replace("FAILS", "9"), "-o", "faulthandler_timeout=60")
    result.assert_outcomes(errors=2)


def test_without_a_database_tests_on_postgres_are_skipped_by_name(run):
    result = run(POSTGRES.replace("FAILS", "9"), "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*no PostgreSQL for tests: set EVENTUALI_TEST_POSTGRES_URL, or*"])


def test_only_schemas_of_tests_are_dropped():
    """Nothing else has a name that begins so, and what has another one stays."""
    from eventuali import EventStoreConfig, sync
    from eventuali.config import options_of
    from eventuali.errors import ConfigurationError

    schema = f"py_kept_{uuid4().hex[:8]}"
    config = EventStoreConfig.postgres(server_url()).with_schema(schema)
    sync.EventStore.create(config).close()
    try:
        with pytest.raises(ConfigurationError, match="was not made for a test"):
            options_of(config).drop_test_schema()
        with administrator() as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_namespace WHERE nspname = %s", [schema]
            ).fetchone()
        assert found == (1,)
    finally:
        with administrator() as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def test_a_wrong_marker_is_named(run):
    for marker, text in (
        ("backends='sqlite'", "*'sqlite' are not backends*"),
        ("backends=[]", "*[[]] are not backends*"),
        ("backend=['sqlite']", "*marker eventuali does not take backend;*"),
        ("'sqlite'", "*marker eventuali does not take positional arguments;*"),
    ):
        result = run(f"""
            import pytest
            @pytest.mark.eventuali({marker})
            def test_it(store): ...
        """)
        assert result.ret != 0
        result.stdout.fnmatch_lines([text])


def test_the_clock_moves_the_store_and_events(run):
    result = run("""
        from datetime import datetime, timedelta, UTC
        import pytest
        from domain import account, Account, Opened
        from eventuali import sync

        NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)

        @pytest.mark.eventuali(backends=["memory", "sqlite"])
        def test_with_it(sync_store, clock):
            sync_store.save(account())
            clock.advance(timedelta(days=1))
            sync_store.append([Opened(owner="x")])
            events = list(sync_store.read())
            assert [e.recorded_at for e in events] == [NEW_YEAR, NEW_YEAR + timedelta(days=1)]
            assert [e.timestamp for e in events] == [e.recorded_at for e in events]
            assert sync_store.stats().clock == clock.now

        def test_without_it(sync_store):
            assert sync_store.stats().clock is None
            assert Opened(owner="x").timestamp.year > 2025

        @pytest.fixture
        def early(sync_store):
            return sync_store

        def test_in_any_order(early, clock):
            assert early.stats().clock == NEW_YEAR
    """)
    result.assert_outcomes(passed=4)


def test_classes_of_a_test_are_forgotten_after_it(run):
    result = run("""
import pytest
from eventuali import Event, EventStore
from eventuali.event import registered
from domain import Opened as Module

KEPT = []

@pytest.mark.parametrize("number", range(2))
def test_a_class_of_its_own(sync_store, number):
    class Local(Event, name="kit_plugin_local"):
        number: int

    class Opened(Event, name="kit_plugin_opened"):
        "It has the name of the one of the module."

    KEPT.append((Local, Opened))
    EventStore.register_event_class("kit_plugin_x", Local)
    sync_store.append([Local(number=number)])
    assert registered("kit_plugin_local") == [Local]
    assert list(sync_store.read()) == [Local(number=number)]
    import late

def test_after_it(event_registry):
    assert len(KEPT) == 2
    assert registered("kit_plugin_local") == []
    assert registered("kit_plugin_opened") == [Module]
    assert "kit_plugin_x" not in EventStore.get_registered_event_classes()
    import late
    assert registered("kit_plugin_late") == [late.Late]
""")
    result.assert_outcomes(passed=3)


@pytest.fixture(autouse=True)
def _late(pytester):
    pytester.makepyfile(
        late="""
        from eventuali import Event
        class Late(Event, name="kit_plugin_late"):
            "Of a module that a test is the first to import."
    """
    )


def test_a_fixture_of_the_project_takes_its_place(run):
    result = run(
        """
        import pytest

        @pytest.fixture
        def store():
            return 7

        def test_it(store):
            assert store == 7
    """,
        "-v",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_it PASSED*"])


def test_a_test_that_checks_nothing_fails(run):
    result = run("""
        from domain import Account, Opened
        from eventuali.testing import given

        def test_forgotten():
            given(Account).when(lambda account: account.apply(Opened(owner="Ada")))

        def test_checked():
            given(Account).when(lambda account: None).then_nothing()

        def test_failing():
            given(Account).when(lambda account: None)
            assert False, "of its own"
    """)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["*Account: when(…) is not followed by a then…(…), so nothing is checked", "*of its own"]
    )


def test_what_a_fixture_does_is_to_be_checked_as_well(run):
    result = run("""
        import unittest
        import pytest
        from domain import Account
        from eventuali.testing import given

        @pytest.fixture
        def acted():
            return given(Account).when(lambda account: 1 / 0)

        @pytest.fixture
        def acts_later():
            yield
            given(Account, id="later").when(lambda account: 1 / 0)

        @pytest.fixture
        def skips(acted):
            pytest.skip("of its own")

        def test_fixture_forgotten(acted):
            pass

        def test_fixture_checked(acted):
            acted.then_raises(ZeroDivisionError)

        def test_skipped(skips):
            pass

        def test_after_it():
            pass

        class TestOfUnittest(unittest.TestCase):
            def setUp(self):
                self.acted = given(Account).when(lambda account: 1 / 0)

            def test_unittest_forgotten(self):
                pass

            def test_unittest_checked(self):
                self.acted.then_raises(ZeroDivisionError)

        def test_later(acts_later):
            pass

        given(Account).when(lambda account: None)  # belongs to no test
    """, "-rA")  # fmt: skip
    result.assert_outcomes(passed=4, failed=2, skipped=1, errors=1)
    result.stdout.fnmatch_lines_random([
        "FAILED *::test_fixture_forgotten - Failed: Account: when(…) is not*",
        "FAILED *::test_unittest_forgotten - *",
        "ERROR *::test_later - *",
    ])  # fmt: skip


def test_a_replay_that_is_not_awaited_fails(run):
    result = run("""
        import asyncio
        import pytest
        from domain import account, Account
        from eventuali.testing import assert_replays, record_states

        pytestmark = pytest.mark.filterwarnings("ignore:coroutine")

        def test_forgotten(store):
            assert_replays(Account, store, before=Account)

        def test_states_forgotten(store, tmp_path):
            async def main():
                record_states(Account, store, tmp_path / "states.json")
            asyncio.run(main())

        def test_awaited(store):
            async def main():
                await store.save(account())
                await assert_replays(Account, store, before=Account)
            asyncio.run(main())

        def test_run(store, sync_store):
            sync_store.save(account())
            asyncio.run(assert_replays(Account, store, before=Account))
            assert_replays(Account, sync_store, before=Account)
    """)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        ["assert_replays(…) with an EventStore does nothing without await: await assert_replays(…)",
         "record_states(…) with an EventStore does nothing without await: *"]
    )  # fmt: skip


def test_a_failure_shows_the_line_of_the_test_and_what_differs(run):
    result = run("""
        from domain import Account, Opened
        from eventuali.testing import given

        def test_it():
            given(Account).when(lambda account: None).then(Opened(owner="Ada"))
    """)
    result.assert_outcomes(failed=1)
    shown = "\n".join(result.outlines)
    assert "_outcome.py" not in shown, "the frames of the kit are hidden"
    result.stdout.fnmatch_lines([
        ">       given(Account).when(lambda account: None).then(Opened(owner=\"Ada\"))",
        "E       AssertionError: Account: the new events are not those that were expected",
        "E       event 1 is missing: expected Opened(owner='Ada')",
    ])  # fmt: skip


def test_runs_that_do_not_use_it_import_nothing(run):
    result = run("""
        import sys

        def test_it():
            for name in ("pydantic", "eventuali._eventuali", "eventuali.event", "hypothesis",
                         "eventuali.store", "eventuali.testing._clock"):
                assert name not in sys.modules, name
    """)
    result.assert_outcomes(passed=1)


def test_inline_projections_are_given_by_the_marker(run):
    result = run("""
        import pytest
        from domain import account, Opened
        from eventuali import Projection, ReadModel

        class Owner(ReadModel, name="kit_plugin_owner"):
            name: str

        class Owners(Projection[Owner], name="kit_plugin_owners", inline=True):
            def on_opened(self, event: Opened, doc: None) -> Owner:
                return Owner(name=event.owner)

        @pytest.mark.eventuali(inline=[Owners()])
        def test_it(sync_store):
            with sync_store.run(Owners()) as running:
                running.wait_for(0)
            sync_store.save(account())
            assert sync_store.get(Owner, "a") == Owner(name="Ada")
    """)
    result.assert_outcomes(passed=1)


def test_five_hundred_tests_with_a_store_each_pass(run):
    """The time of this on an idle machine is on the page about testing; a clock decides no test."""
    result = run(
        """
        import pytest
        from domain import account, Account

        @pytest.mark.parametrize("number", range(500))
        def test_it(sync_store, number):
            sync_store.save(account())
            assert sync_store.load_one(Account, "a").version == 1
    """,
        "-q",
    )
    result.assert_outcomes(passed=500)


def test_it_is_an_entry_point_of_the_package():
    """So that an installed package needs no `-p`; the entry has the module's name."""
    import tomllib

    from support import TESTS

    settings = tomllib.loads((TESTS.parents[1] / "pyproject.toml").read_text())
    (entry,) = settings["project"]["entry-points"]["pytest11"].items()
    assert entry[0] == entry[1]
    assert importlib.import_module(entry[1]) is sys.modules["eventuali.testing.plugin"]
