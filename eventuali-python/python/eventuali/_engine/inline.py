"""Inline projections: documents that are committed together with the events that change them.

Each document is the fold of one stream and says up to which version. Whoever saves brings one that
is behind up to date from its stream; the runner passes over the events that a document has.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from eventuali._engine.documents import KEYS, decoded, encoded
from eventuali._engine.places import Failed
from eventuali._engine.read import PAGE
from eventuali._engine.taking import Taking
from eventuali._eventuali import Page, Pending, Store, Words
from eventuali.errors import ProjectionError
from eventuali.event import Event, UnknownEvent
from eventuali.projection import Projection, apply
from eventuali.projection._handlers import Handler, handler_of
from eventuali.projection._model import ReadModel, Scalar
from eventuali.query import Item

_NO_END = 2**63 - 1

R = TypeVar("R")

Steps: TypeAlias = Generator[Pending, Any, R]

Stream: TypeAlias = tuple[str, str]
Change: TypeAlias = tuple[
    int,
    str,
    str,
    int,
    tuple[str, int],
    bytes | None,
    Sequence[tuple[str, Scalar]],
    Words | None,
]
"""(generation, model, key, version of its record or 0, (type, version of the stream), JSON or None,
entries of the index, words of its texts)"""


@dataclass(slots=True)
class State:
    """A document in the making.

    Attributes:
        kind: The type of the aggregate.
        document: The document; None if there is none.
        record: The version of its record; 0 if there is none.
        version: The version of the stream up to which it is folded.
    """

    kind: str
    document: ReadModel | None = None
    record: int = 0
    version: int = 0


class InlineFold:
    """Folds streams into the documents of an inline projection."""

    def __init__(self, store: Store, projection: Projection[Any]) -> None:
        cls = type(projection)
        assert cls.__model__ is not None  # noqa: S101
        self.projection = projection
        self.name = cls.__projection_name__
        self.model: type[ReadModel] = cls.__model__
        self.core = store.projection(self.name, cls.__projection_version__, "inline")
        self.taking = Taking(cls.__handlers_of_all__())
        self._seen: set[type[Event]] = set()
        self._store = store

    def known(self, number: int, streams: Sequence[Stream]) -> Steps[dict[str, State]]:
        """Reads the documents of streams, by their keys; each says of which type it is made."""
        found = {key: State(aggregate_type) for aggregate_type, key in streams}
        keys = list(found)
        for first in range(0, len(keys), KEYS):
            part = keys[first : first + KEYS]
            rows = yield self.core.inline_documents(number, self.model.__model_name__, part)
            for key, json, record, (aggregate_type, version) in rows:
                document = decoded(self.model, key, json)
                found[key] = State(aggregate_type, document, record, version)
        return found

    def takes(self, event: Event) -> bool:
        """Whether an event of a class is handled, which may have been defined since."""
        cls = type(event)
        stale = self.taking.late() is not None
        if cls not in self._seen:
            self._seen.add(cls)
            known = self.taking.handlers
            stale = stale or (cls not in known and handler_of(known, cls) is not None)
        if stale:
            self.taking = Taking(type(self.projection).__handlers_of_all__())
        return wire_name(event) in self.taking.event_types

    def without_stream(self, event: Event) -> ProjectionError:
        """Returns the error for an event that belongs to no aggregate."""
        return ProjectionError(
            f"this {type(event).__name__} belongs to no aggregate, and each document of the inline "
            f"projection {self.name} is that of one; handle it in another projection"
        )

    def of_two_types(self, key: str, one: str, other: str) -> ProjectionError:
        """Returns the error for a document that two types of aggregates would change."""
        return ProjectionError(
            f"the document {key!r:.260} of {self.name} is made of a {one}, and there is a {other} "
            "of the same id; an inline projection takes one type of aggregate"
        )

    def apply(self, state: State, handler: Handler, event: Event) -> None:
        """Applies an event to a document."""
        state.document = apply(self.projection, handler, event, state.document)

    def catch_up(self, state: State, stream: Stream, until: int = _NO_END) -> Steps[None]:
        """Applies the events of a stream that a document does not have yet.

        Raises:
            Failed: A handler failed, or an event can't be decoded.
        """
        items: list[Item] = [(*stream, (), (), (), None)]
        after = 0
        while True:
            page: Page = yield self._store.read(
                items, after=after, after_version=state.version, until_version=until, limit=PAGE
            )
            columns = page.columns()
            for event, handler, row in self.taking.taken(self.taking.handled(columns)):
                try:
                    self.apply(state, handler, event)
                except Exception as error:
                    raise Failed(row, error) from error
            if columns[2]:
                state.version = columns[2][-1].version
            if page.end:
                return
            after = page.looked_to

    def change(self, number: int, key: str, state: State, stream: Stream) -> Change:
        """Returns what is stored of a document; where there is none, that there must be none.

        Raises:
            Exception: It can't be stored.
        """
        model, key, json, entries, words = encoded(self.model, key, state.document)
        made = (stream[0], state.version)
        return number, model, key, state.record, made, json, entries, words


def wire_name(event: Event) -> str:
    """Returns the type under which an event is stored."""
    return event.meta.event_type if isinstance(event, UnknownEvent) else event.__event_type__


def version_of(store: Store, stream: Stream) -> Steps[int]:
    """Returns the version of a stream; 0 if it has no events."""
    found, _ = yield store.streams(*stream, None, 1)
    version: int = found[0][2] if found else 0
    return version
