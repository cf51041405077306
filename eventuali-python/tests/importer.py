"""Copies a log into another store until it has all of it, or is killed; a child of a test."""

from __future__ import annotations

import sys

from ledger import Counted

from eventuali import EventStoreConfig, Tracking
from eventuali.errors import StorageBusyError, TrackingConflictError
from eventuali.sync import EventStore

NAME = "upstream"
PAGE = 7
"""Events in a commit: so few that many commits are under way when it is killed."""


def place(text: str) -> str | EventStoreConfig:
    """Returns what opens a store: a URL, or a URL and a schema."""
    url, _, schema = text.partition("#")
    return EventStoreConfig.postgres(url).with_schema(schema) if schema else url


def pages(source: EventStore, after: int):
    """Yields the events behind a position, some at a time."""
    page = []
    for event in source.read(after=after):
        page.append(event)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def copies(page: list) -> list[Counted]:
    return [Counted(number=event.number) for event in page]


def tracked(source: EventStore, target: EventStore) -> None:
    """Stores each position with the events that were made of it."""
    while True:
        try:
            for page in pages(source, target.tracked(NAME) or 0):
                target.append(copies(page), tracking=Tracking(NAME, page[-1].meta.position))
            return
        except (TrackingConflictError, StorageBusyError):
            continue  # somebody else was faster: on behind that


def apart(source: EventStore, target: EventStore) -> None:
    """The positive control: the position is stored by a commit of its own."""
    for page in pages(source, target.tracked(NAME) or 0):
        target.append(copies(page))
        target.append([], tracking=Tracking(NAME, page[-1].meta.position))


if __name__ == "__main__":
    way, source_place, target_place = sys.argv[1:]
    opened = EventStore.create(place(source_place)), EventStore.create(place(target_place))
    with opened[0] as source, opened[1] as target:
        print("begun", flush=True)
        {"tracked": tracked, "apart": apart}[way](source, target)
