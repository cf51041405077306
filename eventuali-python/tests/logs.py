"""The real event logs of `../shared/data`, and their import: a case becomes an aggregate."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from pydantic import create_model
from support import PROJECT

from eventuali import Aggregate, Event, sync

FOLDER = PROJECT.parent / "shared" / "data"
BATCH = 2_000  # events a commit, about


class Step(Event):
    """What happened in a case of either log."""

    org_resource: str | None = None


@dataclass
class Log:
    """A log, its event classes and the class of its cases."""

    name: str
    lines: list[dict[str, str]]
    classes: dict[str, type[Step]]
    case: type[Aggregate]


def lines_of(name: str) -> list[dict[str, str]]:
    if not FOLDER.is_dir():
        pytest.skip(f"the event logs are not there: {FOLDER}")
    with gzip.open(FOLDER / f"{name}.ndjson.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@cache
def read_log(name: str) -> Log:
    """Reads a log once: its classes are the only ones of their names."""
    lines = lines_of(name)
    fields: dict[str, set[str]] = {}
    for line in lines:
        fields.setdefault(line["activity"], set()).update(attributes_of(line))
    classes = {
        activity: create_model(
            class_name(activity),
            __base__=Step,
            __module__=f"logs.{name}",
            __cls_kwargs__={"name": activity},
            **dict.fromkeys(sorted(attributes), (str | None, None)),
        )
        for activity, attributes in fields.items()
    }
    return Log(name, lines, classes, case_class(name, classes))


def attributes_of(line: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in line.items() if k not in ("case", "activity", "timestamp")}


def class_name(activity: str) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", activity))


def case_class(log: str, classes: dict[str, type[Step]]) -> type[Aggregate]:
    """Makes an aggregate that keeps what happened, with one handler for each activity."""

    def remember(self: Any, event: Event) -> None:
        self.happened.append((event.meta.event_type, event.meta.timestamp))

    handlers: dict[str, Any] = {}
    for cls in classes.values():
        handler = type(remember)(remember.__code__, globals(), f"apply_{snake(cls.__name__)}")
        handler.__annotations__ = {"event": cls, "return": None}
        handlers[handler.__name__] = handler
    namespace = {"__module__": f"logs.{log}", "__annotations__": {"happened": list}}
    namespace |= {"happened": []} | handlers
    return type(f"{log.capitalize()}Case", (Aggregate,), namespace)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def import_log(store: sync.EventStore, log: Log) -> int:
    """Saves the events in commits of many cases, each case's in their order; returns how many."""
    stored = 0
    for cases in commits_of(log):
        stored += len(store.save(*cases).positions)
        show(log.name, stored, len(log.lines))
    return stored


def commits_of(log: Log, *, in_order: bool = False) -> Iterator[list[Aggregate]]:
    """Applies the events; yields the cases to save before it goes on.

    Args:
        log: The log.
        in_order: Whether the order of the file is kept between different cases, too: then a commit
            ends where a case comes again after another.
    """
    cases: dict[str, Aggregate] = {}
    waiting: dict[str, Aggregate] = {}
    since, before = 0, ""
    for line in log.lines:
        name = line["case"]
        if since == BATCH or (in_order and name != before and name in waiting):
            yield list(waiting.values())
            waiting, since = {}, 0
        case = cases.get(name)
        if case is None:
            case = cases[name] = log.case(id=name)
        cls = log.classes[line["activity"]]
        case.apply(cls(timestamp=moment(line), **attributes_of(line)))
        waiting[name] = case
        since, before = since + 1, name
    yield list(waiting.values())


def moment(line: dict[str, str]) -> datetime:
    return datetime.fromisoformat(line["timestamp"])


def show(name: str, done: int, total: int) -> None:
    """Draws the progress where a person looks on."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // total)
        end = "\n" if done == total else ""
        print(f"\r{name} [{bar:<30}] {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)
