"""The judgement of what projections made: each kind of bad documents is found for what it is."""

from __future__ import annotations

import importlib
import sys
from random import Random

import pytest
from support import PROJECT

from eventuali.projection._model import set_key
from eventuali.sync import EventStore

sys.path.insert(0, str(PROJECT))
try:
    checker = importlib.import_module("reliability.checker")
    moments = importlib.import_module("reliability.moments")
    projecting = importlib.import_module("reliability.projecting")
    report = importlib.import_module("reliability.report")
    tables = importlib.import_module("reliability.tables")
finally:
    sys.path.remove(str(PROJECT))

MODELS, PAGE, Odd, Seen = projecting.MODELS, projecting.PAGE, projecting.Odd, projecting.Seen
Share, Tally = projecting.Share, projecting.Tally


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of about 750 events."""
    batches = projecting.Batches(Random("a log"))
    with EventStore.create(tmp_path_factory.mktemp("log") / "events.db") as store:
        for commit in range(30):
            _, events = batches.next()
            store.append(events, stream=("Account", f"account {commit % 12}"))
        return projecting.log_of(store)


def keyed(document, key):
    """Gives a document a key, as reading it does."""
    set_key(document, key)
    return document


def documents(model, log, version=1):
    """The documents of a log, as `find` gives them."""
    fold = projecting.folded(log)
    names = [name for name in model.model_fields if name != "version"]
    return [
        keyed(model(**dict(zip(names, fields, strict=True)), version=version), key)
        for key, fields in fold.documents[model.__model_name__].items()
    ]


def found_in(verdict):
    return {kind for kind in checker.VIOLATIONS if getattr(verdict, kind)}


def seen(log, model, made):
    """What a judge of the log finds in a read."""
    verdict = checker.Verdict()
    projecting.Judge(verdict, log).prefix(Seen.of(model, made))
    return found_in(verdict)


def held(log, model, made):
    """What a comparison with the whole log finds."""
    verdict = checker.Verdict()
    projecting.compare(verdict, model, made, projecting.folded(log), 1)
    return found_in(verdict)


def fill(store, log):
    """Appends the events of a log to a store, each by itself."""
    for event in log:
        made = (
            projecting.Dropped(number=event.number)
            if event.amount is None
            else projecting.Booked(number=event.number, amount=event.amount)
        )
        last = store.append([made], stream=("Account", event.key))
    return last


def test_what_a_projection_makes_is_what_plain_python_makes(log, tmp_path):
    tallies, shares = projecting.versions_of(3, blocking=True)
    with EventStore.create(tmp_path / "events.db", durability="relaxed") as store:
        last = fill(store, log)
        with store.run(tallies(), shares()) as running:
            running.wait_for(last, timeout=30)
        verdict = checker.Verdict()
        judge = projecting.Judge(verdict, projecting.log_of(store))
        for model in MODELS:
            judge.last(model, store.find(model, limit=PAGE), 3)
            judge.prefix(Seen.of(model, store.find(model, limit=PAGE)))
        assert found_in(verdict) == set()
        assert verdict.reads == len(MODELS)


def test_rows_of_the_users_are_what_plain_python_makes(log, tmp_path):
    url = f"sqlite:///{tmp_path / 'tables.db'}"
    beside = tables.engine(url)
    tables.Base.metadata.create_all(beside)
    verdict = checker.Verdict()
    with EventStore.create(tmp_path / "events.db", durability="relaxed") as store:
        fill(store, log)
        judge = projecting.Judge(verdict, projecting.log_of(store))
        # One after the other: the file has one writer at a time.
        for each in tables.placed(url, 3, {}, blocking=True):
            with store.run(each) as running:
                running.wait_for(len(log), timeout=30)
    for model in MODELS:
        rows, position = tables.read(beside, model)
        judge.last(model, rows, 3)
        judge.at(Seen.of(model, rows), position)
        assert position == len(log)
    beside.dispose()
    assert found_in(verdict) == set()


@pytest.mark.parametrize("model", MODELS)
def test_every_prefix_is_good(log, model):
    verdict = checker.Verdict()
    judge = projecting.Judge(verdict, log)
    some = [documents(model, log[:end]) for end in (0, 1, 7, 200, 500, len(log))]
    assert judge.course(Seen.of(model, made) for made in some) == 0
    assert judge.course(Seen.of(model, made) for made in reversed(some)) == 5
    assert found_in(verdict) == set()


@pytest.mark.parametrize("model", MODELS)
def test_versions_are_not_mixed_and_do_not_come_back(log, model):
    old, new = documents(model, log[:300]), documents(model, log[:300], version=2)
    assert seen(log, model, [*old[:1], *new[1:]]) == {"torn"}
    verdict = checker.Verdict()
    reads = [Seen.of(model, made) for made in (old, new, old)]
    projecting.Judge(verdict, log).course(reads)
    assert found_in(verdict) == {"strange"}
    assert held(log, model, documents(model, log, version=2)) == {"strange"}


@pytest.mark.parametrize("model", [Share, Tally])
def test_an_event_that_counts_twice_or_not_at_all(log, model):
    booked = next(n for n in range(len(log) - 2, 0, -1) if log[n].amount is not None)
    twice = documents(model, [*log, log[booked]])
    assert held(log, model, twice) == {"duplicated"}
    assert seen(log, model, documents(model, [*log[: booked + 1], log[booked]])) == {"duplicated"}
    without = [*log[:booked], *log[booked + 1 :]]
    assert held(log, model, documents(model, without)) == {"lost"}
    assert seen(log, model, documents(model, without)) == {"skipped"}


@pytest.mark.parametrize("model", [Share, Tally])
def test_pages_are_not_torn(log, model):
    early, late = ({doc.key: doc for doc in documents(model, log[:n])} for n in (300, 500))
    changed = next(key for key in early if early[key] != late.get(key))
    assert seen(log, model, [*(late | {changed: early[changed]}).values()])
    whole = documents(model, log)
    whole[0].last -= 1
    assert held(log, model, whole) == {"torn"}


def test_a_document_that_is_missing_or_too_many(log):
    assert held(log, Odd, documents(Odd, log)[1:]) == {"lost"}
    extra = keyed(Odd(last=1, version=1), "account of nobody")
    assert held(log, Odd, [*documents(Odd, log), extra]) == {"torn"}


def test_the_share_of_all_says_how_far_it_is(log):
    for count, found in ((200, set()), (201, {"duplicated"}), (199, {"skipped"})):
        verdict = checker.Verdict()
        projecting.Judge(verdict, log).share(count, log[199].position)
        assert found_in(verdict) == found


@pytest.mark.parametrize("model", MODELS)
def test_what_takes_the_place_of_what_was_live_is_full(log, model):
    whole, less, half = (Seen.of(model, documents(model, log[:end])) for end in (600, 590, 300))
    for last, found in ((less, set()), (half, {"skipped"})):
        verdict = checker.Verdict()
        # What began with 590 events took its place.
        assert projecting.Judge(verdict, log).course([whole, last], [0, 590]) == 1
        assert found_in(verdict) == found


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_those_of_their_checkpoint(log, model):
    rows = Seen.of(model, documents(model, log[:300]))
    for event, found in ((299, set()), (400, {"skipped"}), (100, {"duplicated"})):
        verdict = checker.Verdict()
        projecting.Judge(verdict, log).at(rows, log[event].position)
        assert found_in(verdict) == found


def test_a_control_may_show_as_something_that_is_wrong():
    made = report.Report("project", 1, 1, fault="keep-documents", shows="wrong")
    assert not made.good
    made.expect(False, "it grew")
    assert made.good


def test_what_was_done_at_the_end_is_in_the_file(tmp_path):
    file = tmp_path / "moments"
    assert moments.read(file) == []
    file.write_bytes(bytes([3, 1 | 1 << 4, 5 | 1 << 5, 0]))
    assert moments.read(file) == ["handles", "waits behind a commit", "builds: swaps"]
