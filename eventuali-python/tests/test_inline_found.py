"""What a second look at inline projections found: each test failed before."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from pots import (
    SAFETY,
    Pot,
    PotBroken,
    PotFilled,
    PotMade,
    PotSeen,
    caught_up,
    end_of,
    filled,
    make,
    running,
)
from pots import put as pour_into
from stores import administrator, each_api, each_shared, each_store, gathered, opened, url_of
from test_inline import Jar, Now, Vessel, plain, run, vessel

from eventuali import (
    NO_STREAM,
    AppendCondition,
    AppendConditionError,
    Event,
    EventStore,
    OutcomeUnknownError,
    Projection,
    Query,
    ReadModel,
    Retry,
    SerializationError,
    sync,
)
from eventuali._engine import inline as engine
from eventuali.errors import ProjectionError, StorageUnavailableError


class Listed(Event, name="found.listed"):
    lines: list[str]


class Added(Event, name="found.added"):
    line: str


class Lines(ReadModel):
    lines: list[str]


class AllLines(Projection[Lines], inline=True):
    """Hands a list of an event on, and changes it later."""

    def on_listed(self, event: Listed, doc: Lines | None) -> Lines:
        return Lines.model_construct(lines=event.lines)

    def on_added(self, event: Added, doc: Lines) -> Lines:
        doc.lines.append(event.line)
        return doc


# --- documents that were wrong for good -----------------------------------------------------------


@each_shared
@each_api
def test_what_is_deleted_beside_a_rebuild_stays_deleted(kind, api, tmp_path):
    count = 60

    async def test(store):
        for number in range(count):
            await make(store, f"p{number}", "Ada", 1)

        async def delete() -> None:
            for number in range(count):
                await pour_into(store, f"p{number}", PotBroken())

        deleting = asyncio.create_task(delete())
        while not deleting.done():
            await store.rebuild(Now())
        await deleting
        assert await store.count(Pot) == 0

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_a_new_document_is_not_made_of_a_stream_that_went_on(kind, api, tmp_path, monkeypatch):
    """Somebody deletes what the runner is about to make for the first time."""
    catch_up = engine.InlineFold.catch_up
    deleting: list[object] = []

    def late(self, state, stream, *until):
        yield from catch_up(self, state, stream, *until)
        if deleting:
            url = deleting.pop()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(delete, url).result()

    def delete(url) -> None:
        with sync.EventStore.create(url, inline=[Now()]) as other:
            other.append([PotBroken()], stream=("Pot", "a"))

    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            await make(other, "a", "Ada", 1)
        deleting.append(url_of(kind, tmp_path))
        await store.rebuild(Now())
        assert not deleting
        assert await store.get(Pot, "a") is None
        await caught_up(store, Now())
        assert await store.get(Pot, "a") is None

    monkeypatch.setattr(engine.InlineFold, "catch_up", late)
    run(api, kind, tmp_path, test)


@each_store
def test_the_same_version_is_inline_or_is_not(api, kind, tmp_path):
    class Once(Projection[Pot], name="Now"):
        def on_made(self, event: PotMade, doc: Pot | None) -> Pot:
            return Pot(owner=event.owner)

    async def test(store):
        await make(store, "a", "Ada")
        async with running(store, Once(), waits=False) as found:
            with pytest.raises(ProjectionError) as at:
                await found.caught_up(timeout=SAFETY)
            assert "version 1 of the projection" in str(at.value.__cause__)
            assert "raise its version" in str(at.value.__cause__)
        assert (await store.get(Pot, "a")).owner == "Ada"

    run(api, kind, tmp_path, test)

    async def other_way(store):
        await make(store, "a", "Ada")
        await caught_up(store, Once())
        async with opened(api, url_of(kind, folder), inline=[Now()]) as inline:
            with pytest.raises(ProjectionError, match="is kept in documents, and here in inline"):
                await make(inline, "b", "Bob")

    if kind in ("sqlite", "postgres"):
        folder = tmp_path / "other"
        folder.mkdir()

        async def main() -> None:
            async with opened(api, url_of(kind, folder)) as store:
                await other_way(store)

        asyncio.run(main())


@each_store
def test_a_handler_that_changes_its_event_changes_nothing_else(api, kind, tmp_path):
    async def test(store):
        event = Listed(lines=["one"])
        await store.append([event], stream=("List", "a"))
        await store.append([Added(line="two")], stream=("List", "a"))
        both = [Listed(lines=["x"]), Added(line="y")]
        await store.append(both, stream=("List", "b"))
        assert (await store.get(Lines, "a")).lines == ["one", "two"]
        assert (await store.get(Lines, "b")).lines == ["x", "y"]
        assert event.lines == ["one"]
        assert both[0].lines == ["x"]

    run(api, kind, tmp_path, test, inline=[AllLines()])


class Whose(ReadModel):
    stream: str
    version: int
    user: str | None


class Placed(Projection[Whose], inline=True):
    def on_filled(self, event: PotFilled, doc: Whose | None) -> Whose:
        meta = event.meta
        return Whose(
            stream=f"{meta.aggregate_type} {meta.aggregate_id}",
            version=meta.aggregate_version or 0,
            user=meta.user_id,
        )


@each_shared
@each_api
def test_a_stored_event_that_is_appended_again_has_its_new_place(kind, api, tmp_path):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            event = PotFilled(amount=1, user_id="u")
            await other.append([PotSeen(), event], stream=("Pot", "from"))
        stored = [each for each in await gathered(store.read()) if type(each) is PotFilled]
        copies = [each.model_copy(update={"user_id": "u"}) for each in stored]
        await store.append(copies, stream=("Pot", "to"))
        found = await store.get(Whose, "to")
        assert (found.stream, found.version, found.user) == ("Pot to", 1, "u")
        await store.rebuild(Placed())
        assert (await store.get(Whose, "to")).model_dump() == found.model_dump()

    run(api, kind, tmp_path, test, inline=[Placed()])


@each_store
def test_a_class_that_is_defined_later_is_handled_by_its_base(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada")

        class Overfilled(PotFilled):
            pass

        await pour_into(store, "a", Overfilled(amount=100), filled(1))
        assert (await store.get(Pot, "a")).content == 101

    run(api, kind, tmp_path, test)


@each_shared
@each_api
def test_older_code_that_rebuilds_writes_to_what_it_rebuilds(kind, api, tmp_path):
    class Newer(Now, name="Now", version=2):
        pass

    async def test(store):
        async with opened(api, url_of(kind, tmp_path), inline=[Newer()]) as newer:
            await make(newer, "a", "Ada", 1)
            await caught_up(newer, Newer())
        await pour_into(store, "a", filled(2))  # seen by the newer version's runner only
        await store.rebuild(Now())
        await pour_into(store, "a", filled(4))
        assert (await store.get(Pot, "a")).content == 7

    run(api, kind, tmp_path, test)


# --- errors that were wrong -----------------------------------------------------------------------


@each_store
def test_an_append_condition_that_fails_says_so(api, kind, tmp_path):
    async def test(store):
        await make(store, "a", "Ada")
        condition = AppendCondition(Query(event_types=[PotMade]))
        for expected in ({}, {"expected": 1}):
            with pytest.raises(AppendConditionError) as at:
                await store.append(
                    [filled(1)], stream=("Pot", "a"), condition=condition, **expected
                )
            assert at.value.position == 1
        assert (await store.get(Pot, "a")).content == 0

    run(api, kind, tmp_path, test)


@each_store
def test_what_is_stored_is_answered_though_it_can_t_be_folded_again(api, kind, tmp_path):
    async def test(store):
        made, broken = PotMade(owner="Ada"), PotBroken()
        first = await store.append([made], stream=("Pot", "a"))
        last = await store.append([broken], stream=("Pot", "a"))
        assert await store.append([broken], stream=("Pot", "a")) == last
        assert await store.append([made], stream=("Pot", "a")) == first
        assert await store.append([made], stream=("Pot", "a"), expected=NO_STREAM) == first
        assert await store.count(Pot) == 0
        assert await end_of(store) == 2

    run(api, kind, tmp_path, test)


@each_store
def test_an_error_of_the_store_in_a_fold_stays_that(api, kind, tmp_path, monkeypatch):
    def lost(self, state, stream, *until):
        raise StorageUnavailableError("the connection is lost")
        yield

    async def test(store):
        pot = vessel("a", PotMade(owner="Ada"))
        await store.save(pot)
        pot.apply(PotSeen())
        await store.save(pot)
        pot.apply(filled(1))
        with monkeypatch.context() as patch:
            patch.setattr(engine.InlineFold, "catch_up", lost)
            with pytest.raises(StorageUnavailableError, match="the connection is lost"):
                await store.save(pot)
        await store.save(pot)
        assert (await store.get(Pot, "a")).content == 1

    run(api, kind, tmp_path, test)


@each_store
def test_an_error_before_it_is_sent_again_leaves_a_doubtful_save_open(
    api, kind, tmp_path, monkeypatch
):
    async def test(store):
        inner = getattr(store, "store", store)
        pot = vessel("a", PotMade(owner="Ada"))
        real = inner._inline._store

        class Cut:
            """Commits, and loses the answer."""

            def __getattr__(self, name):
                return getattr(real, name)

            def commit_with(self, *words, **options):
                pending = real.commit_with(*words, **options)
                if api == "sync":
                    pending.wait()
                raise OutcomeUnknownError("the answer is lost", event_ids=[])

        monkeypatch.setattr(inner._inline, "_store", Cut())
        with pytest.raises(OutcomeUnknownError):
            await store.save(pot)
        monkeypatch.undo()
        while not await end_of(store):
            await asyncio.sleep(0.01)

        def unreadable(self, number, streams):
            raise SerializationError("a document does not fit its class")
            yield

        with monkeypatch.context() as patch:
            patch.setattr(engine.InlineFold, "known", unreadable)
            with pytest.raises(SerializationError):
                await store.save(pot)
        pot.apply(filled(2))
        await store.save(pot)
        assert pot.version == 2
        assert (await store.get(Pot, "a")).content == 2
        assert await end_of(store) == 2

    run(api, kind, tmp_path, test)


@each_store
def test_a_save_that_is_cancelled_before_it_is_sent_can_be_changed(
    api, kind, tmp_path, monkeypatch
):
    if api == "sync":
        pytest.skip("a thread can't be cancelled")

    async def test(store):
        reached, known = asyncio.Event(), engine.InlineFold.known

        def slow(self, number, streams):
            reached.set()
            while True:
                yield from known(self, number, streams)

        pot = vessel("a", PotMade(owner="Ada"))
        with monkeypatch.context() as patch:
            patch.setattr(engine.InlineFold, "known", slow)
            saving = asyncio.create_task(store.save(pot))
            await reached.wait()
            saving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await saving
        pot.apply(filled(1))
        await store.save(pot)
        assert (await store.get(Pot, "a")).events == 2
        assert len({each.meta.recorded_at for each in await gathered(store.read())}) == 1

    run(api, kind, tmp_path, test)


@each_shared
def test_threads_share_a_store_while_it_is_rebuilt(kind, tmp_path):
    with sync.EventStore.create(url_of(kind, tmp_path), inline=[Now()]) as store:
        for number in range(4):
            store.append([PotMade(owner="Ada")], stream=("Pot", f"p{number}"))

        def save(number: int) -> None:
            for _ in range(40):
                store.append([filled(1)], stream=("Pot", f"p{number}"))

        with ThreadPoolExecutor(4) as pool:
            saving = [pool.submit(save, number) for number in range(4)]
            while not all(each.done() for each in saving):
                store.rebuild(Now())
            for each in saving:
                each.result()
        assert [each.content for each in store.find(Pot)] == [40] * 4


@each_shared
@each_api
def test_a_runner_gives_up_at_a_stream_that_it_can_t_fold(kind, api, tmp_path, monkeypatch):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            await make(other, "a", "Ada", 1)
            await caught_up(store, Now())
            await pour_into(other, "a", PotBroken())
            await caught_up(store, Now())
            await pour_into(other, "a", PotMade(owner="Bob"))
        broken = Now.__handlers__[PotBroken]
        monkeypatch.setattr(engine, "apply", _refusing(broken))
        async with running(store, Now(), on_error=Retry(2, backoff=0.001)) as found:
            with pytest.raises(ProjectionError):
                await found.caught_up(timeout=SAFETY)
            assert found.status()[0].failed_at == await end_of(store)

    run(api, kind, tmp_path, test)


def _refusing(refused):
    from eventuali.projection import apply

    def refusing(projection, handler, event, document):
        if handler is refused:
            raise ValueError("not any more")
        return apply(projection, handler, event, document)

    return refusing


@each_shared
@each_api
def test_an_id_that_is_free_again_may_be_of_another_type(kind, api, tmp_path):
    async def test(store):
        await store.save(vessel("a", PotMade(owner="Ada")))
        await store.save(vessel("b", PotMade(owner="Ada")))
        pot = await store.load_one(Vessel, "a")
        pot.apply(PotBroken())
        await store.save(pot)
        jar = Jar(id="a")
        jar.apply(PotMade(owner="Bob"))
        await store.save(jar)
        await store.rebuild(Now())
        assert (await store.get(Pot, "a")).owner == "Bob"
        async with plain(api, kind, tmp_path) as other:
            wrong = Jar(id="b")
            wrong.apply(PotMade(owner="Cyd"))
            await other.save(wrong)
        async with running(store, Now()) as found:
            with pytest.raises(ProjectionError) as at:
                await found.caught_up(timeout=SAFETY)
            assert "'b' of Now is made of a Pot, and there is a Jar" in str(at.value.__cause__)
            assert found.status()[0].failed_at == await end_of(store)

    run(api, kind, tmp_path, test)


@each_store
def test_more_documents_than_events_go_in_a_commit(api, kind, tmp_path):
    """Two projections have a document each of every event, and a rebuild doubles them."""

    class Twin(Pot):
        pass

    class Twins(Projection[Twin], inline=True):
        def on_made(self, event: PotMade, doc: Twin | None) -> Twin:
            return Twin(owner=event.owner)

    async def test(store):
        pots = [vessel(f"p{number}", PotMade(owner="Ada")) for number in range(6000)]
        await store.save(*pots)
        assert await store.count(Pot) == await store.count(Twin) == 6000

    run(api, kind, tmp_path, test, inline=[Now(), Twins()])


@each_api
def test_any_iterable_of_inline_projections_is_taken(api, tmp_path):
    async def main() -> None:
        async with opened(api, "memory://", inline=(each for each in [Now()])) as store:
            await make(store, "a", "Ada")
            assert await store.count(Pot) == 1

    asyncio.run(main())


@each_api
def test_two_projections_of_one_model_are_refused_at_once(api):
    class Again(Now, name="Again"):
        pass

    make_store = sync.EventStore.create if api == "sync" else EventStore.create
    with pytest.raises(ValueError, match="two projections have the model Pot"):
        make_store("memory://", inline=[Now(), Again()])
    with pytest.raises(TypeError, match="inline must be a bool"):

        class Yes(Projection[Pot], inline="yes"):
            def on_made(self, event: PotMade, doc: Pot | None) -> Pot:
                return Pot(owner="x")


@each_shared
@each_api
def test_the_first_rebuild_hides_nothing_that_is_saved(kind, api, tmp_path):
    async def test(store):
        async with plain(api, kind, tmp_path) as other:
            for number in range(50):
                await make(other, f"p{number}", "Ada", 1)
        building = asyncio.create_task(store.rebuild(Now()))
        for number in range(50):
            await pour_into(store, f"p{number}", filled(2))
            assert (await store.get(Pot, f"p{number}")).content == 3
        await building
        assert {each.content for each in await store.find(Pot, limit=100)} == {3}

    run(api, kind, tmp_path, test)


@each_api
def test_a_save_sees_its_stream_beyond_the_horizon(api, tmp_path):
    """PostgreSQL: somebody else's commit is under way below what the stream has by now."""
    schema = url_of("postgres", tmp_path).schema

    async def test(store):
        async with plain(api, "postgres", tmp_path) as other:
            await make(other, "a", "Ada", 1)
            with administrator() as held:
                held.execute("SELECT pg_advisory_lock(1313)")
                held.execute(
                    f"CREATE FUNCTION {schema}.held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "WHILE NOT pg_try_advisory_xact_lock_shared(1313) LOOP "
                    "PERFORM pg_sleep(0.01); END LOOP; RETURN NEW; END $$"
                )
                held.execute(
                    f"CREATE TRIGGER held BEFORE INSERT ON {schema}.events_log FOR EACH ROW "
                    f"WHEN (NEW.version = 1) EXECUTE FUNCTION {schema}.held()"
                )
                async with plain(api, "postgres", tmp_path) as slow:
                    waiting = asyncio.create_task(make(slow, "b", "Bob"))
                    while not (await other.horizon()).writers:
                        await asyncio.sleep(0.01)
                    await pour_into(other, "a", filled(2))
                    await pour_into(store, "a", filled(4))
                    assert (await store.get(Pot, "a")).content == 7
                    held.execute("SELECT pg_advisory_unlock(1313)")
                    await waiting

    run(api, "postgres", tmp_path, test)
