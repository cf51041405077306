"""Streams by their id alone: `append_events`, `get_events` and `from_events`."""

import asyncio

import pytest
from stores import each_store, opened, url_of

from eventuali import Aggregate, Event, InvalidEventError, OptimisticConcurrencyError
from eventuali.event import UserEmailChanged, UserRegistered


class Rung(Event, name="append_events.rung"):
    number: int


class Bell(Aggregate, name="append_events.Bell"):
    rung: int = 0

    def apply_rung(self, event: Rung) -> None:
        self.rung += event.number


class Gong(Bell, name="append_events.Gong"):
    pass


def run(kind, api, tmp_path, test):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await test(store)

    asyncio.run(main())


@each_store
def test_a_user_is_made_of_the_events_of_an_id(kind, api, tmp_path):
    from eventuali import User

    async def test(store):
        events = [
            UserRegistered(name="Ada", email="ada@example.org"),
            UserEmailChanged(old_email="ada@example.org", new_email="ada@example.com"),
        ]
        committed = await store.append_events("user-123", events)
        assert committed.versions == (2,)
        assert await store.get_events("user-123") == events
        user = User.from_events(await store.get_events("user-123"))
        assert (user.id, user.name, user.email) == ("user-123", "Ada", "ada@example.com")
        more = UserEmailChanged(old_email="ada@example.com", new_email="ada@example.net")
        assert (await store.append_events("user-123", [more], expected=2)).versions == (3,)
        with pytest.raises(OptimisticConcurrencyError):
            await store.append_events("user-123", [more.model_copy()], expected=2)
        assert len(await store.get_events("user-123", from_version=3)) == 1

    run(kind, api, tmp_path, test)


@each_store
def test_the_stream_of_an_aggregate_goes_on(kind, api, tmp_path):
    async def test(store):
        bell = Bell(id="b")
        bell.apply(Rung(number=1))
        await store.save(bell)
        await store.append_events("b", [Rung(number=2)])
        assert (await store.load_one(Bell, "b")).rung == 3
        await store.append_events("new", [Rung(number=4)], Bell)
        assert (await store.load_one(Bell, "new")).rung == 4

    run(kind, api, tmp_path, test)


@each_store
def test_an_id_of_several_types_has_to_say_which(kind, api, tmp_path):
    async def test(store):
        for cls in (Bell, Gong):
            await store.append_events("b", [Rung(number=1)], cls)
        with pytest.raises(InvalidEventError, match=r"append_events\.Bell and append_events\.Gong"):
            await store.append_events("b", [Rung(number=2)])
        await store.append_events("b", [Rung(number=2)], Gong)
        assert (await store.load_one(Gong, "b")).rung == 3

    run(kind, api, tmp_path, test)


@each_store
def test_an_expectation_is_checked_without_events(kind, api, tmp_path):
    async def test(store):
        with pytest.raises(OptimisticConcurrencyError):
            await store.append_events("b", [], expected=1)
        assert await store.get_events("b") == []
        with pytest.raises(TypeError, match="several events"):
            await store.append_events("b", Rung(number=1))

    run(kind, api, tmp_path, test)
