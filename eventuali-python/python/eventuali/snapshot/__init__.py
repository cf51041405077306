"""Snapshots: the state of an aggregate at a version, so that loading it reads only what follows.

    class Account(Aggregate, snapshot_every=100): ...

    EventStore.create("sqlite://bank.db", snapshots=SnapshotPolicy(every=100))

A snapshot is a cache. One that is wrong, old, damaged or of other code is ignored, counted in
`EventStore.stats`, and replaced; the state always is what the events say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from eventuali.expected import at_least

__all__ = ["CleanedSnapshots", "SnapshotPolicy", "SnapshotStats"]

_LONGEST = timedelta(days=365_000)
_PLACES = 1000


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """When snapshots are written, how many are kept, and for how long.

    Attributes:
        every: The number of events after which one is written; 0 for none, except of classes that
            say `snapshot_every`.
        keep: The number of snapshots that are kept for a stream: more than one only helps
            `at_version` and `at_time`.
        max_age: The age from which a snapshot is ignored, and may be removed by
            `EventStore.clean_snapshots`; None for no limit.
    """

    every: int = 100
    keep: int = 1
    max_age: timedelta | None = timedelta(days=365)

    def __post_init__(self) -> None:
        at_least(0, self.every, "every")
        if at_least(1, self.keep, "keep") > _PLACES:
            raise ValueError(f"keep must be at most {_PLACES:,}, not {self.keep}")
        age = self.max_age
        if age is not None and not isinstance(age, timedelta):
            raise TypeError(f"max_age must be a timedelta or None, not {age!r:.60}")
        if age is not None and not timedelta() < age <= _LONGEST:
            raise ValueError(f"max_age must be above 0 and at most 1,000 years, not {age}")


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """What became of the snapshots of one type of aggregates, since the store was opened.

    Attributes:
        used: The number of loads that began with a snapshot.
        missed: The number of loads that found none.
        ignored: The number of snapshots that were found and not used, by reason: `"damaged"`;
            `"mismatched"`, it is of something else than it stands for; `"foreign"`, the stream has
            another event at its version; `"expired"`, it is older than `max_age`; `"unavailable"`,
            the storage failed.
        written: The number of snapshots that were written.
        skipped: The number of snapshots that were not written because a newer one was there, too
            many were under way, or the store was closed.
        refused: The number of snapshots that were not written because the state would not come back
            exactly. The log says why, once a class. Until a stream has `every` more events, its
            state is not tried again, nor counted.
        failed: The number of snapshots that could not be written.
    """

    used: int = 0
    missed: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)
    written: int = 0
    skipped: int = 0
    refused: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class CleanedSnapshots:
    """The result of `EventStore.clean_snapshots`.

    Attributes:
        expired: The number of snapshots removed for their age.
        outdated: The number of snapshots removed because other code made them.
        surplus: The number of snapshots removed because more were kept before.
    """

    expired: int = 0
    outdated: int = 0
    surplus: int = 0
