"""The past of an aggregate: any earlier state, and how each event changed it."""

from __future__ import annotations

import threading
import tracemalloc
from copy import deepcopy
from datetime import timedelta

import pytest
from ledger import Counted, Ledger, Other, counted
from logs import import_log, moment, read_log
from pydantic import ConfigDict, PrivateAttr, create_model
from stores import BACKENDS, each_api, each_store, gathered, run, url_of

from eventuali import Aggregate, Event, UnknownEvent, sync
from eventuali.errors import StoreClosedError, UnknownEventTypeError
from eventuali.history import Change, Step


class ItemAdded(Event):
    name: str
    marks: list[str] = []  # noqa: RUF012


class Emptied(Event):
    pass


class Viewed(Event):
    by: str


class Basket(Aggregate):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    ignores = (Viewed,)

    items: list[str] = []  # noqa: RUF012
    by_mark: dict[str, list[str]] = {}  # noqa: RUF012
    last: ItemAdded | None = None
    empty: bool = True
    ratio: float = float("nan")
    _seen: list[str] = PrivateAttr(default_factory=list)

    def apply_item_added(self, event: ItemAdded) -> None:
        self.items.append(event.name)
        self.last = event
        self.empty = False
        for mark in event.marks:
            self.by_mark.setdefault(mark, []).append(event.name)
        self._seen.append(event.name)

    def apply_emptied(self, event: Emptied) -> None:
        self.items.clear()
        self.empty = True


async def fill(store) -> None:
    basket = Basket(id="b-1")
    basket.apply(ItemAdded(name="lamp", marks=["red"]))
    basket.apply(ItemAdded(name="chair"))
    basket.apply(Viewed(by="ada"))
    basket.apply(Emptied())
    basket.apply(Emptied())
    await store.save(basket)


@each_store
def test_each_step_has_its_event_its_state_and_what_changed(kind, api, tmp_path):
    async def test(store):
        await fill(store)
        await store.append([ItemAdded(name="other")], stream=("Basket", "b-2"))
        steps = await gathered(store.history(Basket, "b-1"))
        assert [type(step.event) for step in steps] == [
            ItemAdded, ItemAdded, Viewed, Emptied, Emptied,
        ]  # fmt: skip
        assert [step.event.meta.aggregate_version for step in steps] == [1, 2, 3, 4, 5]
        for version, step in enumerate(steps, 1):
            assert isinstance(step, Step)
            assert type(step.state) is Basket
            loaded = await store.load_one(Basket, "b-1", at_version=version)
            assert repr(step.state) == repr(loaded)  # NaN is not equal to itself
            assert step.state._seen == loaded._seen
            assert not step.state.has_uncommitted_events()
        first, second = steps[0].event, steps[1].event
        assert [step.changes for step in steps] == [
            {
                "items": Change([], ["lamp"]),
                "by_mark": Change({}, {"red": ["lamp"]}),
                "last": Change(None, first),
                "empty": Change(True, False),
            },
            {"items": Change(["lamp"], ["lamp", "chair"]), "last": Change(first, second)},
            {},
            {"items": Change(["lamp", "chair"], []), "empty": Change(False, True)},
            {},
        ]
        assert steps[0].changes["empty"].after is False
        assert await gathered(store.history(Basket, "b-3")) == []
        assert await gathered(store.history(Other, "b-1")) == []

    run(api, kind, tmp_path, test)


@each_api
def test_steps_share_nothing_that_can_change(api, tmp_path):
    async def test(store):
        await fill(store)
        wanted = await gathered(store.history(Basket, "b-1"))
        steps = []
        async for step in store.history(Basket, "b-1"):
            steps.append(deepcopy_of(step))
            spoil(step)
        assert list(map(repr, steps)) == list(map(repr, wanted))

        kept = await gathered(store.history(Basket, "b-1"))
        for index, step in enumerate(kept):
            others = [repr(one) for place, one in enumerate(kept) if place != index]
            spoil(step)
            assert [repr(one) for place, one in enumerate(kept) if place != index] == others

    def deepcopy_of(step):
        return Step(deepcopy(step.event), deepcopy(step.state), deepcopy(dict(step.changes)))

    def spoil(step):
        if isinstance(step.event, ItemAdded):
            step.event.marks.append("spoilt")
        step.state.items.append("spoilt")
        step.state._seen.append("spoilt")
        for names in step.state.by_mark.values():
            names.append("spoilt")
        for change in step.changes.values():
            for value in change:
                if isinstance(value, list):
                    value.append("spoilt")
                elif isinstance(value, ItemAdded):
                    value.marks.append("spoilt")
        step.state.apply(ItemAdded(name="spoilt"))

    run(api, "memory", tmp_path, test)


@each_api
def test_a_state_goes_on_from_where_it_is_and_conflicts(api, tmp_path):
    """A state of the past is an aggregate like any other that was loaded too early."""

    async def test(store):
        await fill(store)
        steps = await gathered(store.history(Basket, "b-1"))
        last = steps[-1].state
        last.apply(ItemAdded(name="desk"))
        assert (await store.save(last)).versions == (6,)

    run(api, "memory", tmp_path, test)


@each_api
def test_events_that_are_ignored_need_no_class(api, tmp_path):
    name = f"elsewhere.by.{api}"  # a class that was made stays registered

    class Elsewhere(Event, name=name):
        n: int

    class Deaf(Aggregate):
        ignores = (name,)

    async def test(store):
        await store.append([Elsewhere(n=1)], stream=("Deaf", "a"))
        (step,) = await gathered(store.history(Deaf, "a"))
        assert isinstance(step.event, Elsewhere)

    async def later(store):
        settings = {"name": name}
        twin = create_model("Twin", __base__=Event, __cls_kwargs__=settings, n=(int, ...))
        assert twin.__event_type__ == name
        (step,) = await gathered(store.history(Deaf, "a"))
        assert isinstance(step.event, UnknownEvent)
        assert step.event.data == {"n": 1}
        assert (step.state.version, step.changes) == (1, {})
        await store.append([Counted(number=1)], stream=("Deaf", "b"))
        with pytest.raises(UnknownEventTypeError):
            await gathered(store.history(Deaf, "b"))

    run(api, "sqlite", tmp_path, test)
    run(api, "sqlite", tmp_path, later)


class Locked(Aggregate):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    total: int = 0
    lock: object = None

    def apply_counted(self, event: Counted) -> None:
        self.total += event.number
        self.lock = self.lock or threading.Lock()


class Odd:
    def __eq__(self, other):
        raise ValueError("neither")

    __hash__ = None


class Unequal(Aggregate):
    odd: object = None
    number: object = 0

    def apply_counted(self, event: Counted) -> None:
        self.odd = Odd()
        self.number = True if event.number else 0.0


def test_odd_values_do_not_stop_it():
    with sync.EventStore.create("memory://") as store:
        for number in (1, 2):
            store.append([Counted(number=number)], stream=("Locked", "a"))
            store.append([Counted(number=number - 1)], stream=("Unequal", "a"))
        states = [step.state.total for step in store.history(Locked, "a")]
        assert states == [1, 3]
        one, two = store.history(Unequal, "a")
        assert (one.changes.keys(), two.changes.keys()) == ({"odd", "number"},) * 2
        assert two.changes["number"].after is True


@pytest.mark.parametrize("wrong", [Aggregate, Event, "Basket", None, 1])
@each_api
def test_it_takes_the_class_of_an_aggregate(api, wrong, tmp_path):
    async def test(store):
        with pytest.raises(TypeError, match="history takes the class of an aggregate"):
            await gathered(store.history(wrong, "b-1"))
        with pytest.raises(TypeError):
            await gathered(store.history(Basket, 1))

    run(api, "memory", tmp_path, test)


def test_a_closed_store_tells_no_history():
    with sync.EventStore.create("memory://") as store:
        pass
    with pytest.raises(StoreClosedError):
        list(store.history(Basket, "b-1"))


def test_a_long_history_takes_no_more_memory_than_a_page(tmp_path):
    with sync.EventStore.create(url_of("sqlite", tmp_path), durability="relaxed") as store:
        for start in range(0, 20_000, 5_000):
            events = [Counted(number=n) for n in range(start, start + 5_000)]
            store.append(events, stream=("Other", "long"))
        tracemalloc.start()
        try:
            for step in store.history(Other, "long"):
                last = step.state
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (last.version, last.total) == (20_000, sum(range(20_000)))
        assert peak < 4 << 20, peak


# --- two real logs --------------------------------------------------------------------------------

SAMPLE = 60
"""Cases of a log that are looked at, the longest and those with equal times among them."""


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("name", ["permits", "helpdesk"])
def test_an_earlier_state_is_the_one_that_was_live(name, kind, tmp_path):
    log = read_log(name)
    live = live_states(log)
    with sync.EventStore.create(url_of(kind, tmp_path), durability="relaxed") as store:
        import_log(store, log)
        equal_times = shared_commits = 0
        for case in sample(live):
            states = live[case]
            events = store.load_events(case, log.case)
            happened = [event.meta.timestamp for event in events]
            recorded = [event.meta.recorded_at for event in events]
            steps = list(store.history(log.case, case))
            assert len(steps) == len(states)
            for version, state in enumerate(states, 1):
                assert store.load(log.case, case, at_version=version).happened == state
                step = steps[version - 1]
                assert (step.state.version, step.state.happened) == (version, state)
                for by, times in (("timestamp", happened), ("recorded_at", recorded)):
                    for time in (times[version - 1], times[version - 1] - timedelta.resolution):
                        count = until(times, time)
                        loaded = store.load(log.case, case, at_time=time, by=by)
                        assert loaded.version == count, (case, by, time)
                        assert loaded.happened == (states[count - 1] if count else [])
            equal_times += len(happened) - len(set(happened))
            shared_commits += len(recorded) - len(set(recorded))
        assert shared_commits > 0
        assert (equal_times > 0) == (name == "helpdesk")


def live_states(log) -> dict[str, list]:
    """Replays the file by hand: the state of each case after each of its lines."""
    live: dict[str, list] = {}
    for line in log.lines:
        states = live.setdefault(line["case"], [])
        last = states[-1] if states else []
        states.append([*last, (line["activity"], moment(line))])
    return live


def until(times, time) -> int:
    """Returns how long the longest beginning is that holds nothing later."""
    return next((index for index, one in enumerate(times) if one > time), len(times))


def sample(live) -> list[str]:
    longest = sorted(live, key=lambda case: (-len(live[case]), case))[: SAMPLE // 3]
    equal = [
        case for case, states in live.items() if len({at for _, at in states[-1]}) < len(states)
    ][: SAMPLE // 3]
    spread = sorted(live)[:: max(1, len(live) // (SAMPLE // 3))]
    return list(dict.fromkeys([*longest, *equal, *spread]))


@each_store
def test_a_time_before_the_first_event_is_an_aggregate_without_events(kind, api, tmp_path):
    async def test(store):
        await store.save(counted("a", 1, 2))
        recorded = (await store.load_events("a", Ledger))[0].meta.recorded_at
        early = await store.load(Ledger, "a", at_time=recorded - timedelta.resolution)
        assert (early.version, early.numbers) == (0, [])

    run(api, kind, tmp_path, test)
