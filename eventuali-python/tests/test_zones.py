"""Datetimes of other libraries: subclasses with their own arithmetic, and zones of their own."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from labels import label
from stores import each_kind, url_of

from eventuali import Aggregate, Event, EventualiError, SerializationError, sync


class Zone(tzinfo):
    """Central Europe in 2025 without a name, as dateutil has it."""

    def utcoffset(self, at):
        if at is None:
            return None
        ends = at.replace(tzinfo=None) >= datetime(2025, 10, 26, 3 - at.fold)
        begins = at.replace(tzinfo=None) >= datetime(2025, 3, 30, 3 - at.fold)
        return timedelta(hours=2 if begins and not ends else 1)

    def dst(self, at):
        return self.utcoffset(at) - timedelta(hours=1)


class NamedZone(ZoneInfo):
    """A subclass, as pendulum has it."""


class Moment(datetime):
    """Subtraction and comparison are its own, as pendulum's are."""

    def __sub__(self, other):
        raise AttributeError("_to_microseconds")

    __rsub__ = __sub__


class Logged(Event):
    at: datetime


class Diary(Aggregate):
    entries: int = 0

    def apply_logged(self, event: Logged) -> None:
        self.entries += 1


class Alarm(Event, name="zones.alarm"):
    at: time


ZONES = [UTC, Zone(), NamedZone("Europe/Berlin"), ZoneInfo("Europe/Berlin")]
CLOCKS = [(2025, 7, 1, 12), (2025, 10, 26, 2, 30), (2025, 3, 30, 2, 30), (2025, 10, 26, 1, 59)]


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("clock", CLOCKS, ids=label)
@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: type(zone).__name__)
@pytest.mark.parametrize("cls", [datetime, Moment])
def test_any_aware_datetime_is_stored_by_its_offset(cls, zone, clock, fold):
    at = cls(*clock, tzinfo=zone, fold=fold)
    wall = at.replace(tzinfo=None)
    with sync.EventStore.create("memory://") as store:
        store.append([Logged(at=at, timestamp=at)])
        (event,) = store.read()
    assert event.at.replace(tzinfo=None) == wall
    assert event.at.utcoffset() == at.utcoffset()
    happened = (datetime(*clock) - at.utcoffset()).replace(tzinfo=UTC)
    assert event.timestamp == happened
    assert event.timestamp.utcoffset() == timedelta(0)


@each_kind
@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: type(zone).__name__)
def test_any_aware_datetime_bounds_what_is_read(zone, kind, tmp_path):
    early, late = (Moment(year, 1, 1, tzinfo=zone) for year in (2001, 2999))
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Logged(at=early, timestamp=early)], stream=("Diary", "d"))
        assert len(list(store.read(since=early, until=late))) == 1
        assert list(store.read(until=early)) == list(store.read(since=late)) == []
        for by in ("recorded_at", "timestamp"):
            assert store.load_one(Diary, "d", at_time=late, by=by).entries == 1
        assert store.load_one(Diary, "d", at_time=early, by="timestamp").entries == 1
        assert store.load_one(Diary, "d", at_time=early).entries == 0


@each_kind
def test_a_time_in_a_zone_that_is_not_known_is_an_error_of_the_tree(kind, tmp_path, monkeypatch):
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([Alarm(at=time(7, 30, tzinfo=ZoneInfo("Europe/Berlin")))])
        monkeypatch.setitem(sys.modules, "tzdata", None)
        path = zoneinfo.TZPATH
        zoneinfo.reset_tzpath(to=())
        ZoneInfo.clear_cache()
        try:
            with pytest.raises(SerializationError, match="'Europe/Berlin' is not known") as caught:
                list(store.read())
        finally:
            zoneinfo.reset_tzpath(to=path)
        assert isinstance(caught.value, EventualiError)
        monkeypatch.undo()
        (alarm,) = store.read()
        assert alarm.at.tzinfo == ZoneInfo("Europe/Berlin")
