"""What `clean_snapshots` removes, and what it reads for that."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from snapshot_cases import EVERY, Jar, Put, core_of, fill, newest, replayed, version_of
from stores import each_shared, each_store, opened, url_of
from support import tree

from eventuali import Aggregate, SnapshotPolicy
from eventuali._engine.snapshot_record import form_of
from eventuali.snapshot import CleanedSnapshots

THREE = SnapshotPolicy(every=10, keep=3)


def changed(factor: int) -> type[Aggregate]:
    """Returns a class of aggregates; each factor is another version of its code."""

    class Cart(Aggregate, name="SnapshotsCart"):
        total: int = 0

        def apply_put(self, event: Put) -> None:
            self.total += event.amount * factor

    return Cart


def versions(store, cls, key: str) -> list[int]:
    """Returns the versions of all snapshots of a stream, the newest first."""
    found: list[int] = []
    at_most = 2**63 - 1
    while (one := newest(store, cls, key, at_most)) is not None:
        found.append(form_of(cls).taken(key, at_most, one).aggregate.version)
        at_most = found[-1] - 1
    return found


@each_store
def test_those_that_are_more_than_are_kept(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path), snapshots=THREE) as store:
            await fill(store, "a", range(85))
            await fill(store, "a", range(85), cls=(cart := changed(1)))
            assert versions(store, Jar, "a") == versions(store, cart, "a") == [80, 70, 60]
            assert await store.clean_snapshots() == CleanedSnapshots()
            # As a store that is opened again with a lower number, or without a policy.
            kept = getattr(store, "store", store)._snapshots
            kept.places = None
            assert await store.clean_snapshots() == CleanedSnapshots()
            kept.places = 2
            assert await store.clean_snapshots() == CleanedSnapshots(surplus=2)
            assert versions(store, Jar, "a") == versions(store, cart, "a") == [70, 60]
            assert await store.for_tenant("b").clean_snapshots() == CleanedSnapshots()
            assert tree(await store.load(Jar, "a")) == tree(replayed(store, Jar, "a"))

    asyncio.run(main())


@each_shared
def test_a_store_says_how_many_it_keeps_when_it_is_opened(kind, tmp_path):
    async def main():
        for policy, wanted in ((THREE, 0), (None, 0), (EVERY, 2), (EVERY, 0)):
            async with opened("async", url_of(kind, tmp_path), snapshots=policy) as store:
                if policy is THREE:
                    await fill(store, "a", range(30))
                assert (await store.clean_snapshots()).surplus == wanted

    asyncio.run(main())


@each_store
def test_those_of_all_others_go_when_asked(kind, api, tmp_path):
    old, cart = changed(1), changed(2)

    async def main():
        async with opened(api, url_of(kind, tmp_path), snapshots=EVERY) as store:
            for cls in (old, cart, Jar):
                await fill(store, "a", range(10), cls=cls)
                await fill(store, "b", range(10), cls=cls)
                await store.load(cls, "a")
            other = store.for_tenant("other")
            await fill(other, "a", range(10))
            there = {cls: versions(store, cls, "b") for cls in (cart, Jar)}
            assert there == {cart: [20], Jar: [10]}
            cleaned = await store.clean_snapshots(cart, Jar, others=False)
            assert cleaned == CleanedSnapshots(outdated=2), "those of the old code"
            assert await store.clean_snapshots(cart, Jar, others=True) == CleanedSnapshots()
            assert {cls: versions(store, cls, "b") for cls in there} == there
            assert await store.clean_snapshots(old) == CleanedSnapshots(outdated=2)
            await fill(store, "a", range(10), cls=cart)
            assert await store.clean_snapshots(cart, others=True) == CleanedSnapshots(outdated=2)
            assert versions(store, Jar, "a") == []
            assert versions(store, cart, "a") == [30]
            cleaned = await store.clean_snapshots(cart, "SnapshotsCart", others=True)
            assert cleaned == CleanedSnapshots(outdated=1), "a name stands for all of its type"
            assert await store.clean_snapshots(others=True) == CleanedSnapshots()
            assert versions(other, Jar, "a") == [10]
            with pytest.raises(TypeError, match="others must be"):
                await store.clean_snapshots(others="SnapshotsJar")

    asyncio.run(main())


@each_store
def test_all_versions_of_the_code_that_are_given_stay(kind, api, tmp_path):
    classes = [changed(factor) for factor in range(1, 6)]

    async def main():
        async with opened(api, url_of(kind, tmp_path), snapshots=EVERY) as store:
            await fill(store, "a", range(10), cls=classes[0])
            for cls in classes[1:]:
                await store.load(cls, "a")
                await fill(store, "a", (), cls=cls)
            for others in (False, True):
                cleaned = await store.clean_snapshots(*classes, others=others)
                assert cleaned == CleanedSnapshots()
            assert await store.clean_snapshots(*classes[1:3]) == CleanedSnapshots(outdated=3)
            assert [version_of(store, cls, "a") for cls in classes] == [None, 10, 10, None, None]

    asyncio.run(main())


@each_store
def test_a_page_holds_names_alone(kind, api, tmp_path):
    """Five hundred snapshots of 8 MiB would not go into the memory."""

    async def main():
        async with opened(api, url_of(kind, tmp_path), snapshots=THREE) as store:
            await fill(store, "a", range(10))
            key, version, _ = newest(store, Jar, "a")
            core, own = core_of(store), form_of(Jar).kind
            assert core.snapshots().of_kinds(own, own, 500).wait() == [(key, version)]
            assert core.snapshots().above(1, 500).wait() == [(key, version)]
            assert core.snapshots().above(2, 500).wait() == []

    asyncio.run(main())


@pytest.mark.parametrize("given", [("SnapshotsJar",), ()])
def test_no_snapshot_is_read_to_be_removed(given, tmp_path):
    """Bytes that can't even be read are no obstacle."""

    async def main():
        async with opened("async", url_of("sqlite", tmp_path), snapshots=EVERY) as store:
            await fill(store, "a", range(10))
            with closing(sqlite3.connect(tmp_path / "events.db")) as file:
                set_due = "" if given else ", due = 1"
                file.execute(f"UPDATE records SET bytes = 'text'{set_due} WHERE space = 'snapshot'")
                file.commit()
            cleaned = await store.clean_snapshots(*given)
            assert cleaned == CleanedSnapshots(expired=not given, outdated=len(given))

    asyncio.run(main())
