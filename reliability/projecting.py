"""What the projections of the scenarios make of a log, and whether what was read is that.

Each document that is read together with others comes from one prefix of the log: all documents of
a model are those of the events up to some position, each counted once, and of one version. The fold
here is plain Python, and shares no code with projections.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

from eventuali import Event, Projection, ReadModel, running, sync
from reliability.checker import Verdict

KEYS = 900
"""Accounts, of which `find` gives all in one page."""
PAGE = 1_000
SHARDS = 16
IN_THE_STORE = "-"
"""What is said instead of the address of a database with tables of the user's."""
_DROPS = 0.02
_MODULUS = 2**61 - 1


class Booked(Event, name="ledger.booked"):
    """An amount, under a number that is used once."""

    number: int
    amount: int


class Dropped(Event, name="ledger.dropped"):
    """An account begins anew."""

    number: int


class Poisoned(Exception):
    """What a handler raises at the event that it can't handle."""


class Tally(ReadModel, index=("count", "group")):
    """What an account says: how much, and by `chain` in which order."""

    count: int = 0
    total: int = 0
    last: int = 0
    chain: int = 0
    group: str = ""
    version: int = 0


class Share(ReadModel):
    """What all accounts say, and what the numbers of one remainder say."""

    count: int = 0
    total: int = 0
    last: int = 0
    version: int = 0


class Odd(ReadModel, index=("last",)):
    """An account with an odd number of events; there is none with an even number."""

    last: int = 0
    version: int = 0


MODELS: tuple[type[ReadModel], ...] = (Tally, Share, Odd)


class Poison:
    """The event that can't be handled, and what comes of it."""

    def __init__(self, number: int = 0, *, deadly: bool = False) -> None:
        """It is none with the number 0."""
        self._number = number
        self._deadly = deadly

    def taste(self, event: Booked | Dropped) -> None:
        """Raises at the event, or ends the process as `kill -9` does.

        Raises:
            Poisoned: It is that event.
        """
        if event.number == self._number:
            if self._deadly:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGKILL)
            raise Poisoned(event.number)


class Tallies(Projection[Tally], name="tallies"):
    """The pure form."""

    def __init__(self, poison: Poison | None = None) -> None:
        """Without poison, all events are handled."""
        self._poison = poison or Poison()

    def on_booked(self, event: Booked, doc: Tally | None) -> Tally:
        """Counts an event."""
        self._poison.taste(event)
        doc = doc or Tally(group=f"group {event.number % 7}", version=self.__projection_version__)
        doc.count += 1
        doc.total += event.amount
        doc.last = event.meta.position or 0
        doc.chain = chained(doc.chain, event.number)
        return doc

    def on_dropped(self, event: Dropped, doc: Tally | None) -> None:
        """Deletes the account."""
        self._poison.taste(event)


class Shares(Projection, name="shares"):
    """The free form, for an event loop."""

    def __init__(self, poison: Poison | None = None) -> None:
        """Without poison, all events are handled."""
        self._poison = poison or Poison()

    async def on_any(self, event: Booked | Dropped, docs: running.Documents) -> None:
        """Counts an event in two documents, and turns a third one over."""
        self._poison.taste(event)
        for key in shares_of(event.number):
            docs.put(key, self._counted(await docs.get(Share, key), event))
        key = event.meta.aggregate_id or ""
        self._turn(key, await docs.get(Odd, key), event, docs)

    def _counted(self, doc: Share | None, event: Booked | Dropped) -> Share:
        doc = doc or Share(version=self.__projection_version__)
        doc.count += 1
        doc.total += event.amount if isinstance(event, Booked) else 0
        doc.last = event.meta.position or 0
        return doc

    def _turn(
        self,
        key: str,
        doc: Odd | None,
        event: Booked | Dropped,
        docs: running.Documents | sync.Documents,
    ) -> None:
        if doc is not None:
            docs.delete(Odd, key)
        else:
            version = self.__projection_version__
            docs.put(key, Odd(last=event.meta.position or 0, version=version))


class BlockingShares(Shares, name="shares"):
    """The free form, without a loop."""

    def on_any(self, event: Booked | Dropped, docs: sync.Documents) -> None:  # type: ignore[override]
        """Counts an event in two documents, and turns a third one over."""
        self._poison.taste(event)
        for key in shares_of(event.number):
            docs.put(key, self._counted(docs.get(Share, key), event))
        key = event.meta.aggregate_id or ""
        self._turn(key, docs.get(Odd, key), event, docs)


class Receipt(ReadModel):
    """What an event says, so that there are as many as events."""

    amount: int
    position: int
    text: str


class FreeReceipt(Receipt):
    """The same, of another projection."""


class Receipts(Projection[Receipt], name="receipts"):
    """A document for each event, in the pure form."""

    def key(self, event: Event) -> str:
        """Returns the number of the event."""
        assert isinstance(event, Booked | Dropped)
        return str(event.number)

    def on_any(self, event: Booked | Dropped, doc: Receipt | None) -> Receipt:
        """Makes the document."""
        return receipt_of(event)


class FreeReceipts(Projection, name="free receipts"):
    """The same in the free form."""

    def on_any(self, event: Booked | Dropped, docs: sync.Documents) -> None:
        """Makes the document."""
        docs.put(str(event.number), FreeReceipt(**receipt_of(event).model_dump()))


def receipt_of(event: Booked | Dropped) -> Receipt:
    """Returns the document of an event."""
    amount = event.amount if isinstance(event, Booked) else 0
    position = event.meta.position or 0
    return Receipt(amount=amount, position=position, text=f"{position:0100}")


def versions_of(version: int, *, blocking: bool) -> tuple[type[Tallies], type[Shares]]:
    """Returns the projections in a version."""
    shares: Any = BlockingShares if blocking else Shares

    class TheseTallies(Tallies, version=version, name="tallies"):
        pass

    class TheseShares(shares, version=version, name="shares"):  # type: ignore[call-arg,misc]
        pass

    return TheseTallies, TheseShares


def chained(chain: int, number: int) -> int:
    """Returns a number that shows which numbers came before, and in which order."""
    return (chain * 1_000_003 + number) % _MODULUS


def shares_of(number: int) -> tuple[str, str]:
    """Returns the keys of the shares that an event is counted in."""
    return "all", f"shard {number % SHARDS}"


class Batches:
    """What is written: commits of 1 to 50 events to one account each."""

    def __init__(self, chance: Random) -> None:
        """The first event has the number 1."""
        self._chance = chance
        self.numbers = 0

    def next(self, most: int = 50) -> tuple[str, list[Event]]:
        """Returns the account and the events of a commit."""
        chance = self._chance
        events: list[Event] = []
        for _ in range(chance.randint(1, most)):
            self.numbers += 1
            if chance.random() < _DROPS:
                events.append(Dropped(number=self.numbers))
            else:
                events.append(Booked(number=self.numbers, amount=chance.randint(1, 1_000)))
        return f"account {chance.randrange(KEYS)}", events


class Logged(NamedTuple):
    """An event as it lies in the log; a drop has no amount."""

    position: int
    key: str
    number: int
    amount: int | None


def log_of(store: sync.EventStore) -> list[Logged]:
    """Reads the whole log."""
    log = []
    for event in store.read():
        assert isinstance(event, Booked | Dropped)
        position, key = event.meta.position, event.meta.aggregate_id
        assert position
        assert key
        amount = event.amount if isinstance(event, Booked) else None
        log.append(Logged(position, key, event.number, amount))
    return log


Plain = tuple[int | str, ...]
"""The fields of a document but for its version."""


def plain(document: ReadModel) -> Plain:
    """Returns the fields of a document but for its version."""
    return tuple(value for name, value in document if name != "version")


def _hash(key: str, fields: Plain) -> int:
    text = json.dumps([key, fields]).encode()
    return int.from_bytes(blake2b(text, digest_size=16).digest())


def digest(documents: Mapping[str, Plain]) -> int:
    """Returns what stands for documents, in any order."""
    return sum(_hash(key, fields) for key, fields in documents.items()) % 2**128


class Seen(NamedTuple):
    """All documents of a model, as they were read at once.

    Attributes:
        events: The sum of their `count`, or their number where they have none.
        last: The highest `last`.
        versions: Of the projection that made them.
    """

    model: str
    digest: int
    events: int
    last: int
    versions: tuple[int, ...]

    @classmethod
    def of(cls, model: type[ReadModel], documents: Iterable[Any]) -> Seen:
        """Returns what is written down of a read."""
        found = list(documents)
        return cls(
            model.__model_name__,
            digest({document.key: plain(document) for document in found}),
            sum(getattr(document, "count", 1) for document in found),
            max((document.last for document in found), default=0),
            tuple(sorted({document.version for document in found})),
        )


class Fold:
    """The documents of a prefix of the log."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.documents: dict[str, dict[str, Plain]] = {m.__model_name__: {} for m in MODELS}
        self.digests = dict.fromkeys(self.documents, 0)
        self.counts = dict.fromkeys(self.documents, 0)

    def add(self, event: Logged) -> None:
        """Adds the next event."""
        position, key, number, amount = event
        self._put("Tally", key, None if amount is None else self._tally(event, amount))
        for share in shares_of(number):
            count, total, _ = self.documents["Share"].get(share, (0, 0, 0))
            fields = (int(count) + 1, int(total) + (amount or 0), position)
            self._put("Share", share, fields)
        self._put("Odd", key, None if key in self.documents["Odd"] else (position,))

    def _tally(self, event: Logged, amount: int) -> Plain:
        position, key, number, _ = event
        before = self.documents["Tally"].get(key, (0, 0, 0, 0, f"group {number % 7}"))
        count, total, _, chain, group = before
        return int(count) + 1, int(total) + amount, position, chained(int(chain), number), group

    def _put(self, model: str, key: str, fields: Plain | None) -> None:
        before = self.documents[model].pop(key, None)
        if fields is not None:
            self.documents[model][key] = fields
        for sign, each in ((-1, before), (1, fields)):
            if each is not None:
                self.digests[model] = (self.digests[model] + sign * _hash(key, each)) % 2**128
                self.counts[model] += sign * (1 if model == "Odd" else int(each[0]))


def folded(log: Iterable[Logged]) -> Fold:
    """Returns what a log comes to."""
    fold = Fold()
    for event in log:
        fold.add(event)
    return fold


class Judge:
    """Holds what was read against every prefix of the log."""

    def __init__(self, verdict: Verdict, log: Sequence[Logged]) -> None:
        """Folds the log once."""
        self._verdict = verdict
        self._positions = [event.position for event in log]
        self.fold = Fold()
        # The first and the last prefix that gives these documents: what is deleted was not there.
        self._prefixes: dict[str, dict[int, tuple[int, int]]] = {
            model.__model_name__: {0: (0, 0)} for model in MODELS
        }
        self._counts: dict[str, list[int]] = {m.__model_name__: [0] for m in MODELS}
        for number, event in enumerate(log, 1):
            self.fold.add(event)
            for model, prefixes in self._prefixes.items():
                now = self.fold.digests[model]
                prefixes[now] = (prefixes.get(now, (number, number))[0], number)
                self._counts[model].append(self.fold.counts[model])

    def course(self, reads: Iterable[Seen], due: Iterable[int] = ()) -> int:
        """Judges the reads of one process in their order; returns how many saw less than before.

        Args:
            reads: What was read.
            due: Of each read, how many events it counts at least where it saw less than before:
                what is built anew is full when it takes the place of what was live.
        """
        newest: dict[str, int] = {}
        furthest: dict[str, int] = {}
        back = 0
        for seen, least in zip(reads, itertools.chain(due, itertools.repeat(0)), strict=False):
            prefix = self.prefix(seen)
            version = max(seen.versions, default=0)
            if seen.versions and version < newest.get(seen.model, 0):
                self._verdict.find("strange", f"an older version came back: {seen}")
            newest[seen.model] = max(newest.get(seen.model, 0), version)
            if prefix is not None:
                first, last = prefix
                if last < furthest.get(seen.model, 0):
                    back += 1
                    self._full(seen, last, least)
                furthest[seen.model] = max(furthest.get(seen.model, 0), first)
        return back

    def _full(self, seen: Seen, events: int, least: int) -> None:
        if events < least:
            text = f"half of it was shown, {events} events and not {least}: {seen}"
            self._verdict.find("skipped", text, least - events)

    def at(self, seen: Seen, position: int) -> None:
        """Judges whether a read is what there is at a position."""
        found = self._prefixes[seen.model].get(seen.digest)
        due = bisect_right(self._positions, position)
        if found is not None and not found[0] <= due <= found[1]:
            kind = "skipped" if found[1] < due else "duplicated"
            text = f"the checkpoint is at {position}, so {due} events, and not {found}: {seen}"
            self._verdict.find(kind, text)

    def prefix(self, seen: Seen) -> tuple[int, int] | None:
        """Returns how many events a read counts, at least and at the most.

        It finds a violation where the read is no prefix.
        """
        self._verdict.reads += 1
        if len(seen.versions) > 1:
            self._verdict.find("torn", f"documents of two versions: {seen}")
        found = self._prefixes[seen.model].get(seen.digest)
        if found is not None:
            return found
        due = self._counts[seen.model][bisect_right(self._positions, seen.last)]
        kind = "torn" if seen.events == due else "duplicated" if seen.events > due else "skipped"
        text = f"no prefix of the log gives this, and up to {seen.last} there are {due}: {seen}"
        self._verdict.find(kind, text, max(abs(seen.events - due), 1))
        return None

    def share(self, count: int, last: int) -> None:
        """Judges the share of all events, which says itself how many it counts."""
        self._verdict.reads += 1
        due = bisect_right(self._positions, last)
        if count != due or last != self._positions[due - 1]:
            kind = "duplicated" if count > due else "skipped" if count < due else "strange"
            text = f"the share of all counts {count} events up to {last}, not {due}"
            self._verdict.find(kind, text, max(abs(count - due), 1))

    def last(self, model: type[ReadModel], found: Iterable[ReadModel], version: int) -> None:
        """Holds all documents of a model against all of the log."""
        compare(self._verdict, model, found, self.fold, version)


def compare(
    verdict: Verdict, model: type[ReadModel], found: Iterable[ReadModel], fold: Fold, version: int
) -> None:
    """Holds all documents of a model against a fold, document by document."""
    due = dict(fold.documents[model.__model_name__])
    for document in found:
        fields, expected = plain(document), due.pop(document.key, None)
        text = f"{model.__model_name__} {document.key!r} is {fields}, not {expected}"
        if getattr(document, "version", version) != version:
            verdict.find("strange", f"made by another version than {version}: {document!r}")
        if fields == expected:
            continue
        if model is Odd or (expected is not None and fields[0] == expected[0]):
            verdict.find("torn", text)
            continue
        more = int(fields[0]) - (0 if expected is None else int(expected[0]))
        verdict.find("duplicated" if more > 0 else "lost", text, abs(more))
    for key, expected in due.items():
        many = 1 if model is Odd else int(expected[0])
        verdict.find("lost", f"{model.__model_name__} {key!r} is not there: {expected}", many)
