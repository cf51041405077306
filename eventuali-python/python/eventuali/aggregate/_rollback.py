"""Restoring an aggregate when a handler raises.

Immutable values are restored from a shallow copy made before each event. Mutable ones may have been
changed in place, so they are rebuilt from a copy taken once per save, and the events since.
"""

from __future__ import annotations

from copy import deepcopy
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from eventuali.aggregate._copies import IMMUTABLE, immutable
from eventuali.aggregate._handlers import forget
from eventuali.event._envelope import IdRange

if TYPE_CHECKING:
    from eventuali.aggregate import Aggregate

A = TypeVar("A", bound="Aggregate")
_State = dict[str, Any]


class Beside(NamedTuple):
    """What an aggregate keeps beside its fields.

    Attributes:
        private: Its private attributes; None where its class declares none.
        slots: What is set of the slots that its class adds.
    """

    private: _State | None
    slots: dict[MemberDescriptorType, Any]


_NOTHING = Beside(None, {})


class Savepoint:
    """The state before the first event of a save; it shares nothing mutable with the aggregate.

    It also holds what `Aggregate.apply` needs for each event.
    """

    __slots__ = (
        "aggregate_type",
        "beside",
        "fields_set",
        "has_beside",
        "ids",
        "isolating",
        "start",
        "state",
    )

    def __init__(self, aggregate: Aggregate) -> None:
        self.has_beside = (
            aggregate.__pydantic_private__ is not None or aggregate.__own_slots__ != ()
        )
        kept = beside(aggregate) if self.has_beside else _NOTHING
        self.state, self.beside = _copies(aggregate.__dict__, kept)
        self.fields_set = aggregate.__pydantic_fields_set__.copy()
        self.start = len(aggregate._uncommitted)  # how many events waited already
        self.ids = IdRange()
        self.isolating = aggregate.__dispatch__.isolating
        self.aggregate_type = aggregate.__aggregate_type__

    def replay(self, aggregate: Aggregate) -> Aggregate:
        """Rebuilds the state of the aggregate from its unsaved events."""
        cls = type(aggregate)
        scratch = _made(cls, self.state, self.beside, self.fields_set)
        for event in aggregate._uncommitted[self.start :]:
            cls.__dispatch__.isolating[type(event)](scratch, event)
            scratch.__dict__["version"] += 1
        return scratch


def own_slots(cls: type[Aggregate], library: type[Aggregate]) -> tuple[MemberDescriptorType, ...]:
    """Returns the slots that a class and its bases add to those of the library."""
    added = [base for base in cls.__mro__ if base not in library.__mro__]
    return tuple(
        slot for base in added for slot in vars(base).values() if type(slot) is MemberDescriptorType
    )


def beside(aggregate: Aggregate) -> Beside:
    """Returns what an aggregate keeps beside its fields, a shallow copy."""
    private, slots = aggregate.__pydantic_private__, {}
    for slot in aggregate.__own_slots__:
        try:
            slots[slot] = slot.__get__(aggregate)
        except AttributeError:  # it is not set
            continue
    return Beside(None if private is None else private.copy(), slots)


def _put(aggregate: Aggregate, beside: Beside) -> None:
    object.__setattr__(aggregate, "__pydantic_private__", beside.private)
    for slot in aggregate.__own_slots__:
        slot.__set__(aggregate, beside.slots.get(slot))
        if slot not in beside.slots:
            slot.__delete__(aggregate)


def copied(aggregate: A) -> A:
    """Returns the same state, without the events that wait; nothing mutable is shared.

    A value that can't be copied, such as a lock, is shared nevertheless.
    """
    fields_set = aggregate.__pydantic_fields_set__
    return _made(type(aggregate), aggregate.__dict__, beside(aggregate), fields_set)


def copied_exactly(aggregate: A) -> A | None:
    """Returns the same state; None if it has more than scalars and flat collections of such."""
    if aggregate.__pydantic_private__ is not None or aggregate.__own_slots__:
        return None
    values = aggregate.__dict__.values()
    if all(immutable(value) or _is_flat(value, type(value)) for value in values):
        return copied(aggregate)
    return None


def _made(cls: type[A], state: _State, beside: Beside, fields_set: set[str]) -> A:
    made = cls.__new__(cls)
    own, own_beside = _copies(state, beside)
    object.__setattr__(made, "__dict__", own)
    object.__setattr__(made, "__pydantic_fields_set__", fields_set.copy())
    object.__setattr__(made, "__pydantic_extra__", None)
    _put(made, own_beside)
    return made


def restore(
    aggregate: Aggregate,
    savepoint: Savepoint,
    state: _State,
    kept: Beside | None,
    error: BaseException,
) -> None:
    """Restores an aggregate to its state before an event whose handler raised.

    Args:
        aggregate: What to put back; only the events that it had wait in it.
        savepoint: The state before the first event that it has and no save.
        state: Its fields before the event, a shallow copy.
        kept: What it kept beside them, a shallow copy; None where its class has nothing there.
        error: What the handler raised; gets a note if mutable fields can't be put back.
    """
    kept = kept or _NOTHING
    forget(state, aggregate.__dispatch__.cached)  # computed from values that may be replaced
    try:
        rebuilt = savepoint.replay(aggregate)
    except Exception as second:
        error.add_note(f"mutable fields of {type(aggregate).__name__} are not restored: {second!r}")
    else:
        other = beside(rebuilt)
        _replace_mutable(state, rebuilt.__dict__)
        _replace_mutable(kept.private or {}, other.private or {})
        _replace_mutable(kept.slots, other.slots)
        object.__setattr__(aggregate, "__pydantic_fields_set__", rebuilt.__pydantic_fields_set__)
    aggregate.__dict__.clear()
    aggregate.__dict__.update(state)
    _put(aggregate, kept)


def _replace_mutable(state: dict[Any, Any], rebuilt: dict[Any, Any]) -> None:
    for name, value in state.items():
        if name in rebuilt and not immutable(value):
            state[name] = rebuilt[name]


def _copies(state: _State, beside: Beside) -> tuple[_State, Beside]:
    """Copies all of a state: what two of its values share, their copies share."""
    memo: dict[int, Any] = {}
    if beside is _NOTHING:
        return _copies_of(state, memo), beside
    private, slots = beside
    own = None if private is None else _copies_of(private, memo)
    return _copies_of(state, memo), Beside(own, slots and _copies_of(slots, memo))


def _copies_of(state: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    return state.copy() if _plain(state) else {k: _copied(v, memo) for k, v in state.items()}


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if immutable(value):
        return value
    if id(value) in memo:
        return memo[id(value)]
    kind = type(value)
    if _is_flat(value, kind):
        made = memo[id(value)] = value.copy()
        return made
    known = len(memo)
    try:
        return deepcopy(value, memo)
    except Exception:  # a lock, a file: it stays shared, and `apply` says so
        while len(memo) > known:
            memo.popitem()  # what was copied in part
        return value


def _is_flat(value: Any, kind: type) -> bool:
    if kind is dict and not _plain(value):
        return False
    return (kind is list or kind is set or kind is dict) and IMMUTABLE.issuperset(map(type, value))


def _plain(state: dict[Any, Any]) -> bool:
    return IMMUTABLE.issuperset(map(type, state.values()))
