"""Projections, with documents in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeAlias, TypeVar

from eventuali._engine.documents import Changes, check_model, decoded, encoded
from eventuali._engine.operation import Operation
from eventuali.errors import ProjectionError
from eventuali.event import Event
from eventuali.projection import Projection, ReadModel
from eventuali.projection._handlers import Handler, handler_of
from eventuali.testing import _differences as differences
from eventuali.testing._outcome import Outcome, attempt, finished

M = TypeVar("M", bound=ReadModel)
T = TypeVar("T")
_Documents: TypeAlias = dict[type[ReadModel], dict[str, Any]]
"""Documents by model and key."""


class Projected(Outcome):
    """What a projection made of events."""

    def __init__(
        self, projection: Projection[Any], events: Sequence[Event], documents: Mapping[str, Any]
    ) -> None:
        """Handles the events at once; is made by `when`."""
        super().__init__()
        self._title = type(projection).__name__
        self._events = events
        work = _call if type(projection).__model__ is None else _fold
        made, self._raised = attempt(lambda: work(projection, events, documents))
        self._documents = made or {}

    def then(  # type: ignore[override]
        self, documents: Mapping[str, ReadModel], *, model: type[ReadModel] | None = None
    ) -> Self:
        """Checks that exactly these documents are there.

        Args:
            documents: The documents that are expected, by key.
            model: Only those of this class; needed if documents of two classes have one key.

        Raises:
            AssertionError: Others are there, or a handler raised.
            TypeError: `documents` is not a mapping.
            ValueError: Documents of two classes have the same key.
        """
        __tracebackhide__ = True
        if not isinstance(documents, Mapping):
            raise TypeError(f"then takes documents by key, not {documents!r:.60}")
        self._refuse_raised()
        if found := differences.of_documents(documents, self._there(model)):
            self._fail("the documents are not those that were expected", found)
        return self

    def then_nothing(self) -> Self:
        """Checks that there is no document.

        Raises:
            AssertionError: There is one, or a handler raised.
        """
        __tracebackhide__ = True
        return self.then({})

    def _there(self, model: type[ReadModel] | None) -> dict[str, ReadModel]:
        if model is not None:
            check_model(model)
            return self._documents.get(model, {})
        there: dict[str, ReadModel] = {}
        for documents in self._documents.values():
            if twice := there.keys() & documents.keys():
                raise ValueError(f"two models have a document {min(twice)!r}; name one: model=…")
            there |= documents
        return there

    def _given(self) -> list[str]:
        return differences.listed("given", self._events)


class MemoryDocuments(Changes):
    """What handlers of the free form read and write, in memory; `eventuali.sync.Documents`."""

    def __init__(self) -> None:
        """Begins without documents."""
        super().__init__(_NO_STORE, 0)
        self._models_by_name: dict[str, type[ReadModel]] = {}

    def get(self, model: type[M], key: str) -> M | None:
        """Returns a copy of the document of a key; None if there is none."""
        return _at_once(self._get(model, key))

    def get_many(self, model: type[M], keys: Iterable[str]) -> dict[str, M]:
        """Returns copies of the documents of several keys, by their keys."""
        return _at_once(self._get_many(model, keys))

    def _read(self, model: type[ReadModel], keys: list[str]) -> Operation[None]:
        check_model(model)
        for key in keys:
            self._known[model, key] = None
        yield from ()

    def _all(self) -> _Documents:
        """Returns all documents, by model and key."""
        found: _Documents = {}
        for (model, key), json in self._known.items():
            if json is not None:
                found.setdefault(model, {})[key] = decoded(model, key, json)
        return found


class AwaitedDocuments(MemoryDocuments):
    """The same for handlers that are coroutine functions; `eventuali.Documents`."""

    async def get(self, model: type[M], key: str) -> M | None:  # type: ignore[override]
        """Returns a copy of the document of a key; None if there is none."""
        return _at_once(self._get(model, key))

    async def get_many(  # type: ignore[override]
        self, model: type[M], keys: Iterable[str]
    ) -> dict[str, M]:
        """Returns copies of the documents of several keys, by their keys."""
        return _at_once(self._get_many(model, keys))


_NO_STORE: Any = None


def _at_once(operation: Operation[T]) -> T:
    """Runs an operation that waits for nothing."""
    try:
        next(operation)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("documents in memory wait for nothing")


def _fold(
    projection: Projection[Any], events: Sequence[Event], documents: Mapping[str, Any]
) -> _Documents:
    """Has a projection of the pure form handle events."""
    model = type(projection).__model__
    assert model is not None  # noqa: S101
    # As a store does it: what was stored comes back as another object.
    before = {key: _again(model, key, document) for key, document in documents.items()}
    after = projection.fold(events, before)
    return {model: {key: _again(model, key, each) for key, each in after.items()}}


def _call(
    projection: Projection[Any], events: Sequence[Event], documents: Mapping[str, Any]
) -> _Documents:
    """Has a projection of the free form handle events."""
    handlers = type(projection).__handlers__
    waits = any(handler.is_async for handler in handlers.values())
    docs = (AwaitedDocuments if waits else MemoryDocuments)()
    for key, document in documents.items():
        docs.put(key, document)

    async def handle() -> None:
        for event in events:
            handler = handler_of(handlers, type(event))
            if handler is not None:
                answer = handler.function(projection, event, docs)
                _refuse_answer(projection, handler, await answer if handler.is_async else answer)

    finished(handle())
    return docs._all()


def _again(model: type[ReadModel], key: str, document: Any) -> Any:
    """Returns a document as a store would return it."""
    json = encoded(model, key, document)[2]
    assert json is not None  # noqa: S101
    return decoded(model, key, json)


def _refuse_answer(projection: Projection[Any], handler: Handler, answer: Any) -> None:
    if answer is not None:
        name = f"{type(projection).__name__}.{handler.name}"
        raise ProjectionError(f"{name} returned {answer!r:.60}; in the free form, use docs.put")
