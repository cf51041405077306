"""Values of a subclass that adds nothing, as freezegun, pandas and asyncpg make them.

They come back as the type that the field declares. What adds something is in `test_exact_refusals`.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from exactness import BERLIN, FOLD, GAP, LOCAL_MEAN_TIME, event_of, fingerprint
from hypothesis import given
from hypothesis import strategies as st
from labels import label

from eventuali.codec.json import Codec, _zoned_time
from eventuali.codec.json._compare import difference


class Moment(datetime):
    pass


class Fakes(type):
    """The metaclass that freezegun gives the class it puts in the place of `datetime`."""

    def __instancecheck__(cls, value):
        return isinstance(value, datetime)


class Fake(datetime, metaclass=Fakes):
    pass


class Day(date):
    pass


class Clock(time):
    pass


class Span(timedelta):
    __slots__ = ()


class Key(UUID):
    pass


class Amount(Decimal):
    pass


def moment(at: datetime) -> Moment:
    clock = at.hour, at.minute, at.second, at.microsecond
    return Moment(at.year, at.month, at.day, *clock, at.tzinfo, fold=at.fold)


NEW_YEAR = datetime(2020, 1, 1, 2, 3, 4, 5, UTC)
DAY = date(2020, 1, 1)
SPAN = timedelta(-1, 2, 3)
KEY = UUID(int=7)
BARE = [
    (datetime, moment(datetime.min), datetime.min), (datetime, moment(NEW_YEAR), NEW_YEAR),
    (datetime, moment(FOLD), FOLD), (datetime, moment(GAP.replace(fold=1)), GAP.replace(fold=1)),
    (datetime, moment(LOCAL_MEAN_TIME), LOCAL_MEAN_TIME),
    (datetime | None, Fake(2020, 1, 1), datetime(2020, 1, 1)), (date, Day(2020, 1, 1), DAY),
    (time, Clock(1, 2, 3, 4), time(1, 2, 3, 4)), (time, Clock(1, tzinfo=UTC), time(1, tzinfo=UTC)),
    (time, Clock(1, tzinfo=BERLIN), time(1, tzinfo=BERLIN)), (timedelta, Span(-1, 2, 3), SPAN),
    (UUID, Key(int=7), KEY), (list[datetime], [moment(FOLD), NEW_YEAR], [FOLD, NEW_YEAR]),
    (dict[datetime, date], {moment(NEW_YEAR): Day(2020, 1, 1)}, {NEW_YEAR: DAY}),
    (set[UUID], {Key(int=7)}, {KEY}), (tuple[timedelta, ...], (Span(-1, 2, 3),), (SPAN,)),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "value", "base"), BARE, ids=label)
def test_a_subclass_that_adds_nothing_comes_back_as_its_base(annotation, value, base):
    event = event_of(annotation, value)
    assert fingerprint(event.value) != fingerprint(base)  # pydantic kept the subclass
    codec = Codec(type(event))
    payload = codec.encode(event)
    back = codec.decode(payload)
    assert fingerprint(back.value) == fingerprint(base)
    assert back == event
    assert codec.encode(back) == payload


def test_a_decimal_of_a_subclass_comes_back_as_its_base():
    event = event_of(Decimal, Decimal(1)).model_copy(update={"value": Amount("1.50")})
    back = Codec(type(event)).decode(Codec(type(event)).encode(event))
    assert fingerprint(back.value) == fingerprint(Decimal("1.50"))


CLOCKS = st.datetimes(timezones=st.none() | st.timezones())


@given(CLOCKS, st.integers(0, 1))
def test_a_subclass_has_the_json_of_its_base(at, fold):
    at = at.replace(fold=fold)
    event = event_of(datetime, at)
    codec = Codec(type(event))
    assert codec.encode(event.model_copy(update={"value": moment(at)})) == codec.encode(event)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (moment(NEW_YEAR), NEW_YEAR.replace(microsecond=6)), (moment(FOLD), FOLD.replace(fold=1)),
        (moment(FOLD), FOLD.astimezone(UTC)), (NEW_YEAR, DAY), (moment(NEW_YEAR), DAY),
        (Clock(1), time(1, fold=1)), (Amount("1.0"), Decimal("1.00")), (NEW_YEAR, moment(NEW_YEAR)),
        (Key(int=7), UUID(int=8)), (Span(1), timedelta(2)), (Day(2020, 1, 1), date(2020, 1, 2)),
    ],
)  # fmt: skip
def test_a_subclass_with_another_value_differs(left, right):
    assert difference(left, right) is not None


@pytest.mark.parametrize("at", [FOLD, LOCAL_MEAN_TIME])
def test_the_second_form_is_read_while_freezegun_replaces_the_class(monkeypatch, at):
    event = event_of(datetime, at)
    monkeypatch.setattr(_zoned_time, "datetime", Fake)
    back = Codec(type(event)).decode(Codec(type(event)).encode(event))
    assert type(back.value) is datetime
