"""What inline projections make of a log, and whether what was read of their documents is that.

A document is the fold of its stream up to some version, which it states. Whoever saved with its
projection has committed it together with the events: from then on, nobody may read less. The fold
here is plain Python, and shares no code with projections.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, NamedTuple, TypeAlias

from eventuali import ANY, NO_STREAM, Aggregate, Event, Projection, ReadModel
from eventuali.store import Committed
from reliability.checker import Verdict
from reliability.history import Append, Stored, Write
from reliability.projecting import chained
from reliability.workload import NUMBERS, writes_from

TYPE = "Basket"
STREAMS = 8
"""So few that those who save collide."""
RARE = 32
"""With those that are seldom written, and whose first events come in the middle of a run."""
PAGE = 1_000


class Added(Event, name="basket.added"):
    """A number that is used once."""

    value: int


class Emptied(Event, name="basket.emptied"):
    """The basket begins anew."""

    value: int


class Looked(Event, name="basket.looked"):
    """No projection takes it."""

    value: int


class Basket(Aggregate, name=TYPE):
    """A stream of numbers."""

    last: int = 0

    def apply_added(self, event: Added) -> None:
        """Remembers the number."""
        self.last = event.value

    def apply_emptied(self, event: Emptied) -> None:
        """Remembers the number."""
        self.last = event.value

    def apply_looked(self, event: Looked) -> None:
        """Remembers the number."""
        self.last = event.value


class Content(ReadModel, index=("count", "last")):
    """What is in a basket: how much, by `chain` in which order, and as of which version."""

    count: int = 0
    chain: int = 0
    last: int = 0
    version: int = 0


class Contents(Projection[Content], inline=True):
    """The projection."""

    def on_added(self, event: Added, doc: Content | None) -> Content:
        """Adds a number."""
        doc = doc or Content()
        doc.count += 1
        doc.chain = chained(doc.chain, event.value)
        doc.last = event.value
        doc.version = event.meta.aggregate_version or 0
        return doc

    def on_emptied(self, event: Emptied, doc: Content | None) -> None:
        """Deletes the document."""


def kind_of(value: int) -> type[Added] | type[Emptied] | type[Looked]:
    """Returns the type of the event that carries a value."""
    among = value * 7919 % 100
    return Emptied if among < 20 else Looked if among < 30 else Added


def events_of(write: Write) -> list[Added | Emptied | Looked]:
    """Returns the events of a write."""
    return [kind_of(value)(value=value) for value in write.values]


Ask: TypeAlias = Callable[[Any], Any]
"""Asks a store for a commit; what it returns may have to be awaited."""


class Plan:
    """What one of those who save does next, chosen by a seed."""

    def __init__(self, chance: Random, base: int) -> None:
        """The values of each base are its own."""
        self.chance = chance
        self._make = writes_from(base, chance)
        self._heads: dict[str, int] = {}

    def baskets(self) -> list[str]:
        """Returns which aggregates are to be saved together; none where events are appended."""
        chance = self.chance
        return sorted({self._name() for _ in range(3)}) if chance.random() < 0.25 else []

    def apply(self, baskets: Sequence[Basket]) -> tuple[tuple[Write, ...], Ask]:
        """Applies events to aggregates; returns what is written, and what saves them."""
        writes = tuple(self._make(basket.id, 3) for basket in baskets)
        for basket, write in zip(baskets, writes, strict=True):
            for event in events_of(write):
                basket.apply(event)
        return writes, lambda store: store.save(*baskets)

    def append(self) -> tuple[tuple[Write, ...], Ask]:
        """Returns what is written to one stream, and what appends it."""
        write, kind = self._make(self._name(), 4), self.chance.random()
        known = self._heads.get(write.stream)
        expected = NO_STREAM if kind < 0.1 else known if kind < 0.4 and known is not None else ANY
        stream, events = (TYPE, write.stream), events_of(write)
        return (write,), lambda store: store.append(events, stream=stream, expected=expected)

    def stored(self, writes: Sequence[Write], answer: Committed) -> None:
        """Remembers the versions of the streams."""
        for write, version in zip(writes, answer.versions, strict=True):
            self._heads[write.stream] = version

    def _name(self) -> str:
        rare = self.chance.random() < 0.15
        return f"basket {self.chance.randrange(STREAMS, RARE) if rare else self._often()}"

    def _often(self) -> int:
        return self.chance.randrange(STREAMS)


State: TypeAlias = tuple[int, int, int, int] | None
"""(count, chain, last, version of the last event that it holds); None where there is no document"""


def state_of(document: Content | None) -> State:
    """Returns what a document holds."""
    if document is None:
        return None
    return document.count, document.chain, document.last, document.version


def folded(values: Iterable[int]) -> list[State]:
    """Returns the states of a stream at each version, the first one before any event."""
    states: list[State] = [None]
    for version, value in enumerate(values, 1):
        count, chain, *_ = states[-1] or (0, 0)
        match kind_of(value):
            case kind if kind is Added:
                states.append((count + 1, chained(chain, value), value, version))
            case kind if kind is Emptied:
                states.append(None)
            case _:
                states.append(states[-1])
    return states


class Look(NamedTuple):
    """Documents that a client read, and when it began to."""

    begun: int
    states: dict[str, State]


class Document(NamedTuple):
    """A document as it is stored.

    Attributes:
        stated: The version of its stream up to which it says that it is folded.
        entries: Its entries in the index: (name, value).
    """

    stated: int
    state: State
    entries: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Glance:
    """What is stored at one moment.

    Attributes:
        heads: The versions of the streams.
        live: The documents that people read, by their keys.
        built: Those of the generation that is being filled.
    """

    heads: dict[str, int]
    live: dict[str, Document] = field(default_factory=dict)
    built: dict[str, Document] = field(default_factory=dict)


class Judge:
    """Holds documents against the streams that they are made of."""

    def __init__(
        self, verdict: Verdict, log: Sequence[Stored], is_inline: Callable[[int], bool]
    ) -> None:
        """Folds the log once; `is_inline` says of a value whether it was saved with documents."""
        self._verdict = verdict
        values: dict[str, list[int]] = defaultdict(list)
        for event in log:
            values[event.stream].append(event.value)
        self._states = {stream: folded(each) for stream, each in values.items()}
        self._versions: dict[str, dict[State, list[int]]] = {}
        for stream, states in self._states.items():
            versions = self._versions[stream] = defaultdict(list)
            for version, state in enumerate(states):
                versions[state].append(version)
        self._due = {
            stream: [
                version
                for version, value in enumerate(each, 1)
                if is_inline(value) and kind_of(value) is not Looked
            ]
            for stream, each in values.items()
        }
        self.behind = 0

    def looks(self, looks: Iterable[Look], appends: Iterable[Append]) -> None:
        """Judges what clients read: what was acknowledged before they began is in there.

        Args:
            looks: What was read.
            appends: The commits of those who save with documents.
        """
        told = sorted(_told(appends))
        floors: dict[str, int] = defaultdict(int)
        passed = 0
        for look in sorted(looks, key=lambda look: look.begun):
            while passed < len(told) and told[passed][0] < look.begun:
                _, stream, version = told[passed]
                floors[stream] = max(floors[stream], version)
                passed += 1
            self._verdict.reads += 1
            for key, state in look.states.items():
                self._between(key, state, floors[key], inf, "skipped")

    def glance(self, glance: Glance) -> None:
        """Judges what was stored at one moment: events and documents are one commit."""
        for key, head in glance.heads.items():
            due = self._due.get(key, [])
            floor = due[passed - 1] if (passed := bisect_right(due, head)) else 0
            document = glance.live.get(key)
            self._between(key, document and document.state, floor, head, "torn")
            self.behind += document is not None and document.stated < head
        for documents in (glance.live, glance.built):
            for key, document in documents.items():
                self._states_itself(key, document, glance.heads.get(key, 0))

    def last(self, documents: dict[str, State]) -> None:
        """Holds all documents against the whole log."""
        for key in self._states.keys() | documents.keys():
            due = self._states.get(key, [None])[-1]
            if documents.get(key) != due:
                self._differs(key, documents.get(key), due, "lost", "in the end")

    def _between(self, key: str, state: State, floor: int, head: float, kind: str) -> None:
        """Finds a state that is of no version, or of none from `floor` to `head`."""
        states = self._states.get(key, [None])
        versions = self._versions.get(key, {None: [0]}).get(state, [])
        place = bisect_left(versions, floor)
        if not versions:
            version = min((state or (0, 0, 0, 0))[3], len(states) - 1)
            self._differs(key, state, states[version], kind, f"saved at {floor}")
        elif place == len(versions) or versions[place] > head:
            text = f"{key} is as of {versions[-3:]} of {head}: {state}; at {floor} its document was"
            what = "deleted" if states[floor : floor + 1] == [None] else "saved"
            self._verdict.find(kind, f"{text} {what} with it")

    def _states_itself(self, key: str, document: Document, head: int) -> None:
        """Finds a document that is not what it states, or is found by what it does not hold."""
        states = self._states.get(key, [None])
        stated, state, entries = document
        if not 0 < stated <= head or head >= len(states):
            self._verdict.find("strange", f"{key} states {stated}, and its stream is at {head}")
        elif state != states[stated]:
            self._differs(key, state, states[stated], "torn", f"stated as of {stated}")
        if state is not None and entries != {("count", state[0]), ("last", state[2])}:
            self._verdict.find("strange", f"{key} is {state}, and in the index {set(entries)}")

    def _differs(self, key: str, state: State, due: State, less: str, when: str) -> None:
        more = (state or (0,))[0] - (due or (0,))[0]
        kind = "duplicated" if more > 0 else less if more < 0 else "strange"
        self._verdict.find(kind, f"{key} is {state}, not {due}: {when}", max(abs(more), 1))


def _told(appends: Iterable[Append]) -> Iterator[tuple[int, str, int]]:
    """Yields when it was acknowledged that a document is of which version at least."""
    for append in appends:
        if append.outcome != "acked" or append.ended is None:
            continue
        for write, version in zip(append.writes, append.versions, strict=True):
            for offset, value in enumerate(reversed(write.values)):
                if kind_of(value) is not Looked:
                    yield append.ended, write.stream, version - offset
                    break


def base_of(value: int) -> int:
    """Returns whose value it is."""
    return value // NUMBERS
