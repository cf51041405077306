"""Snapshot and tail are the full replay: random histories, policies and corruptions.

What is not in here: a snapshot with another state and the right checksum. Nobody but an attacker
makes one, who could as well change the events.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import time
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snapshot_cases import Cleared, Jar, Put, core_of, newest, put, replayed, rows_read, settled
from stores import each_kind, opened, url_of
from support import tree

import eventuali._engine.snapshot_load as loading
import eventuali._engine.snapshot_record as recording
from eventuali import Aggregate, SnapshotPolicy
from eventuali._engine.snapshot_record import form_of

KEYS = ("a", "b")
FAR = 10**9


def jar(factor: int) -> type[Aggregate]:
    """Returns a class of aggregates; each factor is another version of its code."""

    class Changing(Aggregate, name="SnapshotsChanging"):
        total: int = 0
        labels: list[str] = []  # noqa: RUF012

        def apply_put(self, event: Put) -> None:
            self.total += event.amount * factor
            self.labels = [*self.labels[-3:], *event.labels]

        def apply_cleared(self, event: Cleared) -> None:
            self.labels.clear()

    return Changing


CLASSES = (jar(1), jar(2))

amounts = st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=12)
keys = st.sampled_from(KEYS)
kinds = st.sampled_from((0, 1))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("save"), keys, kinds, amounts),
        st.tuples(st.just("append"), keys, kinds, amounts),
        st.tuples(st.just("load"), keys, kinds, st.floats(0, 1)),
        st.tuples(st.just("flip"), keys, kinds, st.floats(0, 1)),
        st.tuples(st.just("cut"), keys, kinds, st.floats(0, 1)),
        st.tuples(st.just("swap"), keys, kinds, st.just(None)),
        st.tuples(st.just("far"), keys, kinds, st.just(None)),
        st.tuples(st.just("restore"), keys, kinds, st.just(None)),
    ),
    min_size=1,
    max_size=25,
)
policies = st.builds(
    SnapshotPolicy,
    every=st.integers(1, 7),
    keep=st.integers(1, 3),
    max_age=st.sampled_from([None, timedelta(days=1)]),
)
loud = settings(suppress_health_check=list(HealthCheck))


def events(given_amounts):
    return [Put(amount=one, labels=[str(one)]) if one % 5 else Cleared() for one in given_amounts]


async def step(root, store, what: str, key: str, cls, how) -> None:
    """Takes a step, and compares what is loaded with the replay."""
    await settled(store)  # what the step before has replaced is there
    stored = newest(store, cls, key)
    if what == "save":
        found = await store.load(cls, key) or cls(id=key)
        for event in events(how):
            found.apply(event)
        await store.save(found)
    elif what == "append":
        await store.append(events(how), stream=(cls.__aggregate_type__, key))
    elif what == "restore":
        # As if the database had lost these events, and got as many others.
        lost = root.for_tenant(uuid4().hex)
        last = await store.get_aggregate_version(key, cls) or 0
        others = [Put(amount=FAR) for _ in range(last)]
        await lost.append(others, stream=(cls.__aggregate_type__, key))
        await lost.load(cls, key)
        await settled(lost)
        other = newest(lost, cls, key)
        if other is not None:
            version = int(other[2][23:43])
            put(store, cls, key, other[2], version=version)
    elif stored is not None and what != "load":
        value = stored[2]
        if what == "flip" and value:
            at = int(how * (len(value) - 1))
            value = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        elif what == "cut":
            value = value[: int(how * len(value))]
        elif what == "swap":
            others = newest(store, cls, KEYS[key == KEYS[0]])
            value = value if others is None else others[2]
        place = int(stored[0].rpartition("/")[2])
        put(store, cls, key, value, version=FAR if what == "far" else 3, place=place)
    await settled(store)
    await same(store, cls, key, how if what == "load" else 0.5)


async def same(store, cls, key: str, part: float) -> None:
    whole = replayed(store, cls, key)
    last = 0 if whole is None else whole.version
    version = int(part * last)
    past = await store.load(cls, key, at_version=version) if last else None
    assert tree(past) == tree(replayed(store, cls, key, version) if last else None)
    many = await store.load_many(cls, KEYS)
    assert tree(many.get(key)) == tree(whole)
    assert tree(await store.load(cls, key)) == tree(whole)


async def history(kind: str, api: str, folder, policy, taken) -> None:
    async with opened(api, url_of(kind, folder), snapshots=policy) as root:
        store = root.for_tenant(uuid4().hex)
        for what, key, number, how in taken:
            await step(root, store, what, key, CLASSES[number], how)


COUNTS = {"memory": 150, "sqlite-memory": 80, "sqlite": 60, "postgres": 25}


@each_kind
def test_a_snapshot_changes_no_state(kind, tmp_path):
    api = "sync" if kind == "sqlite-memory" else "async"

    @settings(loud, max_examples=COUNTS[kind] * settings().max_examples // 200)
    @given(policies, steps)
    def check(policy, taken):
        asyncio.run(history(kind, api, tmp_path, policy, taken))

    check()


SAVED = ("save", "a", 0, [1] * 7)


def test_a_store_that_does_not_look_at_the_event_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(loading.Loading, "_stands", lambda self, taken, page: len(page) > 0)
    assert is_found_out(tmp_path, [SAVED, ("restore", "a", 0, None)])


def test_a_store_that_does_not_look_at_the_code_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "examined", lambda cls: ("0" * 32, []))
    monkeypatch.setattr(recording, "_forms", {})
    assert is_found_out(tmp_path, [SAVED, ("load", "a", 1, 0.5)])


def test_a_store_that_does_not_look_at_the_checksum_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_is_whole", lambda lines, checksum: True)
    assert is_found_out(tmp_path, [SAVED, *(("flip", "a", 0, n / 300) for n in range(300))])


def test_a_store_that_replays_from_the_wrong_place_is_found_out(tmp_path, monkeypatch):
    def applied(self, aggregate_id, aggregate, page):
        if aggregate is not None:
            aggregate.__dict__["version"] += 1
        return right(self, aggregate_id, aggregate, page)

    right = loading.Loading._applied
    monkeypatch.setattr(loading.Loading, "_applied", applied)
    assert is_found_out(tmp_path, [SAVED])


def is_found_out(folder, taken) -> bool:
    """Says whether the property fails with these steps, with which it holds otherwise."""
    try:
        asyncio.run(history("memory", "async", folder, SnapshotPolicy(every=2), taken))
    except AssertionError:
        return True
    return False


def test_the_steps_of_the_controls_are_fine_as_such(tmp_path):
    flips = [("flip", "a", 0, n / 300) for n in range(300)]
    taken = [SAVED, ("restore", "a", 0, None), ("load", "a", 1, 0.5), *flips]
    assert not is_found_out(tmp_path, taken)


@each_kind
def test_loading_ten_thousand_events_reads_the_tail(kind, tmp_path):
    """Of 10,000 events with a snapshot at 9,900, at most 101 rows are read."""

    async def main():
        async with opened("async", url_of(kind, tmp_path), snapshots=SnapshotPolicy()) as store:
            amounts = iter(range(10_000))
            found = Jar(id="a")
            for size in (9_900, 99, 1):
                for _ in range(size):
                    found.apply(Put(amount=next(amounts)))
                await store.save(found)
                await settled(store)
                if size == 9_900:  # more than a page: that is left to a load
                    await store.load(Jar, "a")
                    await settled(store)
                if size == 99:
                    loaded, rows = rows_read(store, Jar, "a")
                    assert (loaded.version, rows) == (9_999, 100)
            past, rows = rows_read(store, Jar, "a", at_version=10_000)
            assert (past.version, rows) == (10_000, 1)
            put(store, Jar, "a", form_of(Jar).written(*nine_nine(store)), version=9_900)
            loaded, rows = rows_read(store, Jar, "a")
            assert (tree(loaded), rows) == (tree(replayed(store, Jar, "a")), 101)

    asyncio.run(main())


def nine_nine(store):
    """Returns the aggregate at 9,900, its last event, and a time."""
    jar = replayed(store, Jar, "a", 9_900)
    item = ("SnapshotsJar", "a", (), (), (), None)
    page = core_of(store).read([item], after_version=9_899, until_version=9_900, limit=1).wait()
    (row,) = page.columns()[2]
    return jar, recording.At(row.event_id, row.position, 0), int(time() * 1e6)
