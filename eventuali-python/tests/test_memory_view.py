"""Documents that only this process has: what is read of them, and what is never seen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from pots import (
    SAFETY,
    Gate,
    Pot,
    PotBroken,
    PotMade,
    Pots,
    Poured,
    Writer,
    caught_up,
    end_of,
    filled,
    finish,
    make,
    pots_of,
    pour,
    put,
    running,
    until_status,
)
from pydantic import Field, PrivateAttr
from stores import each_store, gathered, opened
from stores import run as run_on

from eventuali import Projection, ReadModel, Retry
from eventuali.errors import ProjectionError


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(4 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


def shown(view) -> dict[str, dict]:
    return {key: document.model_dump() for key, document in view.items()}


class Jar(ReadModel):
    amounts: list[int] = Field(default_factory=list)
    labels: dict[str, list[str]] = Field(default_factory=dict)


class Jars(Projection[Jar]):
    """Documents with parts that handlers change where they are."""

    def __init__(self, *bad: int, gate: Gate | None = None) -> None:
        self.bad, self.gate = bad, gate
        self.calls: list[int] = []

    def key(self, event: Poured) -> str | None:
        return f"jar {event.amount % 7}"

    def on_poured(self, event: Poured, doc: Jar | None) -> Jar:
        self.calls.append(event.amount)
        doc = doc or Jar()
        doc.amounts.append(event.amount)
        doc.labels.setdefault("all", []).append(str(event.amount))
        if event.amount in self.bad:
            if self.gate is not None:
                finish(self.gate.passed())
            raise ZeroDivisionError(event.amount)
        return doc


def jars_of(amounts) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for amount in amounts:
        jar = found.setdefault(f"jar {amount % 7}", {"amounts": [], "labels": {"all": []}})
        jar["amounts"].append(amount)
        jar["labels"]["all"].append(str(amount))
    return found


@each_store
def test_a_view_shows_what_the_store_would(api, kind, tmp_path):
    async def test(store):
        await Writer((kind, api)).write(store, 2500)
        view = Pots().in_memory()
        (status,) = await caught_up(store, view)
        assert (status.name, status.state, status.rebuilding) == ("Pots", "live", False)
        assert (status.position, status.lag, status.error) == (await end_of(store), 0, None)
        wanted = pots_of(await gathered(store.read()))
        assert shown(view) == wanted
        assert await store.find(Pot) == [], "nothing is stored"

    run(api, kind, tmp_path, test)


@each_store
def test_a_view_is_a_mapping_of_copies(api, kind, tmp_path):
    async def test(store):
        view = Jars().in_memory()
        assert (len(view), list(view), dict(view), "jar 1" in view) == (0, [], {}, False)
        await pour(store, *range(20))
        await caught_up(store, view)
        assert isinstance(view, Mapping)
        assert len(view) == 7
        assert set(view) == set(view.keys()) == {f"jar {n}" for n in range(7)}
        assert "jar 1" in view
        assert "jar 9" not in view
        assert view.get("jar 9") is None
        with pytest.raises(KeyError, match="jar 9"):
            view["jar 9"]
        for read in (
            lambda: view["jar 1"],
            lambda: view.get("jar 1"),
            lambda: dict(view.items())["jar 1"],
            lambda: next(each for each in view.values() if each.key == "jar 1"),
        ):
            copy = read()
            assert (copy.key, copy.amounts) == ("jar 1", [1, 8, 15])
            copy.amounts.append(99)
            copy.labels["all"].append("99")
            copy.labels = {}
        assert shown(view) == jars_of(range(20))
        assert repr(view) == "<MemoryView of Jars, 7 documents, at position 20>"
        with pytest.raises(TypeError):
            view["jar 1"] = Jar()

    run(api, kind, tmp_path, test)


@each_store
def test_who_waits_reads_what_was_written_and_deleted(api, kind, tmp_path):
    async def test(store):
        view, seen = Pots().in_memory(), Jars().in_memory()
        async with running(store, view, seen) as found:
            for number in range(20):
                committed = await make(store, f"p{number}", "Ada", number)
                await found.wait_for(committed, timeout=SAFETY)
                assert view[f"p{number}"].content == number
                await found.wait_for(await put(store, f"p{number}", PotBroken()), Pots)
                assert f"p{number}" not in view
                assert len(view) == 0
            await make(store, "p1", "Bob")
            await found.wait_for(await pour(store, 3), timeout=SAFETY)
            assert view["p1"].owner == "Bob"
            assert shown(seen) == jars_of([3])

    run(api, kind, tmp_path, test)


@each_store
def test_an_empty_log_is_shown_at_once(api, kind, tmp_path):
    async def test(store):
        view = Pots().in_memory()
        async with running(store, view) as found:
            status = await until_status(found, "live")
            assert (status.position, status.handled) == (0, 0)
            await found.wait_for(0)
            assert not view

    run(api, kind, tmp_path, test)


@each_store
def test_what_a_failing_handler_has_changed_is_never_seen(api, kind, tmp_path):
    """Neither its document, nor those of events after it, and nothing of before is lost."""

    async def test(store):
        await pour(store, *range(1500))
        poison = await pour(store, 3000)
        await pour(store, *range(2000, 2050))
        view = Jars(3000).in_memory()
        async with running(store, view, on_error=Retry(2, backoff=0.001)) as found:
            status = await until_status(found, "faulted")
            with pytest.raises(ProjectionError):
                await found.wait_for(poison, timeout=SAFETY)
        assert (status.failed_at, status.handled) == (poison.position, 1500)
        assert isinstance(status.error, ZeroDivisionError)
        assert shown(view) == jars_of(range(1500))
        calls = view.projection.calls
        assert calls.count(3000) == 3
        assert calls.count(0) == 1, "it does not begin anew"
        view.projection.bad = ()
        await caught_up(store, view)
        assert shown(view) == jars_of([*range(1500), 3000, *range(2000, 2050)])

    run(api, kind, tmp_path, test)


@each_store
def test_a_reader_sees_a_page_all_at_once(api, kind, tmp_path):
    """Also while a handler is in the middle of a document."""
    if api == "async":
        pytest.skip("in an event loop, nobody reads while a handler works")
    gate = Gate()

    async def test(store):
        await pour(store, *range(50))
        view = Jars(3000, gate=gate).in_memory()
        async with running(store, view) as found:
            await found.wait_for(50, timeout=SAFETY)
            await pour(store, 1, 2, 3000)
            await gate.reached()
            assert shown(view) == jars_of(range(50))
            gate.open()
            await until_status(found, "faulted")
        assert shown(view) == jars_of([*range(50), 1, 2])

    run(api, kind, tmp_path, test)


@each_store
def test_threads_read_while_it_is_filled(api, kind, tmp_path):
    ended, wrong = threading.Event(), []

    def read(view):
        try:
            before = 0
            while not ended.is_set():
                for key, jar in [*view.items(), *((each.key, each) for each in view.values())]:
                    assert [str(n) for n in jar.amounts] == jar.labels["all"], key
                    assert all(f"jar {n % 7}" == key for n in jar.amounts)
                for key in view:
                    view.get(key)
                count = sum(len(jar.amounts) for jar in view.values())
                assert count >= before
                before = count
                len(view), repr(view)
        except BaseException as error:
            wrong.append(error)

    async def test(store):
        view = Jars().in_memory()
        readers = [threading.Thread(target=read, args=(view,)) for _ in range(2)]
        for each in readers:
            each.start()
        try:
            await pour(store, *range(300))
            async with running(store, view) as found:
                for first in range(300, 360, 3):
                    await pour(store, *range(first, first + 3))
                await found.wait_for(await end_of(store), timeout=SAFETY)
        finally:
            ended.set()
            for each in readers:
                each.join()
        assert not wrong, wrong
        assert shown(view) == jars_of(range(360))

    run(api, kind, tmp_path, test)


@each_store
def test_readers_while_documents_are_deleted(api, kind, tmp_path):
    ended, wrong = threading.Event(), []

    def read(view):
        try:
            while not ended.is_set():
                assert all(pot.owner == key for key, pot in view.items())
                assert {pot.key for pot in view.values()} <= {f"p{n}" for n in range(40)}
        except BaseException as error:
            wrong.append(error)

    async def test(store):
        view = Pots().in_memory()
        reader = threading.Thread(target=read, args=(view,))
        reader.start()
        try:
            async with running(store, view) as found:
                for turn in range(20):
                    name = f"p{turn % 9}"
                    await put(store, name, PotMade(owner=name), filled(1), PotBroken())
                    await put(store, name, PotMade(owner=name))
                    committed = await put(store, name, PotBroken())
                await found.wait_for(committed, timeout=SAFETY)
        finally:
            ended.set()
            reader.join()
        assert not wrong, wrong
        assert not view

    run(api, kind, tmp_path, test)


@each_store
def test_what_a_handler_keeps_is_not_what_is_shown(api, kind, tmp_path):
    kept: list[Jar] = []

    class Keeping(Jars, name="Keeping"):
        def on_poured(self, event: Poured, doc: Jar | None) -> Jar:
            if doc is not None:
                kept.append(doc)
                assert doc.key == f"jar {event.amount % 7}"
            return super().on_poured(event, doc)

    async def test(store):
        view = Keeping().in_memory()
        async with running(store, view) as found:
            await found.wait_for(await pour(store, 1))
            await found.wait_for(await pour(store, 8))
            before = shown(view)
            await found.wait_for(await pour(store, 15))
            assert shown(view) == jars_of([1, 8, 15])
            assert before == jars_of([1, 8])

    run(api, kind, tmp_path, test)
    assert kept


@each_store
def test_a_view_that_is_run_again_begins_with_nothing(api, kind, tmp_path):
    """Another store, such as that of the next test, may have another log."""

    async def test(store):
        view = Jars().in_memory()
        await pour(store, *range(30))
        await caught_up(store, view)
        await pour(store, 30)
        await caught_up(store, view)
        assert shown(view) == jars_of(range(31))
        async with opened(api, "memory://") as other:
            await pour(other, 3)
            await caught_up(other, view)
            assert shown(view) == jars_of([3])

    run(api, kind, tmp_path, test)


@each_store
def test_a_view_is_filled_by_one_block(api, kind, tmp_path):
    async def test(store):
        view = Jars().in_memory()
        async with running(store, view, waits=False) as first:
            await until_status(first, "live")
            async with running(store, view) as second:
                await until_status(second, "live")
                committed = await pour(store, 1)
                await second.wait_for(committed, timeout=SAFETY)
                status = await until_status(first, "faulted")
                assert "make a view for each" in str(status.error)
                assert shown(view) == jars_of([1])
        one, two = Jars().in_memory(), Jars().in_memory()
        async with running(store, one) as first, running(store, two) as second:
            committed = await pour(store, 2)
            for each in (first, second):
                await each.wait_for(committed, timeout=SAFETY)
        assert shown(one) == shown(two) == jars_of([1, 2])

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_refused(api, kind, tmp_path):
    class Free(Projection):
        def on_poured(self, event: Poured, docs: Any) -> None: ...

    class Wrong(Jars, name="Jars"):
        def key(self, event: Poured) -> str | None:
            return "" if event.amount == 3 else "fine"

    with pytest.raises(TypeError, match="free form"):
        Free().in_memory()

    async def test(store):
        view = Jars().in_memory()
        with pytest.raises(TypeError, match="run it again"):
            await store.rebuild(view)
        with pytest.raises(ValueError, match="two projections have the name"):
            async with running(store, view, Jars()):
                pass
        poison = await pour(store, 1, 2, 3)
        view = Wrong().in_memory()
        async with running(store, view) as found:
            status = await until_status(found, "faulted")
        assert status.failed_at == poison.position
        assert view["fine"].amounts == [1, 2]

    run(api, kind, tmp_path, test)


@each_store
def test_private_and_extra_values_are_copied(api, kind, tmp_path):
    class Open(ReadModel, extra="allow"):
        _notes: list[int] = PrivateAttr(default_factory=list)

    class Opens(Projection[Open]):
        def on_poured(self, event: Poured, doc: Open | None) -> Open:
            doc = doc or Open.model_validate({"more": []})
            doc._notes.append(event.amount)
            doc.__pydantic_extra__["more"].append(event.amount)
            return doc

        def key(self, event: Poured) -> str:
            return "all"

    async def test(store):
        view = Opens().in_memory()
        await pour(store, 1, 2)
        await caught_up(store, view)
        view["all"]._notes.clear()
        view["all"].__pydantic_extra__["more"].clear()
        assert (view["all"]._notes, view["all"].__pydantic_extra__) == ([1, 2], {"more": [1, 2]})

    run(api, kind, tmp_path, test)
