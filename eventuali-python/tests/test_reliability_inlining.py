"""The judgement of inline documents: each kind of bad documents is found for what it is."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from random import Random

import pytest
from support import PROJECT

from eventuali import OptimisticConcurrencyError
from eventuali.sync import EventStore

sys.path.insert(0, str(PROJECT))
try:
    beside = importlib.import_module("reliability.beside")
    checker = importlib.import_module("reliability.checker")
    history = importlib.import_module("reliability.history")
    inlining = importlib.import_module("reliability.inlining")
finally:
    sys.path.remove(str(PROJECT))

Added, Emptied, Looked = inlining.Added, inlining.Emptied, inlining.Looked
Content, Contents = inlining.Content, inlining.Contents
INLINE = inlining.NUMBERS
"""Values from here on are saved with documents."""


def values(*kinds, first=1):
    """Values of events of these types, each one higher than the one before."""
    found = []
    for kind in kinds:
        while inlining.kind_of(first) is not kind:
            first += 1
        found.append(first)
        first += 1
    return found


PLAIN = values(Added, Added, Emptied, Looked, Added)
SAVED = values(Added, Looked, Emptied, Added, Added, Looked, first=INLINE)
STREAM = [*PLAIN, *SAVED]  # versions 1 to 5, and 6 to 11
STATES = inlining.folded(STREAM)


def judge(*, is_inline=lambda value: value >= INLINE):
    log = [history.Stored(n, "a", n, value) for n, value in enumerate(STREAM, 1)]
    verdict = checker.Verdict()
    return inlining.Judge(verdict, log, is_inline), verdict


def found_in(verdict):
    return {kind for kind in checker.VIOLATIONS if getattr(verdict, kind)}


def document(stated, state=None, entries=None):
    state = STATES[stated] if state is None else state
    wanted = {("count", state[0]), ("last", state[2])}
    return inlining.Document(stated, state, frozenset(wanted if entries is None else entries))


def glanced(head, live=None, built=None, **options):
    """What a judge finds in a glance at one stream."""
    made, verdict = judge(**options)
    documents = [{} if each is None else {"a": each} for each in (live, built)]
    made.glance(inlining.Glance({"a": head}, *documents))
    return found_in(verdict)


def looked(state, *, version=None, begun=10, acked=5):
    """What a judge finds in a read, after a save was acknowledged at a version."""
    made, verdict = judge()
    appends = []
    if version is not None:
        write = history.Write("a", STREAM[version - 1], 1)
        appends = [history.Append((write,), 1, acked, "acked", (version,), (version,))]
    made.looks([inlining.Look(begun, {"a": state})], appends)
    return found_in(verdict)


def test_a_stream_is_folded_in_plain_python():
    assert [state and state[0] for state in STATES] == [
        None,
        1,
        2,
        None,
        None,
        1,
        2,
        2,
        *[None, 1, 2, 2],
    ]
    assert [state and state[3] for state in STATES[5:]] == [5, 6, 6, None, 9, 10, 10]


@pytest.mark.parametrize("runs", [False, True])
def test_what_is_saved_and_run_is_what_plain_python_makes(runs, tmp_path):
    path = tmp_path / "events.db"
    recorder = history.Recorder(lambda line: seen.feed(line))
    seen, looks, glances = history.History(), [], []
    plans = [inlining.Plan(Random(f"a plan/{base}"), base) for base in (0, 1)]
    with beside.on_a_file(path) as rows, EventStore.create(path, durability="relaxed") as plain:
        with EventStore.create(path, durability="relaxed", inline=[Contents()]) as inline:
            for number in range(80):
                plan, store = plans[number % 2], (plain, inline)[number % 2]
                loaded = [
                    store.load(inlining.Basket, name) or inlining.Basket(id=name)
                    for name in plan.baskets()
                ]
                writes, ask = plan.apply(loaded) if loaded else plan.append()
                token = recorder.begun(*writes)
                with suppress(OptimisticConcurrencyError):
                    answer = ask(store)
                    recorder.acked(token, answer.versions, answer.positions)
                    plan.stored(writes, answer)
                states = {
                    write.stream: inlining.state_of(store.get(Content, write.stream))
                    for write in writes
                }
                looks.append(inlining.Look(recorder.begun(), states))
                glances.append(rows.glance())
            if runs:
                with inline.run(Contents()) as running:
                    running.caught_up(timeout=30)
            glances.append(rows.glance())
        log = [
            history.Stored(
                event.meta.position,
                event.meta.aggregate_id,
                event.meta.aggregate_version,
                event.value,
            )
            for event in plain.read()
        ]
    verdict = checker.Verdict()
    made = inlining.Judge(verdict, log, lambda value: inlining.base_of(value) == 1)
    for glance in glances:
        made.glance(glance)
    assert made.behind > 0
    assert any(glance.live for glance in glances)
    assert found_in(verdict) == set()
    made.last({key: each.state for key, each in glances[-1].live.items()})
    assert (found_in(verdict) == set()) is runs


def test_a_read_has_what_was_acknowledged_before():
    for version in (6, 9, 10):
        assert looked(STATES[version], version=version) == set()
        assert looked(STATES[11], version=version) == set()
        assert looked(STATES[5], version=version) == {"skipped"}
        assert looked(STATES[5], version=version, begun=4) == set(), "it began before"
    assert looked(STATES[6], version=8) == {"skipped"}, "it was deleted"
    assert looked(None, version=6) == set(), "it was deleted after that"
    assert looked(None, version=9) == {"skipped"}
    assert looked(STATES[6], version=7) == set(), "nothing that concerns it"


def test_a_read_is_of_a_version():
    count, chain, *rest = STATES[10]
    assert looked((count + 1, chain, *rest)) == {"duplicated"}
    assert looked((count - 1, chain, *rest)) == {"skipped"}
    assert looked((count, chain + 1, *rest)) == {"strange"}


def test_events_and_their_documents_are_one_commit():
    assert glanced(5) == glanced(5, document(2)) == set(), "nobody saved with the projection"
    assert glanced(6, document(6)) == glanced(7, document(6)) == set()
    for head, stated in ((6, 5), (8, 6), (10, 9)):
        assert glanced(head, document(stated)) == {"torn"}
        assert glanced(head, document(stated), is_inline=lambda _: False) == set()
    assert glanced(8) == set()
    assert glanced(6) == glanced(9) == {"torn"}


def test_what_is_being_built_may_be_behind_and_is_of_the_version_that_it_states():
    for live, built in ((document(10), document(1)), (document(10), None)):
        assert glanced(10, live, built) == set()
    count, chain, *rest = STATES[2]
    assert glanced(10, document(10), document(2, (count + 1, chain, *rest))) == {"duplicated"}
    assert glanced(10, document(10), document(2, STATES[1])) == {"torn"}
    assert glanced(10, document(10), document(11)) == {"strange"}, "its stream is not so far"


def test_the_index_has_what_the_document_holds():
    count, _, last, _ = STATES[10]
    for entries in (set(), {("count", count)}, {("count", count), ("last", last), ("last", 1)}):
        assert glanced(10, document(10, entries=entries)) == {"strange"}


def test_in_the_end_everything_is_there():
    for documents, found in (
        ({"a": STATES[11]}, set()),
        ({"a": STATES[9]}, {"lost"}),
        ({}, {"lost"}),
        ({"a": STATES[11], "b": STATES[9]}, {"duplicated"}),
    ):
        made, verdict = judge()
        made.last(documents)
        assert found_in(verdict) == found
