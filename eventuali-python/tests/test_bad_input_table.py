"""The bad inputs of the reliability plan: refused by class, alike on all backends.

After each, nothing is written that was refused, and the store goes on. The end of the run says how
many were tried, and how many were right, on each backend.
"""

from __future__ import annotations

from collections import Counter

import pytest
from bad_input_case import Case, Place
from ledger import Counted
from stores import BACKENDS, url_of

from eventuali import EventStoreError, EventualiError, sync

CASES: list[Case] = []
for _name in ("names", "values", "calls", "places"):
    CASES += __import__(f"bad_input_{_name}").CASES

LATER = {
    38: "subscriptions",
    39: "checkpoints",
    **dict.fromkeys(range(46, 53), "the server"),
    **dict.fromkeys(range(55, 59), "encryption"),
    59: "the log engine",
    60: "snapshots",
    61: "upcasters",
}
"""Rows whose feature isn't there yet."""


class Tally:
    """How many inputs were tried and were right, by backend."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.right: Counter[str] = Counter()

    def __str__(self) -> str:
        parts = [f"{kind} {self.right[kind]} of {self.tried[kind]} right" for kind in BACKENDS]
        return f"bad inputs: {', '.join(parts)}"


@pytest.fixture(scope="module")
def tally(request):
    tally = Tally()
    yield tally
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(str(tally))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in BACKENDS}
    stores = {
        kind: sync.EventStore.create(url_of(kind, folder), durability="relaxed")
        for kind, folder in folders.items()
    }
    yield {kind: Place(kind, folders[kind], stores[kind]) for kind in BACKENDS}
    for store in stores.values():
        store.close()


def answer(case: Case, at: Place) -> str:
    """Tries a case; returns what it met, and fails where that isn't right."""
    store = at.store
    at.before = store.stats().last_position
    streams = list(store.streams())
    try:
        case.act(at)
    except case.errors as error:
        met = type(error).__qualname__
        check(case, error)
        assert list(store.read(after=at.before, raw=True)) == [], "something was written"
        assert list(store.streams()) == streams, "a stream was made"
    else:
        assert case.kept, "it was accepted"
        met = "accepted"
    at.before = store.stats().last_position
    store.append([Counted(number=-1)])
    assert [event.number for event in at.new()] == [-1], "the store does not go on"
    return met


def check(case: Case, error: BaseException) -> None:
    """A mistake of the caller is also a ValueError; the error says what the case wants."""
    if isinstance(error, EventualiError) and not isinstance(error, EventStoreError):
        assert isinstance(error, ValueError | LookupError)
    assert {name: getattr(error, name) for name in case.attributes} == case.attributes


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input(case, places, tally):
    met, faults = {}, {}
    for kind in case.kinds:
        tally.tried[kind] += 1
        try:
            met[kind] = answer(case, places[kind])
        except BaseException as fault:
            faults[kind] = fault
        else:
            tally.right[kind] += 1
    for fault in faults.values():
        raise fault
    assert len(set(met.values())) == 1, met


def test_every_row_is_tried_or_belongs_to_a_later_feature():
    tried = {case.row for case in CASES}
    assert tried | set(LATER) == set(range(1, 65))
    assert not tried & set(LATER)
