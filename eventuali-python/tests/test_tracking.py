"""Positions of another log, stored with the events: once each, whoever sends them."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from ledger import Counted, Ledger, counted
from stores import BACKENDS, each_store, opened, run, url_of

from eventuali import (
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    Projection,
    ReadModel,
    Tracking,
)
from eventuali._eventuali import Store
from eventuali.errors import EventStoreError, TrackingConflictError


async def numbers(store):
    return [event.number async for event in store.read()]


def upstream(position):
    return Tracking("upstream", position)


@each_store
def test_it_is_stored_with_the_events(kind, api, tmp_path):
    async def test(store):
        assert await store.tracked("upstream") is None
        await store.append([Counted(number=0)], tracking=upstream(7))
        assert await store.tracked("upstream") == 7
        await store.save(counted("a", 1, 2), tracking=upstream(9))
        assert await store.tracked("upstream") == 9
        await store.append([Counted(number=3)], tracking=Tracking("other", 1))
        assert (await store.tracked("upstream"), await store.tracked("other")) == (9, 1)
        assert await numbers(store) == [0, 1, 2, 3]
        await store.append([], tracking=upstream(10))
        await store.save(tracking=upstream(11))
        await store.save(Ledger(id="b"), tracking=upstream(2**63 - 1))
        assert await store.tracked("upstream") == 2**63 - 1
        assert await numbers(store) == [0, 1, 2, 3]

    run(api, kind, tmp_path, test)


@each_store
def test_one_that_does_not_rise_is_refused(kind, api, tmp_path):
    async def test(store):
        await store.append([Counted(number=0)], tracking=upstream(0))
        await store.append([Counted(number=1)], tracking=upstream(10))
        ledger = counted("a", 9)
        for position in (0, 9, 10):
            for commit in (
                lambda t: store.append([Counted(number=9)], tracking=t),
                lambda t: store.append([], tracking=t),
                lambda t: store.save(ledger, tracking=t),
                lambda t: store.save(tracking=t),
            ):
                with pytest.raises(TrackingConflictError) as told:
                    await commit(upstream(position))
                error = told.value
                assert isinstance(error, EventStoreError)
                assert not isinstance(error, OptimisticConcurrencyError)
                assert (error.name, error.position, error.stored) == ("upstream", position, 10)
        assert (await numbers(store), await store.tracked("upstream")) == ([0, 1], 10)
        await store.save(ledger, tracking=upstream(11))
        assert (await numbers(store), ledger.version) == ([0, 1, 9], 1), "it goes on"

    run(api, kind, tmp_path, test)


@each_store
def test_a_commit_that_is_refused_stores_none(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", 0))
        for refused in (
            store.save(counted("a", 1), tracking=upstream(5)),
            store.append([], stream=("Ledger", "a"), expected=7, tracking=upstream(5)),
        ):
            with pytest.raises(OptimisticConcurrencyError):
                await refused
        assert await store.tracked("upstream") is None

    run(api, kind, tmp_path, test)


@each_store
def test_the_same_commit_again_stores_nothing_twice(kind, api, tmp_path):
    async def test(store):
        events = [Counted(number=0), Counted(number=1)]
        first = await store.append(events, tracking=upstream(5))
        assert await store.append(events, tracking=upstream(5)) == first
        await store.append([Counted(number=2)], tracking=upstream(6))
        assert await store.append(events, tracking=upstream(5)) == first, "though it has risen"
        for other in (upstream(7), Tracking("other", 5), None):
            with pytest.raises(IdempotencyConflictError):
                await store.append(events, tracking=other)
        assert (await numbers(store), await store.tracked("upstream")) == ([0, 1, 2], 6)
        assert await store.tracked("other") is None

    run(api, kind, tmp_path, test)


@each_store
def test_of_many_at_once_one_stores_each_position(kind, api, tmp_path):
    async def test(store):
        async def copy(worker):
            won = 0
            for position in range(1, 21):
                try:
                    event = Counted(number=position)
                    await store.append([event], tracking=upstream(position))
                    won += 1
                except TrackingConflictError:
                    pass
            return won

        won = await asyncio.gather(*map(copy, range(6)))
        assert sum(won) == 20
        assert await numbers(store) == list(range(1, 21))

    run(api, kind, tmp_path, test)


@each_store
def test_each_tenant_has_its_own(kind, api, tmp_path):
    async def test(store):
        acme = store.for_tenant("acme")
        await store.append([Counted(number=0)], tracking=upstream(5))
        assert await acme.tracked("upstream") is None
        await acme.append([Counted(number=1)], tracking=upstream(3))
        assert (await store.tracked("upstream"), await acme.tracked("upstream")) == (5, 3)
        with pytest.raises(TrackingConflictError) as told:
            await acme.append([Counted(number=1)], tracking=upstream(3))
        assert told.value.stored == 3

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_none_is_refused(kind, api, tmp_path):
    async def test(store):
        for given in (("upstream", 1), 3, "upstream"):
            with pytest.raises(TypeError, match="tracking"):
                await store.append([Counted(number=0)], tracking=given)
            with pytest.raises(TypeError, match="tracking"):
                await store.save(counted("a", 1), tracking=given)
        with pytest.raises(InvalidEventError):
            await store.tracked("")
        assert await numbers(store) == []

    run(api, kind, tmp_path, test)


def test_its_parts_are_checked():
    for name in ("", "a\0b", "x" * 5000):
        with pytest.raises(InvalidEventError):
            Tracking(name, 1)
    for position in (-1, 2**63):
        with pytest.raises(InvalidEventError):
            Tracking("n", position)
    for wrong in ((1, 1), ("n", "1"), ("n", True), ("n", 1.0)):
        with pytest.raises(TypeError):
            Tracking(*wrong)
    assert pickle.loads(pickle.dumps(upstream(3))) == upstream(3)


class Sum(ReadModel):
    total: int = 0


class Sums(Projection[Sum], name="tracked.sums", inline=True):
    def on_counted(self, event: Counted, document: Sum | None) -> Sum:
        document = document or Sum(key=event.meta.aggregate_id)
        document.total += event.number
        return document


@each_store
def test_inline_projections_go_with_it(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path), inline=[Sums()]) as store:
            ledger = counted("a", 1)
            await store.save(ledger, tracking=upstream(1))
            events = [Counted(number=2)]
            first = await store.append(events, stream=("Ledger", "a"), tracking=upstream(2))
            assert (await store.get(Sum, "a")).total == 3
            again = await store.append(events, stream=("Ledger", "a"), tracking=upstream(2))
            assert again == first
            with pytest.raises(IdempotencyConflictError):
                await store.append(events, stream=("Ledger", "a"), tracking=upstream(3))
            with pytest.raises(TrackingConflictError):
                await store.save(counted("b", 4), tracking=upstream(2))
            assert await store.get(Sum, "b") is None
            assert (await store.get(Sum, "a")).total == 3
            await asyncio.gather(
                *(store.save(counted(f"c{n}", n), tracking=upstream(10 + n)) for n in range(1)),
                *(store.append([Counted(number=n)], stream=("Ledger", "a")) for n in range(8)),
            )
            assert (await store.get(Sum, "a")).total == 3 + sum(range(8))

    asyncio.run(main())


class _CutOff:
    """A store whose commits are carried out, and whose answers get lost."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def commit(self, *arguments, **options):
        self.store.commit(*arguments, **options).wait()
        raise OutcomeUnknownError("cut off")

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_save_whose_answer_got_lost_is_settled(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            core = store._store
            for travel in (lambda it: it, lambda it: pickle.loads(pickle.dumps(it))):
                before = await store.tracked("upstream") or 0
                ledger = counted(f"a{before}", 1, 2)
                store._store = _CutOff(core)
                with pytest.raises(OutcomeUnknownError):
                    await store.save(ledger, tracking=upstream(before + 1))
                store._store = core
                ledger = travel(ledger)
                done = await store.save(ledger, tracking=upstream(before + 1))
                assert (len(done.positions), ledger.version) == (2, 2)
                assert not ledger.has_uncommitted_events()
                with pytest.raises(TrackingConflictError):
                    await store.save(ledger, tracking=upstream(before + 1))
                # One more position, once what was left open is settled.
                ledger.apply(Counted(number=3))
                store._store = _CutOff(core)
                with pytest.raises(OutcomeUnknownError):
                    await store.save(ledger, tracking=upstream(before + 2))
                store._store = core
                await store.save(travel(ledger), tracking=upstream(before + 3))
                assert await store.tracked("upstream") == before + 3
            assert await numbers(store) == [1, 2, 3] * 2

    asyncio.run(main())


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_save_that_never_arrived_can_be_overtaken(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            core, ledger = store._store, counted("a", 1)

            class Lost(_CutOff):
                def commit(self, *arguments, **options):
                    raise OutcomeUnknownError("cut off")

            store._store = Lost(core)
            with pytest.raises(OutcomeUnknownError):
                await store.save(ledger, tracking=upstream(1))
            store._store = core
            await store.save(counted("b", 2), tracking=upstream(1))
            with pytest.raises(TrackingConflictError):
                await store.save(ledger, tracking=upstream(1))
            assert await numbers(store) == [2]
            await store.save(ledger, tracking=upstream(2))
            assert await numbers(store) == [2, 1], "it is certain that it was not stored"

    asyncio.run(main())
