"""A bad input, what is right to happen, and the place where it is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from labels import label
from ledger import Counted
from pydantic import create_model
from stores import BACKENDS, url_of
from support import tree

from eventuali import Event, EventStoreConfig, sync
from eventuali._eventuali import Kind


@dataclass
class Place:
    """Where a case is tried: a store that all cases share, and room for more.

    Attributes:
        before: The last position before the case.
    """

    kind: str
    folder: Path
    store: sync.EventStore
    before: int = 0

    def url(self) -> str | EventStoreConfig:
        """Returns what opens a store of this kind that nobody uses."""
        folder = self.folder / uuid4().hex
        folder.mkdir()
        return url_of(self.kind, folder)

    @contextmanager
    def fresh(self) -> Iterator[sync.EventStore]:
        """Gives a store of this kind that holds nothing."""
        with sync.EventStore.create(self.url(), durability="relaxed") as store:
            yield store

    def new(self) -> list[Event]:
        """Returns what the case has stored."""
        return list(self.store.read(after=self.before))


@dataclass(frozen=True)
class Case:
    """One input of a row of the table "Bad inputs and the right answer".

    Attributes:
        row: The number of the row.
        what: The input, for the name of the test.
        act: Tries it; checks what came of it where it may be accepted.
        errors: What it may raise; nothing is written then.
        kept: Whether it may be accepted.
        attributes: What the error says.
        kinds: The backends where it means something.
    """

    row: int
    what: str
    act: Callable[[Place], object]
    errors: tuple[type[BaseException], ...] = ()
    kept: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = BACKENDS

    def __str__(self) -> str:
        return f"{self.row}-{label(self.what, 60)}"


def bad(
    row: int,
    what: str,
    act: Callable[[Place], object],
    /,
    *errors: type[BaseException],
    **says: Any,
) -> Case:
    """Makes a case that is refused."""
    return Case(row, what, act, errors, attributes=says)


def good(
    row: int, what: str, act: Callable[[Place], object], kinds: tuple[str, ...] = BACKENDS
) -> Case:
    """Makes a case that is accepted, or that checks everything itself."""
    return Case(row, what, act, kept=True, kinds=kinds)


def either(
    row: int, what: str, act: Callable[[Place], object], *errors: type[BaseException]
) -> Case:
    """Makes a case that is refused or comes back exactly, alike on all backends."""
    return Case(row, what, act, errors, kept=True)


def append(*events: Event, **options: Any) -> Callable[[Place], object]:
    return lambda at: at.store.append(events, **options)


_numbers = count()


def holding(annotation: Any, value: Any) -> Event:
    """Makes an event of a class of its own, which has one field."""
    name = f"Holding{next(_numbers)}"
    cls = create_model(name, __base__=Event, __module__=__name__, value=(annotation, ...))
    return cls.model_construct(value=value)


def comes_back(annotation: Any, value: Any) -> Callable[[Place], None]:
    """Stores a value between two others, and compares what is read by types and bits."""
    event = holding(annotation, value)

    def act(at: Place) -> None:
        at.store.append([Counted(number=1), event, Counted(number=2)])
        first, stored, last = at.new()
        assert (first.number, last.number) == (1, 2)
        assert tree(stored.value) == tree(value)

    return act


def refused_value(annotation: Any, value: Any) -> Callable[[Place], object]:
    return append(Counted(number=1), holding(annotation, value), stream=("Holder", "refused"))


def plant(store: sync.EventStore, name: str, payload: bytes) -> None:
    """Stores a payload that no class of events made, as another program might."""
    event = (Kind(name, 1, "json"), uuid4().bytes, [0], [payload], None)
    store._store.commit([("", "", "any", [event])], []).wait()
