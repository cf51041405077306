"""Given these events, when this happens, then those events follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from eventuali._engine.decide import AsyncDecision
from eventuali.aggregate import Aggregate
from eventuali.event import Event
from eventuali.event._names import checked_text
from eventuali.event._slot import begin, bind_given, meta_of
from eventuali.expected import at_least
from eventuali.projection import Projection, ReadModel
from eventuali.query import ALL, E, Query
from eventuali.testing._decisions import Decided
from eventuali.testing._outcome import Acted, Action, Message
from eventuali.testing._projected import Projected

A = TypeVar("A", bound=Aggregate)
M = TypeVar("M", bound=ReadModel)


@overload
def given(
    cls: type[A], /, *events: Event | Iterable[Event], id: str | None = None
) -> OfAggregate[A]: ...
@overload
def given(*events: Event | Iterable[Event]) -> OfEvents: ...
def given(*arguments: Any, id: str | None = None) -> Any:
    """Says what has happened before a test begins.

    For an aggregate, its class comes first:

        given(Account, Opened(owner="Ada")).when(lambda account: account.deposit(5)).then(
            Deposited(amount=5)
        )

    For a decision or a projection, there are only events:

        given(NameTaken(name="ada")).when(take("bob"), Query(tags=["name:bob"])).then(
            NameTaken(name="bob")
        )
        given(stream(Account, "acc-1", Opened(owner="Ada"))).when(Accounts()).then(
            {"acc-1": AccountView(owner="Ada")}
        )

    What it returns can be used for any number of tests.

    Args:
        arguments: The class of the aggregate, if there is one, and the events, one by one or in
            lists.
        id: The id of the aggregate; by default a new one.

    Raises:
        TypeError: Something is not an event.
    """
    if arguments and isinstance(arguments[0], type):
        cls, *rest = arguments
        if not issubclass(cls, Aggregate):
            raise TypeError(f"given takes a class of aggregates and events, not {cls.__name__}")
        return OfAggregate(cls, _events(rest), id)
    if id is not None:
        raise TypeError("id is that of an aggregate; name its class first")
    return OfEvents(_events(arguments))


def stream(
    of: str | type[Aggregate], aggregate_id: str, /, *events: Event, after: int = 0
) -> list[Event]:
    """Makes events those of a stream, as if an aggregate had applied them.

    Args:
        of: The class of the aggregate, or the wire name of its type.
        aggregate_id: The id of the stream.
        events: New events.
        after: The version after which they follow.

    Returns:
        The same events, for `given`.

    Raises:
        InvalidEventError: An event belongs to a stream already.
    """
    kind = of if isinstance(of, str) else of.__aggregate_type__
    version = at_least(0, after, "after")
    for event in _events(events):
        version += 1
        begin(event)
        meta_of(event)  # its id is fixed from here on
        bind_given(event, kind, checked_text("aggregate_id", aggregate_id), version)
    return list(events)


class OfAggregate(Generic[A]):
    """An aggregate about to be tested."""

    def __init__(self, cls: type[A], events: Sequence[Event], id: str | None) -> None:
        """Is made by `given`."""
        self._cls = cls
        self._events = events
        self._id = id

    def when(self, action: Action[A] | Message) -> Acted[A]:
        """Does something with the aggregate that the events made.

        Args:
            action: A function that takes the aggregate; or a command, which the aggregate handles
                as in `Aggregate.handle`. What the function, or the method that handles the command,
                returns is seen by `then_returns`.

        Raises:
            InvalidEventError: The aggregate has no handler for one of the events.
            TypeError: `action` can't be called, and no method handles its class. Or the action is
                a generator.
        """
        aggregate = self._cls.from_events(self._events, id=self._id)
        return Acted(aggregate, self._events, action)

    def then_state(self, **fields: Any) -> None:
        """Checks the state that the events make by themselves; see `Acted.then_state`."""
        __tracebackhide__ = True
        Acted(self._cls.from_events(self._events, id=self._id), self._events, _nothing).then_state(
            **fields
        )


class OfEvents:
    """Events that have happened, in any streams."""

    def __init__(self, events: Sequence[Event]) -> None:
        """Is made by `given`."""
        self._events = events

    @overload
    def when(
        self, what: Projection[M], *, documents: Mapping[str, M] | None = None
    ) -> Projected: ...
    @overload
    def when(self, what: AsyncDecision[E], query: Query[E]) -> Decided: ...
    @overload  # a decision may take any events, whatever the query is
    def when(self, what: AsyncDecision, query: Query = ALL) -> Decided: ...
    def when(
        self,
        what: Any,
        query: Query[Any] = ALL,
        *,
        documents: Mapping[str, Any] | None = None,
    ) -> Any:
        """Makes a decision as `EventStore.decide` does, or has a projection handle the events.

        Args:
            what: The decision, a function; or a projection, of the pure or the free form.
            query: The events on which the decision depends: it is called with those that match.
            documents: What the projection's documents were before, by key.

        Raises:
            TypeError: `what` is neither.
        """
        if isinstance(what, Projection):
            if query is not ALL:
                raise TypeError("a projection takes all events; query is for a decision")
            return Projected(what, self._events, documents or {})
        if documents is not None:
            raise TypeError("documents are those of a projection")
        return Decided(what, self._events, query)


def _nothing(_: Aggregate) -> None:
    pass


def _events(given: Iterable[Any]) -> list[Event]:
    """Returns events that were given one by one or in lists."""
    found: list[Event] = []
    for each in given:
        if isinstance(each, Event):  # which is iterable, as any pydantic model
            found.append(each)
        elif isinstance(each, list | tuple):
            found += _events(each)
        else:
            raise TypeError(f"given takes events and lists of events, not {each!r:.60}")
    return found
