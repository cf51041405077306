"""The answers of commands: records that are committed together with the events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic_core import from_json, to_json

from eventuali._engine.arguments import microseconds
from eventuali._engine.clock import now
from eventuali._engine.commit_builder import LastEvent
from eventuali._engine.operation import Operation, sleep
from eventuali._engine.pending_commit import Record
from eventuali._eventuali import Page, Store
from eventuali.errors import (
    OptimisticConcurrencyError,
    StorageBusyError,
    StorageCorruptedError,
)
from eventuali.query import Item

SPACE = "command answer"
LOOKS = 500
"""How often it is looked where an event is, while a writer holds back who reads the log."""
UNSETTLED = 0.01
"""The pause between, in seconds."""
_PAGE = 500
_LATEST = 2**63 - 1


class Kept(NamedTuple):
    """The answer of a command that was handled.

    Attributes:
        digest: The digest of the command.
        answer: Its answer, as JSON.
        event: The last event of its commit; None if there was none.
    """

    digest: str
    answer: str
    event: LastEvent | None


Found: TypeAlias = tuple[Kept, int | None] | None
"""An answer and the position of its last event, if there is one."""


def read(store: Store, command_id: str) -> Operation[Kept | None]:
    """Looks for the answer of a command.

    Raises:
        StorageCorruptedError: The record is none.
    """
    found = yield store.record(SPACE, command_id)
    if found is None:
        return None
    try:
        kept: Mapping[str, Any] = from_json(found[1])
        event = kept["event"]
        if event is not None:
            event = LastEvent(UUID(event[0]), *event[1:])
        return Kept(kept["digest"], kept["answer"], event)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"the answer of the command {command_id!r:.260} can't be read"
        raise StorageCorruptedError(text) from error


def record(store: Store, command_id: str, kept: Kept, retention: int | None) -> Record:
    """Returns the record of an answer, on condition that there is none; the retention is in µs."""
    due = None
    if retention is not None:
        due = min(microseconds(now(store), "now") + retention, _LATEST)
    return SPACE, command_id, None, to_json(kept._asdict()), due


def look(store: Store, command_id: str) -> Operation[Found]:
    """Looks for the answer of a command, and for the position of its last event.

    Raises:
        StorageCorruptedError: The record is none.
        StorageBusyError: A writer holds back who reads the log.
    """
    kept = yield from read(store, command_id)
    if kept is None or kept.event is None:
        return kept and (kept, None)
    for _ in range(LOOKS):
        at = yield from position(store, kept.event)
        if at is not None:
            return kept, at
        yield from sleep(UNSETTLED)
    raise StorageBusyError(
        f"the command {command_id!r:.260} was handled, but a writer holds back who reads the log "
        "from its event on; send it again later"
    )


def position(store: Store, event: LastEvent) -> Operation[int | None]:
    """Returns where an event is in the log; None while a writer holds back who reads the log.

    An event whose stream and version are known is seen at once.
    """
    event_id, kind, key, version = event
    if version:
        page: Page = yield store.read(
            [(kind, key, (), (), (), None)], after_version=version - 1, until_version=version
        )
    else:
        wanted: list[Item] = [(None, None, (), (), (event_id.bytes,), None)]
        page = yield store.read(wanted)
        while not len(page) and not page.end:
            page = yield store.read(wanted, after=page.looked_to)
    return page.columns()[2][0].position if len(page) else None


def sweep(store: Store) -> Operation[int]:
    """Removes the answers whose retention is over by the store's clock; returns how many."""
    swept = 0
    while True:
        due: list[tuple[str, int]] = yield store.due_records(SPACE, _PAGE)
        if not due:
            return swept
        gone: list[Record] = [(SPACE, key, version, None, None) for key, version in due]
        try:
            yield store.commit([], [], gone)
        except OptimisticConcurrencyError:
            continue  # another sweep has removed some: what is left is looked up again
        swept += len(due)
