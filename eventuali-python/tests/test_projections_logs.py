"""Projections of the two real event logs say what is worked out from the files without any."""

from __future__ import annotations

import asyncio
from functools import cache

import logs
import pytest
from log_measures import Measures
from log_views import (
    FREE,
    PURE,
    Cases,
    CaseView,
    Day,
    HandOver,
    HandOvers,
    Level,
    Open,
    Resource,
    Resources,
    Throughput,
    Waits,
    Workload,
    in_threads,
    without,
)
from logs import commits_of, read_log
from pots import end_of, everything, running
from stores import Blocking, each_backend, gathered
from stores import run as run_on

PATIENCE = 60
"""Nobody waits longer, in seconds; no test passes or fails by it."""
MODELS = {
    Throughput: [(Waits, "waits")],
    Workload: [(Day, "days"), (Level, "level")],
    HandOvers: [(HandOver, "hand_overs")],
    Resources: [(Resource, "resources")],
    Cases: [(CaseView, "cases")],
}
"""The models of each projection, and the measures that they must be equal to."""

each_log = pytest.mark.parametrize(
    ("name", "kind", "api"),
    [
        ("permits", "sqlite", "sync"),
        ("helpdesk", "postgres", "async"),
    ],
)


@cache
def measures_of(name: str) -> Measures:
    return Measures(logs.FOLDER, name)


def run(name, kind, api, folder, test):
    """Runs a test on a store that holds a log in the order of its file."""
    log = read_log(name)

    async def prepared(store):
        async with asyncio.timeout(2 * PATIENCE):
            for cases in commits_of(log, in_order=True):
                await store.save(*cases)
            await test(store, measures_of(name))

    run_on(api, kind, folder, prepared)


def made(store, cls):
    return in_threads(cls) if cls in FREE and isinstance(store, Blocking) else cls()


async def run_to_the_end(store, *projections):
    async with running(store, *projections) as found:
        await found.wait_for(await end_of(store), timeout=PATIENCE)
        return found.status()


async def wrong(store, measures, cls) -> list[str]:
    """Returns which documents of a projection differ from what is in the file."""
    return [
        measure
        for model, measure in MODELS[cls]
        if await everything(store, model) != getattr(measures, measure)
    ]


async def check(store, measures) -> None:
    for cls in MODELS:
        assert await wrong(store, measures, cls) == []
    assert set(await everything(store, Open)) == measures.open_cases


async def check_found(store, measures) -> None:
    """Asks for the longest cases, and for the hand-overs by the busiest giver."""
    took = sorted((case["took"], key.encode(), key) for key, case in measures.cases.items())
    least = took[-50][0]
    found = await store.find(CaseView, took__ge=least, limit=1000)
    assert [each.key for each in found] == [key for time, _, key in took if time >= least]
    giver = max(measures.hand_overs.values(), key=lambda each: each["count"])["giver"]
    by_giver = {key: each for key, each in measures.hand_overs.items() if each["giver"] == giver}
    found = await store.find(HandOver, giver=giver)
    assert {each.key: each.model_dump() for each in found} == by_giver


@each_log
def test_documents_are_what_the_file_says(name, kind, api, tmp_path):
    async def test(store, measures):
        for status in await run_to_the_end(store, *(made(store, cls) for cls in MODELS)):
            assert (status.handled, status.error) == (measures.events, None)
        await check(store, measures)
        await check_found(store, measures)

    run(name, kind, api, tmp_path, test)


@each_backend
def test_stopped_in_the_middle_then_run_again_then_rebuilt(kind, tmp_path):
    async def test(store, measures):
        end = await end_of(store)
        stopped = {}
        for cls in MODELS:
            async with running(store, made(store, cls), waits=False) as found:
                await found.wait_for(1, timeout=PATIENCE)  # the first page, which stands by itself
            (status,) = found.status()
            assert (status.state, status.error) == ("stopped", None)
            assert 0 < status.position < end
            assert await wrong(store, measures, cls)
            stopped[cls.__name__] = status.handled
        for status in await run_to_the_end(store, *(made(store, cls) for cls in MODELS)):
            assert status.handled == measures.events - stopped[status.name]
        await check(store, measures)
        for cls in MODELS:
            status = await store.rebuild(made(store, cls))
            assert (status.handled, status.error) == (measures.events, None)
        await check(store, measures)

    run("permits", kind, "async", tmp_path, test)


def test_the_pure_form_without_a_store_gives_the_same(tmp_path):
    async def test(store, measures):
        events = await gathered(store.read())
        for cls in PURE:
            ((_, measure),) = MODELS[cls]
            found = {key: doc.model_dump() for key, doc in cls().fold(events).items()}
            assert found == getattr(measures, measure)

    run("permits", "memory", "async", tmp_path, test)


def test_of_a_projection_that_loses_one_event_the_documents_are_wrong(tmp_path):
    """The control: the comparison sees a single event, whichever projection lost it."""

    async def test(store, measures):
        lost = losable(measures, measures.events // 2)
        projections = [without(cls, lost) for cls in MODELS]
        await run_to_the_end(store, *projections)
        for cls in MODELS:
            assert await wrong(store, measures, cls), cls.__name__

    run("permits", "memory", "async", tmp_path, test)


def losable(measures, start: int) -> int:
    """Returns the position of an event between two hand-overs, after so many others."""
    for lines in measures.of_case.values():
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            whose = [each.text["org_resource"] for each in (before, line, after)]
            if line.place >= start and whose[0] != whose[1] != whose[2]:
                return line.place + 1
    raise AssertionError("there is none")
