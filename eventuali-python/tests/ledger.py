"""An aggregate that counts, and the one check of what a log must look like after any trouble."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from eventuali import Aggregate, Event


class Counted(Event):
    number: int


class Ledger(Aggregate):
    numbers: list[int] = []  # noqa: RUF012

    def apply_counted(self, event: Counted) -> None:
        self.numbers.append(event.number)


class Other(Aggregate):
    total: int = 0

    def apply_counted(self, event: Counted) -> None:
        self.total += event.number


def counted(ledger_id: str, *numbers: int) -> Ledger:
    ledger = Ledger(id=ledger_id)
    for number in numbers:
        ledger.apply(Counted(number=number))
    return ledger


def check_log(events: Iterable[Event], wanted: Iterable[int]) -> None:
    """Every number is stored exactly once, and the versions of each stream are 1 to n."""
    events = list(events)
    stored = Counter(event.number for event in events)
    wanted = set(wanted)
    again = {number: count for number, count in stored.items() if count > 1}
    assert not again, f"stored more than once: {again}"
    assert stored.keys() == wanted, f"missing or strange: {stored.keys() ^ wanted}"
    check_versions(events)
    ids = Counter(event.meta.event_id for event in events)
    assert len(ids) == len(events), "an event id was stored twice"


def check_versions(events: Iterable[Event]) -> None:
    """Versions are 1 to n in each stream, in the order of unique, rising positions."""
    streams: dict[tuple, list[int]] = defaultdict(list)
    last = 0
    for event in events:
        meta = event.meta
        assert meta.position > last
        last = meta.position
        streams[meta.aggregate_type, meta.aggregate_id].append(meta.aggregate_version)
    for stream, versions in streams.items():
        assert versions == list(range(1, len(versions) + 1)), (stream, versions)
