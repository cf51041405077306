"""Reading the documents of read models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite
from typing import Any, Generic, TypeAlias, TypeGuard, TypeVar

from eventuali._engine.documents import check_model, decoded
from eventuali._engine.operation import Operation
from eventuali._eventuali import Store
from eventuali.event._names import checked_text
from eventuali.projection._model import LOOKUPS, ReadModel, Scalar, scalar

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
    """What must hold of a field: bounds, both included, and what else."""

    field: str
    low: Scalar | None = None
    high: Scalar | None = None
    tests: tuple[Callable[[Scalar], bool], ...] = ()
    among: frozenset[Scalar] | None = None

    def holds(self, document: ReadModel) -> bool:
        """Whether it holds of a document."""
        value = value_of(document, self.field)
        return (
            value is not None
            and (self.low is None or _order(self.low) <= _order(value))
            and (self.high is None or _order(value) <= _order(self.high))
            and (self.among is None or value in self.among)
            and all(test(value) for test in self.tests)
        )

    def within(self, low: Scalar | None, high: Scalar | None) -> Condition:
        """Returns the condition with bounds that are as close as both say."""
        lows = [each for each in (self.low, low) if each is not None]
        highs = [each for each in (self.high, high) if each is not None]
        return replace(
            self,
            low=max(lows, key=_order, default=None),
            high=min(highs, key=_order, default=None),
        )


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
    found, _ = yield store.documents(model.__model_name__, keys=[key], limit=1)
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
    leading = _leading(model, conditions, order_by)
    found: Found[M] = Found()
    for part in _parts(leading, after):
        place = after if after is not None and part.begins(after) else None
        while True:
            # One more, which says whether anything follows.
            rows, place = yield from part.page(store, model, place, limit - len(found) + 1)
            for key, json in rows:
                document = decoded(model, key, json)
                if not all(condition.holds(document) for condition in conditions):
                    continue
                if len(found) == limit:
                    found.next = part.place(found[-1])
                    return found
                found.append(document)
            if place is None:
                break
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Documents that are found by one look into an index, or by their keys."""

    condition: Condition | None

    def begins(self, after: DocumentPlace) -> bool:
        """Whether a page that ended there is continued in this part."""
        condition = self.condition
        if condition is None or after[0] is None:
            return condition is None
        inside = condition.within(after[0], after[0])
        low, high = inside.low, inside.high
        return low is None or high is None or _order(low) <= _order(high)

    def page(
        self, store: Store, model: type[ReadModel], after: DocumentPlace | None, limit: int
    ) -> Operation[tuple[list[tuple[str, bytes]], DocumentPlace | None]]:
        """Reads some of it: (key, JSON) each, and where to go on."""
        name, condition, limit = model.__model_name__, self.condition, min(limit, PAGE)
        if condition is None:
            answer = yield store.documents(name, prefix="", after=after, limit=limit)
        else:
            answer = yield store.documents(
                name,
                index=condition.field,
                low=condition.low,
                high=condition.high,
                after=after,
                limit=limit,
            )
        rows, place = answer
        return rows, place

    def place(self, document: ReadModel) -> DocumentPlace:
        """Returns where a document stands."""
        condition = self.condition
        return None if condition is None else value_of(document, condition.field), document.key


def _parts(leading: Condition | None, after: DocumentPlace | None) -> Iterator[_Part]:
    """Yields what is read, one after the other: each of several values is looked for by itself."""
    if leading is None or leading.among is None:
        yield _Part(leading)
        return
    for value in sorted(leading.among, key=_order):
        if after is None or after[0] is None or _order(after[0]) <= _order(value):
            yield _Part(leading.within(value, value))


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
                return condition.within(ceil(value), None)
            case "le" | "lt":
                return condition.within(None, floor(value))
        return replace(condition, among=frozenset())
    match lookup:
        case "":
            return condition.within(value, value)
        case "ge":
            return condition.within(value, None)
        case "le":
            return condition.within(None, value)
        case "gt" | "lt":
            tests = (*condition.tests, lambda found: found != value)
            bounded = condition.within(*((value, None) if lookup == "gt" else (None, value)))
            return replace(bounded, tests=tests)
    if not isinstance(value, str):
        raise TypeError(f"{field}__prefix takes a str, not {given!r:.60}")
    prefix = value
    tests = (
        *condition.tests,
        lambda found: isinstance(found, str) and found.startswith(prefix),
    )
    return replace(condition.within(prefix, prefix + "\U0010ffff" * 2), tests=tests)


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
) -> Condition | None:
    """Returns the condition whose index is read."""
    if order_by is None:
        return conditions[0] if conditions else None
    if order_by == "key":
        return None
    if order_by not in model.__indexed__:
        raise ValueError(f"{model.__name__} can't be ordered by {order_by!r}, which is not indexed")
    same = [condition for condition in conditions if condition.field == order_by]
    return same[0] if same else Condition(order_by)
