"""Parts of a stream: by version, backwards, by user, by when events happened; pages of history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ledger import Counted, Ledger, counted
from stores import each_kind, each_store, gathered, run

from eventuali import AppendCondition, AppendConditionError, InvalidEventError, Query

STREAM = Query(aggregate_type=Ledger, aggregate_id="a")
DAY = datetime(2020, 1, 1, tzinfo=UTC)


async def numbers(events):
    return [event.number for event in await gathered(events)]


async def fill(store, count=10):
    for number in range(1, count + 1):
        await store.append([Counted(number=number)], stream=("Ledger", "a"))
        await store.append([Counted(number=-number)], stream=("Ledger", "b"))


@each_store
def test_versions_bound_a_read(kind, api, tmp_path):
    async def test(store):
        await fill(store)
        for first, last in [(None, None), (3, None), (None, 7), (3, 7), (4, 4), (7, 3), (0, 0),
                            (11, None), (1, 2**63 - 1)]:  # fmt: skip
            wanted = list(range(first or 1, 11 if last is None else min(last, 10) + 1))
            within = {"from_version": first, "to_version": last}
            assert await numbers(store.read(STREAM, **within)) == wanted
            back = await numbers(store.read(STREAM, **within, backwards=True))
            assert back == wanted[::-1]
            two = await numbers(store.read(STREAM, **within, backwards=True, limit=2))
            assert two == wanted[::-1][:2]
            loaded = await store.load_events("a", Ledger, first or 0, last)
            assert [event.number for event in loaded] == wanted
            loaded = await store.load_events("a", Ledger, first or 0, last, backwards=True, limit=3)
            assert [event.number for event in loaded] == wanted[::-1][:3]
        assert await numbers(store.read(STREAM, before=8, backwards=True)) == [4, 3, 2, 1]
        typed = Query(aggregate_type=Ledger, aggregate_id="a", event_types=[Counted])
        assert await numbers(store.read(typed, from_version=9)) == [9, 10]

    run(api, kind, tmp_path, test)


@each_kind
def test_versions_need_one_stream(kind, tmp_path):
    async def test(store):
        for query in (Query(), Query(aggregate_type=Ledger), STREAM | Query(tags=["a"])):
            for name in ("from_version", "to_version"):
                with pytest.raises(InvalidEventError, match=name):
                    store.read(query, **{name: 1})
        for wrong, error in ((-1, InvalidEventError), (2**63, InvalidEventError), ("1", TypeError)):
            for name in ("from_version", "to_version"):
                with pytest.raises(error, match=name):
                    store.read(STREAM, **{name: wrong})
            with pytest.raises(error, match="to_version"):
                await store.load_events("a", Ledger, 0, wrong)
        with pytest.raises(InvalidEventError, match="limit"):
            await store.load_events("a", Ledger, limit=-1)

    run("async", kind, tmp_path, test)


@each_store
def test_events_of_a_user(kind, api, tmp_path):
    async def test(store):
        users = ["ada", "bob", None, "ada", "a\0da", "é" * 300, "é" * 300 + "x"]
        for number, user in enumerate(users):
            await store.append([Counted(number=number, user_id=user, tags=["t"])])
        await store.for_tenant("acme").append([Counted(number=9, user_id="ada")])
        for user in users:
            if user is not None:
                wanted = [n for n, found in enumerate(users) if found == user]
                assert await numbers(store.read(Query(user_id=user))) == wanted, user
        assert await numbers(store.read(Query(user_id="ada"), backwards=True)) == [3, 0]
        assert await numbers(store.read(Query(user_id="ada", tags=["t"]))) == [0, 3]
        assert await numbers(store.read(Query(user_id="Ada"))) == []
        assert await numbers(store.read(Query(user_id="bob") | Query(user_id="ada"))) == [0, 1, 3]
        assert await numbers(store.for_tenant("acme").read(Query(user_id="ada"))) == [9]

    run(api, kind, tmp_path, test)


@each_store
def test_a_condition_on_a_user_is_exact(kind, api, tmp_path):
    async def test(store):
        done = await store.append([Counted(number=0, user_id="ada")])
        condition = AppendCondition(Query(user_id="ada"), after=done.position)
        await store.append([Counted(number=1, user_id="bob")], condition=condition)
        await store.append([Counted(number=2, user_id="ada")], condition=condition)
        with pytest.raises(AppendConditionError) as told:
            await store.append([Counted(number=3)], condition=condition)
        assert told.value.position == (await gathered(store.read(limit=1, after=2)))[0].position

    run(api, kind, tmp_path, test)


def test_a_user_is_a_text():
    with pytest.raises(TypeError, match="user_id"):
        Query(user_id=3)
    assert Query(user_id="") != Query()
    assert len({Query(user_id="a"), Query(user_id="a"), Query(user_id="b")}) == 2


@each_store
def test_when_events_happened(kind, api, tmp_path):
    async def test(store):
        for number in (3, 1, 2, 0):
            happened = DAY + timedelta(days=number)
            await store.append([Counted(number=number, timestamp=happened)])
        since, until = DAY + timedelta(days=1), DAY + timedelta(days=3)
        read = store.read(since=since, until=until, by="timestamp")
        assert await numbers(read) == [1, 2], "the second bound is excluded"
        assert await numbers(store.read(since=since, by="timestamp")) == [3, 1, 2]
        assert await numbers(store.read(until=since, by="timestamp")) == [0]
        assert await numbers(store.read(since=since, until=until)) == []
        with pytest.raises(InvalidEventError, match="by"):
            store.read(by="moon")

    run(api, kind, tmp_path, test)


@each_store
def test_history_in_pages(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", *range(1, 1_206)))
        everything = await gathered(store.history(Ledger, "a"))
        assert len(everything) == 1_205
        pages, first = [], 1
        while page := await gathered(store.history(Ledger, "a", from_version=first, limit=500)):
            pages.append(len(page))
            for step, whole in zip(page, everything[first - 1 :], strict=False):
                assert step.event.aggregate_version == whole.event.aggregate_version
                assert step.state.numbers == whole.state.numbers
                assert step.changes == whole.changes
            first += len(page)
        assert pages == [500, 500, 205]
        assert await gathered(store.history(Ledger, "a", limit=0)) == []
        assert len(await gathered(store.history(Ledger, "a", from_version=1_205))) == 1
        assert len(await gathered(store.history(Ledger, "a", from_version=2**63 - 1))) == 0
        assert len(await gathered(store.history(Ledger, "a", from_version=0, limit=1))) == 1
        for wrong in ({"from_version": -1}, {"limit": -1}):
            with pytest.raises(InvalidEventError):
                await gathered(store.history(Ledger, "a", **wrong))

    run(api, kind, tmp_path, test)
