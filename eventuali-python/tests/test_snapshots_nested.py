"""Models within a state: which of their fields were set comes back, or there is no snapshot."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, fields, is_dataclass
from json import dumps
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel
from snapshot_cases import newest, put, replayed, settled, stats, version_of
from stores import each_api, each_kind, opened, url_of
from support import tree

from eventuali import Aggregate, Event, SnapshotPolicy
from eventuali._engine.snapshot_record import _digest

EVERY = SnapshotPolicy(every=1, keep=2)


class Part(BaseModel):
    name: str = "x"
    number: int | None = None
    inner: Part | None = None
    parts: list[Part] = Field(default_factory=list)


class Fixed(BaseModel, frozen=True):
    number: int = 0
    note: str = ""
    more: frozenset[Fixed] = frozenset()


class Names(RootModel[list[Part]]):
    pass


@dataclass
class Held:
    part: Part
    fixed: Fixed


class Pair(NamedTuple):
    one: Part
    other: Fixed


class Put(Event, name="snapshots_nested_put"):
    text: str


class Model(BaseModel):
    """What an event says of the state: the handler makes models of it, with what is given."""

    one: Part = Field(default_factory=Part)
    many: list[Part | None] = Field(default_factory=list)
    named: dict[str, Part] = Field(default_factory=dict)
    held: Held | None = None
    pair: Pair | None = None
    line: deque[Fixed] = Field(default_factory=deque)
    names: Names = Field(default_factory=lambda: Names([]))
    fixed: frozenset[Fixed] = frozenset()


class Box(Aggregate, name="SnapshotsBox"):
    one: Part = Field(default_factory=Part)
    many: list[Part | None] = Field(default_factory=list)
    named: dict[str, Part] = Field(default_factory=dict)
    held: Held | None = None
    pair: Pair | None = None
    line: deque[Fixed] = Field(default_factory=deque)
    names: Names = Field(default_factory=lambda: Names([]))
    fixed: frozenset[Fixed] = frozenset()

    def apply_put(self, event: Put) -> None:
        made = Model.model_validate_json(event.text)
        for name in made.model_fields_set:
            setattr(self, name, getattr(made, name))
        if made.many and made.many[0] is not None:
            made.many[0].number = len(event.text)  # and so it is set


parts = st.recursive(
    st.fixed_dictionaries({}, optional={"name": st.text(max_size=2), "number": st.integers(0, 3)}),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"inner": inner, "parts": st.lists(inner, max_size=2), "name": st.just("y")}
    ),
    max_leaves=4,
)
fixed = st.fixed_dictionaries(
    {}, optional={"number": st.integers(0, 3), "note": st.text(max_size=1)}
)
full = st.fixed_dictionaries(
    {"number": st.integers(0, 3), "note": st.just(""), "more": st.just([])}
)
states = st.fixed_dictionaries(
    {},
    optional={
        "one": parts,
        "many": st.lists(st.none() | parts, max_size=3),
        "named": st.dictionaries(st.sampled_from("abc"), parts, max_size=3),
        "held": st.fixed_dictionaries({"part": parts, "fixed": fixed}),
        "pair": st.tuples(parts, fixed),
        "line": st.lists(fixed, max_size=3),
        "names": st.lists(parts, max_size=2),
        "fixed": st.lists(full, max_size=2)
        | st.lists(full, max_size=1)
        | st.lists(fixed, max_size=2),
    },
)


def sets(value: Any) -> Any:
    """Describes which fields of all models in a value were set; shares nothing with the library."""
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        return sorted(value.model_fields_set), [sets(getattr(value, name)) for name in names]
    if is_dataclass(value):
        return [sets(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, dict):
        return [(sets(key), sets(one)) for key, one in value.items()]
    if isinstance(value, set | frozenset):
        return sorted((repr(one), sets(one)) for one in value)
    if isinstance(value, list | tuple | deque):
        return list(map(sets, value))
    return None


def as_json(state: dict) -> str:
    return dumps(state)


loud = settings(suppress_health_check=list(HealthCheck))
COUNTS = {"memory": 150, "sqlite-memory": 50, "sqlite": 50, "postgres": 20}


async def compared(store, stated: list[dict]) -> None:
    for state in stated:
        await store.append([Put(text=as_json(state))], stream=("SnapshotsBox", "a"))
        for _ in range(2):
            found = await store.load(Box, "a")
            await settled(store)
            whole = replayed(store, Box, "a")
            assert (sets(found), tree(found)) == (sets(whole), tree(whole))
    last = len(stated)
    past = await store.load(Box, "a", at_version=last - 1 or 1)
    assert sets(past) == sets(replayed(store, Box, "a", last - 1 or 1))


@each_kind
def test_models_within_come_back_with_what_was_set(kind, tmp_path):
    api = "sync" if kind == "sqlite-memory" else "async"

    @settings(loud, max_examples=COUNTS[kind] * settings().max_examples // 200)
    @given(st.lists(states, min_size=1, max_size=3))
    def check(stated):
        async def main():
            async with opened(api, url_of(kind, tmp_path), snapshots=EVERY) as root:
                await compared(root.for_tenant(uuid4().hex), stated)

        asyncio.run(main())

    check()


STATE = {
    "one": {"inner": {"parts": [{}, {"number": 1}]}},
    "many": [{"name": "z"}, None, {}],
    "named": {"b": {}, "a": {"number": 2}},
    "held": {"part": {}, "fixed": {"note": "n"}},
    "pair": [{"number": 1}, {}],
    "line": [{}, {"number": 3}],
    "names": [{}, {"name": "k"}],
    "fixed": [{"number": 1, "note": "", "more": []}],
}


@each_api
def test_there_is_a_snapshot_of_such_a_state(api, tmp_path):
    async def main():
        async with opened(api, url_of("memory", tmp_path), snapshots=EVERY) as store:
            await compared(store, [STATE, {}])
            seen = await stats(store, Box)
            assert (seen.refused, seen.ignored) == (0, {})
            assert seen.written == 2
            assert seen.used >= 2

    asyncio.run(main())


ALL = {"number": 1, "note": "", "more": []}
PARTLY = [
    [{"number": 1}, {"note": "n"}],
    [ALL, {"number": 2}],
    [ALL | {"more": [{"number": 2}]}],
    [ALL | {"more": [ALL | {"more": [{}]}, ALL | {"number": 3}]}],
]


@each_api
@pytest.mark.parametrize("members", PARTLY, ids=["both", "one", "within one", "far within one"])
def test_members_of_a_set_come_back_or_are_refused(members, api, tmp_path, caplog):
    async def main():
        async with opened(api, url_of("memory", tmp_path), snapshots=EVERY) as store:
            await compared(store, [{"fixed": members}])
            assert version_of(store, Box, "a") is None
            assert (await stats(store, Box)).refused == 1
            assert "fixed: which fields of its members were set would not come back" in caplog.text

    asyncio.run(main())


@each_api
def test_many_models_of_few_kinds_take_little(api, tmp_path):
    async def main():
        async with opened(api, url_of("memory", tmp_path), snapshots=EVERY) as store:
            await compared(store, [{"many": [{}, {"name": "n"}] * 1000}])
            head = newest(store, Box, "a")[2].partition(b"\n")[0]
            assert len(head) < 5_000

    asyncio.run(main())


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"of":[', b'"of":[0,'), (b'"of":[', b'"of":[99,'), (b'"sets":[', b'"sets":7,"x":[')],
)
def test_what_fits_no_state_is_damaged(old, new, tmp_path):
    async def main():
        async with opened("async", url_of("memory", tmp_path), snapshots=EVERY) as store:
            await compared(store, [STATE])
            value = newest(store, Box, "a")[2].rpartition(b"\n")[0]
            assert old in value
            value = value.replace(old, new, 1)
            put(store, Box, "a", value + b"\n" + _digest(value).encode(), version=1, place=1)
            found = await store.load(Box, "a")
            assert sets(found) == sets(replayed(store, Box, "a"))
            assert (await stats(store, Box)).ignored == {"damaged": 1}

    asyncio.run(main())
