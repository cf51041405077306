"""Reading the documents of read models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from eventuali._engine.documents import decoded
from eventuali._engine.operation import Operation
from eventuali._eventuali import Store
from eventuali.projection._model import ReadModel, Scalar, scalar

M = TypeVar("M", bound=ReadModel)

DocumentPlace: TypeAlias = tuple[Scalar | None, str]

PAGE = 1000


class Found(list[M], Generic[M]):
    """Documents that were found, in their order.

    Attributes:
        next: What to give to `find` as `after` to get those that follow; None at the end.
    """

    def __init__(self, documents: Iterable[M] = (), next: DocumentPlace | None = None) -> None:
        super().__init__(documents)
        self.next = next


class Condition(NamedTuple):
    """What must hold of a field: bounds, both included, and what else."""

    field: str
    low: Scalar | None
    high: Scalar | None
    exclusive: tuple[Scalar | None, Scalar | None] = (None, None)
    prefix: str | None = None
    among: tuple[Scalar, ...] | None = None

    def holds(self, document: ReadModel) -> bool:
        """Whether it holds of a document."""
        value = scalar(getattr(document, self.field), self.field)
        if value is None:
            return False
        low, high = self.exclusive
        return (
            (self.among is None or value in self.among)
            and (self.low is None or _below(self.low, value))
            and (self.high is None or _below(value, self.high))
            and (low is None or value != low)
            and (high is None or value != high)
            and (self.prefix is None or (isinstance(value, str) and value.startswith(self.prefix)))
        )


def _below(low: Scalar, high: Scalar) -> bool:
    if isinstance(low, str) or isinstance(high, str):
        return isinstance(low, str) and isinstance(high, str) and low.encode() <= high.encode()
    return low <= high


def get(store: Store, model: type[M], key: str) -> Operation[M | None]:
    """Returns the document of a key; None if there is none."""
    _checked(model)
    if not isinstance(key, str):
        raise TypeError(f"the key of a document must be a str, not {key!r:.60}")
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
    _checked(model)
    if type(limit) is not int or limit < 1:
        raise ValueError(f"limit must be an int of 1 or more, not {limit!r:.60}")
    conditions = _conditions(model, where)
    leading = _leading(model, conditions, order_by)
    found: Found[M] = Found()
    if leading is not None and leading.among is not None and order_by is None:
        return (yield from _among(store, model, leading, conditions, after, limit))
    while True:
        rows, next_place = yield from _page(store, model, leading, after, limit)
        for key, json, place in rows:
            document = decoded(model, key, json)
            if all(condition.holds(document) for condition in conditions):
                found.append(document)
                if len(found) == limit:
                    last = rows[-1][0] == key and next_place is None
                    found.next = None if last else place(document)
                    return found
        if next_place is None:
            return found
        after = next_place


def _among(
    store: Store,
    model: type[M],
    leading: Condition,
    conditions: list[Condition],
    after: DocumentPlace | None,
    limit: int,
) -> Operation[Found[M]]:
    """Finds by each of several values, in the order of the values."""
    found: Found[M] = Found()
    for value in sorted(set(leading.among or ()), key=_order):
        if after is not None and after[0] is not None and _order(value) < _order(after[0]):
            continue
        one = leading._replace(low=value, high=value)
        place = after if after is not None and after[0] == value else None
        while True:
            rows, next_place = yield from _page(store, model, one, place, limit)
            for key, json, place_of in rows:
                document = decoded(model, key, json)
                if all(condition.holds(document) for condition in conditions):
                    found.append(document)
                    if len(found) == limit:
                        found.next = place_of(document)
                        return found
            if next_place is None:
                break
            place = next_place
    return found


def _order(value: Scalar) -> tuple[int, Any]:
    if isinstance(value, str):
        return 2, value.encode()
    return (1 if isinstance(value, float) else 0), value


def _page(
    store: Store, model: type[M], leading: Condition | None, after: DocumentPlace | None, limit: int
) -> Operation[tuple[list[Any], DocumentPlace | None]]:
    name = model.__model_name__
    if leading is None:
        found, next_place = yield store.documents(name, prefix="", after=after, limit=limit)
        return [(key, json, _by_key) for key, json in found], next_place
    found, next_place = yield store.documents(
        name,
        index=leading.field,
        low=leading.low,
        high=leading.high,
        after=after,
        limit=min(limit, PAGE),
    )
    field = leading.field

    def place(document: M) -> DocumentPlace:
        return scalar(getattr(document, field), field), document.key

    return [(key, json, place) for key, json in found], next_place


def _by_key(document: ReadModel) -> DocumentPlace:
    return None, document.key


_LOOKUPS = ("in", "prefix", "ge", "gt", "le", "lt")


def _conditions(model: type[ReadModel], where: dict[str, Any]) -> list[Condition]:
    bounds: dict[str, Condition] = {}
    for name, value in where.items():
        field, _, lookup = name.rpartition("__")
        if lookup not in _LOOKUPS or not field:
            field, lookup = name, ""
        if field not in model.__indexed__:
            known = ", ".join(model.__indexed__) or "none"
            raise ValueError(
                f"{model.__name__} can't be searched by {field!r}; its indexed fields: {known}"
            )
        bounds[field] = _with(bounds.get(field, Condition(field, None, None)), lookup, value)
    return list(bounds.values())


def _with(condition: Condition, lookup: str, given: Any) -> Condition:
    field = condition.field
    if lookup == "in":
        values = [scalar(each, field) for each in given]
        return condition._replace(among=tuple(value for value in values if value is not None))
    value = scalar(given, field)
    if value is None:
        raise ValueError(f"{field}: None is not in the index, so it can't be searched for")
    low, high = condition.exclusive
    match lookup:
        case "":
            return condition._replace(low=value, high=value)
        case "ge":
            return condition._replace(low=value)
        case "gt":
            return condition._replace(low=value, exclusive=(value, high))
        case "le":
            return condition._replace(high=value)
        case "lt":
            return condition._replace(high=value, exclusive=(low, value))
        case _:
            if not isinstance(value, str):
                raise TypeError(f"{field}__prefix takes a str, not {given!r:.60}")
            return condition._replace(low=value, prefix=value, high=value + "\U0010ffff")


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
    return same[0]._replace(among=None) if same else Condition(order_by, None, None)


def _checked(model: object) -> None:
    if not (isinstance(model, type) and issubclass(model, ReadModel) and model is not ReadModel):
        raise TypeError(f"a read model must be a class derived from ReadModel, not {model!r:.60}")
