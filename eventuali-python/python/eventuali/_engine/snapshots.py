"""The snapshots of an open store: when they are written, and what becomes of them.

Writing one waits for nothing: the answer of each step goes to a mailbox, and whoever saves or asks
next takes the answers and the steps that follow. So no save waits for it, none fails for it, and
nothing of it belongs to a task or an event loop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from threading import RLock
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

from eventuali._engine.arguments import microseconds
from eventuali._engine.clock import now
from eventuali._engine.operation import Operation, sleep
from eventuali._engine.snapshot_record import At, Form, Taken, WrongSnapshot, form_of
from eventuali._eventuali import Mailbox, Pending, Row, Store
from eventuali.aggregate import Aggregate
from eventuali.codec.json import Inexact
from eventuali.errors import (
    OptimisticConcurrencyError,
    StorageCorruptedError,
    StoreClosedError,
)
from eventuali.snapshot import SnapshotPolicy, SnapshotStats

LOG = logging.getLogger("eventuali.snapshot")

UNDER_WAY = 16
"""How many snapshots are under way at most: each is in memory until it is written."""
REFUSALS = 10_000
"""How many streams are known at most whose state would not come back: the last ones."""
_SECONDS = 5.0
"""How long closing waits for them."""
_LATEST = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)


class Wrong(NamedTuple):
    """A snapshot that is to be replaced.

    Attributes:
        place: Its key and the version of its record; None if it can't even be read.
    """

    place: tuple[str, int] | None


def at_row(row: Row) -> At:
    """Returns the event of a stored row."""
    recorded_at = microseconds(row.meta().recorded_at, "recorded_at")
    return At(row.event_id, row.position, recorded_at)


class _Counts:
    """What became of the snapshots of one type."""

    def __init__(self) -> None:
        self.numbers = dict.fromkeys(SnapshotStats.__slots__, 0)
        del self.numbers["ignored"]
        self.ignored: dict[str, int] = {}

    def stats(self) -> SnapshotStats:
        return SnapshotStats(**self.numbers, ignored=self.ignored.copy())


class Snapshots:
    """The snapshots of an open store, of all its tenants.

    Attributes:
        policy: What holds for classes that don't say `snapshot_every`, and how long all are kept.
        every: Its number of events; 0 for none.
        places: How many snapshots of a stream are kept; None if no policy says it.
    """

    def __init__(self, policy: SnapshotPolicy | None) -> None:
        """Takes the policy of the store, if there is one.

        Raises:
            TypeError: It is none.
        """
        if not isinstance(policy, SnapshotPolicy | None):
            raise TypeError(f"snapshots must be a SnapshotPolicy, not {policy!r:.60}")
        self.policy = policy or SnapshotPolicy(every=0)
        self.every = self.policy.every
        self.places = None if policy is None else policy.keep
        age = self.policy.max_age
        self.max_age = None if age is None else age // _MICROSECOND
        self._counts: dict[tuple[str, str], _Counts] = {}  # by (tenant, type)
        self._mailbox: Mailbox | None = None
        self._under_way: dict[int, tuple[str, str, str]] = {}  # (tenant, series, type) by token
        self._making: dict[int, Operation[str]] = {}  # by token, of those that take more steps
        self._tokens = count()
        self._process = os.getpid()
        self._told: WeakSet[type[Aggregate]] = WeakSet()
        self._refused: dict[tuple[str, str], int] = {}  # versions by (tenant, series)

    def of(self, cls: type[Aggregate]) -> int:
        """Returns after how many events a snapshot of a class is written; 0 for never."""
        own = cls.__snapshot_every__
        return self.every if own is None else own

    def loaded(
        self, store: Store, aggregate: Aggregate, row: Row, new: int, wrong: Wrong | None
    ) -> None:
        """Writes a snapshot of an aggregate that took `new` events to load, if that was long.

        Args:
            store: The store.
            aggregate: The aggregate as it is.
            row: Its last event.
            new: How many events were applied.
            wrong: A snapshot that was found, and is to be replaced.
        """
        every = self.of(type(aggregate))
        if wrong is not None or new >= every > 0:
            self.put(store, aggregate, at_row(row), wrong)

    def put(self, store: Store, aggregate: Aggregate, at: At, wrong: Wrong | None = None) -> None:
        """Begins to write a snapshot; an error is counted and told, and not raised."""
        name = aggregate.__aggregate_type__
        self.settle()
        try:
            self._put(store, aggregate, at, wrong)
        except Exception:
            self.note(store.tenant, name, "failed")
            LOG.warning("no snapshot of the %s %.260r", name, aggregate.id, exc_info=True)

    def _put(self, store: Store, aggregate: Aggregate, at: At, wrong: Wrong | None) -> None:
        cls, name = type(aggregate), aggregate.__aggregate_type__
        form = self.form(cls)
        if form is None:
            self.note(store.tenant, name, "refused")
            return
        if self.is_refused(store, form, aggregate.id, aggregate.version):
            return
        token = self._claim(store.tenant, form.series(aggregate.id), name)
        if token is None:
            self.note(store.tenant, name, "skipped")
            return
        try:
            self.written(store, form, aggregate, at, wrong).deliver(self._box(), token)
        except Inexact as inexact:
            self._release(token)
            self.note(store.tenant, name, "refused")
            self.refuse(store, form, aggregate, inexact)
        except BaseException:
            self._release(token)
            raise

    def written(
        self, store: Store, form: Form, aggregate: Aggregate, at: At, wrong: Wrong | None
    ) -> Pending:
        """Begins to write a snapshot of what a replay has made.

        Raises:
            Inexact: The state would not come back as it is.
        """
        written_at = microseconds(now(store), "now")
        return store.snapshots().put(
            form.series(aggregate.id),
            aggregate.version // self.of(type(aggregate)) % self.policy.keep,
            form.kind,
            aggregate.version,
            form.written(aggregate, at, written_at),
            None if self.max_age is None else min(written_at + self.max_age, _LATEST),
            None if wrong is None else wrong.place,
            wrong is not None and wrong.place is None,
        )

    def begin(self, store: Store, series: str, name: str, making: Operation[str]) -> None:
        """Begins to make and write a snapshot; `making` returns what became of it."""
        token = self._claim(store.tenant, series, name)
        if token is None:
            self.note(store.tenant, name, "skipped")
        else:
            self._go_on(token, (store.tenant, name), making, None, None)

    def _go_on(
        self,
        token: int,
        whose: tuple[str, str],
        making: Operation[str],
        answer: Any,
        error: BaseException | None,
    ) -> None:
        """Goes on until the next answer is needed; an error is counted and told, not raised."""
        try:
            step = making.send(answer) if error is None else making.throw(error)
            with _lock:
                self._making[token] = making
            step.deliver(self._box(), token)  # type: ignore[union-attr] # it waits for no turn
            return
        except StopIteration as end:
            self.note(*whose, end.value)
        except Exception as failure:
            self._failed(*whose, failure)
        self._release(token)

    def _failed(self, tenant: str, name: str, error: BaseException) -> None:
        if isinstance(error, OptimisticConcurrencyError | StoreClosedError):
            self.note(tenant, name, "skipped")
        else:
            self.note(tenant, name, "failed")
            LOG.warning("a snapshot of a %s was not written: %s", name, error, exc_info=error)

    def _release(self, token: int) -> tuple[str, str, str] | None:
        with _lock:  # another thread may be looking at them
            self._making.pop(token, None)
            return self._under_way.pop(token, None)

    def _claim(self, tenant: str, series: str, name: str) -> int | None:
        """Returns a token for a snapshot; None if one of the series, or many, are under way."""
        with _lock:
            others = self._under_way.values()
            if len(others) >= UNDER_WAY or any(each[:2] == (tenant, series) for each in others):
                return None
            token = next(self._tokens)
            self._under_way[token] = tenant, series, name
            return token

    def _box(self) -> Mailbox:
        with _lock:
            box = self._mailbox = self._mailbox or Mailbox()
        return box

    def settle(self) -> None:
        """Takes the answers that have arrived."""
        if self._mailbox is None:
            return
        for token, answer, error in self._mailbox.drain():
            with _lock:
                claimed, making = self._under_way.get(token), self._making.pop(token, None)
            if claimed is None:
                continue
            tenant, _, name = claimed
            if making is not None:
                self._go_on(token, (tenant, name), making, answer, error)
                continue
            self._release(token)
            if error is None:
                self.note(tenant, name, "written")
            else:
                self._failed(tenant, name, error)

    def finish(self) -> Operation[None]:
        """Waits for those under way, for a few seconds; what is left out a load makes up for."""
        until = monotonic() + _SECONDS
        self.settle()
        while self._under_way and os.getpid() == self._process and monotonic() < until:
            yield from sleep(0.002)
            self.settle()

    def ended(self) -> None:
        """Takes the last answers of a store that is closed, which has waited for what had begun."""
        self.settle()
        # The answer of a write may come a moment after its end.
        while self._under_way and self._mailbox is not None and self._mailbox.wait(1.0):
            self.settle()
        for token in list(self._under_way):
            if (claimed := self._release(token)) is not None:
                tenant, _, name = claimed
                self.note(tenant, name, "skipped")  # nobody hears of it any more

    def refuse(self, store: Store, form: Form, aggregate: Aggregate, why: Inexact) -> None:
        """Tells and remembers that a state would not come back as it is."""
        self._tell(type(aggregate), str(why))
        key = store.tenant, form.series(aggregate.id)
        with _lock:
            self._refused.pop(key, None)
            self._refused[key] = aggregate.version
            if len(self._refused) > REFUSALS:
                del self._refused[next(iter(self._refused))]

    def is_refused(self, store: Store, form: Form, aggregate_id: str, version: int) -> bool:
        """Says whether the state of a stream was refused near a version: to encode it is dear."""
        if not self._refused:
            return False
        refused = self._refused.get((store.tenant, form.series(aggregate_id)))
        return refused is not None and abs(version - refused) < self.of(form.cls)

    def form(self, cls: type[Aggregate]) -> Form | None:
        """Returns how the snapshots of a class are stored; None if it has none."""
        if not self.of(cls):
            return None
        form = form_of(cls)
        if form.refused:
            self._tell(cls, form.refused)
            return None
        return form

    def take(
        self,
        store: Store,
        cls: type[Aggregate],
        form: Form,
        aggregate_id: str,
        at_most: int,
        found: tuple[str, int, bytes],
    ) -> Taken[Any] | Wrong:
        """Returns the snapshot that was found; what is wrong with it is counted and told."""
        try:
            taken = form.taken(aggregate_id, at_most, found)
            if self._is_old(store, taken):
                raise WrongSnapshot("expired", f"it is older than {self.policy.max_age}")
        except WrongSnapshot as wrong:
            self.ignore(store.tenant, cls, aggregate_id, wrong.reason, str(wrong))
            return Wrong(found[:2])
        return taken

    def unread(
        self, tenant: str, cls: type[Aggregate], aggregate_id: str, error: Exception
    ) -> Wrong | None:
        """Notes that a snapshot could not be read; the events will tell."""
        if isinstance(error, StorageCorruptedError):
            self.ignore(tenant, cls, aggregate_id, "damaged", str(error))
            return Wrong(None)
        self.ignore(tenant, cls, aggregate_id, "unavailable", str(error))
        return None

    def _is_old(self, store: Store, taken: Taken[Any]) -> bool:
        if self.max_age is None:
            return False
        return microseconds(now(store), "now") - taken.written_at > self.max_age

    def ignore(
        self, tenant: str, cls: type[Aggregate], aggregate_id: str, reason: str, text: str
    ) -> None:
        """Counts and tells that a snapshot is not used."""
        name = cls.__aggregate_type__
        with _lock:
            ignored = self._counts.setdefault((tenant, name), _Counts()).ignored
            ignored[reason] = ignored.get(reason, 0) + 1
        told = "the snapshot of the %s %.260r is ignored, %s: %s; its events are replayed"
        level = logging.DEBUG if reason == "expired" else logging.WARNING  # that one is wanted
        LOG.log(level, told, name, aggregate_id, reason, text)

    def note(self, tenant: str, name: str, what: str) -> None:
        """Counts what became of a snapshot of a tenant's."""
        with _lock:
            self._counts.setdefault((tenant, name), _Counts()).numbers[what] += 1

    def _tell(self, cls: type[Aggregate], why: str) -> None:
        """Says once why a class has no snapshots, or one of its states has none."""
        if cls not in self._told:
            self._told.add(cls)
            LOG.warning("%s has no snapshots: %s", cls.__qualname__, why)

    def stats(self, tenant: str) -> Mapping[str, SnapshotStats]:
        """Returns what became of a tenant's snapshots, by type."""
        self.settle()
        with _lock:
            return {
                name: each.stats()
                for (whose, name), each in self._counts.items()
                if whose == tenant
            }


_lock = RLock()  # held for a few steps; a finalizer may ask for the numbers meanwhile


def _after_fork() -> None:
    """Lets a child count, whatever its parent's threads were doing."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
