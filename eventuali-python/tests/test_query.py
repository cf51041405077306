"""Queries: what they take, and what they refuse."""

from uuid import UUID

import pytest

from eventuali import ALL, Aggregate, Event, InvalidEventError, Query, User


class Asked(Event, name="asked"):
    pass


@pytest.mark.parametrize("field", ["event_types", "tags", "event_ids"])
@pytest.mark.parametrize("empty", [(), [], set(), frozenset(), {}, range(0)], ids=repr)
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


@pytest.mark.parametrize("wrong", [int, Asked, type, object, 1, b"x", ["a"], User()], ids=repr)
def test_an_aggregate_type_is_a_name_or_a_class_of_aggregates(wrong):
    with pytest.raises(TypeError, match="aggregate_type"):
        Query(aggregate_type=wrong)


def test_aggregate_types():
    assert Query(aggregate_type=User) == Query(aggregate_type="User")
    assert Query(aggregate_type=Aggregate) == Query(aggregate_type="Aggregate")


def test_generators_are_read_once():
    ids = [UUID(int=1), UUID(int=2)]
    assert Query(event_ids=(i for i in ids)) == Query(event_ids=ids)
    assert Query(event_types=iter([Asked])) == Query(event_types=["asked"])
