"""Counting events: as many as reading gives, whatever is asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from ledger import Counted, Ledger
from stores import each_kind, each_store, gathered, opened, run, url_of

from eventuali import ALL, Event, InvalidEventError, Query, ReadModel

DAY = datetime(2020, 1, 1, tzinfo=UTC)


class Rare(Event, name="counts.rare"):
    number: int


async def fill(store):
    """Stores events of streams and of none, with tags, users and times of their own."""
    for number in range(60):
        cls = Rare if number % 7 == 0 else Counted
        event = cls(
            number=number,
            tags=["even"] * (number % 2 == 0) + ["third"] * (number % 3 == 0),
            correlation_id="c" if number % 5 == 0 else None,
            user_id=["ada", "bob", None][number % 3],
            timestamp=DAY + timedelta(days=number),
        )
        stream = [("Ledger", "a"), ("Ledger", "b"), ("Other", "a"), None][number % 4]
        await store.append([event], stream=stream)


QUERIES = [
    ALL,
    Query(aggregate_type=Ledger),
    Query(aggregate_id="a"),
    Query(aggregate_type=Ledger, aggregate_id="a"),
    Query(aggregate_type=Ledger, aggregate_id="nobody"),
    Query(event_types=[Rare]),
    Query(event_types=[Rare, Counted]),
    Query(aggregate_type=Ledger, aggregate_id="b", event_types=[Rare]),
    Query(tags=["even"]),
    Query(tags=["even", "third"]),
    Query(tags=["even"], event_types=[Rare]),
    Query(tags=["even"]) | Query(aggregate_type="Other", aggregate_id="a"),
    Query(correlation_id="c"),
    Query(user_id="ada"),
    Query(user_id="ada", tags=["even"]),
    Query(user_id="nobody"),
    Query(user_id="ada") | Query(user_id="bob"),
]
RANGES = [
    {},
    {"after": 10},
    {"before": 50},
    {"after": 7, "before": 8},
    {"after": 60},
    {"before": 0},
    {"after": 9, "before": 3},
    {"since": DAY + timedelta(days=20), "by": "timestamp"},
    {"until": DAY + timedelta(days=20), "by": "timestamp", "after": 5},
    {"since": datetime(2900, 1, 1, tzinfo=UTC)},
    {"since": DAY, "until": datetime(2900, 1, 1, tzinfo=UTC)},
]


@each_store
def test_a_count_is_that_of_what_is_read(kind, api, tmp_path):
    async def test(store):
        await fill(store)
        await store.for_tenant("acme").append([Rare(number=1)], stream=("Ledger", "a"))
        for query in QUERIES:
            for within in RANGES:
                found = await gathered(store.read(query, **within))
                assert await store.count(query, **within) == len(found), (query, within)
        middle = (await gathered(store.read(after=30, limit=1)))[0].meta.recorded_at
        for query in QUERIES:
            for within in ({"since": middle}, {"until": middle, "after": 3}):
                found = await gathered(store.read(query, **within))
                assert await store.count(query, **within) == len(found), (query, within)
        assert await store.for_tenant("acme").count(ALL) == 1

    run(api, kind, tmp_path, test)


@each_kind
def test_mistakes_are_named(kind, tmp_path):
    async def test(store):
        for within in ({"after": -1}, {"before": -2}, {"since": DAY.replace(tzinfo=None)},
                       {"by": "moon"}):  # fmt: skip
            with pytest.raises(InvalidEventError):
                await store.count(ALL, **within)
        for within in ({"after": "1"}, {"since": 3}, {"limit": 3}, {"owner": "Ada"}):
            with pytest.raises(TypeError):
                await store.count(ALL, **within)

    run("async", kind, tmp_path, test)


class Box(ReadModel, index=("before",)):
    before: int = 0


@each_kind
def test_documents_are_counted_as_before(kind, tmp_path):
    async def test(store):
        assert await store.count(Box) == 0
        assert await store.count(Box, before=3) == 0

    run("async", kind, tmp_path, test)


@each_kind
def test_a_crowd_of_streams_is_counted(kind, tmp_path):
    """More rows than one statement passes, and more streams than are looked for one by one."""

    async def main():
        place = url_of(kind, tmp_path)
        async with opened("async", place, durability="relaxed") as store:
            many = [Counted(number=n) for n in range(9_000)]
            for first in range(0, 90_000, 9_000):
                await store.append([Counted(number=first + n) for n in range(len(many))])
            await asyncio.gather(
                *(store.append([Rare(number=n)], stream=("Ledger", str(n))) for n in range(5_000))
            )
            assert await store.count(ALL) == 95_000
            assert await store.count(Query(aggregate_type=Ledger)) == 5_000
            assert await store.count(Query(event_types=[Rare])) == 5_000
            assert await store.count(Query(event_types=[Rare]), before=90_011) == 10

    asyncio.run(main())
