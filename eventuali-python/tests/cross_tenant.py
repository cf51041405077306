"""Two tenants that know each other's ids: what each has, and calls in which one guesses right.

Every call is made in two stores that are alike, but that in one of them the other tenant is called
and contains something else: what the caller hears must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID, uuid5

from eventuali import (
    NO_STREAM,
    Aggregate,
    AppendCondition,
    Event,
    Projection,
    Query,
    ReadModel,
    Retry,
    Tracking,
    sync,
)
from eventuali.command import Command, handles
from eventuali.group import Group

SAFETY = 60
"""Nobody waits longer, in seconds."""
NAMES = UUID("5e0b3c1c-7d3b-4d55-9a57-0f6ad7d1f1f7")


class CrossNoted(Event, name="cross.noted"):
    number: int
    text: str = ""


class CrossAdd(Command):
    jar_id: str
    number: int


class CrossJar(Aggregate, name="cross.jar", snapshot_every=2):
    total: int = 0

    def apply_cross_noted(self, event: CrossNoted) -> None:
        self.total += event.number

    @handles(CrossAdd, id="jar_id", creates=True)
    def add(self, command: CrossAdd) -> int:
        self.apply(CrossNoted(number=command.number))
        return self.total + command.number


class CrossNote(ReadModel, name="cross.note", index=("text",), text=("text",)):
    text: str
    number: int


class CrossNotes(Projection[CrossNote], name="cross.notes"):
    def key(self, event: Event) -> str | None:
        return event.meta.aggregate_id  # None passes events over that belong to no stream

    def on_noted(self, event: CrossNoted, doc: CrossNote | None) -> CrossNote:
        return CrossNote(text=event.text, number=event.number)


NOTED = Query(event_types=[CrossNoted])


def refuses(event: Event) -> None:
    """Handles no event at all."""
    raise ValueError("it is not handled")


def crew(name: str) -> Group[Any]:
    return Group(name, refuses, NOTED, partitions=1, on_error=Retry(0).then("park"))


@dataclass(frozen=True)
class Tenant:
    """A tenant, and the label of all that is its own; labels are of one length."""

    name: str
    label: str

    def named(self, what: object) -> str:
        return f"{self.label}-{what}"

    def id(self, number: int) -> UUID:
        return uuid5(NAMES, self.named(number))

    def event(self, number: int) -> CrossNoted:
        return CrossNoted(
            number=number,
            text=f"{self.label} words",
            event_id=self.id(number),
            tags=[self.named("tag")],
            user_id=self.named("user"),
            correlation_id=self.named("correlation"),
        )

    def settle(self, store: sync.EventStore, streams: int) -> None:
        """Writes one of everything that a tenant can have."""
        numbers = iter(range(1, 100))
        for stream in range(streams):
            for _ in range(4):
                self.write(store, next(numbers), stream)
            store.load(CrossJar, self.named(stream))
        store.append([self.event(next(numbers))], tracking=Tracking(self.named("log"), 7))
        with store.subscribe(name=self.named("sub")) as events:
            for _ in range(3):
                next(events)
        sync.CommandBus(store, CrossJar).send(
            CrossAdd(jar_id=self.named("command"), number=1), command_id=self.named("command")
        )
        with store.run(CrossNotes()) as running:
            running.caught_up(timeout=SAFETY)
        with store.join(crew(self.named("group"))) as member:
            member.caught_up(timeout=SAFETY)

    def write(self, store: sync.EventStore, number: int, stream: int) -> None:
        store.append([self.event(number)], stream=("cross.jar", self.named(stream)))


MINE = Tenant("acme", "mine00")
OTHER = Tenant("rival", "secret")
STRANGER = Tenant("alien", "blanks")
LATER = 1000
"""The first number of the events that the other tenant writes meanwhile."""

# --- the calls ------------------------------------------------------------------------------------


class Guess:
    """What a caller tries: mostly what is the other tenant's, at times its own, or nobody's."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.whose = random.choices([OTHER, MINE, Tenant("nobody", "absent")], [6, 2, 1])[0]

    def name(self, what: str) -> str:
        return self.whose.named(what)

    def stream(self) -> str:
        return self.name(str(self.random.randrange(4)))

    def id(self) -> UUID:
        return self.whose.id(self.random.randrange(1, 14))

    def new_event(self) -> Callable[[], CrossNoted]:
        """Returns what makes an event of its own, for each store the same one."""
        event_id = UUID(int=self.random.getrandbits(128), version=4)
        return lambda: CrossNoted(number=1, text="mine", event_id=event_id)

    def query(self) -> Query:
        return self.random.choice([
            lambda: Query(aggregate_type=CrossJar, aggregate_id=self.stream()),
            lambda: Query(aggregate_id=self.stream()),
            lambda: Query(aggregate_type=CrossJar),
            lambda: Query(tags=[self.name("tag")]),
            lambda: Query(event_ids=[self.id(), self.id()]),
            lambda: Query(user_id=self.name("user")),
            lambda: Query(correlation_id=self.name("correlation")),
            lambda: NOTED,
            lambda: Query(event_types=[CrossNoted], tags=[self.name("tag")]),
        ])()  # fmt: skip

    def position(self) -> int:
        return self.random.randrange(60)


Call = Callable[[sync.EventStore], Any]


def load(guess: Guess) -> Call:
    stream, version = guess.stream(), guess.random.choice([None, 1, 3])
    return lambda store: store.load(CrossJar, stream, at_version=version)


def load_one(guess: Guess) -> Call:
    stream = guess.stream()
    return lambda store: store.load_one(CrossJar, stream)


def load_many(guess: Guess) -> Call:
    streams = [guess.stream(), guess.stream(), MINE.named(0)]
    return lambda store: store.load_many(CrossJar, streams)


def history(guess: Guess) -> Call:
    stream = guess.stream()
    return lambda store: list(store.history(CrossJar, stream))


def save(guess: Guess) -> Call:
    stream, event, tracked = guess.stream(), guess.new_event(), guess.position()
    query, after = guess.query(), guess.position()
    name, kind = guess.name("log"), guess.random.randrange(3)

    def call(store: sync.EventStore) -> Any:
        jar = CrossJar(id=stream)
        jar.apply(event())
        return store.save(
            jar,
            condition=AppendCondition(query, after=after) if kind == 1 else None,
            tracking=Tracking(name, tracked) if kind == 2 else None,
        )

    return call


def append(guess: Guess) -> Call:
    stream, event = guess.stream(), guess.new_event()
    expected: Any = guess.random.choice([NO_STREAM, 4, 1])
    return lambda store: store.append([event()], stream=("cross.jar", stream), expected=expected)


def append_events(guess: Guess) -> Call:
    stream, event, expected = guess.stream(), guess.new_event(), guess.random.choice([0, 4])
    return lambda store: store.append_events(stream, [event()], "cross.jar", expected=expected)


def tracked(guess: Guess) -> Call:
    name = guess.name("log")
    return lambda store: store.tracked(name)


def decide(guess: Guess) -> Call:
    query, event = guess.query(), guess.new_event()
    seen: list[int] = []

    def call(store: sync.EventStore) -> Any:
        seen.clear()

        def decision(events: list[Event]) -> list[Event]:
            seen.append(len(events))
            return [event()] if len(events) % 2 else []

        return store.decide(query, decision), list(seen)

    return call


def transact(guess: Guess) -> Call:
    stream, event = guess.stream(), guess.new_event()

    def call(store: sync.EventStore) -> Any:
        def work(unit: Any) -> int:
            jar = unit.load(CrossJar, stream) or CrossJar(id=stream)
            before = jar.total
            jar.apply(event())
            return before

        return store.transact(work)

    return call


def get(guess: Guess) -> Call:
    key = guess.stream()
    return lambda store: store.get(CrossNote, key)


def find(guess: Guess) -> Call:
    text = f"{guess.whose.label} words"
    return lambda store: list(store.find(CrossNote, text=text))


def search(guess: Guess) -> Call:
    text = guess.random.choice([guess.whose.label, "words"])
    return lambda store: store.search(CrossNote, text)


def count(guess: Guess) -> Call:
    query, text = guess.query(), f"{guess.whose.label} words"
    if guess.random.random() < 0.3:
        return lambda store: store.count(CrossNote, text=text)
    return lambda store: store.count(query)


def run(guess: Guess) -> Call:
    def call(store: sync.EventStore) -> Any:
        with store.run(CrossNotes()) as running:
            running.caught_up(timeout=SAFETY)
        return list(store.find(CrossNote, order_by="text", limit=1000))

    return call


def rebuild(guess: Guess) -> Call:
    def call(store: sync.EventStore) -> Any:
        store.rebuild(CrossNotes())
        return list(store.find(CrossNote, order_by="text", limit=1000))

    return call


def read(guess: Guess) -> Call:
    query, after, backwards = guess.query(), guess.position(), guess.random.random() < 0.3
    return lambda store: list(
        store.read(query, after=0 if backwards else after, backwards=backwards)
    )


def subscribe(guess: Guess) -> Call:
    name, event = guess.name("sub"), guess.new_event()

    def call(store: sync.EventStore) -> Any:
        store.append([event()])  # so that it does not wait for ever
        with store.subscribe(name=name) as events:
            return next(events)

    return call


def join(guess: Guess) -> Call:
    name = guess.name("group")

    def call(store: sync.EventStore) -> Any:
        with store.join(crew(name)) as member:
            member.caught_up(timeout=SAFETY)
        return [letter.position for letter in store.dead_letters(name).list(limit=1000)]

    return call


def repartition(guess: Guess) -> Call:
    name, partitions = guess.name("group"), guess.random.choice([4, 8, 9, 300])
    return lambda store: store.repartition(name, partitions)


def dead_letters(guess: Guess) -> Call:
    name, position, event = guess.name("group"), guess.position(), guess.new_event()
    verb: Any = guess.random.choice([
        lambda letters: [each.position for each in letters.list()],
        lambda letters: letters.get(position),
        lambda letters: letters.edit(position, event()),
        lambda letters: letters.replay(position),
        lambda letters: letters.discard(position),
    ])  # fmt: skip
    return lambda store: verb(store.dead_letters(name))


def checkpoints(guess: Guess) -> Call:
    return lambda store: store.checkpoints()


def reset_checkpoint(guess: Guess) -> Call:
    name = guess.name("sub")
    position: Any = guess.random.choice([guess.position(), "beginning", "end"])
    return lambda store: store.reset_checkpoint(name, position)


def delete_checkpoint(guess: Guess) -> Call:
    name = guess.name("sub")
    return lambda store: store.delete_checkpoint(name)


def load_events(guess: Guess) -> Call:
    stream, kind = guess.stream(), guess.random.choice([None, "cross.jar"])
    return lambda store: store.load_events(stream, kind)


def get_events(guess: Guess) -> Call:
    stream = guess.stream()
    return lambda store: store.get_events(stream)


def load_events_by_type(guess: Guess) -> Call:
    return lambda store: store.load_events_by_type("cross.jar")


def get_aggregate_version(guess: Guess) -> Call:
    stream = guess.stream()
    return lambda store: store.get_aggregate_version(stream)


def streams(guess: Guess) -> Call:
    return lambda store: list(store.streams())


def for_tenant(guess: Guess) -> Call:
    name = guess.random.choice(["rival", "alien", "nobody"])
    return lambda store: list(store.for_tenant(name).read())


def all_tenants(guess: Guess) -> Call:
    return lambda store: store.all_tenants().usage()


def usage(guess: Guess) -> Call:
    return lambda store: store.usage()


def verify(guess: Guess) -> Call:
    return lambda store: store.verify()


def clean_snapshots(guess: Guess) -> Call:
    kind = guess.random.choice([CrossJar, "cross.jar"])
    return lambda store: store.clean_snapshots(kind)


def horizon(guess: Guess) -> Call:
    return lambda store: store.horizon()


def stats(guess: Guess) -> Call:
    return lambda store: (store.stats().tenant, sorted(store.stats().snapshots))


CALLS = {
    function.__name__: function
    for function in (
        load, load_one, load_many, history, save, append, append_events, tracked, decide, transact,
        get, find, search, count, run, rebuild, read, subscribe, join, repartition, dead_letters,
        checkpoints, reset_checkpoint, delete_checkpoint, load_events, get_events,
        load_events_by_type, get_aggregate_version, streams, for_tenant, all_tenants, usage,
        verify, clean_snapshots, horizon, stats,
    )
}  # fmt: skip
EXEMPT = {
    "create": "it opens a store; what a role may open is in test_row_security",
    "close": "it ends the store of all",
    "url": "what was opened",
    "metadata": "a context of the process",
    "caused_by": "a context of the process",
    "register_event_class": "classes of the process",
    "unregister_event_class": "classes of the process",
    "get_registered_event_classes": "classes of the process",
}
"""Public names that touch no tenant's data, and why."""
SLOW = {"run", "rebuild", "subscribe", "join"}
"""Calls that are made more seldom."""
OF_ALL = {
    "horizon": "positions are of all tenants, as docs/tenants.md says",
    "stats": "the name of the tenant alone",
    "for_tenant": "refused whatever there is",
    "all_tenants": "refused whatever there is",
    "verify": "refused whatever there is",
}
"""Calls that say the same to everybody."""


def send(guess: Guess) -> Call:
    """A command under the id of another tenant's: no method of the store, but of the bus on it."""
    jar, number = guess.stream(), guess.random.randrange(100)
    command_id = guess.name("command")

    def call(store: sync.EventStore) -> Any:
        bus = sync.CommandBus(store, CrossJar)
        handled = bus.send(CrossAdd(jar_id=jar, number=number), command_id=command_id)
        return handled.result, handled.repeated

    return call


ALL_CALLS = {**CALLS, "send": send}


def some_calls(seed: int, many: int) -> Iterator[tuple[str, Call]]:
    """Yields calls, by chance; each can be made in several stores."""
    random = Random(seed)
    names = sorted(ALL_CALLS)
    weights = [1 if name in SLOW else 4 for name in names]
    for _ in range(many):
        name = random.choices(names, weights)[0]
        yield name, ALL_CALLS[name](Guess(Random(random.random())))


# --- what is heard --------------------------------------------------------------------------------

NEW = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""Times, and the ids that the library makes; those of these tests are of other versions."""


def outcome(call: Call, store: sync.EventStore) -> Any:
    """Makes a call; what it gives or raises, but for times."""
    try:
        return shown(call(store))
    except Exception as error:
        attributes = {name: shown(value) for name, value in vars(error).items()}
        return type(error).__name__, NEW.sub("NEW", str(error)), attributes


def shown(value: Any) -> Any:
    """Returns all that can be seen of a value, but for times and ids that are made anew."""
    if isinstance(value, datetime):
        return "NEW"
    if isinstance(value, Event):
        meta = value.meta
        return [
            type(value).__name__, value.model_dump(mode="json"), meta.position, meta.aggregate_id,
            meta.aggregate_version, meta.user_id, str(meta.correlation_id), sorted(meta.tags),
        ]  # fmt: skip
    if isinstance(value, Aggregate | ReadModel):
        version = getattr(value, "version", None)
        return [type(value).__name__, value.model_dump(mode="json"), version]
    if is_dataclass(value) and not isinstance(value, type):
        return [
            type(value).__name__,
            {f.name: shown(getattr(value, f.name)) for f in fields(value)},
        ]
    if isinstance(value, dict):
        return {str(key): shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(one) for one in value]
    return NEW.sub("NEW", repr(value))
