"""Reading: which events, in which order, as which classes; and loading an earlier state."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import pytest
from ledger import Counted, Ledger, Other, counted
from pydantic import create_model
from stores import each_api, each_kind, each_shared, each_store, gathered, opened, run, url_of
from support import output_of

import eventuali
from eventuali import (
    ALL,
    Aggregate,
    AggregateNotFoundError,
    Event,
    InvalidEventError,
    Query,
    StreamInfo,
    UnknownEvent,
    sync,
)
from eventuali.errors import TenantAccessError, UnknownEventTypeError


class Noted(Event, name="was.noted"):
    text: str


class Note(Aggregate, name="note"):
    texts: list[str] = []  # noqa: RUF012

    def apply_noted(self, event: Noted) -> None:
        self.texts.append(event.text)


CORRELATION = UUID(int=77)


async def fill(store) -> list[Event]:
    """Ten events in four streams and in none; returns them in their order."""
    events = [
        Counted(number=0, tags=["even", "zero"]),
        Counted(number=1, tags=["odd"], correlation_id="c-1"),
        Counted(number=2, tags=["even"]),
        Noted(text="three", tags=["odd"]),
        Counted(number=4, tags=["even", "square"], correlation_id=CORRELATION),
        Noted(text="five", correlation_id="c-1"),
        Counted(number=6, tags=["even"]),
        Counted(number=7),
        Noted(text="eight", tags=["even"]),
        Counted(number=9, tags=["square", "odd"], correlation_id=CORRELATION),
    ]
    streams = [
        ("Ledger", "a"), ("Ledger", "b"), ("Ledger", "a"), ("note", "a"), ("Other", "z"),
        ("note", "a"), None, ("Ledger", "a"), None, ("Other", "z"),
    ]  # fmt: skip
    for event, stream in zip(events, streams, strict=True):
        await store.append([event], stream=stream)
    return events


@each_store
def test_order_ranges_and_limits(kind, api, tmp_path):
    async def test(store):
        events = await fill(store)
        positions = [event.meta.position for event in events]
        assert positions == sorted(set(positions))

        async def read(*query, **options):
            return [e.meta.position for e in await gathered(store.read(*query, **options))]

        assert await gathered(store.read()) == events
        assert await read(ALL) == positions
        assert await read(backwards=True) == positions[::-1]
        assert await read(after=positions[3]) == positions[4:]
        assert await read(before=positions[3]) == positions[:3]
        assert await read(after=positions[2], before=positions[6]) == positions[3:6]
        both = {"after": positions[2], "before": positions[6], "backwards": True}
        assert await read(**both) == positions[3:6][::-1]
        assert await read(limit=4) == positions[:4]
        assert await read(limit=4, backwards=True) == positions[:5:-1]
        assert await read(limit=100) == positions
        assert await read(after=positions[-1]) == []
        assert await read(after=10**12) == []
        assert await read(before=1) == []
        assert await read(after=positions[5], before=positions[2]) == []
        assert await read(limit=2, after=positions[1], backwards=True) == positions[:7:-1]
        assert store.stats().last_position == positions[-1]

    run(api, kind, tmp_path, test)


@each_store
def test_queries(kind, api, tmp_path):
    async def test(store):
        events = await fill(store)

        async def check(query, *wanted: int):
            assert await gathered(store.read(query)) == [events[n] for n in wanted]
            backwards = await gathered(store.read(query, backwards=True))
            assert backwards == [events[n] for n in reversed(wanted)]
            assert await gathered(store.read(query, limit=1)) == [events[n] for n in wanted[:1]]

        await check(Query(), *range(10))
        await check(Query(aggregate_type="Ledger"), 0, 1, 2, 7)
        await check(Query(aggregate_type=Ledger), 0, 1, 2, 7)
        await check(Query(aggregate_type=Note), 3, 5)
        await check(Query(aggregate_id="a"), 0, 2, 3, 5, 7)
        await check(Query(aggregate_type="Ledger", aggregate_id="a"), 0, 2, 7)
        await check(Query(event_types=["was.noted"]), 3, 5, 8)
        await check(Query(event_types=[Noted]), 3, 5, 8)
        await check(Query(event_types=[Noted, "Counted"]), *range(10))
        await check(Query(event_types=["Nothing"]))
        await check(Query(tags=["even"]), 0, 2, 4, 6, 8)
        await check(Query(tags=["odd", "square"]), 9)
        await check(Query(tags=["ev"]))
        await check(Query(tags=["even"], event_types=[Noted]), 8)
        await check(Query(tags=["even"], aggregate_type="Ledger"), 0, 2)
        await check(Query(event_ids=[events[4].event_id, events[1].event_id]), 1, 4)
        await check(Query(event_ids=[UUID(int=1)]))
        await check(Query(correlation_id="c-1"), 1, 5)
        await check(Query(correlation_id=CORRELATION), 4, 9)
        await check(Query(correlation_id=str(CORRELATION)), 4, 9)
        await check(Query(tags=["odd"]) | Query(event_types=[Noted]), 1, 3, 5, 8, 9)
        await check(Query(tags=["even"]) | Query(tags=["square"]) | Query(aggregate_id="b"),
                    0, 1, 2, 4, 6, 8, 9)  # fmt: skip
        await check(Query(tags=["none"]) | Query(), *range(10))

    run(api, kind, tmp_path, test)


@each_store
def test_many_pages(kind, api, tmp_path):
    async def test(store):
        for start in range(0, 6_000, 2_000):
            events = [Counted(number=n, tags=[f"mod:{n % 7}"]) for n in range(start, start + 2_000)]
            await store.append(events, stream=("Ledger", "long"))
        assert [e.number for e in await gathered(store.read())] == list(range(6_000))
        backwards = await gathered(store.read(backwards=True))
        assert [e.number for e in backwards] == list(range(5_999, -1, -1))
        some = await gathered(store.read(Query(tags=["mod:3"])))
        assert [e.number for e in some] == [n for n in range(6_000) if n % 7 == 3]
        some = await gathered(store.read(Query(tags=["mod:3"]), limit=500, backwards=True))
        assert [e.number for e in some] == [n for n in range(6_000) if n % 7 == 3][:-501:-1]
        ledger = await store.load(Ledger, "long")
        assert (ledger.version, ledger.numbers) == (6_000, list(range(6_000)))
        assert len(await store.load_events("long")) == 6_000

    run(api, kind, tmp_path, test)


@each_kind
def test_a_read_that_is_not_finished_leaves_the_store_usable(kind, tmp_path):
    async def main():
        async with opened("async", url_of(kind, tmp_path)) as store:
            await store.append([Counted(number=n) for n in range(3_000)])
            for _ in range(20):
                reading = store.read()
                assert (await anext(reading)).number == 0
                await reading.aclose()
            await store.append([Counted(number=3_000)])

    asyncio.run(main())


# --- classes --------------------------------------------------------------------------------------

STRANGERS = """
import sys
from eventuali import Event, sync
class NobodyElseKnows(Event, name="nobody.knows"):
    n: int
class Familiar(Event):
    n: int
with sync.EventStore.create(sys.argv[1]) as store:
    store.append([Familiar(n=1)], stream=("Thing", "t"))
    store.append([NobodyElseKnows(n=2, headers={"h": "v"}, tags=["t"])], stream=("Thing", "t"))
    store.append([Familiar(n=3)], stream=("Thing", "t"))
"""


class Familiar(Event):
    n: int


@each_shared
@each_api
def test_an_unknown_type_raises_or_comes_raw(api, kind, tmp_path):
    url = url_of(kind, tmp_path)
    output_of(STRANGERS, url)

    async def main():
        async with opened(api, url) as store:
            with pytest.raises(UnknownEventTypeError) as caught:
                await gathered(store.read())
            assert caught.value.event_type == "nobody.knows"
            with pytest.raises(UnknownEventTypeError):
                await store.load_events("t")
            known = await gathered(store.read(Query(event_types=[Familiar])))
            assert [event.n for event in known] == [1, 3]

            first, unknown, last = await gathered(store.read(raw=True))
            assert (first.n, last.n) == (1, 3)
            assert type(unknown) is UnknownEvent
            assert unknown.data == {"n": 2}
            assert unknown.meta.event_type == "nobody.knows"
            assert unknown.meta.aggregate_version == 2
            assert dict(unknown.meta.headers) == {"h": "v"}
            assert unknown.meta.tags == ("t",)

            class Mine(Event, name="some.other.name"):
                n: int

            store.register_event_class("nobody.knows", Mine)
            events = await gathered(store.read())
            assert [event.n for event in events] == [1, 2, 3]
            assert type(events[1]) is Mine
            assert len(await store.load_events("t", from_version=2)) in (1, 2)

    asyncio.run(main())


@each_store
def test_a_store_is_told_which_of_two_classes_a_name_stands_for(kind, api, tmp_path):
    def make(module: str):
        return create_model("Claimed", __base__=Event, __module__=module, n=(int, ...))

    one, two = make("claims.one"), make("claims.two")

    async def test(store):
        store.register_event_class("Claimed", two)
        await store.append([one(n=1)], stream=("Thing", "t"))
        (event,) = await gathered(store.read())
        assert type(event) is two

        def apply_claimed(self, event) -> None:
            self.n = event.n

        apply_claimed.__annotations__ = {"event": one}
        Typed = type("Thing", (Aggregate,), {
            "__module__": __name__, "__annotations__": {"n": int}, "n": 0,
            "apply_claimed": apply_claimed,
        })  # fmt: skip
        assert (await store.load(Typed, "t")).n == 1

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("stores", [eventuali.EventStore, sync.EventStore])
@each_shared
def test_the_class_of_stores_is_told_for_all_of_them(stores, kind, tmp_path):
    output_of(STRANGERS, url_of(kind, tmp_path))

    class Mine(Event, name="mine.of.all"):
        n: int

    class Own(Mine, name="mine.of.one"):
        pass

    with pytest.raises(TypeError, match="is not a class of events"):
        stores.register_event_class("nobody.knows", int)
    stores.register_event_class("nobody.knows", Mine)
    try:
        assert stores.get_registered_event_classes() == {"nobody.knows": Mine}
        with sync.EventStore.create(url_of(kind, tmp_path)) as store:
            assert [type(each) for each in store.read()] == [Familiar, Mine, Familiar]
            store.register_event_class("nobody.knows", Own)
            assert store.get_registered_event_classes() == {"nobody.knows": Own}
            assert type(list(store.read())[1]) is Own
            store.unregister_event_class("nobody.knows")
            assert type(list(store.read())[1]) is Mine
    finally:
        stores.unregister_event_class("nobody.knows")
    stores.unregister_event_class("nobody.knows")
    assert stores.get_registered_event_classes() == {}


@each_kind
def test_a_class_made_again_replaces_itself(kind, tmp_path):
    """As when a notebook's cell runs again, or a module is reloaded."""

    def make(**fields):
        return create_model("Reloaded", __base__=Event, __module__="a.notebook", **fields)

    first = make(n=(int, ...))
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([first(n=1)])
        again = make(n=(int, ...), m=(int, 5))
        (event,) = store.read()
        assert type(event) is again
        assert (event.n, event.m) == (1, 5)


# --- aggregates -----------------------------------------------------------------------------------


@each_store
def test_loading_an_earlier_state(kind, api, tmp_path):
    async def test(store):
        ledger = Ledger(id="a")
        moments = []
        long_ago = datetime(2001, 1, 1, tzinfo=UTC)
        for n in range(5):
            ledger.apply(Counted(number=n, timestamp=long_ago + timedelta(days=n)))
            moments.append((await store.save(ledger)).recorded_at)
            await asyncio.sleep(0.002)
        for version in range(1, 6):
            loaded = await store.load(Ledger, "a", at_version=version)
            assert (loaded.version, loaded.numbers) == (version, list(range(version)))
            moment = moments[version - 1]
            loaded = await store.load(Ledger, "a", at_time=moment)
            assert (loaded.version, loaded.numbers) == (version, list(range(version)))
            day = long_ago + timedelta(days=version - 1)
            loaded = await store.load(Ledger, "a", at_time=day, by="timestamp")
            assert (loaded.version, loaded.numbers) == (version, list(range(version)))
        assert (await store.load(Ledger, "a", at_time=datetime.now(UTC))).version == 5
        before = moments[0] - timedelta(microseconds=1)
        early = await store.load(Ledger, "a", at_time=before)
        assert early is None or early.version == 0
        assert await store.load(Ledger, "b", at_version=1) is None
        loaded = await store.load_one(Ledger, "a", at_version=3)
        assert loaded.version == 3
        with pytest.raises(AggregateNotFoundError) as caught:
            await store.load_one(Ledger, "b")
        assert isinstance(caught.value, LookupError)
        assert (caught.value.aggregate_type, caught.value.aggregate_id) == ("Ledger", "b")

    run(api, kind, tmp_path, test)


@each_store
def test_an_earlier_state_is_a_prefix_though_timestamps_are_not_sorted(kind, api, tmp_path):
    async def test(store):
        day = datetime(2001, 1, 1, tzinfo=UTC)
        days = [1, 5, 2, 6]
        for number, offset in enumerate(days):
            event = Counted(number=number, timestamp=day + timedelta(days=offset))
            await store.append([event], stream=("Ledger", "a"))
        at = day + timedelta(days=2)
        loaded = await store.load(Ledger, "a", at_time=at, by="timestamp")
        assert loaded.numbers == [0]

    run(api, kind, tmp_path, test)


@each_store
def test_an_id_that_two_types_share(kind, api, tmp_path):
    async def test(store):
        other = Other(id="same")
        other.apply(Counted(number=10))
        await store.save(counted("same", 1, 2), other, counted("own", 3))
        for call in (store.load_events("same"), store.get_aggregate_version("same")):
            with pytest.raises(ValueError, match="Ledger") as caught:
                await call
            assert "Other" in str(caught.value)
            assert isinstance(caught.value, InvalidEventError)
        for kind_of in ("Ledger", Ledger):
            assert [e.number for e in await store.load_events("same", kind_of)] == [1, 2]
            assert await store.get_aggregate_version("same", kind_of) == 2
        assert [e.number for e in await store.load_events("same", Other)] == [10]
        assert await store.get_aggregate_version("same", "Other") == 1
        assert [e.number for e in await store.load_events("own")] == [3]
        assert await store.get_aggregate_version("own") == 1
        assert await store.load_events("none") == []
        assert await store.load_events("same", "None") == []
        assert await store.get_aggregate_version("none") is None
        assert await store.get_aggregate_version("same", "None") is None
        by_type = await store.load_events_by_type(Ledger)
        assert [e.number for e in by_type] == [1, 2, 3]
        assert [e.number for e in await store.load_events_by_type("Other")] == [10]
        assert await store.load_events_by_type("None") == []

    run(api, kind, tmp_path, test)


@each_store
def test_load_events_from_a_version_on(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", 1, 2, 3, 4))
        for version, wanted in [(0, 4), (1, 4), (2, 3), (4, 1), (5, 0), (2**62, 0)]:
            events = await store.load_events("a", from_version=version)
            assert [event.number for event in events] == [1, 2, 3, 4][4 - wanted :], version

    run(api, kind, tmp_path, test)


@each_store
def test_streams_are_listed_by_type_and_id(kind, api, tmp_path):
    async def test(store):
        await fill(store)
        last = {(e.meta.aggregate_type, e.meta.aggregate_id): e.meta.position
                async for e in store.read()}  # fmt: skip
        listed = await gathered(store.streams())
        assert [(s.aggregate_type, s.aggregate_id, s.version) for s in listed] == [
            ("Ledger", "a", 3), ("Ledger", "b", 1), ("Other", "z", 2), ("note", "a", 2),
        ]  # fmt: skip
        for stream in listed:
            assert isinstance(stream, StreamInfo)
            assert stream.last_position == last[stream.aggregate_type, stream.aggregate_id]
        assert [s.aggregate_id for s in await gathered(store.streams(Ledger))] == ["a", "b"]
        assert [s.aggregate_id for s in await gathered(store.streams("note"))] == ["a"]
        assert await gathered(store.streams("None")) == []

    run(api, kind, tmp_path, test)


@each_store
def test_many_streams_are_listed_page_by_page(kind, api, tmp_path):
    async def test(store):
        ids = [f"s-{n}" for n in range(2_500)]
        for start in range(0, 2_500, 500):
            await store.save(*(counted(one, 1) for one in ids[start : start + 500]))
        assert [s.aggregate_id for s in await gathered(store.streams())] == sorted(ids)

    run(api, kind, tmp_path, test)


# --- tenants --------------------------------------------------------------------------------------


@each_store
def test_tenants_see_only_their_own(kind, api, tmp_path):
    async def test(store):
        blue, green = store.for_tenant("blue"), store.for_tenant("green")
        await store.save(counted("a", 0))
        await blue.save(counted("a", 1, 2))
        await green.append([Counted(number=3, tags=["t"])])
        for tenant, wanted in [(store, [0]), (blue, [1, 2]), (green, [3])]:
            assert [e.number for e in await gathered(tenant.read())] == wanted
        assert await blue.get_aggregate_version("a") == 2
        assert await green.get_aggregate_version("a") is None
        assert await green.load(Ledger, "a") is None
        assert [s.version for s in await gathered(blue.streams())] == [2]
        assert await gathered(green.streams()) == []
        assert await gathered(blue.read(Query(tags=["t"]))) == []
        assert (blue.stats().tenant, green.stats().tenant) == ("blue", "green")
        with pytest.raises(TenantAccessError):
            blue.for_tenant("green")
        await blue.close()
        assert [e.number for e in await gathered(store.read())] == [0]

    run(api, kind, tmp_path, test)


@each_shared
def test_a_store_opened_as_a_tenant_is_that_tenant(kind, tmp_path):
    url = url_of(kind, tmp_path)
    with sync.EventStore.create(url, tenant="blue") as store:
        store.save(counted("a", 1))
    with sync.EventStore.create(url) as store:
        assert list(store.read()) == []
        assert [e.number for e in store.for_tenant("blue").read()] == [1]


@each_kind
def test_recorded_at_never_falls(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        start = datetime.now(UTC) - timedelta(seconds=1)
        for n in range(50):
            store.append([Counted(number=n)])
            time.sleep(0.0005)
        moments = [event.meta.recorded_at for event in store.read()]
        assert moments == sorted(moments)
        assert start <= moments[0]
        assert moments[-1] <= datetime.now(UTC) + timedelta(seconds=1)


# --- texts of other types -------------------------------------------------------------------------


class Lying(str):
    """A text whose methods say something else."""

    __slots__ = ()

    def lie(self, *_):
        return "lie"

    __str__ = __repr__ = strip = lower = replace = lie
    __hash__ = str.__hash__

    def __eq__(self, other):
        return False

    def encode(self, *_):
        return b"lie"

    def startswith(self, *_):
        return True


class Word(StrEnum):
    WORD = "word"


@each_store
@pytest.mark.parametrize("word", [Word.WORD, Lying("word")], ids=["StrEnum", "lying"])
def test_a_text_of_a_subclass_is_its_text_wherever_one_is_given(word, kind, api, tmp_path):
    body = {"__module__": __name__, "__qualname__": "Said", "__annotations__": {"n": int}}
    said = type(Event)("Said", (Event,), body, name=word)

    class Speaker(Aggregate, name=word):
        heard: int = 0

        def apply_word(self, event: said) -> None:
            self.heard += 1

    async def test(whole):
        store = whole.for_tenant(word)
        references = {"correlation_id": word, "causation_id": word, "user_id": word}
        event = said(n=1, tags=[word], headers={word: word}, **references)
        await store.append([event], stream=(word, word))
        speaker = await store.load(Speaker, word)
        speaker.apply(said(n=2))
        await store.save(speaker)
        assert (await store.load(Speaker, "word")).heard == 2
        first, _ = await store.load_events(word, word)
        assert [await store.get_aggregate_version(word, kind) for kind in (word, None)] == [2, 2]
        assert [stream.aggregate_id async for stream in store.streams(word)] == ["word"]
        assert len([step async for step in store.history(Speaker, word)]) == 2
        query = Query(
            aggregate_type=word, aggregate_id=word, event_types=[word], tags=[word],
            correlation_id=word,
        )  # fmt: skip
        (found,) = await gathered(store.read(query))
        for each in (*texts(event.meta), *texts(first.meta), *texts(found.meta)):
            assert (type(each), each) == (str, "word")
        assert (type(speaker.id), type(Speaker(id=word).id)) == (str, str)

    run(api, kind, tmp_path, test)


def texts(meta):
    yield from (meta.aggregate_id, meta.aggregate_type, meta.event_type, meta.user_id)
    yield from (meta.correlation_id, meta.causation_id, *meta.tags, *meta.headers)
    yield from meta.headers.values()


# --- an answer that is found by spinning ----------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_reads_in_a_row_leave_others_their_turn(kind, tmp_path):
    """Spinning for an answer takes no turn of the loop; the loop goes round all the same."""

    async def turns(counter):
        while True:
            counter.append(None)
            await asyncio.sleep(0)

    async def check():
        url = "memory://" if kind == "memory" else tmp_path / "events.db"
        async with eventuali.EventStore.create(url) as store:
            await store.append([Counted(number=1)], stream=("Series", "s"))
            counter: list[None] = []
            other = asyncio.create_task(turns(counter))
            for _ in range(3000):
                assert len(await store.load_events("s", "Series")) == 1
            other.cancel()
            return len(counter)

    assert asyncio.run(check()) > 10


def test_a_task_that_reads_in_a_row_can_be_cancelled(tmp_path):
    async def check():
        async with eventuali.EventStore.create(tmp_path / "events.db") as store:

            async def for_ever():
                while True:
                    await store.load_events("s", "Series")

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await for_ever()

    asyncio.run(check())


def test_an_answer_that_spinning_does_not_find_is_still_to_be_taken(tmp_path):
    async def check():
        async with eventuali.EventStore.create(tmp_path / "events.db") as store:
            for _ in range(2):
                await store.append([Counted(number=n) for n in range(1000)])
            for _ in range(100):
                pending = store._store.read([], limit=1000)
                assert pending.soon
                found = pending.spin()
                page = await store._driver.answer(pending) if found is None else found[0]
                assert len(page) == 1000
            assert not store._store.commit([], []).soon, "it may take a flush"

    asyncio.run(check())
