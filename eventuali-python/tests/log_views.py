"""Read models of the real event logs: how a process runs, as someone who mines it asks.

Times are integers of microseconds, so that sums are exact. The first event of a case needs no look
at what was before: that spares the free form a read for each case.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from logs import Step
from pots import Awaited, finish
from pydantic import Field

from eventuali import Documents, Projection, ReadModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


# --- throughput time per activity: the time since the event before it in its case -----------------


class Waits(ReadModel):
    """An activity; the first event of a case waited for nothing and is not counted."""

    count: int = 0
    total: int = 0
    shortest: int
    longest: int


class Latest(ReadModel):
    """A case: when its latest event was."""

    at: int


class Throughput(Projection):
    async def on_step(self, event: Step, docs: Documents) -> None:
        meta = event.meta
        now, case = micros(meta.timestamp), meta.aggregate_id
        latest = await docs.get(Latest, case) if meta.aggregate_version > 1 else None
        docs.put(case, Latest(at=now))
        if latest is None:
            return
        time = now - latest.at
        waits = await docs.get(Waits, meta.event_type) or Waits(shortest=time, longest=time)
        waits.count += 1
        waits.total += time
        waits.shortest = min(waits.shortest, time)
        waits.longest = max(waits.longest, time)
        docs.put(meta.event_type, waits)


# --- cases open at a time: until an activity that ends them; another one opens them again ---------


class Open(ReadModel):
    """A case that is open; there is no document of the others."""


class Day(ReadModel):
    """How many cases were open after each event of a day."""

    after: list[int] = Field(default_factory=list)


class Level(ReadModel):
    """How many cases are open, and the most there were, when first."""

    open: int = 0
    peak: int = 0
    peak_at: int = 0


class Workload(Projection):
    ends = (
        "Closed",
        "T10 Determine necessity to stop indication",
        "T15 Print document X request unlicensed",
        "T20 Print report Y to stop indication",
    )

    async def on_step(self, event: Step, docs: Documents) -> None:
        meta = event.meta
        case, day = meta.aggregate_id, meta.timestamp.date().isoformat()
        was_open = meta.aggregate_version > 1 and await docs.get(Open, case) is not None
        level = await docs.get(Level, "all") or Level()
        if meta.event_type not in self.ends:
            docs.put(case, Open())
            level.open += not was_open
        elif was_open:
            docs.delete(Open, case)
            level.open -= 1
        if level.open > level.peak:
            level.peak, level.peak_at = level.open, micros(meta.timestamp)
        docs.put("all", level)
        shown = await docs.get(Day, day) or Day()
        shown.after.append(level.open)
        docs.put(day, shown)


# --- hand-overs: two events of a case that follow one another, by different resources -------------


class HandOver(ReadModel, index=("giver", "taker", "count")):
    giver: str
    taker: str
    count: int = 0


class Holder(ReadModel):
    """A case: the resource of its latest event."""

    resource: str


class HandOvers(Projection):
    async def on_step(self, event: Step, docs: Documents) -> None:
        case, taker = event.meta.aggregate_id, event.org_resource
        holder = await docs.get(Holder, case) if event.meta.aggregate_version > 1 else None
        docs.put(case, Holder(resource=taker))
        if holder is None or holder.resource == taker:
            return
        key = f"{holder.resource} → {taker}"
        found = await docs.get(HandOver, key) or HandOver(giver=holder.resource, taker=taker)
        found.count += 1
        docs.put(key, found)


# --- the pure form: a document for each resource, and one for each case ---------------------------


class Resource(ReadModel):
    """How often a resource did what."""

    activities: dict[str, int] = Field(default_factory=dict)


class Resources(Projection[Resource]):
    def key(self, event: Step) -> str | None:
        return event.org_resource

    def on_step(self, event: Step, doc: Resource | None) -> Resource:
        doc = doc or Resource()
        activity = event.meta.event_type
        doc.activities[activity] = doc.activities.get(activity, 0) + 1
        return doc


class CaseView(ReadModel, index=("took",)):
    """A case: what happened, and the time from its first event to its latest."""

    began: datetime
    took: int = 0
    path: list[str]


class Cases(Projection[CaseView]):
    def on_step(self, event: Step, doc: CaseView | None) -> CaseView:
        doc = doc or CaseView(began=event.meta.timestamp, path=[])
        doc.took = (event.meta.timestamp - doc.began) // MICROSECOND
        doc.path.append(event.meta.event_type)
        return doc


PURE = (Resources, Cases)
FREE = (Throughput, Workload, HandOvers)


def in_threads(cls: type[Projection]) -> Projection:
    """Makes the same projection of the free form for a store that blocks."""

    class InThreads(Projection, name=cls.__name__):
        inner = cls()

        def on_step(self, event: Step, docs: Any) -> None:
            finish(self.inner.on_step(event, Awaited(docs)))

    return InThreads()


def without(cls: type[Projection], position: int) -> Projection:
    """Makes the same projection, but for one event that it loses."""
    if cls in PURE:

        class LosesKey(cls, name=cls.__name__):
            def key(self, event: Step) -> str | None:
                return None if event.meta.position == position else super().key(event)

        return LosesKey()

    class Loses(cls, name=cls.__name__):
        async def on_step(self, event: Step, docs: Documents) -> None:
            if event.meta.position != position:
                await super().on_step(event, docs)

    return Loses()
