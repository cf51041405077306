"""Hypothesis strategies for events: values that a store keeps exactly.

    from hypothesis import given
    from eventuali.testing import strategies

    @given(strategies.events(OrderPlaced))
    def test_an_order_can_be_priced(event: OrderPlaced) -> None: ...

Hypothesis is needed: `pip install hypothesis`.
"""

from __future__ import annotations

from typing import Any, TypeVar

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "eventuali.testing.strategies needs Hypothesis: pip install hypothesis"
    ) from error

from eventuali._engine.encode import wire
from eventuali.aggregate import Aggregate
from eventuali.codec.json import Inexact
from eventuali.event import Event, UnknownEvent
from eventuali.testing._generated import of_model

__all__ = ["events", "streams"]

E = TypeVar("E", bound=Event)


def events(cls: type[E], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[E]:
    """Makes events of a class.

    Each field gets a strategy by its type and limits, as Hypothesis has them for type hints and
    `annotated-types`, and patterns by their regular expression. A field with a default also gets
    that. What the class refuses does not appear, and neither does what a store would refuse, such
    as NaN: such values are filtered out, so if nearly all are, Hypothesis says so.

    Args:
        cls: The class of the events.
        fields: A strategy of your own for a field, by its name: for a type that Hypothesis does
            not know, or a field that a validator limits so that few values pass.

    Raises:
        TypeError: `cls` is not a class of events, or it has no field of the name.
    """
    if not (isinstance(cls, type) and issubclass(cls, Event)) or issubclass(cls, UnknownEvent):
        raise TypeError(f"events takes a class of events, not {cls!r:.60}")
    if unknown := fields.keys() - cls.__pydantic_fields__.keys():
        raise TypeError(f"{cls.__name__} has no field {min(unknown)!r}")
    return of_model(cls, fields).filter(_is_kept)


def streams(
    *of: type[Event] | type[Aggregate] | st.SearchStrategy[Any],
    min_size: int = 0,
    max_size: int = 10,
) -> st.SearchStrategy[list[Event]]:
    """Makes lists of events in any order, also one that no command would lead to.

        @given(strategies.streams(Account))
        def test_every_account_can_be_loaded(events: list[Event]) -> None:
            Account.from_events(events)

    Args:
        of: Classes of events, strategies for events, or an aggregate, which stands for the classes
            of events that it has handlers for.
        min_size: The least number of events.
        max_size: The greatest number.

    Raises:
        TypeError: There is no class of events, or something else is among them.
    """
    each: list[st.SearchStrategy[Any]] = []
    for one in of:
        if isinstance(one, st.SearchStrategy):
            each.append(one)
        elif isinstance(one, type) and issubclass(one, Aggregate):
            each += [events(cls) for cls in one.__handlers__()]
        else:
            each.append(events(one))
    if not each:
        raise TypeError("streams takes at least one class of events")
    return st.lists(st.one_of(each), min_size=min_size, max_size=max_size)


def _is_kept(event: Event) -> bool:
    """Tells whether a store keeps an event exactly."""
    try:
        wire(type(event)).codec.encode(event)
    except Inexact:
        return False
    return True
