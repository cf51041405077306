"""The comparison itself."""

from collections import OrderedDict, defaultdict, deque
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from exactness import BERLIN, FOLD, Nested, Point, Special, Tree

from eventuali.codec.json._compare import difference, unwritable


@pytest.mark.parametrize(
    ("left", "right", "path"),
    [
        (1, True, ""), (0.0, -0.0, ""), (Decimal("1.0"), Decimal("1.00"), ""), ([1], (1,), ""),
        ([1, 2], [1], ""), ({"a": 1}, {"a": 1, "b": 2}, ""), ({"a": 1}, {"b": 1}, "['a']"),
        ({"a": 1}, {"a": True}, "['a']"),
        ({1: 0}, {True: 0}, "[1]"), ({1}, {True}, ""), ({1}, {2}, ""),
        (frozenset({0.0}), frozenset({-0.0}), ""),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), ""), (deque([1], 2), deque([1], 3), ""),
        (defaultdict(int), defaultdict(str), ""), (time(1), time(1, fold=1), ""),
        (complex(1, 0.0), complex(1, -0.0), ""),
        (time(1), time(1, tzinfo=BERLIN), ""), (FOLD, FOLD.replace(fold=1), ""),
        (FOLD, FOLD.astimezone(UTC), ""), (datetime(2020, 1, 1), datetime(2020, 1, 1, fold=1), ""),
        (Nested(price=0.0), Nested(price=-0.0), "price"), (Nested(), Special(), ""),
        (Point(0.0), Point(-0.0), "x"),
        (Tree(children=[Tree(value=1)]), Tree(children=[Tree(value=2)]), "children[0].value"),
    ],
)  # fmt: skip
def test_difference(left, right, path):
    found = difference(left, right)
    assert found is not None
    assert found.path == path
    assert difference(right, left) is not None
    assert difference(left, left) is None
    assert difference(right, right) is None


def test_difference_of_objects_whose_equality_fails():
    class Vague:
        def __eq__(self, other):
            raise ZeroDivisionError

        __hash__ = None

    assert difference([Vague()], [Vague()]) is not None


def test_unwritable_finds_nothing_in_plain_json():
    assert unwritable({"a": [1, 1.5, None, "x"]}, non_finite=True) is None
