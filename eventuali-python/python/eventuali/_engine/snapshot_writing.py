"""Writing a snapshot after a save: of what a replay makes, not of what was saved.

The state that was saved may differ from what its events say: a method has set a field without an
event, or a handler has looked at what is only known of a stored event. So the state is made anew,
from the snapshot before and the events since, beside what follows the save.
"""

from __future__ import annotations

from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import PendingCommit
from eventuali._engine.read import PAGE
from eventuali._engine.snapshot_load import Loading
from eventuali._engine.snapshot_record import Form, Taken
from eventuali._engine.snapshots import Snapshots, Wrong, at_row
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.codec.json import Inexact


def saved(snapshots: Snapshots, store: Store, commit: PendingCommit, aggregate: Aggregate) -> None:
    """Begins to write a snapshot of an aggregate that was saved, if it is time for one."""
    snapshots.settle()
    cls = type(aggregate)
    every, name = snapshots.of(cls), cls.__aggregate_type__
    version = aggregate.version - len(aggregate._uncommitted)
    new = commit.builder.counts.get((name, aggregate.id), 0)
    if not every or not new or version // every == (version - new) // every:
        return
    if commit.answer is None or commit.answer.recorded_at is None:
        return  # it is somewhere else already
    form = snapshots.form(cls)
    if form is None:
        snapshots.note(store.tenant, name, "refused")
        return
    if snapshots.is_refused(store, form, aggregate.id, version):
        return
    making = _made(snapshots, store, cls, form, aggregate.id, version)
    snapshots.begin(store, form.series(aggregate.id), name, making)


def _made(
    snapshots: Snapshots,
    store: Store,
    cls: type[Aggregate],
    form: Form,
    aggregate_id: str,
    version: int,
) -> Operation[str]:
    """Makes a state from its events and writes it; returns what became of it."""
    loading = Loading(snapshots, store, cls, form, {"until_version": version}, counted=False)
    found = yield from loading.found(aggregate_id)
    base = found.aggregate.version if isinstance(found, Taken) else 0
    if base == version or version - base > PAGE:
        return "skipped"  # it is there, or takes so long that a load may do it
    aggregate, row = yield from loading.made(aggregate_id, found)
    if row is None or aggregate.version != version:
        return "skipped"
    wrong = found if isinstance(found, Wrong) else None
    try:
        pending = snapshots.written(store, form, aggregate, at_row(row), wrong)
    except Inexact as inexact:
        snapshots.refuse(store, form, aggregate, inexact)
        return "refused"
    yield pending
    return "written"
