"""Reading the documents of read models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, inf, isfinite, nextafter
from typing import Any, Generic, TypeAlias, TypeGuard, TypeVar

from eventuali._engine.documents import check_model, decoded
from eventuali._engine.operation import Operation
from eventuali._eventuali import Store
from eventuali.event._names import checked_text
from eventuali.projection._model import LOOKUPS, TEXT_BYTES, ReadModel, Scalar, scalar

M = TypeVar("M", bound=ReadModel)

DocumentPlace: TypeAlias = tuple[Scalar | None, str]
"""Where a page ends: the value that it is sorted by, None if that is the key, and the key."""

PAGE = 1000


class Found(list[M], Generic[M]):
    """Documents that were found, in their order.

    Attributes:
        next: What to give to `find` as `after` to get those that follow; None at the end.
    """

    def __init__(
        self,
        documents: Iterable[M] = (),
        next: DocumentPlace | None = None,
    ) -> None:
        super().__init__(documents)
        self.next = next


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a field.

    Attributes:
        field: Its name.
        low: The least value; None for none.
        high: The greatest value; None for none.
        above: Whether the value must be above the least.
        below: Whether it must be below the greatest.
        among: What it must be one of; None for anything.
    """

    field: str
    low: Scalar | None = None
    high: Scalar | None = None
    above: bool = False
    below: bool = False
    among: frozenset[Scalar] | None = None

    def holds(self, document: ReadModel) -> bool:
        """Whether it holds of a document."""
        value = value_of(document, self.field)
        if value is None or (self.among is not None and value not in self.among):
            return False
        place = _order(value)
        if self.low is not None:
            low = _order(self.low)
            if place < low or (self.above and place == low):
                return False
        if self.high is not None:
            high = _order(self.high)
            if high < place or (self.below and place == high):
                return False
        return True

    def at_least(self, low: Scalar, *, above: bool = False) -> Condition:
        """Returns the condition with one more lower bound."""
        if self.low is not None and (_order(low), above) <= (_order(self.low), self.above):
            return self
        return replace(self, low=low, above=above)

    def at_most(self, high: Scalar, *, below: bool = False) -> Condition:
        """Returns the condition with one more upper bound."""
        if self.high is not None:
            new, old = _order(high), _order(self.high)
            if new > old or (new == old and self.below >= below):
                return self
        return replace(self, high=high, below=below)

    def just(self, value: Scalar) -> Condition:
        """Returns the condition with a value that must be equal."""
        return self.at_least(value).at_most(value)

    @property
    def is_empty(self) -> bool:
        """Whether no value is within the bounds."""
        if self.low is None or self.high is None:
            return False
        low, high = _order(self.low), _order(self.high)
        return low > high or (low == high and (self.above or self.below))


def value_of(document: ReadModel, field: str) -> Scalar | None:
    """Returns what the index holds of a field."""
    return scalar(getattr(document, field), field, real=type(document).__indexed__[field])


def _order(value: Scalar) -> tuple[int, Any]:
    """Returns what sorts as the index does: numbers, then texts by their bytes."""
    return (1, value.encode()) if isinstance(value, str) else (0, value)


def get(store: Store, model: type[M], key: str) -> Operation[M | None]:
    """Returns the document of a key; None if there is none."""
    check_model(model)
    key = checked_text("key", key)
    found, _ = yield store.documents_by_keys(model.__model_name__, [key])
    return decoded(model, key, found[0][1]) if found else None


def find(
    store: Store,
    model: type[M],
    where: dict[str, Any],
    order_by: str | None,
    after: DocumentPlace | None,
    limit: int,
) -> Operation[Found[M]]:
    """Returns a page of the documents of which everything holds, in their order."""
    check_model(model)
    if type(limit) is not int or limit < 1:
        raise ValueError(f"limit must be an int of 1 or more, not {limit!r:.60}")
    if after is not None and not (
        isinstance(after, tuple) and len(after) == 2 and isinstance(after[1], str)
    ):
        raise TypeError(f"after must be the `next` of a page, not {after!r:.60}")
    conditions = _conditions(model, where)
    leading, backwards = _leading(model, conditions, order_by)
    others = [
        each
        for each in conditions
        # The index says it all of the condition by which it is read, but for open bounds.
        if leading is None or each.field != leading.field or each.above or each.below
    ]
    found: Found[M] | None = None
    while found is None:
        found = yield from _found(store, model, leading, others, after, limit, backwards)
    return found


def _found(
    store: Store,
    model: type[M],
    leading: Condition | None,
    others: list[Condition],
    after: DocumentPlace | None,
    limit: int,
    backwards: bool,
) -> Operation[Found[M] | None]:
    """Returns a page; None where others took the place of the documents while they were read."""
    found: Found[M] = Found()
    first: int | None = None
    for part in _parts(leading, after, backwards=backwards):
        place = after if after is not None and part.begins(after) else None
        while True:
            # One more, which says whether anything follows.
            rows, place, number = yield store.documents(
                model.__model_name__,
                part.selection,
                backwards,
                place,
                min(limit - len(found) + 1, PAGE),
            )
            first = number if first is None else first
            if number != first:
                return None
            for key, json in rows:
                document = decoded(model, key, json)
                if others and not all(condition.holds(document) for condition in others):
                    continue
                if len(found) == limit:
                    found.next = part.place(found[-1])
                    return found
                found.append(document)
            if place is None:
                break
    return found


def search(store: Store, model: type[M], text: str, limit: int) -> Operation[list[M]]:
    """Returns the documents whose texts fit a query, best first."""
    check_model(model)
    if not model.__texts__:
        raise ValueError(f"{model.__name__} has no text to search: name its fields in text=(…)")
    if type(limit) is not int or not 1 <= limit <= PAGE:
        raise ValueError(f"limit must be an int of 1 to {PAGE:,}, not {limit!r:.60}")
    query = checked_text("text", text)
    found, _ = yield store.search(model.__model_name__, query, limit)
    return [decoded(model, key, json) for key, json in found]


def count(store: Store, model: type[ReadModel], where: dict[str, Any]) -> Operation[int]:
    """Returns of how many documents everything holds."""
    check_model(model)
    conditions = _conditions(model, where)
    leading = conditions[0] if conditions else None
    if len(conditions) > 1 or (leading is not None and (leading.above or leading.below)):
        # An index can't tell: the documents are read, in pages of one moment each.
        number = 0
        after: DocumentPlace | None = None
        while True:
            page = yield from find(store, model, where, None, after, PAGE)
            number += len(page)
            if page.next is None:
                return number
            after = page.next
    counted: int | None = None
    while counted is None:
        counted = yield from _counted(store, model.__model_name__, leading)
    return counted


def _counted(store: Store, name: str, leading: Condition | None) -> Operation[int | None]:
    """Returns how many a condition finds; None where others took their place meanwhile."""
    total = 0
    first: int | None = None
    for part in _parts(leading, None):
        if part.condition is not None and part.condition.is_empty:
            continue
        count, number = yield store.count_documents(name, part.selection)
        first = number if first is None else first
        if number != first:
            return None
        total += count
    return total


@dataclass(frozen=True, slots=True)
class _Part:
    """Documents that are found by one look into an index, or by their keys."""

    condition: Condition | None

    @property
    def selection(self) -> tuple[str | None, Scalar | None, Scalar | None]:
        """What is asked of the store: (name of an index, low, high)."""
        condition = self.condition
        if condition is None:
            return None, None, None
        return condition.field, condition.low, condition.high

    def begins(self, after: DocumentPlace) -> bool:
        """Whether a page that ended there is continued in this part."""
        condition = self.condition
        if condition is None or after[0] is None:
            return condition is None
        return not condition.just(after[0]).is_empty

    def place(self, document: ReadModel) -> DocumentPlace:
        """Returns where a document stands."""
        condition = self.condition
        return None if condition is None else value_of(document, condition.field), document.key


def _parts(
    leading: Condition | None, after: DocumentPlace | None, *, backwards: bool = False
) -> Iterator[_Part]:
    """Yields what is read, one after the other: each of several values is looked for by itself."""
    if leading is None or leading.among is None:
        yield _Part(leading)
        return
    for value in sorted(leading.among, key=_order, reverse=backwards):
        begun = after is None or after[0] is None
        if after is not None and after[0] is not None:
            here, there = _order(value), _order(after[0])
            begun = here <= there if backwards else there <= here
        part = leading.just(value)
        if begun and not part.is_empty:
            yield _Part(part)


def _conditions(model: type[ReadModel], where: dict[str, Any]) -> list[Condition]:
    found: dict[str, Condition] = {}
    for name, value in where.items():
        field, _, lookup = name.rpartition("__")
        if lookup not in LOOKUPS or not field:
            field, lookup = name, ""
        if field not in model.__indexed__:
            known = ", ".join(model.__indexed__) or "none"
            raise ValueError(
                f"{model.__name__} can't be searched by {name!r}; its indexed fields: {known}; "
                f"what may follow one: __{', __'.join(LOOKUPS)}"
            )
        condition = found.get(field, Condition(field))
        found[field] = _with(condition, lookup, value, real=model.__indexed__[field])
    return list(found.values())


def _with(condition: Condition, lookup: str, given: Any, *, real: bool) -> Condition:
    """Returns a condition with one more lookup."""
    field = condition.field
    if lookup == "in":
        if isinstance(given, str):
            raise TypeError(f"{field}__in takes several values, not a str")
        wanted = [_wanted(each, field, real=real) for each in given]
        values = frozenset(each for each in wanted if not _is_fraction(each, real=real))
        among = values if condition.among is None else values & condition.among
        return replace(condition, among=among)
    value = _wanted(given, field, real=real)
    if _is_fraction(value, real=real):  # no integer is equal to it
        match lookup:
            case "ge" | "gt":
                return _beyond(condition, "ge", ceil(value), real=real)
            case "le" | "lt":
                return _beyond(condition, "le", floor(value), real=real)
        return replace(condition, among=frozenset())
    match lookup:
        case "":
            return condition.just(value)
        case "ge" | "gt" | "le" | "lt":
            return _beyond(condition, lookup, value, real=real)
    if not isinstance(value, str):
        raise TypeError(f"{field}__prefix takes a str, not {given!r:.60}")
    # Above every text that begins so: none is as long.
    return condition.at_least(value).at_most(value + "\U0010ffff" * (TEXT_BYTES // 4 + 1))


def _beyond(condition: Condition, lookup: str, value: Scalar, *, real: bool) -> Condition:
    """Returns a condition with a bound, and one on the other side of what has the same type.

    Bounds are included as far as possible: the index then says it all.
    """
    upwards = lookup in ("ge", "gt")
    if isinstance(value, str):
        if upwards:  # nothing stands between a text and the same with a NUL behind it
            return condition.at_least(value + "\0" if lookup == "gt" else value)
        return condition.at_least("").at_most(value, below=lookup == "lt")
    if real:
        edge = inf if upwards else -inf
        if lookup in ("gt", "lt"):
            if value == edge:
                return replace(condition, among=frozenset())
            value = nextafter(value, edge)
    else:
        edge = 2**63 - 1 if upwards else -(2**63)
        if lookup in ("gt", "lt"):
            if value == edge:
                return replace(condition, among=frozenset())
            value = int(value) + (1 if upwards else -1)
    if upwards:
        return condition.at_least(value).at_most(edge)
    return condition.at_least(edge).at_most(value)


def _is_fraction(value: Scalar, *, real: bool) -> TypeGuard[float]:
    """Whether a value is a fraction that is looked for among integers."""
    return isinstance(value, float) and not real


def _wanted(given: object, field: str, *, real: bool) -> Scalar:
    if isinstance(given, float) and not isfinite(given):
        raise ValueError(f"{field}: {given!r} is not a number to search for")
    if isinstance(given, float) and not real and given.is_integer():
        given = int(given)
    value = scalar(given, field, real=real)
    if value is None:
        raise ValueError(f"{field}: None is not in the index, so it can't be searched for")
    return value


def _leading(
    model: type[ReadModel], conditions: list[Condition], order_by: str | None
) -> tuple[Condition | None, bool]:
    """Returns the condition whose index is read, and whether it is read backwards."""
    if order_by is None:
        return (conditions[0] if conditions else None), False
    backwards = order_by.startswith("-")
    field = order_by.removeprefix("-")
    if field == "key":
        return None, backwards
    if field not in model.__indexed__:
        raise ValueError(f"{model.__name__} can't be ordered by {order_by!r}, which is not indexed")
    same = [condition for condition in conditions if condition.field == field]
    return (same[0] if same else Condition(field)), backwards
