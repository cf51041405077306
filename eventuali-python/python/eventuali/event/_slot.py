"""The slot of an event: what is known of it besides its fields, in one of five shapes.

=======  ========================  =================================================================
unset                              built by pydantic; the time is taken when somebody asks
new      `int`                     the time of creation, by `time.time_ns()`, and nothing else
applied  `Applied`, a tuple        that time, the place in a stream, and the id by its place in a
                                   range; also an event that is being appended, of no stream
given    `Envelope`                something was given or read
stored   anything with `.meta()`   the row; it gives the `EventMeta`, and may have `ROW_FIELDS`
=======  ========================  =================================================================

Only this module tells the shapes apart. Beside it, `Aggregate.apply` looks whether an event is new
and makes an `Applied` of it; in the extension, `FlatName` looks for a row, and `applied_in_order`
looks whether many are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel

from eventuali.errors import InvalidEventError
from eventuali.event._context import complete, current
from eventuali.event._envelope import (
    GIVEN,
    DetachedMeta,
    Envelope,
    EventMeta,
    IdRange,
    parse,
    stored_at,
    utc,
    uuid7,
)
from eventuali.event._tags import own_tags

if TYPE_CHECKING:
    from eventuali.event import Event

Applied: TypeAlias = tuple[int, str, str, int, IdRange, int]
"""(time in ns, aggregate type, aggregate id, version, range of ids, index in it)"""


class Slotted(BaseModel):
    """A model with the slot: the base of `Event`, so that only this module sets the slot."""

    __slots__ = ("__weakref__", "_envelope")


# The slot's own accessors: an event is frozen, and they are the fastest. One has several names, for
# what it sets.
_slot: Any = vars(Slotted)["_envelope"]
content: Callable[[Event], Any] = _slot.__get__
set_content: Callable[[Event, object], None] = _slot.__set__
set_time: Callable[[Event, int], None] = _slot.__set__
set_applied: Callable[[Event, Applied], None] = _slot.__set__
set_given: Callable[[Event, Envelope], None] = _slot.__set__
set_stored: Callable[[Event, object], None] = _slot.__set__


# --- what an event says of itself -----------------------------------------------------------------


def meta_of(event: Event) -> EventMeta:
    """Returns what is known of an event; its id can't change any more."""
    state = _settled(event)
    if type(state) is tuple:
        return _saved_meta(event, state)
    if type(state) is Envelope:
        return state.meta(event.__event_type__, event.__event_version__)
    meta: EventMeta = state.meta()
    return meta


def row_field(event: Event, name: str) -> tuple[Any] | None:
    """Returns a part of the metadata if the row has it as an attribute; does not fix the id."""
    state = getattr(event, "_envelope", None)
    if type(state) in _OURS or not hasattr(state, name):
        return None
    return (getattr(state, name),)


_OURS = (type(None), int, tuple, Envelope, DetachedMeta)


def portable(event: Event) -> Any:
    """Returns the slot's content for a copy of the event: the same metadata, nothing shared."""
    state = _settled(event)
    if type(state) is tuple:
        return state
    if type(state) is Envelope:
        envelope = Envelope(state.timestamp)
        for name in Envelope.__slots__:
            setattr(envelope, name, getattr(state, name))
        return envelope
    return DetachedMeta(state.meta())


def successor(event: Event, given: Mapping[str, Any]) -> Any:
    """Returns the slot's content for a new event made from another: its context, a new identity."""
    if not given and type(_settled(event)) is tuple:
        return time_ns()
    meta = meta_of(event)
    context = {name: getattr(meta, name) for name in GIVEN - {"event_id", "timestamp"}}
    if event.__says_tags__:  # the copy says its own
        own = own_tags(event)
        context["tags"] = [tag for tag in meta.tags if tag not in own]
    return parse(context | dict(given))


def share(event: Event, twin: Event) -> None:
    """Gives a copy the metadata of an event, including what is set later."""
    state = content(event)
    if type(state) is int:
        state = Envelope(state // 1000)
        set_content(event, state)
    set_content(twin, state)


def take_own_tags(event: Event) -> Any:
    """Adds the tags of an event's class, unless it is stored; returns the slot's content.

    Raises:
        InvalidEventError: One of them is not a valid name.
    """
    state = _state(event)
    if type(state) is int:
        envelope = Envelope(state // 1000)
    elif type(state) is tuple and state[4].at(state[5]) is None:
        envelope = Envelope(state[0] // 1000)
        envelope.bind(*state[1:])
    elif type(state) is Envelope:
        envelope = state
    else:
        return state
    if not envelope.has_own_tags:
        envelope.tags = tuple(dict.fromkeys((*own_tags(event), *envelope.tags)))
        envelope.has_own_tags = True
    if envelope is not state:
        set_content(event, envelope)
    return envelope


def take_context(event: Event) -> None:
    """Gives an event the metadata of the block around, unless it has taken that or was sent."""
    context = current()
    if context is None:
        return
    state = _state(event)
    if type(state) is int:
        envelope = Envelope(state // 1000)
    elif type(state) is tuple and state[4].at(state[5]) is None:
        envelope = Envelope(state[0] // 1000)
        envelope.bind(*state[1:])
    elif type(state) is Envelope and not state.has_context:
        if state.ids is not None and (state.ids.under_way or state.ids.at(state.index)):
            return
        envelope = state
    else:
        return
    complete(envelope, context)
    if envelope is not state:
        set_content(event, envelope)


def _settled(event: Event) -> Any:
    """Returns the slot's content with an id that can't change any more."""
    state = take_own_tags(event) if event.__says_tags__ else _state(event)
    if type(state) is int:
        return _unfold(event, state, "", "", 0)
    if type(state) is tuple and not state[4].first:
        return _unfold(event, *state[:4])
    if type(state) is Envelope:
        state.fix_id()
    return state


def _state(event: Event) -> Any:
    """Returns the slot's content, or the current time, which is not kept, if it is unset."""
    try:
        return content(event)
    except AttributeError:  # built by pydantic
        return time_ns()


def _unfold(
    event: Event, ns: int, aggregate_type: str, aggregate_id: str, version: int
) -> Envelope:
    envelope = Envelope(ns // 1000)
    envelope.event_id = uuid7(ns)
    envelope.bind(aggregate_type, aggregate_id, version, None, 0)
    set_content(event, envelope)
    return envelope


def _saved_meta(event: Event, state: Applied) -> EventMeta:
    ns, aggregate_type, aggregate_id, version, ids, index = state
    position, recorded_at = stored_at(ids, index)
    return EventMeta(
        UUID(int=ids.first + index),
        event.__event_type__,
        event.__event_version__,
        utc(ns // 1000),
        aggregate_id or None,
        aggregate_type or None,
        version or None,
        position=position,
        recorded_at=recorded_at,
    )


# --- in an aggregate ------------------------------------------------------------------------------


def begin(event: Event) -> None:
    """Checks that an event can be applied, and sets its time.

    Raises:
        InvalidEventError: It belongs to a stream, or is stored.
    """
    try:
        state = content(event)
    except AttributeError:  # built by pydantic
        state = time_ns()
        set_time(event, state)
    if type(state) is not int and (type(state) is not Envelope or state.bound):
        raise InvalidEventError(
            f"this {type(event).__name__} was applied or stored before; make a new event, "
            "for instance with model_copy()",
            field="event",
        )
    take_context(event)


def bind_given(event: Event, aggregate_type: str, aggregate_id: str, version: int) -> None:
    """Notes the stream of an event that was applied; for a new one, see `set_applied`."""
    envelope: Envelope = content(event)
    envelope.bind(aggregate_type, aggregate_id, version, None, 0)


def unapply(event: Event) -> None:
    """Takes back that an event was applied, which nobody has saved: it is a new event again."""
    state = content(event)
    if type(state) is tuple:
        set_time(event, state[0])
    elif type(state) is Envelope:
        state.bind("", "", 0, None, 0)


def waits(event: Event) -> bool:
    """Tells whether an event was applied to an aggregate that has not saved it."""
    state = getattr(event, "_envelope", None)
    if type(state) is tuple:
        version, ids, index = state[3:]
    elif type(state) is Envelope:
        version, ids, index = state.version, state.ids, state.index
    else:
        return False
    return version != 0 and (ids is None or ids.at(index) is None)


def place(event: Event, of: Event, aggregate_type: str, aggregate_id: str, version: int) -> None:
    """Gives an event the metadata of another one, as it will be once that one is in a stream."""
    state = content(of)
    if type(state) is tuple:
        set_content(event, (state[0], aggregate_type, aggregate_id, version, *state[4:]))
        return
    if type(state) is Envelope:
        placed, ids, index = portable(of), state.ids, state.index
    else:  # stored before
        meta = of.meta
        placed, ids, index = Envelope(0), None, 0
        for name in ("correlation_id", "causation_id", "user_id", "headers", "tags", "event_id"):
            setattr(placed, name, getattr(meta, name))
        since = meta.timestamp - utc(0)
        placed.timestamp = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    placed.bind(aggregate_type, aggregate_id, version, ids, index)
    set_content(event, placed)


# --- in a commit ----------------------------------------------------------------------------------


def adopt(events: Iterable[Event], ids: IdRange, first: int) -> None:
    """Numbers new events that were not applied to an aggregate, from `first` on."""
    for index, event in enumerate(events, first):
        state = _state(event)
        if type(state) is int:
            set_content(event, (state, "", "", 0, ids, index))


def in_range(event: Event) -> tuple[IdRange, int, int] | None:
    """Returns the range of an event that is not stored, its index there, and its time in µs.

    None if it has other metadata than that.
    """
    state = _state(event)
    if type(state) is tuple and state[4].at(state[5]) is None:
        return state[4], state[5], state[0] // 1000
    return None


def part_of_commit(
    event: Event, place: tuple[str, str, int], ids: IdRange, index: int
) -> Envelope | None:
    """Returns what was given or read of an event that is not stored.

    It becomes part of a commit, unless it is part of one that is under way: of a stream, at a
    version, and at an index of a range of ids.
    """
    state = _state(event)
    if type(state) is not Envelope or stored_at(state.ids, state.index)[0] is not None:
        return None
    if state.ids is None or not state.ids.under_way:
        state.bind(*place, ids, index)
    return state


def bind_appended(
    event: Event, stream: tuple[str, str], version: int, ranges: Collection[IdRange]
) -> None:
    """Tells an event that was appended without an aggregate its stream and version."""
    state = content(event)
    if type(state) is Envelope and state.ids in ranges:
        state.bind(*stream, version, state.ids, state.index)
    elif type(state) is tuple and state[4] in ranges:
        set_content(event, (state[0], *stream, version, *state[4:]))


def release(event: Event, ranges: Collection[IdRange]) -> None:
    """Frees an event of these ranges that was not appended; it keeps its id."""
    state = content(event)
    if type(state) is tuple and state[4] in ranges:
        envelope = Envelope(state[0] // 1000)
        envelope.event_id = UUID(int=state[4].first + state[5])
        set_content(event, envelope)
    elif type(state) is Envelope and state.ids in ranges:
        state.bind("", "", 0, None, 0)
