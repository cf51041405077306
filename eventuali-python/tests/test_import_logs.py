"""Two real event logs: what is counted in the store is what is counted in the file."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from logs import attributes_of, import_log, moment, read_log
from stores import BACKENDS, SHARED, url_of

from eventuali import Query, sync

EXPECTED = {"permits": (8_577, 1_434, 27), "helpdesk": (21_348, 4_580, 14)}


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_imported_log_is_the_log(name, kind, tmp_path):
    log = read_log(name)
    events, cases, activities = EXPECTED[name]
    url = url_of(kind, tmp_path)
    store = sync.EventStore.create(url)
    assert import_log(store, log) == events
    if kind in SHARED:
        store.close()
        store = sync.EventStore.create(url)
    with store:
        stored = list(store.read())
        assert len(stored) == events

        by_activity = Counter(line["activity"] for line in log.lines)
        assert len(by_activity) == activities
        assert Counter(event.meta.event_type for event in stored) == by_activity
        for activity, count in by_activity.items():
            assert sum(1 for _ in store.read(Query(event_types=[activity]))) == count

        by_case = Counter(line["case"] for line in log.lines)
        assert len(by_case) == cases
        assert Counter(event.meta.aggregate_id for event in stored) == by_case
        listed = list(store.streams(log.case))
        assert {stream.aggregate_id: stream.version for stream in listed} == by_case
        assert [stream.aggregate_id for stream in listed] == sorted(by_case, key=str.encode)

        lines = defaultdict(list)
        for line in log.lines:
            lines[line["case"]].append(line)
        happened = defaultdict(list)
        for event in stored:
            happened[event.meta.aggregate_id].append(event)
        equal_times = 0
        for case, wanted in lines.items():
            events_of_case = happened[case]
            versions = [event.meta.aggregate_version for event in events_of_case]
            assert versions == list(range(1, len(wanted) + 1))
            for line, event in zip(wanted, events_of_case, strict=True):
                assert type(event) is log.classes[line["activity"]]
                assert event.meta.timestamp == moment(line)
                fields = {k: v for k, v in event.__dict__.items() if v is not None}
                assert fields == attributes_of(line)
            times = [line["timestamp"] for line in wanted]
            equal_times += len(times) - len(set(times))
            loaded = store.load(log.case, case)
            assert loaded is not None
            assert loaded.version == len(wanted)
            assert loaded.happened == [(line["activity"], moment(line)) for line in wanted]
        assert (equal_times > 0) == (name == "helpdesk")  # the one with equal times in a case
