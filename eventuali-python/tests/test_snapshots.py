"""Snapshots: when they are written and used, and that none of it changes a state."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import Field, PrivateAttr
from snapshot_cases import (
    EVERY,
    Jar,
    Put,
    core_of,
    fill,
    history_rows,
    kept_of,
    newest,
    put,
    replayed,
    rows_read,
    settled,
    stats,
    version_of,
)
from stores import (
    administrator,
    each_api,
    each_shared,
    each_store,
    gathered,
    opened,
    schema_of,
    url_of,
)
from support import tree

from eventuali import Aggregate, Event, SnapshotPolicy, StreamEvents
from eventuali._engine.snapshot_record import form_of
from eventuali.command import Command, CommandBus, handles
from eventuali.errors import OptimisticConcurrencyError
from eventuali.snapshot import CleanedSnapshots
from eventuali.testing import Clock

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def run(api: str, kind: str, folder, test, **options) -> None:
    """Runs a test on a store with a policy of ten events."""

    async def main():
        async with opened(api, url_of(kind, folder), **{"snapshots": EVERY} | options) as store:
            await test(store)

    asyncio.run(main())


@each_store
def test_a_snapshot_is_written_every_so_often_and_used(kind, api, tmp_path):
    async def test(store):
        jar = await fill(store, "a", range(9))
        assert (await stats(store)).written == 0
        assert newest(store, Jar, "a") is None
        jar = await fill(store, "a", range(16))
        assert version_of(store, Jar, "a") == 20
        found, rows = rows_read(store, Jar, "a")
        assert tree(found) == tree(jar) == tree(replayed(store, Jar, "a"))
        assert rows == 6, "the event of the snapshot and the five after it"
        assert (await store.load_one(Jar, "a")).model_fields_set == jar.model_fields_set - {
            "id"
        } | {"id"}
        seen = await stats(store)
        assert (seen.written, seen.used, seen.missed) == (2, 2, 2)

    run(api, kind, tmp_path, test)


class Recorded(Aggregate, name="SnapshotsRecorded"):
    """Its state after a save is not the one that a replay makes."""

    at: datetime | None = None
    position: int | None = None
    tries: int = 0

    def put(self, amount: int) -> None:
        self.tries += 1
        self.apply(Put(amount=amount))

    def apply_put(self, event: Put) -> None:
        self.at, self.position = event.meta.recorded_at, event.meta.position


@each_store
def test_a_snapshot_holds_what_a_replay_makes(kind, api, tmp_path):
    async def test(store):
        saved = Recorded(id="a")
        for n in range(25):
            saved.put(n)
            await store.save(saved)
            await settled(store)
        assert version_of(store, Recorded, "a") == 20
        found = await store.load(Recorded, "a")
        assert (await stats(store, Recorded)).used == 1
        assert tree(found) == tree(replayed(store, Recorded, "a"))
        assert found.position is not None
        assert (saved.tries, found.tries) == (25, 0)
        jar = await fill(store, "b", range(2), cls=Recorded)
        for n in range(2000):
            jar.put(n)
        await store.save(jar)
        await settled(store)
        assert version_of(store, Recorded, "b") is None, "that is left to a load"
        assert tree(await store.load(Recorded, "b")) == tree(replayed(store, Recorded, "b"))
        await settled(store)
        assert version_of(store, Recorded, "b") == 2002

    run(api, kind, tmp_path, test)


@each_store
def test_a_loaded_aggregate_goes_on_as_any_other(kind, api, tmp_path):
    async def test(store):
        await fill(store, "a", range(10))
        jar = await store.load(Jar, "a")
        assert (await stats(store)).used == 1
        assert (jar.version, jar.is_new(), jar.has_uncommitted_events()) == (10, False, False)
        stale = await store.load(Jar, "a")
        jar.apply(Put(amount=7))
        await store.save(jar)
        stale.apply(Put(amount=8))
        with pytest.raises(OptimisticConcurrencyError):
            await store.save(stale)
        assert tree(await store.load(Jar, "a")) == tree(jar)

    run(api, kind, tmp_path, test)


@each_store
def test_a_version_or_time_begins_with_the_best_below(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        times = []
        for n in range(35):
            await fill(store, "a", [n])
            times.append(clock.now)
            clock.advance(timedelta(seconds=1))
        assert version_of(store, Jar, "a") == 30
        for version, most in ((35, 6), (30, 1), (29, 10), (20, 1), (10, 1), (9, 9), (1, 1)):
            found, rows = rows_read(store, Jar, "a", at_version=version)
            assert (tree(found), rows) == (tree(replayed(store, Jar, "a", version)), most)
            time = times[version - 1]
            found, rows = rows_read(store, Jar, "a", at_time=time)
            assert (tree(found), rows) == (tree(replayed(store, Jar, "a", None, time)), most)
            found, rows = rows_read(store, Jar, "a", at_time=time, by="timestamp")
            assert (found.version, rows) == (0, 35), "those happened by the real clock"
        assert (await store.load(Jar, "a", at_version=0)).version == 0
        assert (await store.load(Jar, "a", at_time=START - DAY)).version == 0
        assert await store.load(Jar, "nobody", at_version=0) is None

    policy = replace(EVERY, keep=3)
    run(api, kind, tmp_path, test, clock=clock, snapshots=policy)


@each_store
def test_a_history_begins_with_the_best_below(kind, api, tmp_path):
    async def test(store):
        await fill(store, "a", range(35))
        whole = [step async for step in store.history(Jar, "a")]
        assert (await stats(store)).used == 0
        # The event of the snapshot is read, too; those below 20 have one no more.
        for first, rows in ((35, 6), (31, 6), (30, 16), (21, 16), (20, 35), (9, 35), (1, 35)):
            steps, read = history_rows(store, Jar, "a", from_version=first)
            assert read == rows, first
            assert tree([(step.state, step.changes) for step in steps]) == tree(
                [(step.state, step.changes) for step in whole[first - 1 :]]
            )
        steps, read = history_rows(store, Jar, "a", from_version=33, limit=2)
        assert ([step.state.version for step in steps], read) == ([33, 34], 5)
        assert history_rows(store, Jar, "a", from_version=36) == ([], 6)
        assert history_rows(store, Jar, "nobody", from_version=36) == ([], 0)
        assert [step.event async for step in store.history(Jar, "a", from_version=99)] == []
        put(store, Jar, "a", b"damaged", version=30, place=1)
        steps, read = history_rows(store, Jar, "a", from_version=35)
        assert tree(steps[0].state) == tree(whole[-1].state)
        assert read == 35

    run(api, kind, tmp_path, test, snapshots=replace(EVERY, keep=2))


@each_store
def test_many_are_loaded_with_their_snapshots(kind, api, tmp_path):
    async def test(store):
        jars = {
            f"j{n}": await fill(store, f"j{n}", range(n), at_once=n or 1) for n in range(0, 150, 7)
        }
        keys = [*jars, "nobody"]
        found, rows = rows_read(store, Jar, keys)
        there = {key: jar for key, jar in jars.items() if jar.version}
        assert tree(found) == tree(there)
        assert list(await store.load_many(Jar, keys)) == list(there)
        assert rows == 7 + sum(1 for jar in there.values() if jar.version >= 10)
        many = [f"x{n}" for n in range(200)]
        assert await store.load_many(Jar, many) == {}

    run(api, kind, tmp_path, test)


@each_store
def test_a_policy_that_is_introduced_later_works(kind, api, tmp_path):
    async def test(store):
        await store.append([Put(amount=n) for n in range(25)], stream=("SnapshotsJar", "a"))
        assert newest(store, Jar, "a") is None
        assert (await store.load(Jar, "a", at_version=25)).version == 25
        await settled(store)
        assert newest(store, Jar, "a") is None, "a load of the past writes none"
        await store.load(Jar, "a")
        await settled(store)
        assert version_of(store, Jar, "a") == 25
        await store.append([Put(amount=n) for n in range(9)], stream=("SnapshotsJar", "a"))
        assert (await store.load(Jar, "a")).version == 34
        await settled(store)
        assert version_of(store, Jar, "a") == 25
        more = StreamEvents(("SnapshotsJar", "a"), [Put(amount=1)])
        await store.append([more])
        await store.load(Jar, "a")
        await settled(store)
        assert version_of(store, Jar, "a") == 35

    run(api, kind, tmp_path, test)


class Add(Command):
    purse_id: str
    amount: int


class Purse(Jar, name="SnapshotsPurse", snapshot_every=4):
    @handles(Add, id="purse_id")
    def add(self, command: Add) -> None:
        self.apply(Put(amount=command.amount))


class Never(Jar, name="SnapshotsNever", snapshot_every=0):
    pass


@each_store
def test_the_class_has_the_first_word(kind, api, tmp_path):
    async def test(store):
        for cls, versions in ((Purse, [4, 8]), (Never, [])):
            seen = []
            for n in range(11):
                await fill(store, "a", [n], cls=cls)
                if (found := newest(store, cls, "a")) is not None:
                    seen.append(form_of(cls).taken("a", 99, found).aggregate.version)
            assert sorted(set(seen)) == versions
        assert "SnapshotsNever" not in store.stats().snapshots

    run(api, kind, tmp_path, test)
    (folder := tmp_path / "without").mkdir()

    async def alone(store):
        await fill(store, "a", range(9), cls=Purse)
        await fill(store, "a", range(200), at_once=200)
        assert version_of(store, Purse, "a") == 8
        assert list(store.stats().snapshots) == ["SnapshotsPurse"]

    run(api, kind, folder, alone, snapshots=None)


@each_store
def test_transactions_decisions_and_commands_use_and_write_them(kind, api, tmp_path):
    async def test(store):
        inner = getattr(store, "store", store)

        async def change(work):
            (await work.load(Jar, "a") or Jar(id="a")).apply(Put(amount=1))

        def change_blocking(work):
            work.load(Jar, "a").apply(Put(amount=1))

        await fill(store, "a", range(9), at_once=9)
        await store.transact(change if inner is store else change_blocking)
        await settled(store)
        assert version_of(store, Jar, "a") == 10
        before = (await stats(store)).used
        await store.transact(change if inner is store else change_blocking)
        assert (await stats(store)).used == before + 1

        from eventuali import Query

        jar = await store.load(Jar, "a")
        for n in range(9):
            jar.apply(Put(amount=n))
        await store.decide(Query(event_types=["snapshots_other"]), lambda events: jar)
        await settled(store)
        assert version_of(store, Jar, "a") == 20
        assert tree(await store.load(Jar, "a")) == tree(replayed(store, Jar, "a"))

    run(api, kind, tmp_path, test)


@each_api
def test_commands_use_and_write_them(api, tmp_path):
    from eventuali import sync

    async def test(store):
        await fill(store, "a", range(3), cls=Purse)
        if api == "async":
            bus = CommandBus(store, Purse)
            for _ in range(2):
                await bus.send(Add(purse_id="a", amount=1))
                await settled(store)
        else:
            blocking = sync.CommandBus(store.store, Purse)
            for _ in range(2):
                await asyncio.to_thread(blocking.send, Add(purse_id="a", amount=1))
                await settled(store)
        await settled(store)
        assert version_of(store, Purse, "a") == 4
        assert (await stats(store, Purse)).used == 1

    run(api, "sqlite", tmp_path, test, snapshots=None)


@each_store
def test_tenants_have_their_own(kind, api, tmp_path):
    async def test(store):
        await fill(store, "a", range(10))
        other = store.for_tenant("other")
        assert await other.load(Jar, "a") is None
        await fill(other, "a", [100] * 10)
        assert version_of(store, Jar, "a") == version_of(other, Jar, "a") == 10
        assert (await store.load(Jar, "a")).total == 45
        assert (await other.load(Jar, "a")).total == 1000
        assert store.for_tenant("nobody").stats().snapshots == {}
        assert await other.clean_snapshots("SnapshotsJar") == CleanedSnapshots(0, 1)
        assert version_of(store, Jar, "a") == 10

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_wrong_is_ignored_counted_and_replaced(kind, api, tmp_path, caplog):
    def edited(value: bytes, old: bytes, new: bytes) -> bytes:
        from eventuali._engine.snapshot_record import _digest

        lines = value.rpartition(b"\n")[0]
        assert old in lines
        lines = lines.replace(old, new)
        return lines + b"\n" + _digest(lines).encode()

    async def test(store):
        await fill(store, "a", range(12))
        await fill(store, "b", range(50, 62))
        wanted = tree(replayed(store, Jar, "a"))
        good = newest(store, Jar, "a")[2]
        others = newest(store, Jar, "b")[2]
        print_of = form_of(Jar).fingerprint.encode()
        far = edited(good, b"%020d" % 10, b"%020d" % 10**9)
        cases = [
            (good[:-1], "damaged"),
            (good.replace(b"45", b"46", 1), "damaged"),
            (good[: len(good) // 2], "damaged"),
            (b"", "damaged"),
            (b"\xff" * 100, "damaged"),
            (edited(good, b'"total":45', b'"total":"x"'), "damaged"),
            (edited(good, b'"event_id"', b'"other_id"'), "damaged"),
            (edited(good, b'{"layout":1', b'{"layout":2'), "mismatched"),
            (others, "mismatched"),
            (edited(good, print_of, b"0" * 32), "mismatched"),
            (far, "mismatched"),
            (edited(far, b'"version":10,', b'"version":1000000000,'), "foreign"),
        ]
        counted = {}
        for value, reason in cases:
            put(store, Jar, "a", value, version=10**9 if reason == "foreign" else 10)
            caplog.clear()
            with caplog.at_level(logging.WARNING, "eventuali.snapshot"):
                assert tree(await store.load(Jar, "a")) == wanted, reason
            counted[reason] = counted.get(reason, 0) + 1
            told = [record.getMessage() for record in caplog.records]
            assert len(told) == 1
            assert f"'a' is ignored, {reason}" in told[0]
            assert (await stats(store)).ignored == counted
            assert version_of(store, Jar, "a") == 12, "it is replaced"
            caplog.clear()
            assert tree(await store.load(Jar, "a")) == wanted
            assert (await stats(store)).ignored == counted

    run(api, kind, tmp_path, test)


DAMAGE = [("sqlite", "bytes = x'00'"), ("sqlite", "due = 'x'"), ("postgres", "bytes = '\\x00'")]


@pytest.mark.parametrize(("kind", "damage"), DAMAGE)
def test_a_damaged_record_is_ignored_and_replaced(kind, damage, tmp_path):
    async def test(store):
        await fill(store, "a", range(12))
        change(kind, tmp_path, damage)
        assert (await store.load(Jar, "a")).total == 66
        assert (await stats(store)).ignored == {"damaged": 1}
        assert version_of(store, Jar, "a") == 12
        assert (await store.load_many(Jar, ["a"]))["a"].total == 66
        assert (await stats(store)).ignored == {"damaged": 1}

    run("async", kind, tmp_path, test)


def test_a_row_that_nothing_can_replace_is_ignored(tmp_path):
    async def test(store):
        await fill(store, "a", range(12))
        change("sqlite", tmp_path, "commit_id = x'00'")
        for n in (1, 2):
            assert (await store.load(Jar, "a")).total == 66
            seen = await stats(store)
            assert (seen.ignored, seen.failed) == ({"damaged": n}, n)

    run("async", "sqlite", tmp_path, test)


def change(kind: str, folder, assignment: str) -> None:
    """Changes the record of the only snapshot behind the store's back."""
    table = "records" if kind == "sqlite" else f"{schema_of(folder)}.events_records"
    statement = f"UPDATE {table} SET {assignment} WHERE space = 'snapshot'"
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "events.db")) as file:
            assert file.execute(statement).rowcount == 1
            file.commit()
        return
    with administrator() as connection:
        assert connection.execute(statement).rowcount == 1


@each_store
def test_a_snapshot_of_a_stream_that_was_another_is_foreign(kind, api, tmp_path):
    """As after a restore of the database: the same versions, other events."""

    async def test(store):
        other = store.for_tenant("before")
        await fill(other, "a", [1000] * 20)
        await fill(store, "a", range(9))
        put(store, Jar, "a", newest(other, Jar, "a")[2], version=20)
        assert (await store.load(Jar, "a")).total == 36, "the stream is shorter"
        put(store, Jar, "a", newest(other, Jar, "a")[2], version=20)
        await fill(store, "a", [0] * 16)
        put(store, Jar, "a", newest(other, Jar, "a")[2], version=20)
        assert (await store.load(Jar, "a", at_version=24)).total == 36
        assert (await store.load_many(Jar, ["a"]))["a"].total == 36
        assert (await stats(store)).ignored == {"foreign": 4}
        assert (await store.load(Jar, "a")).total == 36
        assert (await stats(store)).ignored == {"foreign": 4}

    run(api, kind, tmp_path, test)


@each_store
def test_an_older_one_takes_no_newer_ones_place(kind, api, tmp_path):
    async def test(store):
        await fill(store, "a", range(10))
        old = newest(store, Jar, "a")[2]
        await fill(store, "a", range(10))
        form, kept = form_of(Jar), core_of(store).snapshots()
        with pytest.raises(OptimisticConcurrencyError):
            kept.put(form.series("a"), 0, form.kind, 10, old, None).wait()
        assert version_of(store, Jar, "a") == 20
        before = replayed(store, Jar, "a", 10)
        at = form.taken("a", 10, ("", 0, old)).at
        kept_of(store).put(core_of(store), before, at)
        seen = await stats(store)
        assert (seen.written, seen.skipped, seen.failed) == (2, 1, 0)
        assert version_of(store, Jar, "a") == 20

    run(api, kind, tmp_path, test)


@each_store
def test_as_many_as_wanted_are_kept(kind, api, tmp_path):
    async def test(store):
        await fill(store, "a", range(95))
        found = [newest(store, Jar, "a", version) for version in (95, 89, 79, 69)]
        versions = [one and form_of(Jar).taken("a", 95, one).aggregate.version for one in found]
        assert versions == [90, 80, 70, None]

    run(api, kind, tmp_path, test, snapshots=replace(EVERY, keep=3))


@each_store
def test_age_is_by_the_clock_of_the_store(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        await fill(store, "a", range(12))
        await fill(store, "b", range(12))
        clock.advance(29 * DAY)
        assert await store.clean_snapshots() == CleanedSnapshots(0, 0)
        await store.load(Jar, "a")
        assert (await stats(store)).used == 1
        clock.advance(2 * DAY)
        assert (await store.load(Jar, "a")).total == 66
        assert (await stats(store)).ignored == {"expired": 1}
        assert version_of(store, Jar, "a") == 12, "it is replaced"
        told = []
        cleaned = await store.clean_snapshots(progress=lambda *numbers: told.append(numbers))
        assert cleaned == CleanedSnapshots(1, 0)
        assert told[-1] == (1, 1)
        assert newest(store, Jar, "b") is None
        assert version_of(store, Jar, "a") == 12
        assert (await store.load(Jar, "b")).total == 66

    policy = replace(EVERY, max_age=30 * DAY)
    run(api, kind, tmp_path, test, clock=clock, snapshots=policy)


@each_store
def test_no_age_keeps_them(kind, api, tmp_path):
    clock = Clock(START)

    async def test(store):
        await fill(store, "a", range(12))
        clock.advance(4000 * DAY)
        assert await store.clean_snapshots() == CleanedSnapshots()
        await store.load(Jar, "a")
        assert (await stats(store)).used == 1

    run(api, kind, tmp_path, test, clock=clock, snapshots=replace(EVERY, max_age=None))


@each_store
def test_those_of_other_code_are_cleaned_when_asked(kind, api, tmp_path):
    def jar(factor: int) -> type[Aggregate]:
        class Changed(Aggregate, name="SnapshotsChanged"):
            total: int = 0

            def apply_put(self, event: Put) -> None:
                self.total += event.amount * factor

        return Changed

    old, new = jar(1), jar(2)

    async def test(store):
        for key in ("a", "b"):
            await fill(store, key, range(10), cls=old)
        await fill(store, "a", range(10), cls=Jar)
        assert (await store.load(old, "a")).total == 45
        assert (await store.load(new, "a")).total == 90, "it meets no snapshot of the old code"
        await settled(store)
        assert (version_of(store, old, "a"), version_of(store, new, "a")) == (10, 10)
        assert await store.clean_snapshots(new) == CleanedSnapshots(0, 2)
        assert [newest(store, old, key) for key in "ab"] == [None, None]
        assert version_of(store, new, "a") == 10
        assert await store.clean_snapshots("SnapshotsChanged", "SnapshotsGone") == CleanedSnapshots(
            0, 1
        )
        assert version_of(store, Jar, "a") == 10
        with pytest.raises(TypeError, match="clean_snapshots takes"):
            await store.clean_snapshots(7)

    run(api, kind, tmp_path, test)


@each_api
def test_states_that_would_change_are_refused_once_and_loud(api, tmp_path, caplog):
    class Twice(Aggregate, name="SnapshotsTwice"):
        one: list[int] = Field(default_factory=list)
        other: list[int] = Field(default_factory=list)

        def apply_put(self, event: Put) -> None:
            self.one.append(event.amount)
            self.other = self.one

    class Untyped(Aggregate, name="SnapshotsUntyped"):
        total: Decimal = 0  # type: ignore[assignment]

        def apply_put(self, event: Put) -> None:
            self.total += event.amount

    class Odd(Aggregate, name="SnapshotsOdd"):
        items: Any = None

        def apply_put(self, event: Put) -> None:
            self.items = (event.amount,)

    class Excluded(Aggregate, name="SnapshotsExcluded"):
        secret: int = Field(default=0, exclude=True)

        def apply_put(self, event: Put) -> None:
            self.secret += 1

    class Zoned(Aggregate, name="SnapshotsZoned"):
        at: datetime = START

        def apply_put(self, event: Put) -> None:
            self.at = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))

    class ZonedList(Aggregate, name="SnapshotsZonedList"):
        times: list[datetime] = Field(default_factory=list)

        def apply_put(self, event: Put) -> None:
            self.times = [START, datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))]

    class Hidden(Aggregate, name="SnapshotsHidden"):
        _count: int = PrivateAttr(0)

        def apply_put(self, event: Put) -> None:
            self._count += 1

    async def test(store):
        paths = {
            Twice: "other",
            Untyped: "total",
            Odd: "items",
            Excluded: "secret",
            Hidden: "_count",
            Zoned: "at",
            ZonedList: "times[1]",
        }
        for cls, path in paths.items():
            caplog.clear()
            await fill(store, "a", range(30), cls=cls)
            loaded = await store.load(cls, "a")
            assert loaded == replayed(store, cls, "a")
            seen = await stats(store, cls)
            assert (seen.written, seen.failed) == (0, 0)
            assert seen.refused >= 3
            assert (seen.used, seen.ignored) == (0, {})
            told = [record.getMessage() for record in caplog.records]
            assert len(told) == 1, told
            assert f"{cls.__qualname__} has no snapshots: {path}" in told[0]

    run(api, "memory", tmp_path, test)


class Sharing(Aggregate, name="SnapshotsSharing"):
    """Two fields hold one list until there are so many events."""

    one: list[int] = Field(default_factory=list)
    other: list[int] = Field(default_factory=list)

    def apply_put(self, event: Put) -> None:
        self.one.append(event.amount)
        self.other = self.one if len(self.one) < 40 else []


@each_store
def test_what_was_refused_is_not_encoded_at_each_load(kind, api, tmp_path, monkeypatch):
    import eventuali._engine.snapshots as module

    encoded = []

    def written(self, aggregate, *given):
        encoded.append(aggregate.version)
        return right(self, aggregate, *given)

    right = module.Form.written

    async def test(store):
        monkeypatch.setattr(module.Form, "written", written)
        await store.append([Put(amount=n) for n in range(25)], stream=("SnapshotsSharing", "a"))
        for _ in range(5):
            await store.load(Sharing, "a")
            await store.load_many(Sharing, ["a"])
        assert encoded == [25]
        await fill(store, "a", range(9), cls=Sharing)
        assert encoded == [25], "fewer than ten events since"
        await fill(store, "b", range(10), cls=Sharing)
        await store.load(Sharing, "b")
        assert encoded == [25, 10], "another stream is another state"
        await store.for_tenant("other").append(
            [Put(amount=n) for n in range(12)], stream=("SnapshotsSharing", "a")
        )
        await store.for_tenant("other").load(Sharing, "a")
        assert encoded == [25, 10, 12]
        assert (await stats(store, Sharing)).refused == 2
        assert (await stats(store.for_tenant("other"), Sharing)).refused == 1
        await fill(store, "a", range(6), cls=Sharing)
        assert encoded == [25, 10, 12, 40], "it is tried again"
        assert version_of(store, Sharing, "a") == 40
        assert tree(await store.load(Sharing, "a")) == tree(replayed(store, Sharing, "a"))
        seen = await stats(store, Sharing)
        assert (seen.refused, seen.written, seen.used) == (2, 1, 1)

    run(api, kind, tmp_path, test)


@each_api
def test_only_so_many_refusals_are_remembered(api, tmp_path, monkeypatch):
    import eventuali._engine.snapshots as module

    async def test(store):
        monkeypatch.setattr(module, "REFUSALS", 2)
        for key in "abc":
            await fill(store, key, range(10), at_once=10, cls=Sharing)
        for key in "cba":
            await store.load(Sharing, key)
        assert (await stats(store, Sharing)).refused == 4, "the first one was forgotten"
        assert len(kept_of(store)._refused) == 2

    run(api, "memory", tmp_path, test)


@each_api
def test_code_that_cant_be_told_has_no_snapshots(api, tmp_path, caplog):
    class Open(Aggregate, name="SnapshotsOpen"):
        total: int = 0

        def apply_put(self, event: Put) -> None:
            self.total += event.amount

        def apply_missing(self, event: Missing) -> None:  # noqa: F821
            pass

    async def test(store):
        await fill(store, "a", range(30), cls=Open)
        assert (await store.load(Open, "a")).total == sum(range(30))
        assert (await stats(store, Open)).written == 0
        (told,) = [record.getMessage() for record in caplog.records]
        assert "Open has no snapshots: what its code does can't be told" in told
        assert "apply_missing" in told
        with pytest.raises(TypeError, match="can't be told"):
            await store.clean_snapshots(Open)

    run(api, "memory", tmp_path, test)


def test_a_class_with_snapshots_has_no_hidden_state():
    with pytest.raises(TypeError, match="Hides: _count is no field"):

        class Hides(Aggregate, snapshot_every=10):
            _count: int = PrivateAttr(0)

    class Base(Aggregate, name="SnapshotsBase", snapshot_every=10, snapshot_version=3):
        pass

    with pytest.raises(TypeError, match="Slotted: extra is no field"):

        class Slotted(Base, name="SnapshotsSlotted"):
            __slots__ = ("extra",)

    class Kept(Base, name="SnapshotsKept"):
        pass

    assert (Kept.__snapshot_every__, Kept.__snapshot_version__) == (10, 3)
    for wrong in (-1, True, 1.5, "100"):
        for option in ("snapshot_every", "snapshot_version"):
            with pytest.raises((TypeError, ValueError), match=option):
                type(Aggregate)("Wrong", (Aggregate,), {"__module__": __name__}, **{option: wrong})


@each_api
def test_the_numbers_can_be_copied_and_stored(api, tmp_path):
    async def test(store):
        await fill(store, "a", range(10))
        put(store, Jar, "a", b"", version=10)
        await store.load(Jar, "a")
        await settled(store)
        seen = store.stats()
        assert seen.snapshots["SnapshotsJar"].ignored == {"damaged": 1}
        assert pickle.loads(pickle.dumps(seen)) == copy.deepcopy(seen) == seen
        assert asdict(seen)["snapshots"]["SnapshotsJar"]["ignored"] == {"damaged": 1}

    run(api, "memory", tmp_path, test)


def test_a_policy_is_checked():
    for wrong in (
        {"every": -1}, {"every": 1.0}, {"keep": 0}, {"keep": 1001}, {"keep": True},
        {"max_age": timedelta()}, {"max_age": -DAY}, {"max_age": 365}, {"max_age": timedelta.max},
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            SnapshotPolicy(**wrong)
    for api in ("async", "sync"):
        with pytest.raises(TypeError, match="snapshots must be a SnapshotPolicy"):
            run(api, "memory", None, None, snapshots=100)


class Cached(Aggregate, name="SnapshotsCached"):
    total: int = 0

    @cached_property
    def double(self) -> int:
        return 2 * self.total

    def apply_put(self, event: Put) -> None:
        self.total += event.amount + 0 * self.double


@each_store
def test_cached_values_are_worked_out_again(kind, api, tmp_path):
    async def test(store):
        jar = await fill(store, "a", range(20), cls=Cached)
        found = await store.load(Cached, "a")
        assert (await stats(store, Cached)).used == 1
        assert (found.total, found.double, jar.double) == (190, 380, 380)

    run(api, kind, tmp_path, test)


@each_store
def test_a_failure_reaches_nobody_who_saves(kind, api, tmp_path, monkeypatch, caplog):
    import eventuali._engine.snapshots as module

    async def test(store):
        def broken(*_):
            raise OSError("no")

        with monkeypatch.context() as patch:
            patch.setattr(module.Form, "written", broken)
            jar = await fill(store, "a", range(10))
        assert (await stats(store)).failed == 1
        assert "a snapshot of a SnapshotsJar was not written: no" in caplog.text
        assert tree(await store.load(Jar, "a")) == tree(jar)
        await settled(store)
        assert version_of(store, Jar, "a") == 10, "the load has made up for it"

    run(api, kind, tmp_path, test)


@each_api
def test_few_are_under_way_at_once(api, tmp_path, monkeypatch):
    import eventuali._engine.snapshots as module

    async def test(store):
        kept = kept_of(store)
        with monkeypatch.context() as patch:
            patch.setattr(module.Snapshots, "settle", lambda self: None)
            for n in range(module.UNDER_WAY + 3):
                jar = Jar(id=f"j{n}")
                for amount in range(10):
                    jar.apply(Put(amount=amount))
                await store.save(jar)
                for amount in range(10):
                    jar.apply(Put(amount=amount))
                await store.save(jar)
            assert len(kept._under_way) == module.UNDER_WAY
        seen = await stats(store)
        assert (seen.written, seen.skipped) == (module.UNDER_WAY, module.UNDER_WAY + 6)

    run(api, "sqlite", tmp_path, test)


@each_shared
@each_api
def test_closing_waits_for_those_under_way(kind, api, tmp_path):
    async def main():
        for n in range(1, 6):
            async with opened(api, url_of(kind, tmp_path), snapshots=EVERY) as store:
                jar = await store.load(Jar, "a") or Jar(id="a")
                for amount in range(10):
                    jar.apply(Put(amount=amount))
                await store.save(jar)
            assert kept_of(store).stats("")["SnapshotsJar"].written == 1
            assert not kept_of(store)._under_way
            async with opened(api, url_of(kind, tmp_path)) as store:
                assert version_of(store, Jar, "a") == 10 * n

    asyncio.run(main())


def test_a_cancelled_save_and_a_loop_that_ends_leave_nothing(tmp_path, recwarn):
    @asynccontextmanager
    async def saving(store):
        jar = Jar(id="a")
        for amount in range(10):
            jar.apply(Put(amount=amount))
        task = asyncio.ensure_future(store.save(jar))
        yield task
        assert (await store.load(Jar, "a")).total == 45

    async def main():
        import eventuali

        store = await eventuali.EventStore.create(url_of("sqlite", tmp_path), snapshots=EVERY)
        async with saving(store) as task:
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            while await store.get_aggregate_version("a", Jar) is None:
                await asyncio.sleep(0.001)
        return store

    store = asyncio.run(main())
    asyncio.run(store.close())
    assert not [str(warning.message) for warning in recwarn]


@each_store
def test_events_of_no_snapshot_go_their_way(kind, api, tmp_path):
    """What is around the aggregates sees no snapshot at all."""

    async def test(store):
        await fill(store, "a", range(25))
        assert len(await gathered(store.read())) == 25
        steps = [step async for step in store.history(Jar, "a", from_version=15)]
        assert [step.event.meta.aggregate_version for step in steps] == list(range(15, 26))
        assert tree(steps[-1].state) == tree(await store.load(Jar, "a"))
        assert (await store.verify()).damage == ()
        assert await store.checkpoints() == []

    run(api, kind, tmp_path, test)


@each_store
def test_ids_of_any_text(kind, api, tmp_path):
    async def test(store):
        keys = ["a/1", "a", "a/", "é" * 127, "x" * 255, "'; --", "00000000000000000010"]
        for n, key in enumerate(keys):
            await fill(store, key, [n] * 10, at_once=10)
        for n, key in enumerate(keys):
            assert (await store.load(Jar, key)).total == 10 * n
        assert (await stats(store)).used == len(keys)

    run(api, kind, tmp_path, test)


class Signed(Event, name="snapshots_signed"):
    pass


def test_an_error_of_the_storage_is_not_taken_for_a_missing_snapshot(tmp_path):
    from eventuali import sync
    from eventuali.errors import StoreClosedError

    store = sync.EventStore.create(url_of("sqlite", tmp_path), snapshots=EVERY)
    store.close()
    with pytest.raises(StoreClosedError):
        store.load(Jar, "a")
    with pytest.raises(StoreClosedError):
        store.load_many(Jar, ["a"])


@each_store
def test_without_a_policy_nothing_of_it_happens(kind, api, tmp_path, monkeypatch):
    import eventuali._engine.load as load_module
    from eventuali._engine.snapshots import Snapshots

    async def test(store):
        inner = getattr(store, "store", store)

        def never(*_):
            raise AssertionError("nobody asked for snapshots")

        monkeypatch.setattr(load_module, "loading", never)
        for name in ("of", "begin", "loaded", "put", "form", "take"):
            monkeypatch.setattr(Snapshots, name, never)
        await fill(store, "a", range(3), at_once=2)
        assert (await store.load(Jar, "a")).version == 3
        assert (await store.load(Jar, "a", at_version=2)).version == 2
        assert len(await store.load_many(Jar, ["a"])) == 1

        async def change(work):
            (await work.load(Jar, "a")).apply(Put(amount=1))

        def change_blocking(work):
            work.load(Jar, "a").apply(Put(amount=1))

        await store.transact(change if inner is store else change_blocking)
        assert store.stats().snapshots == {}
        assert kept_of(store)._mailbox is None

    run(api, kind, tmp_path, test, snapshots=None)
