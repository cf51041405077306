"""Documents that are committed together with the events: `Projection(inline=True)`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from pots import (
    SAFETY,
    Pot,
    PotBroken,
    PotFilled,
    PotMade,
    Pots,
    PotSeen,
    Writer,
    caught_up,
    check_pots,
    end_of,
    everything,
    filled,
    make,
    pots_of,
    put,
    rows_of,
    running,
)
from pydantic import field_validator
from stores import each_api, each_shared, each_store, gathered, opened, url_of

from eventuali import (
    NO_STREAM,
    STREAM_EXISTS,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    Event,
    EventStore,
    Projection,
    Query,
    ReadModel,
    Retry,
    StreamEvents,
    sync,
)
from eventuali._engine import inline as engine
from eventuali.errors import (
    InvalidEventError,
    OptimisticConcurrencyError,
    ProjectionError,
    SerializationError,
)


class Now(Projection[Pot], inline=True):
    def on_made(self, event: PotMade, doc: None) -> Pot:
        return Pot(owner=event.owner)

    def on_filled(self, event: PotFilled, doc: Pot) -> Pot:
        if event.amount == 666:
            raise ValueError("this pot is cursed")
        doc.content += event.amount
        doc.events += 1
        return doc

    def on_broken(self, event: PotBroken, doc: Pot) -> None:
        return None


class Later(Now, name="Now", version=2):
    """The next version of the same."""


class Vessel(Aggregate, name="Pot"):
    def apply_made(self, event: PotMade) -> None: ...
    def apply_filled(self, event: PotFilled) -> None: ...
    def apply_broken(self, event: PotBroken) -> None: ...
    def apply_seen(self, event: PotSeen) -> None: ...


class Jar(Aggregate):
    def apply_made(self, event: PotMade) -> None: ...
    def apply_filled(self, event: PotFilled) -> None: ...


def run(api, kind, folder, test, *, inline=None, url=None):
    async def main():
        async with (
            asyncio.timeout(12 * SAFETY),
            opened(api, url or url_of(kind, folder), inline=inline or [Now()]) as store,
        ):
            await test(store)

    asyncio.run(main())


def vessel(name: str, *events: Event) -> Vessel:
    pot = Vessel(id=name)
    for event in events:
        pot.apply(event)
    return pot


@asynccontextmanager
async def plain(api, kind, folder):
    """Opens the same store without inline projections."""
    async with opened(api, url_of(kind, folder)) as store:
        yield store


# --- what was saved shows -------------------------------------------------------------------------


@each_store
def test_a_save_shows_at_once(api, kind, tmp_path):
    async def test(store):
        pot = vessel("a", PotMade(owner="Ada"), filled(3))
        await store.save(pot)
        assert (await store.get(Pot, "a")).model_dump() == {
            "owner": "Ada",
            "content": 3,
            "events": 2,
        }
        for amount in range(1, 5):
            pot.apply(filled(amount))
            await store.save(pot)
            assert (await store.get(Pot, "a")).events == amount + 2
        assert [each.key for each in await store.find(Pot, owner="Ada", content__ge=13)] == ["a"]
        assert await store.count(Pot, owner="Ada") == 1
        pot.apply(PotBroken())
        await store.save(pot)
        assert await store.get(Pot, "a") is None
        assert await store.count(Pot) == 0

    run(api, kind, tmp_path, test)


@each_store
def test_several_aggregates_in_one_save(api, kind, tmp_path):
    async def test(store):
        await store.save(
            *(vessel(f"p{n}", PotMade(owner="Ada"), *map(filled, range(n))) for n in range(40))
        )
        await check_pots(store)
        assert await store.count(Pot) == 40

    run(api, kind, tmp_path, test)


@each_store
def test_appended_events_show_whatever_version_is_expected(api, kind, tmp_path):
    async def test(store):
        stream = ("Pot", "a")
        await store.append([PotMade(owner="Ada")], stream=stream, expected=NO_STREAM)
        await store.append([filled(1)], stream=stream)
        await store.append([filled(2)], stream=stream, expected=STREAM_EXISTS)
        await store.append([PotSeen(), filled(3), PotSeen()], stream=stream, expected=3)
        await store.append([PotSeen()], stream=stream)
        await store.append([filled(4)], stream=stream)
        await check_pots(store)
        assert (await store.get(Pot, "a")).content == 10
        for expected in (NO_STREAM, 3):
            with pytest.raises(OptimisticConcurrencyError):
                await store.append([filled(5)], stream=stream, expected=expected)
        with pytest.raises(OptimisticConcurrencyError):
            await store.append([filled(5)], stream=("Pot", "b"), expected=STREAM_EXISTS)
        with pytest.raises(OptimisticConcurrencyError):
            await store.append([filled(5)], stream=("Pot", "b"), expected=7)
        await check_pots(store)
        assert await store.get(Pot, "b") is None

    run(api, kind, tmp_path, test)


@each_store
def test_documents_are_in_commits_of_several_kinds(api, kind, tmp_path):
    async def test(store):
        query = Query(event_types=[PotMade])
        one = vessel("a", PotMade(owner="Ada"))
        await store.save(one, condition=AppendCondition(query))
        mixed = [
            vessel("b", PotMade(owner="Bob")),
            StreamEvents(("Pot", "a"), [filled(2)], expected=1),
            StreamEvents(("Pot", "c"), [PotMade(owner="Cleo"), filled(3)], expected=NO_STREAM),
            PotSeen(),
        ]
        await store.decide(query, lambda _: mixed)
        await store.append([StreamEvents(("Pot", "b"), [filled(5)]), PotSeen()])
        await check_pots(store)

        def fill(work):
            work.add(vessel("d", PotMade(owner="Dora")))

        await store.transact(fill)
        late = vessel("e", PotMade(owner="Eve"))
        with pytest.raises(AppendConditionError):
            await store.save(late, condition=AppendCondition(query))
        await check_pots(store)
        assert [pot.content for pot in await store.find(Pot, owner="Ada")] == [2]
        assert await store.count(Pot) == 4

    run(api, kind, tmp_path, test)


@each_store
def test_a_decision_that_no_longer_holds_is_refused_before_its_documents_fail(api, kind, tmp_path):
    class Strict(Projection[Pot], inline=True):
        def on_made(self, event: PotMade, doc: Pot | None) -> Pot:
            if event.owner == "nobody":
                raise ValueError("nobody")
            return Pot(owner=event.owner)

    async def test(store):
        query = Query(event_types=[PotMade])
        await store.append([PotMade(owner="Ada")], stream=("Pot", "a"))
        bad = StreamEvents(("Pot", "b"), [PotMade(owner="nobody")])
        with pytest.raises(AppendConditionError):
            await store.append([bad], condition=AppendCondition(query))
        with pytest.raises(OptimisticConcurrencyError) as said:
            await store.append([bad, StreamEvents(("Pot", "a"), [PotSeen()], expected=0)])
        assert said.value.stream == ("Pot", "a")
        with pytest.raises(ProjectionError, match="nobody"):
            await store.append([bad, PotSeen(), StreamEvents(("Pot", "a"), [PotSeen()])])
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test, inline=[Strict()])


@each_store
def test_a_handler_knows_the_stream_of_its_event(api, kind, tmp_path):
    seen = []

    class Told(Projection[Pot], inline=True):
        def on_any(self, event: PotMade | PotFilled, doc: Pot | None) -> Pot:
            meta = event.meta
            seen.append((meta.aggregate_type, meta.aggregate_id, meta.aggregate_version))
            seen.append(meta.event_id)
            return doc or Pot(owner="nobody")

    async def test(store):
        await store.append([PotMade(owner="Ada"), PotSeen(), filled(1)], stream=("Pot", "a"))
        await store.append(
            [filled(2).model_copy(update={"user_id": "u"})], stream=("Pot", "a"), expected=3
        )
        pot = vessel("b", PotMade(owner="Bob"))
        await store.save(pot)
        stored = [each.meta for each in await gathered(store.read()) if type(each) is not PotSeen]
        assert seen[::2] == [
            (each.aggregate_type, each.aggregate_id, each.aggregate_version) for each in stored
        ]
        assert seen[1::2] == [each.event_id for each in stored]

    run(api, kind, tmp_path, test, inline=[Told()])


@each_store
def test_each_tenant_has_documents_of_its_own(api, kind, tmp_path):
    async def test(store):
        other = store.for_tenant("acme")
        await other.save(vessel("a", PotMade(owner="Ada")))
        assert await store.get(Pot, "a") is None
        assert (await other.get(Pot, "a")).owner == "Ada"
        await store.save(vessel("a", PotMade(owner="Bob")))
        assert (await other.get(Pot, "a")).owner == "Ada"
        assert (await store.get(Pot, "a")).owner == "Bob"

    run(api, kind, tmp_path, test)


@each_store
def test_a_decision_shows_at_once(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 3)
        with pytest.raises(ProjectionError, match="belongs to no aggregate"):
            await store.decide(Query(event_types=[PotMade]), lambda _: [filled(4)])
        await store.decide(Query(event_types=[PotMade]), lambda _: [PotSeen()])
        assert await end_of(store) == 3

    run(api, kind, tmp_path, test)


# --- documents that are behind --------------------------------------------------------------------


@each_shared
@each_api
def test_what_others_wrote_is_made_up_for(kind, api, tmp_path):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            await make(other, "a", "Ada", 1, 2)
            await make(other, "b", "Bob")
            await make(other, "c", "Cyd")
            assert await store.get(Pot, "a") is None
            await put(store, "a", filled(4))
            assert (await store.get(Pot, "a")).content == 7
            pot = await store.load(Vessel, "b")
            await put(other, "a", filled(8), PotSeen())
            pot.apply(filled(1))
            await store.save(pot)
            await put(store, "a", PotSeen())  # nothing that concerns it
            assert (await store.get(Pot, "a")).content == 7
            await put(store, "a", filled(16))
            await put(other, "c", PotBroken())
            await put(store, "c", PotMade(owner="Dan"))
            assert (await store.get(Pot, "c")).owner == "Dan"
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_broken_can_be_made_again(api, kind, tmp_path):
    async def test(store):
        for owner in ("Ada", "Bob", "Cyd"):
            await put(store, "a", PotMade(owner=owner), filled(1))
            assert (await store.get(Pot, "a")).owner == owner
            await put(store, "a", PotBroken())
            assert await store.get(Pot, "a") is None
        await put(store, "a", PotMade(owner="Dan"))
        await check_pots(store)
        await caught_up(store, Now())
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_a_runner_brings_everything_up_to_date(kind, api, tmp_path):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            await _write(other, Writer("runner"), 400)
        (status,) = await caught_up(store, Now())
        assert (status.name, status.rebuilding) == ("Now", False)
        await check_pots(store)
        assert await rows_of(store, "Now", ["Pot"], _keys()) == {1: 1 + await store.count(Pot)}

    run(api, kind, tmp_path, test)


@each_shared
@each_api
@pytest.mark.parametrize("broken", [False, True])
def test_savers_and_a_runner_don_t_count_twice(kind, api, broken, tmp_path, monkeypatch):
    """Random savers with documents and without, beside a runner; the control counts twice."""
    if broken:
        known = engine.InlineFold.known

        def forgetful(self, number, streams):
            found = yield from known(self, number, streams)
            for state in found.values():
                state.version = min(state.version, 1)
            return found

        monkeypatch.setattr(engine.InlineFold, "known", forgetful)

    async def test(store):
        async with plain(api, kind, tmp_path) as other, running(store, Now()) as found:
            writer = Writer(f"{kind} {api} {broken}", streams=8)
            for _ in range(40):
                into = writer.chance.choice([store, store, other])
                await _write(into, writer, 10)
                await check_saved(store, writer) if into is store and not broken else None
            # Chance may break every pot that was counted twice: this one stays.
            await make(store, "last", "Ada")
            for into in (store, other, store):
                await put(into, "last", filled(1))
            await found.wait_for(await end_of(store), timeout=SAFETY)
            wanted = pots_of(await gathered(store.read()))
            assert (await everything(store, Pot) == wanted) is not broken

    run(api, kind, tmp_path, test)


async def check_saved(store, writer) -> None:
    """Whoever saved last reads what came of it."""
    key = f"p{writer.number}"
    found = await store.get(Pot, key)
    wanted = pots_of([e for e in await gathered(store.read()) if e.meta.aggregate_id == key])
    assert (found.model_dump() if found else None) == wanted.get(key)


async def _write(store, writer, count: int) -> None:
    """Writes events of streams one after the other; those of no stream are left out."""
    for _ in range(count):
        stream, event = writer.next()
        if stream is not None:
            await put(store, stream, event)


def _keys() -> list[str]:
    return [f"p{number}" for number in range(30)]


# --- many at once ---------------------------------------------------------------------------------


@each_store
def test_many_append_to_one_stream(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada")
        await asyncio.gather(*(put(store, "a", filled(1)) for _ in range(24)))
        found = await store.get(Pot, "a")
        assert (found.content, found.events) == (24, 25)

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_a_rebuild_beside_savers_loses_nothing(kind, api, tmp_path):
    async def test(store):
        writer = Writer("rebuild", streams=6)
        await _write(store, writer, 60)
        ended = asyncio.Event()

        async def save() -> None:
            while not ended.is_set():
                stream, event = writer.next()
                if stream is not None and type(event) is not PotSeen:
                    await put(store, stream, event)
                    await check_saved(store, writer)

        saving = asyncio.create_task(save())
        for _ in range(3):
            await store.rebuild(Now())
        ended.set()
        await saving
        await check_pots(store)
        count = await store.count(Pot)
        assert list((await rows_of(store, "Now", ["Pot"], _keys())).values()) == [1 + count]

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_older_code_saves_while_a_newer_version_is_at_work(kind, api, tmp_path):
    async def test(store):
        await make(store, "a", "Ada", 1)
        async with opened(api, url_of(kind, tmp_path), inline=[Later()]) as newer:
            await make(newer, "b", "Bob", 2)  # begins to build
            await put(store, "a", filled(4))
            await caught_up(newer, Later())
            await put(store, "a", filled(8))
            await make(store, "c", "Cyd", 3)
            await put(newer, "a", filled(16))
            assert (await newer.get(Pot, "a")).content == 29
            await caught_up(newer, Later())
            await check_pots(newer)
            with pytest.raises(ProjectionError, match="faulted"):
                async with running(store, Now(), waits=False) as found:
                    await found.caught_up(timeout=SAFETY)

    run(api, kind, tmp_path, test)


# --- what is refused ------------------------------------------------------------------------------


class Silent(Exception):
    """Says nothing but its name."""


@each_store
def test_an_error_without_a_text_is_told_by_its_name(api, kind, tmp_path):
    class Odd(Event, name="pots.odd"):
        number: int

        @field_validator("number", mode="plain")
        @classmethod
        def read(cls, given):
            if refuses:
                raise Silent
            return int(given)

    class Document(ReadModel):
        number: int

        @field_validator("number", mode="plain")
        @classmethod
        def read(cls, given):
            if refuses:
                raise Silent
            return int(given)

    class Documents(Projection[Document], inline=True):
        def on_odd(self, event: Odd, doc: Document | None) -> Document:
            if event.number == 7:
                raise Silent
            return Document(number=event.number)

    refuses = False

    async def test(store):
        nonlocal refuses
        store.register_event_class("pots.odd", Odd)
        await store.append([Odd(number=1)], stream=("Pot", "a"))
        with pytest.raises(ProjectionError, match=r"Silent\(\)"):
            await store.append([Odd(number=7)], stream=("Pot", "b"))
        refuses = True
        with pytest.raises(SerializationError, match=r"Silent\(\)"):
            await gathered(store.read())
        with pytest.raises(SerializationError, match=r"Silent\(\)"):
            await store.get(Document, "a")

    run(api, kind, tmp_path, test, inline=[Documents()])


@each_store
def test_a_handler_that_fails_refuses_the_save(api, kind, tmp_path):
    async def test(store):
        pot = vessel("a", PotMade(owner="Ada"), filled(666))
        with pytest.raises(ProjectionError, match=r"nothing was saved.*Now.*Pot 'a'.*cursed") as at:
            await store.save(pot)
        assert isinstance(at.value.__cause__, ValueError)
        assert await gathered(store.read()) == []
        assert await store.get(Pot, "a") is None
        with pytest.raises(ProjectionError):  # and can be tried again
            await store.save(pot)
        with pytest.raises(ProjectionError, match=r"takes a document"):
            await put(store, "b", filled(1))
        event = PotMade(owner="Ada")
        with pytest.raises(ProjectionError):
            await put(store, "a", event, filled(666))
        assert await end_of(store) == 0
        await put(store, "a", event)  # it is free again
        await check_pots(store)

    run(api, kind, tmp_path, test)


@each_store
def test_events_of_no_aggregate_are_refused(api, kind, tmp_path):
    async def test(store):
        with pytest.raises(ProjectionError, match="belongs to no aggregate"):
            await store.append([filled(1)])
        await store.append([PotSeen()])
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test)


@each_store
def test_two_types_of_one_id_are_refused(api, kind, tmp_path):
    async def test(store):
        await store.save(vessel("a", PotMade(owner="Ada")))
        jar = Jar(id="a")
        jar.apply(PotMade(owner="Bob"))
        with pytest.raises(ProjectionError, match=r"'a' of Now is made of a Pot.* a Jar"):
            await store.save(jar)
        other = Jar(id="b")
        other.apply(PotMade(owner="Bob"))
        with pytest.raises(ProjectionError, match="one type of aggregate"):
            await store.save(vessel("b", PotMade(owner="Ada")), other)
        assert len(await gathered(store.read())) == 1

    run(api, kind, tmp_path, test)


@each_store
def test_a_save_in_conflict_changes_no_document(api, kind, tmp_path):
    async def test(store):
        await store.save(vessel("a", PotMade(owner="Ada")))
        one, two = await store.load(Vessel, "a"), await store.load(Vessel, "a")
        one.apply(filled(1))
        two.apply(filled(2))
        await store.save(one)
        with pytest.raises(OptimisticConcurrencyError) as at:
            await store.save(two)
        assert at.value.stream == ("Pot", "a")
        assert (await store.get(Pot, "a")).content == 1

    run(api, kind, tmp_path, test)


@each_store
def test_the_same_events_again_count_once(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada")
        event = filled(5)
        committed = await store.append([event], stream=("Pot", "a"))
        await put(store, "a", filled(1))
        assert await store.append([event], stream=("Pot", "a")) == committed
        given = {"event_id": event.meta.event_id, "timestamp": event.meta.timestamp}
        twin = PotFilled(amount=5, **given)
        assert await store.append([twin], stream=("Pot", "a")) == committed
        assert (await store.get(Pot, "a")).content == 6

    run(api, kind, tmp_path, test)


def test_only_folds_of_one_aggregate_can_be_inline():
    with pytest.raises(TypeError, match="names a model"):

        class Free(Projection, inline=True):
            def on_made(self, event: PotMade, docs: object) -> None: ...

    with pytest.raises(TypeError, match="leaves out `key`"):

        class Keyed(Projection[Pot], inline=True):
            def key(self, event: Event) -> str:
                return "one"

            def on_made(self, event: PotMade, doc: Pot | None) -> Pot:
                return Pot(owner="x")


@each_api
def test_what_a_store_takes_as_inline(api):
    create = EventStore.create if api == "async" else sync.EventStore.create
    for wrong, error, words in [
        ([Pots()], TypeError, "inline=True"),
        ([Now], TypeError, r"write Now\(\)"),
        (Now(), TypeError, r"inline=\["),
        ([Now(), Later()], ValueError, "two projections have the name 'Now'"),
        ([Now().in_memory()], TypeError, "inline"),
    ]:
        with pytest.raises(error, match=words):
            create("memory://", inline=wrong)


@each_store
def test_a_model_of_another_projection_is_refused(api, kind, tmp_path):
    async def test(store):
        async with running(store, Pots()):
            pass
        with pytest.raises(ProjectionError, match='belongs to the projection "Pots"'):
            await store.save(vessel("a", PotMade(owner="Ada")))

    run(api, kind, tmp_path, test)


@each_store
def test_a_document_that_is_too_large_refuses_the_save(api, kind, tmp_path):
    class Wide(ReadModel, index=("words",)):
        words: str

    class Wides(Projection[Wide], inline=True):
        def on_made(self, event: PotMade, doc: None) -> Wide:
            return Wide(words=event.owner)

    async def test(store):
        with pytest.raises(ProjectionError, match="1,024"):
            await store.save(vessel("a", PotMade(owner="x" * 2000)))
        with pytest.raises((ProjectionError, InvalidEventError)):
            await store.save(vessel("a\n", PotMade(owner="x")))
        assert await end_of(store) == 0

    run(api, kind, tmp_path, test, inline=[Wides()])


# --- a runner meets a poisoned stream -------------------------------------------------------------


@each_shared
@each_api
def test_a_runner_says_where_it_failed(kind, api, tmp_path):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            await make(other, "a", "Ada", 1)
            await make(other, "b", "Bob", 666)
            await make(other, "c", "Cyd", 2)
        async with running(store, Now(), on_error=Retry(1, backoff=0.001)) as found:
            with pytest.raises(ProjectionError):
                await found.caught_up(timeout=SAFETY)
            (status,) = found.status()
            assert (status.state, str(status.error)) == ("faulted", "this pot is cursed")
            assert status.failed_at in (3, 4)  # the stream is folded as a whole
        await put(store, "c", filled(4))
        assert (await store.get(Pot, "c")).content == 6

    run(api, kind, tmp_path, test)
