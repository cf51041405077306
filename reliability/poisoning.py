"""Projections that meet an event which they can't handle, and are mended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from eventuali import sync
from reliability.course import Course, Kept, Nursery, Writer
from reliability.projecting import (
    IN_THE_STORE,
    MODELS,
    Batches,
    Logged,
    compare,
    folded,
    log_of,
)
from reliability.scenario import Job

_EVENTS, _MORE = 800, 200
_NAMES = ("tallies", "shares")
_DEATHS = 12
"""A handler that ends its process is given up at some time."""


class _Round(NamedTuple):
    """One projection that can't handle one event, in one version.

    Attributes:
        kind: What its handler does at the event: it `raises`, or it is `deadly`.
        before: How many events the version before has handled.
    """

    version: int
    name: str
    event: Logged
    kind: str
    log: Sequence[Logged]
    before: int

    def __str__(self) -> str:
        """Says which for a note."""
        at, end = self.event.position, self.log[-1].position
        return f"version {self.version}, {self.name} {self.kind} at {at} of {end}"


def poison(job: Job, nursery: Nursery, kept: Kept) -> None:
    """Lets one projection meet an event that it can't handle, and mends it; over and over."""
    with sync.EventStore.create(kept.url) as store:
        writer = Writer(store, Batches(job.chance("poisoned")))
        course = Course(job, nursery, kept, writer)
        for version in range(1, 3 + job.cycles // 50):
            chance = job.chance("poison", version)
            before = len(writer.acked)
            writer.append(_EVENTS if version == 1 else _MORE)
            log = log_of(store)
            name, event = chance.choice(_NAMES), chance.choice(log)
            kind = "raises" if version % 2 else "deadly"
            round_ = _Round(version, name, event, kind, log, before)
            _judge(job, kept, round_, _poisoned(job, course, round_))
            course.version = version
            course.finish(log[-1].position)
            fold = folded(log)
            for model in MODELS:
                compare(job.report.verdict, model, kept.find(model), fold, version)
            job.report.count(f"poison_{kind}")


def _poisoned(job: Job, course: Course, round_: _Round) -> list[str]:
    """Runs the projections until one says that it has stopped; gives its lines."""
    until, version, event = round_.log[-1].position, round_.version, round_.event
    for _ in range(_DEATHS):
        life = course.start(str(until), version, round_.name, event.number, round_.kind)
        ended = life.child.end()
        if ended.code == 0:
            job.report.expect(not ended.stderr, ended)
            return ended.stdout.splitlines()
        job.report.expect(round_.kind == "deadly" and ended.code == -9, ended)
        job.report.count("deaths")
    job.report.find("wrong", f"{round_}: it did not stop after {_DEATHS} deaths")
    return []


def _judge(job: Job, kept: Kept, round_: _Round, lines: Sequence[str]) -> None:
    """Holds what both projections said and made against the log up to the event."""
    report, log, version = job.report, round_.log, round_.version
    if not lines:
        return
    statuses = {status["name"]: status for status in json.loads(lines[-1])}
    sick = statuses.pop(round_.name)
    (well,) = statuses.values()
    state = (sick["state"], sick["failed_at"])
    report.expect(state == ("faulted", round_.event.position), f"{round_}: {state}")
    report.expect(
        sick["position"] < round_.event.position, f"{round_}: it is at {sick['position']}"
    )
    cause = "the process ended" if round_.kind == "deadly" else f"Poisoned({round_.event.number})"
    said = [line for line in lines if line.startswith(f"faulted {round_.name} ")]
    report.expect(len(said) == 1 and cause in said[0], f"{round_}: {said}")
    state = (well["state"], well["rebuilding"])
    report.expect(state == ("live", False), f"{round_}: the other one is {well}")
    # Tables of the user's stop before the event. So do documents of a first version; of a later
    # one, the version before serves.
    stops = kept.tables != IN_THE_STORE or version == 1
    fold = folded(log[: log.index(round_.event)] if stops else log[: round_.before])
    whole = folded(log)
    for model in MODELS:
        own = ("shares" if model.__model_name__ != "Tally" else "tallies") == round_.name
        due, made_by = (fold, version if stops else version - 1) if own else (whole, version)
        compare(report.verdict, model, kept.find(model), due, made_by)
