"""The harness itself: its checker finds each kind of bad history, and no release can be broken."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from itertools import pairwise

import pytest
from support import PROJECT

import eventuali._eventuali
from eventuali.sync import EventStore

sys.path.insert(0, str(PROJECT))
try:
    checker = importlib.import_module("reliability.checker")
    history = importlib.import_module("reliability.history")
    scenarios = importlib.import_module("reliability.scenarios")
    server = importlib.import_module("reliability.server")
    variant = importlib.import_module("reliability.variant")
finally:
    sys.path.remove(str(PROJECT))

Append, History, Read = history.Append, history.History, history.Read
Stored, Write = history.Stored, history.Write


def acked(begun, ended, *writes, versions, positions):
    writes = tuple(Write(*write) for write in writes)
    return Append(writes, begun, ended, "acked", tuple(versions), tuple(positions))


def left(outcome, begun, *writes):
    ended = begun + 1 if outcome == "failed" else None
    return Append(tuple(Write(*write) for write in writes), begun, ended, outcome)


def log(*entries):
    """The stream and the value of each event, at positions 1, 2, 3 …"""
    heads, stored = {}, []
    for position, (stream, value) in enumerate(entries, 1):
        heads[stream] = heads.get(stream, 0) + 1
        stored.append(Stored(position, stream, heads[stream], value))
    return stored


def good():
    """Two streams; three commits that were acknowledged, one that was not, one that was refused."""
    appends = [
        acked(0, 10, ("a", 1, 2), versions=[2], positions=[1, 2]),
        acked(20, 30, ("a", 3, 1), ("b", 4, 1), versions=[3, 1], positions=[3, 4]),
        left("unknown", 25, ("b", 10, 2)),
        left("unknown", 25, ("b", 20, 2)),
        left("failed", 26, ("a", 30, 2)),
        acked(40, 50, ("a", 5, 1), versions=[4], positions=[7]),
    ]
    reads = [
        Read(None, 11, 19, (1, 2)),
        Read("a", 12, 60, (1, 2, 3)),
        Read(None, 51, 60, (1, 2, 3, 4, 10, 11, 5)),
    ]
    stored = log(("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 10), ("b", 11), ("a", 5))
    return History(appends, reads), stored


def found(past, stored):
    verdict = checker.check(past, stored)
    return {name for name in checker.VIOLATIONS if getattr(verdict, name)}, verdict


def test_a_good_history_is_good():
    kinds, verdict = found(*good())
    assert (kinds, verdict.notes) == (set(), [])
    counts = (verdict.commits, verdict.acked, verdict.unknown, verdict.refused, verdict.reads)
    assert counts == (6, 5, 4, 2, 3)


def test_an_acknowledged_event_that_is_missing():
    past, stored = good()
    assert found(past, stored[:-1])[0] >= {"lost"}
    assert found(past, stored[:-1])[1].lost == 1


def test_an_event_that_is_stored_twice():
    past, stored = good()
    again = stored[0]._replace(position=8, version=5)
    assert found(past, [*stored, again])[0] == {"duplicated"}


def test_two_writers_who_were_told_the_same_version():
    past, stored = good()
    past.appends.append(acked(60, 70, ("b", 40, 1), versions=[3], positions=[8]))
    past.appends.append(acked(60, 70, ("b", 41, 1), versions=[3], positions=[9]))
    stored += [Stored(8, "b", 4, 40), Stored(9, "b", 5, 41)]
    assert "duplicated" in found(past, stored)[0]


def test_a_repetition_that_got_another_answer():
    past, stored = good()
    past.appends.append(acked(60, 70, ("a", 5, 1), versions=[5], positions=[8]))
    assert "duplicated" in found(past, stored)[0]


def test_a_repetition_that_got_the_same_answer_is_good():
    past, stored = good()
    past.appends.append(acked(60, 70, ("a", 5, 1), versions=[4], positions=[7]))
    past.appends.append(acked(60, 70, ("b", 10, 2), versions=[3], positions=[5, 6]))
    kinds, verdict = found(past, stored)
    assert (kinds, verdict.unknown) == (set(), 2)


@pytest.mark.parametrize(
    ("error", "kinds"),
    [("OptimisticConcurrencyError", {"strange"}), ("StorageUnavailableError", set())],
)
def test_a_repetition_that_was_refused_says_that_nothing_was_stored(error, kinds):
    past, stored = good()
    repeated = left("failed", 60, ("b", 10, 2))
    repeated.error = error
    past.appends.append(repeated)
    assert found(past, stored)[0] == kinds


@pytest.mark.parametrize("missing", [10, 4])
def test_a_part_of_a_commit(missing):
    past, stored = good()
    past.reads.clear()
    values = [(event.stream, event.value) for event in stored if event.value != missing]
    assert "torn" in found(past, log(*values))[0]


def test_a_read_that_ends_within_a_commit():
    past, stored = good()
    past.reads[:] = [Read(None, 5, 20, (1,))]
    assert found(past, stored)[0] == {"torn"}


def test_a_hole_in_the_versions_of_a_stream():
    past, stored = good()
    past.appends.pop()
    past.reads.pop()
    stored[-1] = Stored(7, "a", 6, 5)
    past.appends.append(acked(40, 50, ("a", 5, 1), versions=[6], positions=[7]))
    kinds, verdict = found(past, stored)
    assert (kinds, verdict.gaps) == ({"gaps"}, 2)


def test_a_refused_commit_that_is_stored():
    past, stored = good()
    stored += [Stored(8, "a", 5, 30), Stored(9, "a", 6, 31)]
    assert found(past, stored)[0] == {"strange"}


def test_an_event_that_nobody_sent():
    past, stored = good()
    assert found(past, [*stored, Stored(8, "c", 1, 99)])[0] == {"strange"}


def test_an_event_that_lies_elsewhere_than_acknowledged():
    past, stored = good()
    past.appends[-1].positions = (9,)
    assert found(past, stored)[0] == {"strange"}


def test_a_commit_before_one_that_was_acknowledged_before_it_began():
    past, stored = good()
    past.reads.clear()
    past.appends[0].begun, past.appends[0].ended = 100, 110
    assert found(past, stored)[0] == {"reordered"}


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (Read(None, 55, 60, (1, 2, 3, 4)), "skipped"),  # acknowledged before, and not there
        (Read(None, 55, 60, (1, 2, 4, 10, 11, 5)), "skipped"),  # a hole
        (Read("a", 55, 60, (1, 3, 5)), "skipped"),
        (Read("b", 55, 60, ()), "skipped"),
        (Read(None, 55, 60, (1, 2, 3, 4, 10, 11, 5, 77)), "strange"),
        (Read(None, 55, 60, (1, 2, 3, 10, 4, 11, 5)), "skipped"),  # another order
    ],
)
def test_a_read_that_is_no_prefix_of_the_truth(read, kind):
    past, stored = good()
    past.reads.append(read)
    assert kind in found(past, stored)[0]


def test_a_read_that_lacks_what_an_earlier_one_gave():
    past, stored = good()
    past.appends.pop()
    stored.pop()
    past.reads[:] = [Read("b", 31, 35, (4, 10, 11)), Read("b", 36, 38, (4,))]
    assert found(past, stored)[0] == {"skipped"}


def test_the_check_is_linear():
    """Twice the history: about twice the steps, counted rather than timed."""

    def steps(size):
        appends = [
            acked(n * 10, n * 10 + 5, ("a", n, 1), versions=[n], positions=[n])
            for n in range(1, size)
        ]
        stored = log(*(("a", n) for n in range(1, size)))
        count = 0

        def step(frame, event, argument):
            nonlocal count
            count += 1
            return step

        sys.settrace(step)
        try:
            assert checker.check(History(appends), stored).violations == 0
        finally:
            sys.settrace(None)
        return count

    counts = [steps(size) for size in (250, 500, 1_000)]
    assert all(more < 2.2 * less for less, more in pairwise(counts))


def test_lines_of_a_recorder_become_a_history():
    past = History()
    recorder = history.Recorder(past.feed)
    one, two = recorder.begun(Write("a", 1, 2)), recorder.begun(Write("a", 3, 1))
    recorder.unknown(two, OSError())
    recorder.acked(one, (2,), (1, 2))
    recorder.read("a", 0, (1, 2))
    first, second = past.appends
    assert (first.outcome, first.versions, first.positions) == ("acked", (2,), (1, 2))
    assert (second.outcome, second.ended, second.error) == ("unknown", None, "OSError")
    assert first.begun <= second.begun <= first.ended
    assert past.reads[0].values == (1, 2)


def test_scenarios_have_names_of_their_own():
    names = [scenario.name for scenario in scenarios.ALL]
    assert len(set(names)) == len(names)
    assert all(scenario.quick <= scenario.cycles for scenario in scenarios.ALL)


@pytest.mark.parametrize("crate", ["eventuali-core", "eventuali-python"])
def test_no_default_build_has_faults(crate):
    features = tomllib.loads((PROJECT / crate / "Cargo.toml").read_text())["features"]
    assert "faults" in features
    assert not features.get("default")
    assert "faults" not in (PROJECT / "pyproject.toml").read_text()


def test_this_extension_has_no_faults():
    with open(eventuali._eventuali.__file__, "rb") as file:
        assert variant.VARIABLE.encode() not in file.read()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with server.database(tmp_path_factory.mktemp("server"), "_test") as url:
        EventStore.create(url).close()
        yield url


def test_a_database_of_a_scenario_is_one_of_its_own(database):
    with server.connect(database) as beside:
        assert beside.execute("SELECT count(*) FROM events").fetchone() == (0,)
        assert beside.info.dbname.startswith("fire_")


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgresql://u@h:1/test", "postgresql://u@h:1/x"),
        ("postgresql://u@h/test?sslmode=require", "postgresql://u@h/x?sslmode=require"),
        ("postgresql://test@test/test", "postgresql://test@test/x"),
        ("postgresql://u@h", "postgresql://u@h/x"),
        ("postgresql:///test?host=/run/p", "postgresql:///x?host=/run/p"),
    ],
)
def test_another_database_on_the_same_server(url, other):
    assert server.elsewhere(url, "x") == other


def test_every_statement_of_the_page_on_production_runs(database):
    """In one transaction, which is rolled back: roles belong to the whole server."""
    page = (PROJECT / "docs/postgresql.md").read_text()
    statements = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(statements) > 10
    with server.connect(database) as beside, beside.transaction(force_rollback=True):
        for statement in statements:
            beside.execute(statement.encode())
