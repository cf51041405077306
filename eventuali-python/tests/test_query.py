"""Queries: what they take, and what they refuse."""

import pickle
from itertools import count
from uuid import UUID, uuid4

import pytest
from labels import label

from eventuali import (
    ALL,
    Aggregate,
    AppendCondition,
    AppendConditionError,
    DomainEvent,
    Event,
    InvalidEventError,
    Query,
    User,
    sync,
)
from eventuali.errors import PayloadTooLargeError


class Asked(Event, name="asked"):
    pass


@pytest.mark.parametrize("field", ["event_types", "tags", "event_ids"])
@pytest.mark.parametrize("empty", [(), [], set(), frozenset(), {}, range(0)], ids=label)
def test_empty_is_not_everything(field, empty):
    for given in (empty, iter(empty)):
        with pytest.raises(InvalidEventError, match="match nothing") as caught:
            Query(**{field: given})
        assert caught.value.field == field


@pytest.mark.parametrize("field", ["event_types", "tags", "event_ids", "aggregate_type"])
def test_what_is_not_given_restricts_nothing(field):
    assert Query(**{field: None}) == Query() == ALL


@pytest.mark.parametrize("field", ["event_types", "tags", "event_ids"])
@pytest.mark.parametrize("wrong", ["abc", b"abc", 1, Asked])
def test_one_is_not_several(field, wrong):
    with pytest.raises(TypeError, match=f"{field} takes several"):
        Query(**{field: wrong})


@pytest.mark.parametrize("wrong", [int, Asked, type, object, 1, b"x", ["a"], User()], ids=label)
def test_an_aggregate_type_is_a_name_or_a_class_of_aggregates(wrong):
    with pytest.raises(TypeError, match="aggregate_type"):
        Query(aggregate_type=wrong)


def test_aggregate_types():
    assert Query(aggregate_type=User) == Query(aggregate_type="User")
    with pytest.raises(TypeError, match="leave it out"):
        Query(aggregate_type=Aggregate)


def test_generators_are_read_once():
    ids = [UUID(int=1), UUID(int=2)]
    assert Query(event_ids=(i for i in ids)) == Query(event_ids=ids)
    assert Query(event_types=iter([Asked])) == Query(event_types=["asked"])


class Payment(DomainEvent):
    amount: int


class CardPayment(Payment):
    pass


class Cheque(Payment, name="cheque"):
    pass


class CrossedCheque(Cheque):
    pass


def test_a_class_matches_those_derived_from_it():
    (item,) = Query(event_types=[Payment]).items
    assert sorted(item[2]) == ["CardPayment", "CrossedCheque", "Payment", "cheque"]
    (item,) = Query(event_types=["asked", Cheque, CrossedCheque]).items
    assert item[2] == ("asked", "cheque", "CrossedCheque")
    assert {"Payment", "CrossedCheque"} <= set(Query(event_types=[DomainEvent]).items[0][2])
    with pytest.raises(InvalidEventError, match="leave it out") as caught:
        Query(event_types=[Asked, Event])
    assert caught.value.field == "event_types"


def test_a_base_class_reads_and_guards_what_is_derived_from_it():
    with sync.EventStore.create("memory://") as store:
        store.append([CardPayment(amount=1), Cheque(amount=2), Asked()])
        found = list(store.read(Query(event_types=[Payment])))
        assert [type(event) for event in found] == [CardPayment, Cheque]
        condition = AppendCondition(Query(event_types=[Payment]), after=1)
        with pytest.raises(AppendConditionError):
            store.append([Asked()], condition=condition)


def test_queries_are_values():
    one = Query(event_types=[Asked], tags=["a"], event_ids=[UUID(int=1)], correlation_id="c")
    other = Query(
        event_types=["asked"], tags=iter("a"), event_ids=[UUID(int=1)], correlation_id="c"
    )
    assert one == other
    assert {one: 1}[other] == 1
    assert len({one | ALL, other | ALL, ALL}) == 1
    assert hash(pickle.loads(pickle.dumps(one | Query(tags=["b"])))) == hash(
        one | Query(tags=["b"])
    )
    with pytest.raises(AttributeError):
        one.items = ()
    for item in one.items:
        assert all(isinstance(part, tuple | str | bytes | None) for part in item)


def test_what_is_too_much_is_told_when_the_query_is_made():
    for field, endless in (
        ("tags", (f"t{n}" for n in count())),
        ("event_types", (f"T{n}" for n in count())),
        ("event_ids", iter(uuid4, None)),
    ):
        with pytest.raises(PayloadTooLargeError) as caught:
            Query(**{field: endless})
        assert caught.value.limit == 1000
    with pytest.raises(PayloadTooLargeError):
        Query(tags=[f"t{n}" for n in range(600)], event_types=[f"T{n}" for n in range(600)])
    query = Query(tags=["t"])
    for _ in range(127):
        query |= Query(tags=["t"])
    with pytest.raises(PayloadTooLargeError) as caught:
        query | query
    assert caught.value.limit == 128
