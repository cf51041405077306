"""Steps that fail: named with type, version and position, and no harm to anything else."""

from __future__ import annotations

import gc
import pickle
from collections import Counter, OrderedDict, UserDict
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import pytest
from older_events import ORDER, older
from stores import each_store, gathered, opened, run, url_of

from eventuali import Aggregate, Event, Projection, Query, ReadModel, UnknownEvent, upcast
from eventuali.errors import ProjectionError, SerializationError, UpcastError

NAME = "up.faulty"


def raises(data):
    raise LookupError("no such currency")


def gives_none(data):
    return None


def gives_a_list(data):
    return [data]


def gives_an_event(data):
    return Healthy()


def sets(data):
    data["number"] = 1
    return data


def deletes(data):
    data.pop("old")
    return {"number": 1}


def updates(data):
    data |= {"number": 1}
    return data


def appends(data):
    data["deep"]["list"].append(1)
    return {"number": 1}


def sorts(data):
    data["deep"]["list"].sort()
    return {"number": 1}


def sets_in_depth(data):
    data["deep"]["list"][0]["a"] = 2
    return {"number": 1}


def recurses(data):
    return recurses(data)


def contains_itself(data):
    made: dict[str, Any] = {"number": 1}
    made["deep"] = made
    return made


def waits(data):
    async def later():
        return data

    return later()


def gives_a_read_only_view(data):
    return MappingProxyType({"number": 1})


def gives_a_user_dict(data):
    return UserDict({"number": 1})


def gives_an_object(data):
    return {"number": object()}


def gives_another_shape(data):
    return {"number": "many"}


def stops(data):
    raise StopIteration


class Healthy(Event, name="up.healthy"):
    pass


def faulty(step: Any, **fields: type) -> type[Event]:
    """Makes a class of version 2 whose step is given."""
    body = {
        "__module__": __name__,
        "__annotations__": {"number": int, **fields},
        "step": upcast(1)(staticmethod(step)),
    }
    made: type[Event] = type("Faulty", (Event,), body, name=NAME, version=2)
    return made


OLD = {"old": 0, "deep": {"list": [{"a": 1}]}}
FAULTS = {
    raises: "the step from version 1 failed: no such currency",
    gives_none: "returned None, not a dict",
    gives_a_list: "not a dict",
    gives_an_event: "returned Healthy",
    sets: "must not change what it is given",
    deletes: "must not change what it is given",
    updates: "must not change what it is given",
    appends: "must not change what it is given",
    sorts: "must not change what it is given",
    sets_in_depth: "must not change what it is given",
    recurses: "recursion",
    contains_itself: "not JSON",
    waits: "a step is a plain function, which must not wait",
    gives_a_read_only_view: "returned mappingproxy({'number': 1}), not a dict",
    gives_a_user_dict: "returned {'number': 1}, not a dict",
    gives_an_object: "not JSON",
    gives_another_shape: "does not fit number of Faulty",
    stops: "StopIteration",
}


@pytest.mark.parametrize("step", FAULTS, ids=lambda step: step.__name__)
@each_store
def test_a_faulty_step_is_named_and_other_events_are_read(kind, api, step, tmp_path):
    cls = faulty(step)

    class Thing(Aggregate, name="Order"):
        def apply_faulty(self, event: cls) -> None: ...

        def apply_healthy(self, event: Healthy) -> None: ...

    async def check(store):
        store.register_event_class(NAME, cls)
        await store.append([older(NAME, 1, OLD), Healthy()], stream=ORDER, expected=0)
        await store.append([Healthy()], stream=("Order", "o-2"), expected=0)
        for read in (
            lambda: gathered(store.read(Query(event_types=[NAME]))),
            lambda: store.load(Thing, "o-1"),
            lambda: store.load_events("o-1"),
            lambda: gathered(store.history(Thing, "o-1")),
        ):
            with pytest.raises(UpcastError) as caught:
                await read()
            error = caught.value
            assert FAULTS[step] in str(error), str(error)
            assert str(error).startswith("the up.faulty at position 1, stored in version 1: ")
            assert (error.event_type, error.event_version, error.position) == (NAME, 1, 1)
            twin = pickle.loads(pickle.dumps(error))
            assert (twin.event_version, twin.position) == (1, 1)
            assert isinstance(error, SerializationError)
        assert (await store.load_one(Thing, "o-2")).version == 1
        raw, healthy, _ = await gathered(store.read(raw=True))
        assert isinstance(raw, UnknownEvent)
        assert raw.data == OLD
        assert healthy == Healthy()

    run(api, kind, tmp_path, check)


def test_a_step_that_raises_is_the_cause_and_what_does_not_fit_has_a_path(tmp_path):
    async def check(step):
        async with opened("async", url_of("memory", tmp_path)) as store:
            store.register_event_class(NAME, faulty(step))
            await store.append([older(NAME, 1, OLD)])
            with pytest.raises(UpcastError) as caught:
                await gathered(store.read())
            return caught.value

    async def both(store):
        assert isinstance((await check(raises)).__cause__, LookupError)
        assert (await check(gives_another_shape)).path == "number"
        assert (await check(gives_none)).path is None

    run("async", "memory", tmp_path, both)


def chained(place: int, wrap: Any) -> type[Event]:
    """Makes a class of version 4, of whose three steps one returns what is made of its dict."""

    def step(at: int) -> Any:
        return lambda data: (wrap if at == place else dict)(data | {"number": at})

    body = {"__module__": __name__, "__annotations__": {"number": int, "old": int}}
    body |= {f"step_{at}": upcast(at)(staticmethod(step(at))) for at in (1, 2, 3)}
    made: type[Event] = type("Chained", (Event,), body, name=NAME, version=4)
    return made


@pytest.mark.parametrize("deep", [{}, {"deep": []}], ids=["flat", "deep"])
@pytest.mark.parametrize("wrap", [MappingProxyType, UserDict, list])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_each_step_of_a_chain_returns_a_dict(place, wrap, deep, tmp_path):
    async def check(store):
        store.register_event_class(NAME, chained(place, wrap))
        await store.append([older(NAME, 1, {"old": 0} | deep)])
        with pytest.raises(UpcastError, match=f"step from version {place} returned .* not a dict"):
            await gathered(store.read())

    run("sync", "memory", tmp_path, check)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_each_step_of_a_chain_may_return_a_kind_of_dict(place, tmp_path):
    async def check(store):
        store.register_event_class(NAME, chained(place, OrderedDict))
        await store.append([older(NAME, 1, {"old": 0})])
        assert [(e.number, e.old) for e in await gathered(store.read())] == [(3, 0)]

    run("sync", "memory", tmp_path, check)


@pytest.mark.parametrize("place", ["first", "middle", "last", "parts", "part"])
def test_a_step_that_waits_is_called_once_and_its_coroutine_closed(place, tmp_path):
    """Python would warn of one that nobody awaits, wherever that is collected."""
    calls: Counter[str] = Counter()

    def step(at: str, then: Any) -> Any:
        async def later(data):
            return data

        def call(data):
            calls[at] += 1
            made = data | {"number": 1}
            if place == "part" and at == "parts":
                return (later(data),)
            return later(data) if at == place else then(made)

        return call

    def same(data):
        return data

    body = {"__module__": __name__, "__annotations__": {"number": int}}
    body |= {
        f"step_{number}": upcast(number)(staticmethod(step(at, same)))
        for number, at in enumerate(("first", "middle", "last"), 1)
    }
    into = upcast(4, into=Healthy)(staticmethod(step("parts", lambda data: ({},))))
    options = {"name": NAME, "version": 4}
    if place.startswith("part"):
        cls = type("Slow", (Event,), {**body, "into": into}, retired=True, **options)
    else:
        cls = type("Slow", (Event,), body, **options)

    async def check(store):
        store.register_event_class(NAME, cls)
        await store.append([older(NAME, 1, {"number": 0})])
        with pytest.raises(UpcastError, match="a step is a plain function, which must not wait"):
            await gathered(store.read())

    run("sync", "memory", tmp_path, check)
    gc.collect()  # warnings are errors
    assert set(calls.values()) == {1}


@pytest.mark.parametrize("payload", [b"[1]", b"null", b"7"])
def test_what_is_stored_must_be_an_object(payload, tmp_path):
    async def check(store):
        store.register_event_class(NAME, faulty(lambda data: {"number": 1}))
        await store.append([older(NAME, 1, payload)])
        with pytest.raises(UpcastError, match="it is not an object"):
            await gathered(store.read())

    run("sync", "memory", tmp_path, check)


@pytest.mark.parametrize("copy", [dict, deepcopy, lambda d: d.copy(), lambda d: {**d}, lambda d: d])
def test_a_step_may_copy_what_it_is_given_and_may_return_it(copy, tmp_path):
    def step(data):
        return copy(data) | {"number": len(deepcopy(data)["deep"]["list"] + [1])}

    async def check(store):
        store.register_event_class(NAME, faulty(step, old=int, deep=dict))
        await store.append([older(NAME, 1, OLD)])
        (event,) = await gathered(store.read())
        assert (event.number, event.deep) == (2, OLD["deep"])

    run("sync", "memory", tmp_path, check)


def test_a_deep_copy_can_be_changed(tmp_path):
    def step(data):
        changed = deepcopy(data)
        changed["deep"]["list"][0]["a"] = 2
        changed["deep"]["list"].append({"a": 3})
        return {"number": sum(each["a"] for each in changed["deep"]["list"])}

    async def check(store):
        store.register_event_class(NAME, faulty(step))
        await store.append([older(NAME, 1, OLD)])
        assert [event.number for event in await gathered(store.read())] == [5]

    run("sync", "memory", tmp_path, check)


def test_a_chain_of_a_thousand_steps(tmp_path):
    def step(data):
        return data | {"number": data["number"] + 1}

    body: dict[str, Any] = {"__module__": __name__, "__annotations__": {"number": int}}
    body |= {f"step_{at}": upcast(at)(staticmethod(step)) for at in range(1, 1001)}
    cls = type("Long", (Event,), body, name="up.long", version=1001)

    async def check(store):
        store.register_event_class("up.long", cls)
        await store.append(
            [older("up.long", 1, {"number": 0}), older("up.long", 900, {"number": 0})]
        )
        assert [event.number for event in await gathered(store.read())] == [1000, 101]

    run("sync", "memory", tmp_path, check)


@each_store
def test_a_missing_step_is_refused_by_name(kind, api, tmp_path):
    class Late(Event, name="up.late", version=4):
        number: int

        @upcast(3)
        @staticmethod
        def same(data: dict[str, Any]) -> dict[str, Any]:
            return data

    async def check(store):
        store.register_event_class("up.late", Late)
        await store.append([older("up.late", 3, {"number": 1}), older("up.late", 2, {"number": 1})])
        reader = store.read()
        assert (await anext(reader)).number == 1
        with pytest.raises(UpcastError) as caught:
            await anext(reader)
        assert str(caught.value) == (
            "the up.late at position 2 is stored in version 2, and Late of version 4 has no step "
            "from that; write one with @upcast(2), or read with raw=True"
        )
        assert (caught.value.event_version, caught.value.position) == (2, 2)

    run(api, kind, tmp_path, check)


class Doc(ReadModel):
    number: int


@each_store
def test_a_read_model_stops_at_the_event_whose_step_fails(kind, api, tmp_path):
    cls = faulty(raises)

    class Docs(Projection[Doc], name="up.docs"):
        def on_faulty(self, event: cls, doc: Doc | None) -> Doc:
            return Doc(number=event.number)

    async def check(store):
        await store.append([older(NAME, 1, OLD)], stream=ORDER, expected=0)
        with pytest.raises(ProjectionError) as caught:
            await store.rebuild(Docs())
        assert isinstance(caught.value.__cause__, UpcastError)
        assert caught.value.__cause__.position == 1

    run(api, kind, tmp_path, check)
