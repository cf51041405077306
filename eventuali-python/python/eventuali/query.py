"""Queries: selections of events, for reads and append conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeAlias
from uuid import UUID

from typing_extensions import TypeVar

from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError, PayloadTooLargeError
from eventuali.event import Event, EventMeta, _registry
from eventuali.event._names import checked_text

__all__ = ["ALL", "Query"]

PlainItem: TypeAlias = tuple[
    str | None,
    str | None,
    tuple[str, ...],
    tuple[str, ...],
    tuple[bytes, ...],
    bytes | str | None,
]
"""An item as the core takes it: type, id, event types, tags, event ids, correlation id."""
ItemOfUser: TypeAlias = tuple[
    str | None,
    str | None,
    tuple[str, ...],
    tuple[str, ...],
    tuple[bytes, ...],
    bytes | str | None,
    str,
]
"""The same, and the user id."""
Item: TypeAlias = PlainItem | ItemOfUser


E_co = TypeVar("E_co", bound=Event, covariant=True, default=Event)
E = TypeVar("E", bound=Event, default=Event)
"""What is read: the classes by which a query asks, or events of any kind."""


class Sought(NamedTuple):
    """What an item asks for, where retired events are read to find it.

    Attributes:
        names: The wire names whose events are wanted as a whole.
        classes: Of what the events of other names have become, these are wanted.
    """

    names: frozenset[str]
    classes: tuple[type[Event], ...]


class Asked(NamedTuple):
    """The event types of an item, where classes are among them.

    Attributes:
        names: The wire names, without those of retired classes that become them.
        classes: The classes.
    """

    names: tuple[str, ...]
    classes: tuple[type[Event], ...]


_MAX_TERMS = 1000
_MAX_ITEMS = 128


@dataclass(frozen=True, slots=True, init=False)
class Query(Generic[E_co]):
    """Selects the events that match every given part; `a | b` matches what either matches.

    A query is immutable and can be the key of a dict.

    Query(event_types=[Deposited, Withdrawn], tags=["region:eu"])
    Query(aggregate_type=Account, aggregate_id="acc-1") | Query(tags=["audit"])

    To type checkers, what is read with `Query(event_types=[Deposited])` is a `Deposited`. With
    several classes it is one of them to pyright, and of their common base to mypy, unless you write
    `query: Query[Deposited | Withdrawn] = Query(event_types=[Deposited, Withdrawn])`.
    """

    items: tuple[Item, ...]
    _sought: tuple[Sought | None, ...] = field(repr=False)
    _asked: tuple[Asked | None, ...] = field(repr=False, compare=False)
    # The generation of the registry for which the items and what they seek were looked up last.
    _latest: tuple[object, tuple[Item, ...], tuple[Sought | None, ...]] = field(
        repr=False, compare=False
    )

    def __init__(
        self,
        *,
        aggregate_type: str | type[Aggregate] | None = None,
        aggregate_id: str | None = None,
        event_types: Iterable[str | type[E_co]] | None = None,
        tags: Iterable[str] | None = None,
        event_ids: Iterable[UUID] | None = None,
        correlation_id: UUID | str | None = None,
        user_id: str | None = None,
    ) -> None:
        """Makes a query; without arguments it matches every event.

        Args:
            aggregate_type: The type of the event's stream, by wire name or class; subclasses are
                not included.
            aggregate_id: The id of the event's stream.
            event_types: The event has one of these types, by wire name or class; a class includes
                the subclasses that exist when the query is made, and what retired events become of
                it by the time of the read; a name finds what is stored under it.
            tags: The event has all of these tags.
            event_ids: The event has one of these ids.
            correlation_id: The event has this correlation id; a UUID and its text are the same.
            user_id: The event has this user id.

        Raises:
            TypeError: An argument has the wrong type.
            InvalidEventError: An iterable is empty, which would match nothing, or `event_types`
                contains `Event`, which would match every event.
            PayloadTooLargeError: There are more than 1,000 types, tags and ids.
        """
        kinds = _several(event_types, "event_types")
        names = _event_types(kinds)
        generation = _registry.generation
        classes = tuple(kind for kind in kinds if isinstance(kind, type))
        retired = _retired(classes, names)
        plain: PlainItem = (
            _aggregate_type(aggregate_type),
            _text(aggregate_id, "aggregate_id"),
            (*names, *retired),
            tuple(checked_text("tags", tag) for tag in _several(tags, "tags")),
            tuple(_id(one) for one in _several(event_ids, "event_ids")),
            correlation_id.bytes
            if isinstance(correlation_id, UUID)
            else _text(correlation_id, "correlation_id"),
        )
        if user_id is not None and not isinstance(user_id, str):
            raise TypeError(f"user_id must be a str, not {user_id!r:.60}")
        item: Item = plain if user_id is None else (*plain, user_id)
        terms = len(plain[2]) + len(plain[3]) + len(plain[4])
        if terms > _MAX_TERMS:
            raise too_many("query terms", terms, _MAX_TERMS)
        given = any(part is not None and part != () for part in item)
        sought = _sought(names, classes) if retired else None
        asked = Asked(tuple(names), classes) if classes else None
        self._set(
            generation, (item,) if given else (), (sought,) if given else (), (asked,) * given
        )

    def _set(
        self,
        generation: object,
        items: tuple[Item, ...],
        sought: tuple[Sought | None, ...],
        asked: tuple[Asked | None, ...],
    ) -> None:
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "_sought", sought)
        object.__setattr__(self, "_asked", asked)
        object.__setattr__(self, "_latest", (generation, items, sought))

    def __getstate__(self) -> Any:
        """Returns what a copy in another process needs: the items as they are now."""
        return resolved(self)

    def __setstate__(self, state: Any) -> None:
        items, sought = state
        self._set(None, items, sought, (None,) * len(items))

    def __or__(self, other: Query[E]) -> Query[E_co | E]:
        """Returns a query that matches what either of the two matches.

        Raises:
            PayloadTooLargeError: The result joins more than 128 queries.
        """
        if not isinstance(other, Query):
            return NotImplemented
        both: Query[Any] = Query()
        everything = not self.items or not other.items
        items = () if everything else self.items + other.items
        if len(items) > _MAX_ITEMS:
            raise too_many("query items", len(items), _MAX_ITEMS)
        sought = () if everything else self._sought + other._sought
        both._set(None, items, sought, () if everything else self._asked + other._asked)
        return both


def resolved(query: Query[Any]) -> tuple[tuple[Item, ...], tuple[Sought | None, ...]]:
    """Returns the items of a query, with the retired classes that are known by now."""
    generation, items, sought = query._latest
    if generation is not _registry.generation:
        generation = _registry.generation
        found = [*map(_now, query.items, query._sought, query._asked)]
        items = tuple(item for item, _ in found)
        sought = tuple(each for _, each in found)
        object.__setattr__(query, "_latest", (generation, items, sought))
    return items, sought


def _now(item: Item, sought: Sought | None, asked: Asked | None) -> tuple[Item, Sought | None]:
    """Returns an item and what it seeks, by the retired classes that are known now."""
    if asked is None:
        return item, sought
    retired = _retired(asked.classes, asked.names)
    wanted: Any = (*item[:2], (*asked.names, *retired), *item[3:])
    return wanted, _sought(asked.names, asked.classes) if retired else None


def _sought(names: Iterable[str], classes: tuple[type[Event], ...]) -> Sought:
    return Sought(frozenset(names), (*classes, *map(_registry.current, classes)))


def names_parts(query: object) -> bool:
    """Tells whether a query asks for some of what retired events have become."""
    return isinstance(query, Query) and any(resolved(query)[1])


def shows(query: Query[Any], part: Event, stored: EventMeta) -> bool:
    """Tells whether a query asks for a part of what a retired event has become.

    Args:
        query: The query, by which the stored event was found.
        part: The part.
        stored: The metadata of the stored event.
    """
    return not query.items or any(
        sought is None or stored.event_type in sought.names or isinstance(part, sought.classes)
        for item, sought in zip(*resolved(query), strict=True)
        if item_matches(item, stored)
    )


def item_matches(item: tuple[Any, ...], meta: EventMeta) -> bool:
    """Tells whether a store finds an event by an item."""
    aggregate_type, aggregate_id, event_types, tags, event_ids, correlation_id, *user = item
    return (
        aggregate_type in (None, meta.aggregate_type)
        and aggregate_id in (None, meta.aggregate_id)
        and (not event_types or meta.event_type in event_types)
        and set(tags) <= set(meta.tags)
        and (not event_ids or meta.event_id.bytes in event_ids)
        and correlation_id in (None, *_forms(meta.correlation_id))
        and user in ([], [meta.user_id])
    )


def _forms(correlation_id: UUID | str | None) -> list[bytes | str]:
    """Returns a correlation id as a query may name it: a UUID and its text are the same."""
    if correlation_id is None:
        return []
    if isinstance(correlation_id, UUID):
        return [correlation_id.bytes, str(correlation_id)]
    try:
        as_uuid = UUID(correlation_id)
    except ValueError:
        return [correlation_id]
    return [correlation_id, as_uuid.bytes] if str(as_uuid) == correlation_id else [correlation_id]


def _several(given: Iterable[object] | None, field: str) -> list[object]:
    if given is None:
        return []
    if isinstance(given, str | bytes | type) or not isinstance(given, Iterable):
        raise TypeError(f"{field} takes several values, not {given!r:.60}")
    values = list(islice(given, _MAX_TERMS + 1))
    if len(values) > _MAX_TERMS:
        raise too_many("query terms", len(values), _MAX_TERMS)
    if not values:
        raise InvalidEventError(f"{field} is empty and would match nothing", field=field)
    return values


def too_many(what: str, size: int, limit: int) -> PayloadTooLargeError:
    """Returns the error for too much of something; `size` may be only a part of it."""
    text = f"{what}: {size} or more, and the limit is {limit}"
    return PayloadTooLargeError(text, what=what, size=size, limit=limit)


def _aggregate_type(kind: object) -> str | None:
    if kind is Aggregate:
        raise TypeError("aggregate_type: every aggregate is an Aggregate; leave it out")
    if isinstance(kind, type) and issubclass(kind, Aggregate):
        return kind.__aggregate_type__
    return _text(kind, "aggregate_type")


def _event_types(kinds: Iterable[object]) -> dict[str, None]:
    """Returns the wire names of event types, each once; those of a class and its subclasses.

    Of subclasses that are retired, `_retired` returns the names.
    """
    names: dict[str, None] = {}
    for kind in kinds:
        if kind is Event:
            raise InvalidEventError(
                "event_types: every event is an Event; leave it out to match them all",
                field="event_types",
            )
        if isinstance(kind, type) and issubclass(kind, Event):
            names |= dict.fromkeys(_registry.names(kind))
            below = (each for each in _below(kind) if each.__becomes__ is None)
            names |= dict.fromkeys(name for each in below for name in _registry.names(each))
        else:
            names[checked_text("event_types", kind)] = None
    return names


def _below(kind: type[Event]) -> Iterator[type[Event]]:
    """Yields the subclasses of a class, at any depth."""
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _retired(kinds: Iterable[object], names: Iterable[str]) -> list[str]:
    """Returns the wire names of retired events that become events of these classes."""
    classes = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Event)]
    parts = (part for kind in classes for part in (kind, *_below(kind)))
    found = (
        name for part in parts for each in _registry.sources(part) for name in _registry.names(each)
    )
    return sorted(set(found) - set(names))


def _id(given: object) -> bytes:
    if not isinstance(given, UUID):
        raise TypeError(f"event_ids takes UUIDs, not {given!r:.60}")
    return given.bytes


def _text(given: object, field: str) -> str | None:
    return None if given is None else checked_text(field, given)


ALL: Final[Query[Event]] = Query()
"""Every event."""
