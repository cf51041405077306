"""What is measured, against whom, and what each row has to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OURS = "ours"
PG = "pg"
NAMES = {
    OURS: "eventuali",
    "s": "eventsourcing",
    "uma": "umadb",
    "plain": "plain Python",
    "raw": "raw rusqlite",
    "core": "our Rust core",
    PG: "eventuali",
    "pg_s": "eventsourcing",
    "pg_raw": "raw libpq",
}
"""What the subjects are called in a table, in the order of its columns."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of ours.

    Attributes:
        title: What it is called.
        op: Its name in the subject `ours`.
        targets: How many times as fast as a peer it has to be.
    """

    title: str
    op: str
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """What is measured back to back, so that a busy moment hits all of it.

    Attributes:
        rows: The operations of ours.
        peers: The operation of each peer.
        events: How many events a commit or an aggregate has.
        repeat: How many units are timed at once.
        slices: How often that is done a round, the subjects taking turns: the moods of a device
            last for less than a second.
        best: Whether the fastest slice of a round counts, as in `timeit`, and not their mean. Where
            nothing is flushed, only other processes make a slice slower.
        smoke: `events` and `repeat` where the numbers do not matter.
        ours: Who does the operations of ours: OURS on SQLite, PG on PostgreSQL.
        bound: The peer that nobody can beat, and what it does.
    """

    rows: tuple[Row, ...]
    peers: Mapping[str, str]
    events: int
    repeat: int
    smoke: tuple[int, int]
    bound: tuple[str, str]
    slices: int = 1
    best: bool = False
    ours: str = OURS


_CREATE = ("plain", "a bare Pydantic model of the two fields")
_COMMIT = "three index entries and one flush a commit, nothing checked"
_SAVE = {"s": "save", "uma": "save", "plain": "save", "raw": "save", "core": "save"}
_LOAD = {"s": "load", "uma": "load", "plain": "decode", "raw": "load", "core": "load"}
_READ = {"s": "read", "uma": "read", "plain": "fold", "raw": "read", "core": "read"}
_DECODE = ("plain", "Pydantic's validation of the same JSON, a sum, no storage")

GROUPS = (
    Group(
        (Row("create an event", "create", {"plain": 0.55, "s": 1.1}),),
        {"s": "create", "plain": "create"},
        events=1,
        repeat=5_000,
        slices=5,
        best=True,
        smoke=(1, 50),
        bound=_CREATE,
    ),
    Group(
        (Row("create and apply an event", "apply", {"s": 4}),),
        {"s": "apply", "plain": "create"},
        events=1,
        repeat=5_000,
        slices=5,
        best=True,
        smoke=(1, 50),
        bound=_CREATE,
    ),
    Group(
        (
            Row("save 1 event a commit, async", "save", {"s": 1.2}),
            Row("save 1 event a commit, sync", "save_sync", {"s": 1.4, "plain": 0.7}),
        ),
        _SAVE,
        events=1,
        repeat=20,
        slices=10,
        smoke=(1, 3),
        bound=("raw", f"one row, {_COMMIT}"),
    ),
    Group(
        (Row("save 100 events a commit", "save", {"s": 1.8, "raw": 0.6}),),
        _SAVE,
        events=100,
        repeat=20,
        slices=6,
        smoke=(10, 2),
        bound=("raw", f"SQLite inserting the rows, {_COMMIT}"),
    ),
    Group(
        (Row("save 1,000 events a commit", "save", {"s": 1.3, "raw": 0.6}),),
        _SAVE,
        events=1000,
        repeat=6,
        slices=6,
        smoke=(20, 2),
        bound=("raw", f"SQLite inserting the rows, {_COMMIT}"),
    ),
    Group(
        (Row("64 concurrent savers, 1 event each", "savers", {"s": 13, "uma": 2}),),
        {"s": "savers", "uma": "savers", "raw": "savers", "core": "savers"},
        events=1,
        repeat=12,
        slices=5,
        smoke=(1, 1),
        bound=("raw", "64 commits in one transaction, one flush for all of them"),
    ),
    Group(
        (
            Row("load an aggregate of 10 events, async", "load", {"s": 3.2}),
            Row("load an aggregate of 10 events, sync", "load_sync", {"s": 1.6}),
        ),
        _LOAD,
        events=10,
        repeat=40,
        slices=5,
        best=True,
        smoke=(10, 2),
        bound=_DECODE,
    ),
    Group(
        (Row("load an aggregate of 1,000 events", "load", {"s": 7}),),
        _LOAD,
        events=1000,
        repeat=2,
        slices=5,
        best=True,
        smoke=(20, 1),
        bound=_DECODE,
    ),
    Group(
        (Row("load an aggregate of 10,000 events", "load", {"s": 8}),),
        _LOAD,
        events=10_000,
        repeat=1,
        slices=3,
        best=True,
        smoke=(30, 1),
        bound=_DECODE,
    ),
    Group(
        (Row("read 100,000 events, fold by a field", "read", {"s": 5}),),
        _READ,
        events=100_000,
        repeat=1,
        slices=3,
        best=True,
        smoke=(1000, 1),
        bound=_DECODE,
    ),
    Group(
        (Row("read 100,000 events, fold by aggregate id", "read_by_id", {"s": 5}),),
        {"s": "read_by_id", "plain": "fold"},
        events=100_000,
        repeat=1,
        slices=3,
        best=True,
        smoke=(1000, 1),
        bound=_DECODE,
    ),
)
_ONE = ("pg_raw", "the same function called through libpq, nothing encoded or decoded")
_MANY = ("pg_raw", "UNNEST of ready arrays into log, runs, spans and stream, nothing checked")
_NONE = ("", "")
ON_POSTGRES = (
    Group(
        (
            Row(
                "PostgreSQL: save 1 event a commit, sync", "save_sync", {"pg_s": 1.3, "pg_raw": 0.7}
            ),
            Row("PostgreSQL: save 1 event a commit, async", "save"),
        ),
        {"pg_s": "save", "pg_raw": "append"},
        events=1,
        repeat=20,
        slices=8,
        smoke=(1, 3),
        bound=_ONE,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: save 1,000 events a commit", "save_sync", {"pg_s": 1.6, "pg_raw": 0.6}),),
        {"pg_s": "save", "pg_raw": "insert"},
        events=1000,
        repeat=6,
        slices=6,
        smoke=(20, 2),
        bound=_MANY,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: 64 concurrent savers in one process", "savers", {"pg_s": 20}),),
        {"pg_s": "savers"},
        events=1,
        repeat=5,
        slices=3,
        smoke=(1, 1),
        bound=_NONE,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: 8 writer processes, one saver each", "processes", {"pg_s": 2}),),
        {"pg_s": "processes"},
        events=1,
        repeat=30,
        slices=3,
        smoke=(1, 1),
        bound=_NONE,
        ours=PG,
    ),
    Group(
        (
            Row(
                "PostgreSQL: 8 writer processes, eight savers each",
                "processes_of_savers",
                {"pg_s": 8},
            ),
        ),
        {"pg_s": "processes_of_savers"},
        events=1,
        repeat=8,
        slices=2,
        smoke=(1, 1),
        bound=_NONE,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: load an aggregate of 1,000 events", "load", {"pg_s": 5}),),
        {"pg_s": "load"},
        events=1000,
        repeat=2,
        slices=5,
        best=True,
        smoke=(20, 1),
        bound=_NONE,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: load an aggregate of 10,000 events", "load", {"pg_s": 12}),),
        {"pg_s": "load"},
        events=10_000,
        repeat=1,
        slices=3,
        best=True,
        smoke=(30, 1),
        bound=_NONE,
        ours=PG,
    ),
    Group(
        (Row("PostgreSQL: read 100,000 events, fold into a dict", "read", {"pg_s": 4}),),
        {"pg_s": "read"},
        events=100_000,
        repeat=1,
        slices=3,
        best=True,
        smoke=(1000, 1),
        bound=_NONE,
        ours=PG,
    ),
)
WAKE = (
    "`make bench ARGS=--following` measures how soon after a commit a follower receives the event."
)
FLUSH = Group((), {"plain": "flush"}, 1, 100, (1, 5), ("plain", "write 4 KiB and fdatasync"))
"""What the device takes for one flush, measured along with the rest."""
