"""What becomes of payloads that an old schema allows, if the code of today reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from eventuali._engine.upcast import StepError, StoredKind, check_known
from eventuali.errors import UpcastError
from eventuali.event import Event
from eventuali.schema._described import Schema, described
from eventuali.schema._reading import Place, Read, read, upcast
from eventuali.schema._samples import samples


@dataclass(slots=True)
class Evidence:
    """The first payload of each kind that does not come through as it should, if there is one.

    Attributes:
        read: How many payloads were read.
        missing: A payload that there is no step for.
        failed: A payload that a step fails on, and why.
        refused: A payload that the class refuses, and what is known of that.
        differs: A payload that says something else as an event: where, and what.
        swapped: A payload with a model that is read as another one: where, which, and which.
        unknown: The fields that the class does not know.
        inconclusive: Whether all that was refused would be refused of the class's own payloads too.
    """

    read: int = 0
    missing: Any = None
    failed: tuple[Any, str] | None = None
    refused: tuple[Any, Read] | None = None
    differs: tuple[Any, tuple[str, str]] | None = None
    swapped: tuple[Any, tuple[str, str, str]] | None = None
    unknown: frozenset[str] = field(default_factory=frozenset)
    inconclusive: bool = False


@dataclass(frozen=True, slots=True)
class _Own:
    """What a class says of payloads of its own schema, which therefore proves nothing."""

    refused: frozenset[Place]
    differs: frozenset[str]
    swapped: frozenset[tuple[str, str, str]]


def evidence(cls: type[Event], kind: StoredKind, schema: Schema) -> Evidence:
    """Reads payloads of a schema that a version of the class had.

    Raises:
        UnknownEventTypeError: The version is above that of the class, for newer readers.
    """
    found = Evidence()
    refused = 0
    own: dict[type[Event], _Own] = {}
    payloads = samples(schema)
    if not payloads:  # a class that holds itself without end: nothing of it can be stored
        found.inconclusive = True
    for sample in payloads:
        try:
            parts = [(data, read(into, data)) for into, data in upcast(cls, kind, sample)]
            for data, made in parts:
                if data is not sample and made.event is not None:
                    check_known(made.event)
        except UpcastError:
            found.missing = sample
            return found
        except StepError as error:
            found.failed = found.failed or (sample, str(error))
            continue
        for data, made in parts:
            found.read += 1
            refused += made.event is None
            if made.cls not in own:
                own[made.cls] = _own(made.cls)
            _note(found, sample, made, own[made.cls], stepped=data is not sample)
    if 0 < refused == found.read and found.refused is None:
        found.inconclusive = True
    return found


def _note(found: Evidence, sample: Any, made: Read, own: _Own, *, stepped: bool) -> None:
    if made.event is None:
        if not made.places <= own.refused and found.refused is None:
            found.refused = sample, made
        return
    for path, text in made.differs:
        if found.differs is None and _general(path) not in own.differs:
            found.differs = sample, (path, text)
    for swap in made.swapped if not stepped else ():
        if found.swapped is None and swap not in own.swapped:
            found.swapped = sample, swap
    found.unknown |= made.unknown


def _own(cls: type[Event]) -> _Own:
    known = _known.get(cls)
    if known is not None:
        return known
    made = [read(cls, sample) for sample in samples(described(cls))]
    known = _known[cls] = _Own(
        frozenset(place for each in made for place in each.places),
        frozenset(_general(path) for each in made for path, _ in each.differs),
        frozenset(swap for each in made for swap in each.swapped),
    )
    return known


_known: WeakKeyDictionary[type[Event], _Own] = WeakKeyDictionary()


def _general(path: str) -> str:
    """Returns a path without the numbers of items."""
    return "".join(part.partition("]")[2] if n else part for n, part in enumerate(path.split("[")))
