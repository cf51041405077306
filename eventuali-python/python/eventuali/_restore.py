"""Putting an aggregate back as it was when a handler raises.

Immutable values come back from a shallow copy made before each event. Mutable ones may have been
changed in place, so they are made again: from a copy taken once a batch, and the events since.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

from eventuali._envelope import Batch
from eventuali._isolation import IMMUTABLE, immutable

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

A = TypeVar("A", bound="Aggregate")
_State = dict[str, Any]


class Base:
    """The state at the beginning of a batch: nothing mutable in it is shared with the aggregate.

    Beside it stands what `Aggregate.apply` needs for each event of the batch.
    """

    __slots__ = (
        "aggregate_type",
        "batch",
        "fields_set",
        "isolating",
        "private",
        "start",
        "state",
    )

    def __init__(self, aggregate: Aggregate) -> None:
        private = aggregate.__pydantic_private__
        self.state = _copies(aggregate.__dict__)
        self.private = private and _copies(private)
        self.fields_set = aggregate.__pydantic_fields_set__.copy()
        self.start = len(aggregate._uncommitted)  # how many events waited already
        self.batch = Batch()
        self.isolating = aggregate.__dispatch__.isolating
        self.aggregate_type = aggregate.__aggregate_type__

    def replay(self, aggregate: Aggregate) -> Aggregate:
        """Makes the state anew that the aggregate has by the events that wait in it."""
        cls = type(aggregate)
        scratch = _made(cls, self.state, self.private, self.fields_set)
        for event in aggregate._uncommitted[self.start :]:
            cls.__dispatch__.isolating[type(event)](scratch, event)
            scratch.__dict__["version"] += 1
        return scratch


def copied(aggregate: A) -> A:
    """Returns the same state, without the events that wait; nothing mutable is shared.

    A value that can't be copied, such as a lock, is shared nevertheless.
    """
    private, fields_set = aggregate.__pydantic_private__, aggregate.__pydantic_fields_set__
    return _made(type(aggregate), aggregate.__dict__, private, fields_set)


def _made(cls: type[A], state: _State, private: _State | None, fields_set: set[str]) -> A:
    made = cls.__new__(cls)
    object.__setattr__(made, "__dict__", _copies(state))
    object.__setattr__(made, "__pydantic_fields_set__", fields_set.copy())
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", private and _copies(private))
    return made


def restore(
    aggregate: Aggregate, base: Base, state: _State, private: _State | None, error: BaseException
) -> None:
    """Puts an aggregate back as it was before an event whose handler raised.

    Args:
        aggregate: What to put back; only the events that it had wait in it.
        base: The beginning of the batch.
        state: Its fields before the event, a shallow copy.
        private: Its private attributes before the event, a shallow copy.
        error: What the handler raised; gets a note if mutable fields can't be put back.
    """
    try:
        rebuilt = base.replay(aggregate)
    except Exception as second:
        error.add_note(f"mutable fields of {type(aggregate).__name__} are not restored: {second!r}")
    else:
        _replace_mutable(state, rebuilt.__dict__)
        _replace_mutable(private or {}, rebuilt.__pydantic_private__ or {})
        object.__setattr__(aggregate, "__pydantic_fields_set__", rebuilt.__pydantic_fields_set__)
    aggregate.__dict__.clear()
    aggregate.__dict__.update(state)
    object.__setattr__(aggregate, "__pydantic_private__", private)


def _replace_mutable(state: _State, rebuilt: _State) -> None:
    for name, value in state.items():
        if name in rebuilt and not immutable(value):
            state[name] = rebuilt[name]


def _copies(state: _State) -> _State:
    return state.copy() if _plain(state) else {k: _copied(v) for k, v in state.items()}


def _copied(value: Any) -> Any:
    if immutable(value):
        return value
    kind = type(value)
    if (kind is list or kind is set) and IMMUTABLE.issuperset(map(type, value)):
        return value.copy()
    if kind is dict and _plain(value) and IMMUTABLE.issuperset(map(type, value)):
        return value.copy()
    try:
        return deepcopy(value)
    except Exception:  # a lock, a file: it stays shared, and `apply` says so
        return value


def _plain(state: dict[Any, Any]) -> bool:
    return IMMUTABLE.issuperset(map(type, state.values()))
