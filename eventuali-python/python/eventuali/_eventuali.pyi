"""The extension module: the engine behind the stores. Private; its shape changes without notice."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, final
from uuid import UUID

from eventuali._engine.commit_builder import Write
from eventuali._engine.inline import Change as InlineDocument
from eventuali.event import Event, EventMeta
from eventuali.event._envelope import IdRange
from eventuali.projection._model import Scalar
from eventuali.query import Item

__version__: str

__all__ = [
    "Checkpoint",
    "FlatName",
    "Held",
    "Kind",
    "Mailbox",
    "Member",
    "Page",
    "Pending",
    "Postgres",
    "Projection",
    "Row",
    "SetClock",
    "Snapshots",
    "Store",
    "Subscription",
    "Words",
    "__version__",
    "after_fork_in_child",
    "after_fork_in_parent",
    "applied_in_order",
    "before_fork",
    "build_metadata_with",
]

def before_fork() -> None:
    """Waits until no thread is inside SQLite, and keeps them outside; five seconds at most.

    Other Python threads run meanwhile, so that none that holds a lock is waited for.
    """

def after_fork_in_parent() -> None:
    """Lets the threads of the parent go on."""

def after_fork_in_child() -> None:
    """Lets the threads of the child begin."""

def applied_in_order(contents: list[Any]) -> tuple[IdRange, int, list[int]] | None:
    """Looks into the slots of many events, whether each is applied and follows the one before it.

    Returns:
        The range of their ids, the index of the first there, and their times in µs; None where one
        is in another shape, or does not follow.
    """

def build_metadata_with(function: Callable[..., EventMeta]) -> None:
    """Says what makes the `EventMeta` of a row; the first word counts."""

@final
class FlatName:
    """A descriptor: metadata of a stored event under its flat name, read from its row.

    For every other event it asks the descriptor in whose place it stands.
    """

    def __new__(cls, name: str, descriptor: object) -> FlatName: ...
    def __get__(self, instance: Event | None, owner: type[Event] | None = None, /) -> Any: ...

@final
class Kind:
    """A kind of event: wire name, schema version, codec."""

    def __new__(cls, event_type: str, event_version: int, codec: str) -> Kind: ...
    def __getnewargs__(self) -> tuple[str, int, str]: ...

@final
class Pending:
    """A call that has begun, and whose answer has not been taken yet."""

    def wait(self, seconds: float | None = None) -> Any:
        """Blocks until the answer is there; `TimeoutError` once the time is up.

        Other threads run meanwhile, and Ctrl-C ends the waiting, but not the work.
        """

    @property
    def soon(self) -> bool:
        """Whether the answer takes no network and no flush, so that spinning may find it."""

    def spin(self) -> tuple[Any] | None:
        """Spins for up to 100 µs; returns the answer in a tuple, or None: it is still to be taken.

        Other threads run meanwhile.
        """

    def deliver(self, mailbox: Mailbox, token: int) -> None:
        """Sends the answer to `mailbox` under `token`, once it is there."""

@final
class Mailbox:
    """Where the answers for one event loop arrive."""

    def __new__(cls) -> Mailbox: ...
    def fileno(self) -> int:
        """Returns the descriptor that becomes readable when answers arrive; -1 for none."""

    def wait(self, seconds: float) -> bool:
        """Blocks until answers are there; whether they are."""

    def drain(self) -> list[tuple[int, Any, BaseException | None]]:
        """Takes what has arrived: (token, value, None) or (token, None, exception) each."""

@final
class Row:
    """What is stored about one event beside its payload."""

    @property
    def event_id(self) -> UUID:
        """The event's id."""

    @property
    def position(self) -> int:
        """The event's place in the log."""

    @property
    def version(self) -> int:
        """The event's number in its stream; 0 without a stream."""

    @property
    def aggregate_id(self) -> str | None:
        """The id of the event's stream; None without a stream."""

    @property
    def aggregate_type(self) -> str | None:
        """The type of the event's stream; None without a stream."""

    @property
    def aggregate_version(self) -> int | None:
        """The event's number in its stream; None without a stream."""

    @property
    def event_type(self) -> str:
        """The event's type, by its wire name."""

    @property
    def event_version(self) -> int:
        """The version of the event's schema."""

    @property
    def timestamp(self) -> int:
        """When the event happened, µs since 1970 UTC."""

    def meta(self) -> EventMeta:
        """Returns everything, as Python knows it."""

@final
class Page:
    """One page of events; its rows outlive it."""

    def __len__(self) -> int: ...
    @property
    def looked_to(self) -> int:
        """Everything that matches up to here (or down to here) has been returned."""

    @property
    def end(self) -> bool:
        """Whether nothing is left in the range."""

    @property
    def last_version(self) -> int:
        """The version of the last event on the page; 0 on an empty page."""

    def tenants(self) -> dict[int, str]:
        """Returns whose the events are, by position."""

    def columns(self) -> tuple[list[str], list[bytes], list[Row]]:
        """Returns kinds, payloads and rows.

        A kind is the event type, if that is of version 1 and JSON; else type, version and codec,
        with a NUL between them.
        """

@final
class Postgres:
    """How a store in PostgreSQL is opened, checked."""

    def __new__(
        cls,
        url: str,
        *,
        schema: str,
        table_name: str,
        max_connections: int,
        connect_timeout: float,
        statement_timeout: float,
        migrations: bool,
    ) -> Postgres: ...
    @property
    def url(self) -> str:
        """What would be opened, without a password."""

    @property
    def connect_timeout_of_url(self) -> float | None:
        """What the URL says of how long to wait for a connection, in seconds."""

    def drop_test_schema(self) -> None:
        """Drops the schema, whose name begins with `eventuali_test_`, with all that it holds."""

    def schema_sql(self) -> str:
        """Returns the SQL that makes the schema."""

    def row_security_sql(self) -> str:
        """Returns the SQL that turns row-level security on."""

    def tenant_role_sql(self, role: str, tenant: str) -> str:
        """Returns the SQL that gives a tenant to a role."""

@final
class Words:
    """The words of a document's texts, as they are searched; `len` is their bytes."""

    def __new__(cls, parts: Sequence[str]) -> Words: ...
    def __len__(self) -> int: ...

@final
class Projection:
    """One projection of a store, in a version.

    A cursor is (position, (position, id) of the last event that matched, attempts, version).
    """

    def begin(self, rebuild: bool, models: Sequence[str]) -> Pending:
        """Finds the generation to go on with, or makes one.

        Returns:
            (number, whether it is live, cursor)
        """

    def live(self, rebuild: bool) -> Pending:
        """The live generation: (version, (number, whether it is live, cursor)), or None."""

    def restart(
        self,
        number: int | None,
        empties: Sequence[tuple[str, Sequence[bool | int | float | str | bytes | None]]],
    ) -> Pending:
        """Begins in the place of the live generation, and empties its tables in the same commit.

        Returns:
            (number, whether it is live, cursor)
        """

    def add_model(self, number: int, model: str) -> Pending:
        """Adds a model to a generation, before its first document is written."""

    def advance(
        self,
        number: int,
        from_cursor: tuple[int, tuple[int, UUID] | None, int, int],
        to_cursor: tuple[int, tuple[int, UUID] | None, int, int],
        documents: Sequence[
            tuple[str, str, bytes | None, Sequence[tuple[str, Scalar]], Words | None]
        ],
        sql: Sequence[tuple[str, Sequence[bool | int | float | str | bytes | None]]],
    ) -> Pending:
        """Writes documents with the cursor, which must be where it was; gives the cursor.

        The statements of SQL are carried out in the same commit.
        """

    def advance_inline(
        self,
        number: int,
        from_cursor: tuple[int, tuple[int, UUID] | None, int, int],
        to_cursor: tuple[int, tuple[int, UUID] | None, int, int],
        documents: Sequence[InlineDocument],
        streams: Sequence[tuple[str, str, int]],
    ) -> Pending:
        """Writes documents of an inline projection with the cursor; gives the cursor.

        Streams (type, id) must be at their versions still.
        """

    def at_work(self, model: str) -> Pending:
        """The generations that whoever saves writes to, of which one is made where there is none.

        Returns:
            (numbers, version of the record that says so); None where a newer version of the
            projection is at work.
        """

    def inline_documents(self, number: int, model: str, keys: Sequence[str]) -> Pending:
        """The documents of an inline projection with these keys.

        Returns:
            [(key, JSON, version of its record, (type, version of the stream))]
        """

    def swap(
        self, number: int, at: tuple[int, tuple[int, UUID] | None, int, int], behind: bool
    ) -> Pending:
        """Puts a generation in the place of the live one; gives the cursor.

        None where it has not come as far as the live one, unless it may be `behind`.
        """

    def rebuilt(self) -> Pending:
        """The number of a generation that is rebuilt by this version or an older one, or None."""

    def discard(self, number: int) -> Pending:
        """Gives up a generation that is being filled."""

    def cursor(self, number: int) -> Pending:
        """How far a generation has come."""

    def documents(self, number: int, model: str, keys: Sequence[str]) -> Pending:
        """The documents of a generation with these keys: ([(key, JSON)], None)."""

@final
class SetClock:
    """A clock that stands still until it is set, in µs since 1970."""

    def __new__(cls, now: int) -> SetClock: ...
    def now(self) -> int:
        """What it shows."""

    def set(self, now: int) -> None:
        """Sets it, also back."""

@final
class Snapshots:
    """The snapshots of a store."""

    def newest(self, series: str, at_most: int) -> Pending:
        """The newest of a series at or below a version: (key, version of its record, bytes)."""

    def put(
        self,
        series: str,
        place: int,
        kind: str,
        version: int,
        value: bytes,
        due: int | None,
        wrong: tuple[str, int] | None = None,
        anything: bool = False,
    ) -> Pending:
        """Writes one, unless a newer one is in its place.

        It may take the place of a `wrong` one, as (key, version of its record), or of `anything`.
        """

    def of_kinds(self, first: str, last: str, limit: int) -> Pending:
        """The first snapshots of a range of kinds: [(key, version of its record)]."""

    def above(self, places: int, limit: int) -> Pending:
        """The first snapshots whose place is not one of so many: [(key, version of its record)]."""

@final
class Store:
    """An open store; every verb begins its work at once and answers through a `Pending`."""

    @staticmethod
    def open(
        place: str | Postgres, tenant: str, relaxed: bool, clock: SetClock | None = None
    ) -> Pending:
        """Opens the store that a URL names, or that options describe; the answer is a `Store`."""

    @property
    def url(self) -> str:
        """What was opened, without a password."""

    @property
    def tenant(self) -> str:
        """Whose events these are."""

    @property
    def backend(self) -> Literal["memory", "sqlite", "postgres"]:
        """The name of the backend."""

    def takes_sql(self) -> bool:
        """Whether commits of this store may have statements of SQL."""

    @property
    def file(self) -> str | PathLike[str] | None:
        """The file that was opened, absolute; None where it is in none."""

    def clock(self) -> int | None:
        """What the clock shows that a test gave, in µs since 1970; None if there is none."""

    def last_position(self) -> int:
        """Returns the highest position that this store has written, read or heard of."""

    def for_tenant(self, tenant: str) -> Store:
        """Returns the same store, seen as another tenant."""

    def with_limits(self, events: int | None, bytes: int | None) -> Store:
        """Returns the same store, in which its tenant may have so many events and bytes."""

    def all_tenants(self) -> Store:
        """Returns the events of all tenants, to read."""

    def usage(self) -> Pending:
        """Counts what this tenant has stored; the answer is (events, bytes, streams)."""

    def usages(self) -> Pending:
        """Counts what each has, of `all_tenants`: [(tenant, events, bytes, streams)]."""

    def blocking(self, blocking: bool) -> Store:
        """Returns the same store, for callers that wait for each answer, or that do not.

        Those that wait may do the work of a commit themselves.
        """

    def commit(
        self,
        writes: Sequence[Write],
        conditions: Sequence[tuple[Sequence[Item], int]],
        records: Sequence[tuple[str, str, int | None, bytes | None, int | None]] = ...,
        id: UUID | None = None,
        tracking: tuple[str, int] | None = None,
    ) -> Pending:
        """Commits; the answer is (positions, versions, recorded at in µs).

        A record is (space, key, version that it must be at or None where there must be none, bytes
        or None to delete it, when it is due in µs since 1970 or None). Without events, the same id
        again is the same commit. `tracking` is (name, position) of another log, which is stored
        with it.
        """

    def commit_with(
        self,
        writes: Sequence[Write],
        conditions: Sequence[tuple[Sequence[Item], int]],
        documents: Sequence[tuple[Projection, int, Sequence[InlineDocument]]],
        records: Sequence[tuple[str, str, int | None, bytes | None, int | None]] = ...,
        tracking: tuple[str, int] | None = None,
    ) -> Pending:
        """Commits, together with documents of inline projections, and records as in `commit`.

        Each projection says the version of the record of its generations.

        The answer is None where these are no longer what they were, and nothing was written.
        """

    def read(
        self,
        items: Sequence[Item],
        *,
        after: int = 0,
        until: int = ...,
        after_version: int = 0,
        until_version: int = ...,
        recorded_from: int = ...,
        recorded_until: int = ...,
        happened_from: int = ...,
        happened_until: int = ...,
        backwards: bool = False,
        limit: int = 1000,
    ) -> Pending:
        """Reads one page; the answer is a `Page`."""

    def count(
        self,
        items: Sequence[Item],
        *,
        after: int = 0,
        until: int = ...,
        recorded_from: int = ...,
        recorded_until: int = ...,
        happened_from: int = ...,
        happened_until: int = ...,
    ) -> Pending:
        """Counts what `read` would give on all its pages."""

    def streams(
        self,
        aggregate_type: str | None,
        aggregate_id: str | None,
        after: tuple[str, str] | None,
        limit: int,
    ) -> Pending:
        """Lists a page: ([(type, id, version, last position)], where to continue or None)."""

    def horizon(self) -> Pending:
        """Looks how far the log is settled.

        The answer is (position, last position, writers, age of the oldest in µs or None).
        """

    def verify(self, after: bytes | None) -> Pending:
        """Checks a part of what is stored, after the cursor of the part before.

        The answer is ((rows checked, rows in all, events, streams, records), [(position or None,
        text)] of what is damaged, cursor or None at the end).
        """

    def subscribe(self, items: Sequence[Item], limit: int) -> Subscription:
        """Follows what a query asks for, in pages of at most `limit` events."""

    def join(
        self,
        options: tuple[str, int | None, str | None, bool, float, float | None, list[str]],
        items: Sequence[Item],
        limit: int,
    ) -> Pending:
        """Joins a consumer group; the answer is a `Member`.

        The options are (name, partitions, tag, whether it begins at the end, lease in s, deadline
        in s or None, what this member can take where that is no part of the log).
        """

    def repartition(self, group: str, partitions: int) -> Pending:
        """Raises the number of partitions of a consumer group."""

    def dead_letters(self, group: str, after: int, limit: int) -> Pending:
        """The dead letters of a group behind a position: [(JSON, version of the record)]."""

    def dead_letter(self, group: str, position: int) -> Pending:
        """The dead letter of a position, alone in a list, or none."""

    def change_dead_letter(self, group: str, json: bytes, version: int) -> Pending:
        """Changes a dead letter that is at a version; the answer is its new version."""

    def discard_dead_letter(self, group: str, position: int, version: int) -> Pending:
        """Removes a dead letter that is at a version."""

    def checkpoints(self) -> Pending:
        """The checkpoints: [(name, position, when written in µs or None, lag in positions)]."""

    def reset_checkpoint(self, name: str, position: int | None) -> Pending:
        """Puts a checkpoint behind a position, or at the end; the answer is as of `checkpoints`."""

    def delete_checkpoint(self, name: str) -> Pending:
        """Deletes a checkpoint; the answer is whether there was one."""

    def tracked(self, name: str) -> Pending:
        """The last position of another log that was stored, or None."""

    def projection(
        self, name: str, version: int, kind: Literal["documents", "inline", "sql"] = "documents"
    ) -> Projection:
        """A projection of this store, by where it is kept."""

    def documents_by_keys(self, model: str, keys: Sequence[str]) -> Pending:
        """The documents of a model with these keys: ([(key, JSON)], None)."""

    def documents(
        self,
        model: str,
        select: tuple[str | None, Scalar | None, Scalar | None],
        backwards: bool,
        after: tuple[Scalar | None, str] | None,
        limit: int,
    ) -> Pending:
        """One page of a model's documents: ([(key, JSON)], where to go on: (value, key), place).

        The place is another number once other documents have taken the place of these. `select` is
        (name of an index, low, high); without a name, all in the order of their keys.
        """

    def search(self, model: str, text: str, limit: int) -> Pending:
        """The documents of a model whose texts fit a query best: ([(key, JSON)], None).

        Raises:
            ValueError: The query has no word, or too many.
        """

    def count_documents(
        self, model: str, select: tuple[str | None, Scalar | None, Scalar | None]
    ) -> Pending:
        """How many documents of a model that is: (count, place)."""

    def snapshots(self) -> Snapshots:
        """The snapshots of this store."""

    def record(self, space: str, key: str) -> Pending:
        """Reads the record of a key; the answer is (version, bytes), or None."""

    def due_records(self, space: str, limit: int) -> Pending:
        """The first records of a space that are due by the store's clock: [(key, version)]."""

    def put_record(
        self, space: str, key: str, expected: int | None, value: bytes, id: UUID
    ) -> Pending:
        """Writes a record that is at a version, or absent; the answer is its new version.

        The same id again is the same commit.
        """

    def close(self) -> Pending:
        """Waits for the writes that have begun, then releases everything."""

@final
class Subscription:
    """A query that is followed; the caller keeps its place."""

    def next(self, after: int, live: bool) -> Pending:
        """Waits for the next page after a position.

        The answer is a `Page`, or None once it was stopped, or asked again. A caller that is not
        live is answered at the end of the log, too, by an empty page.
        """

    def stop(self) -> None:
        """Ends the answer that is on its way."""

    def checkpoint(self, name: str) -> Checkpoint:
        """Returns the checkpoint of a name.

        Where writing it fails, the answer that is on its way ends, with None.
        """

@final
class Member:
    """A member of a consumer group; a thread of its own keeps what it owns. Dropping it leaves."""

    def next(self) -> Pending:
        """Waits for the next partition to work through.

        The answer is a `Held`, or None once the member leaves, or was asked again.
        """

    def leave(self) -> Pending:
        """Has all partitions released; answers once they are."""

    def partitions(self) -> int:
        """How many partitions the group has."""

    def members(self) -> int:
        """How many members the group has, as far as is known; 0 before it has looked."""

    def settled(self) -> bool:
        """Whether it owns its share, and the others have theirs."""

    def owned(self) -> list[int]:
        """The numbers of the partitions that it owns."""

    def failure(self) -> BaseException | None:
        """Why it can't reach the store now."""

@final
class Held:
    """A partition that a member owns; dropping it gives it away."""

    @property
    def number(self) -> int:
        """Its number, from 0 on."""

    @property
    def name(self) -> str | None:
        """What it is, where it is something of its own; None for a part of the log."""

    def key_of(self, row: Row) -> int:
        """The number of the key by which an event belongs to it."""

    @property
    def generation(self) -> int:
        """How often its owner has changed."""

    @property
    def careful(self) -> bool:
        """Whether its owner before may have ended in the middle of an event."""

    @property
    def status(self) -> int:
        """0: it is owned; 1: it is to be released; 2: it is lost."""

    def begin(self) -> Pending:
        """Reads where to go on; the answer is a position."""

    def next(self, after: int, live: bool) -> Pending:
        """Waits for the next page after a position, as `Subscription.next`.

        None as well once the partition is to be released, is lost, or dead letters are wanted.
        """

    def seen(self) -> int:
        """How far nothing concerns it, for whoever has handled everything and waits."""

    def take(self, steps_in: bool = False) -> bool:
        """Takes the next event in hand; whether it may be handled.

        With `steps_in`, its handler runs on a thread that others share, until `steps_out` or
        `handled`.
        """

    def handled(self, row: Row) -> bool:
        """Notes that the event in hand is handled; whether it is time to flush."""

    def put_back(self) -> None:
        """Notes that no event is in hand any more."""

    def steps_in(self) -> None:
        """Notes that its handler runs on a thread that others share."""

    def steps_out(self) -> None:
        """Notes that its handler waits, or has ended."""

    def looked(self, position: int) -> bool:
        """Notes that everything that matches up to a position is handled; whether to flush."""

    def flush(self) -> Pending:
        """Writes down what is handled by now."""

    def tried(self, position: int) -> Pending:
        """How often an event was tried by itself."""

    def attempt(self, position: int) -> Pending:
        """Writes down that an event is tried by itself; the answer is how often it was now."""

    def is_asked(self) -> bool:
        """Whether dead letters may be wanted, since this was asked last."""

    def wanted(self, limit: int) -> Pending:
        """The first dead letters to be handled again: [(JSON, version of the record)]."""

    def holds(self, aggregate_type: str, aggregate_id: str) -> Pending:
        """Whether a dead letter of a stream is left."""

    def park(self, json: bytes, version: int | None = ...) -> Pending:
        """Gives an event up, as a dead letter, or changes one that is at a version.

        The answer is its new version.
        """

    def abandon(self) -> None:
        """Gives it away without waiting for that."""

    def settle(self, position: int, version: int) -> Pending:
        """Removes a dead letter that is at a version, and was handled."""

    def release(self, crashed: bool) -> Pending:
        """Writes down what is handled, and gives the partition away."""

@final
class Checkpoint:
    """How far a named subscription is handled; a thread of its own writes it down."""

    def begin(self, at_end: bool) -> Pending:
        """Reads where to go on; the answer is a position.

        Where the name is new, that is 0, or the end of the log, which is written down then.
        """

    def handled(self, row: Row) -> bool:
        """Notes an event that is handled; whether it is time to flush."""

    def looked(self, position: int) -> bool:
        """Notes that all that matches up to a position is handled; whether it is time to flush."""

    def flush(self) -> Pending:
        """Writes down what is handled by now; answers once it is written."""
