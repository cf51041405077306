"""Event types that have got another name."""

from __future__ import annotations

import pytest
from older_events import ORDER, followed, older
from stores import each_store, gathered, run

from eventuali import (
    Aggregate,
    AppendCondition,
    Event,
    InvalidEventError,
    Projection,
    Query,
    ReadModel,
    upcast,
)
from eventuali.errors import AppendConditionError, UnknownEventTypeError


class Booked(Event, name="up.booked", version=2, formerly=("up.reserved", "up.held")):
    seats: int

    @upcast(1)
    @staticmethod
    def several(data: dict[str, object]) -> dict[str, object]:
        return {"seats": data.get("seats", 1)}


class Seat(Aggregate, name="Order"):
    seats: int = 0

    def apply_booked(self, event: Booked) -> None:
        self.seats += event.seats


class ByName(Aggregate, name="Order"):
    seats: int = 0

    def apply_booked(self, event) -> None:
        self.seats += event.seats


class Ignoring(Aggregate, name="Order"):
    ignores = (Booked,)


class Seats(ReadModel):
    seats: int


class Plan(Projection[Seats], name="up.plan"):
    def on_booked(self, event: Booked, doc: Seats | None) -> Seats:
        return Seats(seats=event.seats + (doc.seats if doc else 0))


GIVEN = [("up.reserved", 1, {}), ("up.held", 2, {"seats": 3}), ("up.booked", 1, {"seats": 4})]


async def fill(store) -> None:
    await store.append([older(*each) for each in GIVEN], stream=ORDER, expected=0)


@each_store
def test_events_are_found_and_read_under_every_name(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        query = Query(event_types=[Booked])
        found = await gathered(store.read(query))
        assert found == [Booked(seats=1), Booked(seats=3), Booked(seats=4)]
        assert [event.event_type for event in found] == [name for name, _, _ in GIVEN]
        assert await store.count(query) == 3
        assert await followed(store, 3, query) == found
        assert await gathered(store.read(Query(event_types=["up.held"]))) == found[1:2]
        with pytest.raises(AppendConditionError):
            await store.append([Booked(seats=1)], condition=AppendCondition(query, after=2))

    run(api, kind, tmp_path, check)


@each_store
def test_aggregates_and_projections_find_their_handlers(kind, api, tmp_path):
    async def check(store):
        await fill(store)
        for cls in (Seat, ByName):
            assert (await store.load_one(cls, "o-1")).seats == 8
            steps = await gathered(store.history(cls, "o-1"))
            assert [step.state.seats for step in steps] == [1, 4, 8]
        assert (await store.load_one(Ignoring, "o-1")).version == 3
        steps = await gathered(store.history(Ignoring, "o-1"))
        assert [type(step.event) for step in steps] == [Booked] * 3
        await store.rebuild(Plan())
        assert (await store.get(Seats, "o-1")).seats == 8

    run(api, kind, tmp_path, check)


@each_store
def test_a_name_that_two_classes_claim_is_no_name(kind, api, tmp_path):
    class One(Event, name="up.one", formerly="up.claimed"):
        pass

    class Other(Event, name="up.claimed"):
        pass

    async def check(store):
        await store.append([older("up.claimed", 1, {})])
        with pytest.raises(UnknownEventTypeError, match=r"up.claimed is claimed by .*One.*Other"):
            await gathered(store.read())
        store.register_event_class("up.claimed", One)
        assert await gathered(store.read()) == [One()]

    run(api, kind, tmp_path, check)


def test_one_aggregate_or_projection_can_not_handle_both():
    class One(Event, name="up.uno", formerly="up.both"):
        pass

    class Other(Event, name="up.both"):
        pass

    with pytest.raises(TypeError, match=r"both have the wire name 'up.both'"):

        class Thing(Aggregate):
            def apply_one(self, event: One) -> None: ...

            def apply_other(self, event: Other) -> None: ...

    with pytest.raises(TypeError, match=r"both have the wire name 'up.both'"):

        class Things(Projection):
            def on_one(self, event: One, docs: object) -> None: ...

            def on_other(self, event: Other, docs: object) -> None: ...


class Lent(Event, name="up.lent", formerly="up.given"):
    pass


class Given(Event, name="up.given"):
    pass


def test_a_class_does_not_save_under_a_name_that_was_another_ones(tmp_path):
    async def check(store):
        with pytest.raises(InvalidEventError, match=r"have the same wire name 'up.given'"):
            await store.append([Given()])
        await store.append([Lent()])

    run("sync", "memory", tmp_path, check)
