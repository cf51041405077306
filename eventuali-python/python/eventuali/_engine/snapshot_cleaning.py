"""Removing snapshots that nobody uses any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
"""Asks for the first page of what is to be removed: (key, version), and nothing of its bytes."""


def clean(
    store: Store,
    kinds: Sequence[type[Aggregate] | str],
    progress: Progress | bool | None,
    *,
    others: bool,
    places: int | None,
) -> Operation[CleanedSnapshots]:
    """Removes what is due, what is in too high a place, and what other code has made.

    Args:
        store: The store.
        kinds: Classes, of which what other code has made goes, and names of types that go as such.
        progress: Is told of it.
        others: Whether types that are not among the kinds go, too.
        places: How many of a stream are kept; None if nobody has said it.
    """
    if not isinstance(others, bool):
        raise TypeError(f"others must be True or False, not {others!r:.60}")
    ranges = _ranges(kinds, others=others)
    tell = shown(progress, "clean snapshots", "snapshots")
    expired = yield from _remove(store, partial(store.due_records, SPACE, _PAGE), tell, 0)
    surplus = outdated = 0
    if places is not None:
        look = partial(store.snapshots().above, places, _PAGE)
        surplus = yield from _remove(store, look, tell, expired)
    for first, last in ranges:
        look = partial(store.snapshots().of_kinds, first, last, _PAGE)
        outdated += yield from _remove(store, look, tell, expired + surplus + outdated)
    removed = expired + surplus + outdated
    if tell is not None:
        tell(removed, removed)
    return CleanedSnapshots(expired, outdated, surplus)


def _ranges(kinds: Sequence[type[Aggregate] | str], *, others: bool) -> list[tuple[str, str]]:
    """Returns the ranges of kinds of snapshots that classes and names of types stand for."""
    gone = [each for each in kinds if isinstance(each, str)]
    for name in gone:
        check_name("aggregate_type", name)
    kept = sorted({_kind(each) for each in kinds if not isinstance(each, str)})
    wholes = [_of_type(type_digest(name)) for name in gone]
    if others:
        within = [("", "~")]
    else:
        within = [_of_type(prefix) for prefix in sorted({own.partition("/")[0] for own in kept})]
    return wholes + [part for whole in within for part in _between(whole, kept)]


def _kind(cls: type[Aggregate]) -> str:
    """Returns the kind of the snapshots that the code of today makes of a class.

    Raises:
        TypeError: It is no class of aggregates, or nobody can tell what its code does.
    """
    form = form_of(aggregate_class(cls, "clean_snapshots"))
    if not form.fingerprint:
        raise TypeError(f"{cls.__name__}: {form.refused}")
    return form.kind


def _of_type(prefix: str) -> tuple[str, str]:
    return f"{prefix}/", f"{prefix}/~"


def _between(whole: tuple[str, str], kept: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields what a range has before, between and behind some kinds."""
    first, last = whole
    for own in kept:
        if first < own < last:
            # All digits follow '/' and precede '~', and all kinds are as long as this one.
            yield first, f"{own[:-1]}{chr(ord(own[-1]) - 1)}~"
            first = f"{own}~"
    yield first, last


def _remove(store: Store, look: _Look, tell: Progress | None, before: int) -> Operation[int]:
    removed = 0
    while True:
        found: list[tuple[str, int]] = yield look()
        if not found:
            return removed
        gone: list[Record] = [(SPACE, key, version, None, None) for key, version in found]
        try:
            yield store.commit([], [], gone)
        except OptimisticConcurrencyError:
            continue  # somebody has written or removed one meanwhile: they are looked up again
        removed += len(gone)
        if tell is not None:
            tell(before + removed, before + removed + 1)
