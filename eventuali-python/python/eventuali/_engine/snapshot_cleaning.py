"""Removing snapshots that nobody uses any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from eventuali._engine.arguments import aggregate_class
from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import Record
from eventuali._engine.progress import Progress, shown
from eventuali._engine.snapshot_record import form_of, type_digest
from eventuali._eventuali import Pending, Store
from eventuali.aggregate import Aggregate
from eventuali.errors import OptimisticConcurrencyError
from eventuali.event._names import check_name
from eventuali.snapshot import CleanedSnapshots

SPACE = "snapshot"
_PAGE = 500
_Look: TypeAlias = Callable[[], Pending]
"""Asks for the first page of what is to be removed: its items begin with (key, version)."""


def clean(
    store: Store, kinds: Sequence[type[Aggregate] | str], progress: Progress | bool | None
) -> Operation[CleanedSnapshots]:
    """Removes what is due, and what other code has made of some kinds."""
    ranges = [each for kind in kinds for each in _others(kind)]
    tell = shown(progress, "clean snapshots", "snapshots")
    expired = yield from _remove(store, partial(store.due_records, SPACE, _PAGE), tell, 0)
    outdated = 0
    for first, last in ranges:
        look = partial(store.snapshots().of_kinds, first, last, _PAGE)
        outdated += yield from _remove(store, look, tell, expired + outdated)
    if tell is not None:
        tell(expired + outdated, expired + outdated)
    return CleanedSnapshots(expired, outdated)


def _others(kind: type[Aggregate] | str) -> list[tuple[str, str]]:
    """Returns the ranges of kinds that a class or a name of a type stands for."""
    if isinstance(kind, str):
        check_name("aggregate_type", kind)
        prefix = type_digest(kind)
        return [(f"{prefix}/", f"{prefix}/~")]
    cls = aggregate_class(kind, "clean_snapshots")
    form = form_of(cls)
    if not form.fingerprint:
        raise TypeError(f"{cls.__name__}: {form.refused}")
    prefix, own = type_digest(cls.__aggregate_type__), form.kind
    below = own[:-1] + chr(ord(own[-1]) - 1)  # all digits follow '/' and precede '~'
    return [(f"{prefix}/", f"{below}~"), (f"{own}~", f"{prefix}/~")]


def _remove(store: Store, look: _Look, tell: Progress | None, before: int) -> Operation[int]:
    removed = 0
    while True:
        found = yield look()
        if not found:
            return removed
        gone: list[Record] = [(SPACE, each[0], each[1], None, None) for each in found]
        try:
            yield store.commit([], [], gone)
        except OptimisticConcurrencyError:
            continue  # somebody has written or removed one meanwhile: they are looked up again
        removed += len(gone)
        if tell is not None:
            tell(before + removed, before + removed + 1)
