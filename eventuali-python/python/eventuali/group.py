"""Consumer groups: several members, in one process or in many, handle events together.

    async def send_mail(event: OrderPlaced) -> None: ...

    policy = Retry(5).then("park")
    mailer = Group("mailer", send_mail, Query(event_types=[OrderPlaced]), on_error=policy)

    async with store.join(mailer) as member:
        await member.caught_up()

A group divides the log into partitions, by stream or by a tag. Each partition is handled by one
member at a time, one event after the other, in their order. Members come and go; what one leaves is
taken over by the others.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias
from uuid import UUID

from eventuali.errors import InvalidEventError
from eventuali.event._names import check_name
from eventuali.expected import duration
from eventuali.projection import Retry
from eventuali.query import ALL, E, Query

__all__ = [
    "DeadLetter",
    "Delivery",
    "Group",
    "GroupStatus",
    "PartitionStatus",
    "Retry",
    "delivery",
]

PartitionState: TypeAlias = Literal["catching up", "live", "retrying", "faulted", "stopped", "lost"]
"""What a member does with a partition.

`"faulted"`: it stands at an event that can't be handled. `"lost"`: another member has it, or may
have it by now.
"""

Reason: TypeAlias = Literal["failed", "crashed", "unreadable", "held back"]
"""Why an event was parked.

`"failed"`: its handler raised. `"crashed"`: processes ended while they handled it, or it took
longer than the deadline. `"unreadable"`: it can't be read as one of its class. `"held back"`: an
event before it, of the same stream, is parked.
"""

SHORTEST_LEASE = 0.1
LEASE = 5.0
"""How long the others wait for a member that says nothing, in seconds."""


def check_lease(lease: object) -> float:
    """Returns the length of a lease in seconds after a check.

    Raises:
        TypeError: It is no number.
        ValueError: It is too short.
    """
    seconds = duration(lease, "lease")
    if seconds < SHORTEST_LEASE:
        raise ValueError(f"lease must be {SHORTEST_LEASE} s or more, not {lease!r:.60}")
    return seconds


def check_partitions(partitions: object) -> int:
    """Returns a number of partitions after a check.

    Raises:
        ValueError: It is none.
    """
    if type(partitions) is not int or not 1 <= partitions <= 256:
        raise ValueError(f"partitions must be an int from 1 to 256, not {partitions!r:.60}")
    return partitions


class Group(Generic[E]):
    """A consumer group, as each of its members describes it.

    Attributes:
        name: Its name, which is durable: it stands for how far the group has come.
        handler: Is called with each event.
        query: The events that it handles.
        partitions: How many partitions it has; None for as many as it has, or 8 if it is new.
        partition_by: The name of the tag that says the key: `"customer"` stands for tags such as
            `customer:42`. Events without such a tag are divided by stream, as all are with None.
        start: Where it begins if it is new.
        lease: How long the others wait for a member that says nothing, in seconds.
        deadline: How long an event may be handled, in seconds; None for as long as it takes.
        on_error: What to do if the handler raises.
        hold_back: Whether events that follow a parked one in its stream are parked, too.
    """

    def __init__(
        self,
        name: str,
        handler: Callable[[E], Coroutine[Any, Any, None] | None],
        query: Query[E] = ALL,  # type: ignore[assignment] # without a query, it is `Event`
        *,
        partitions: int | None = None,
        partition_by: str | None = None,
        start: Literal["beginning", "end"] = "beginning",
        lease: float = LEASE,
        deadline: float | None = 300.0,
        on_error: Retry = Retry(),  # noqa: B008
        hold_back: bool = True,
    ) -> None:
        """Describes a group; nothing is stored yet.

        Args:
            name: At most 200 bytes.
            handler: A function, or a coroutine function, of one event. It is called at least once
                for each event; after a crash, up to 1,000 handled events of a partition come again.
            query: The events to handle; the same for each member.
            partitions: 1 to 256. It is chosen once, when the first member joins.
            partition_by: The name of a tag, without a colon.
            start: With the first event, or `"end"`: with what is stored once the first member has
                joined.
            lease: At least 0.1. It is renewed by a thread that a busy event loop does not hold up.
            deadline: After it, the partition is given to another member, which tries the event by
                itself. In an event loop, time in which another handler blocks the loop counts for
                that one alone.
            on_error: By default, a partition stops at the first error with the state `"faulted"`,
                and the others go on. After `.then("park")` it goes on without the event, which
                becomes a dead letter.
            hold_back: If events are parked: whether those of the same stream that follow are parked
                behind it, so that a stream stays in order. Without it, they are handled before it.

        Raises:
            TypeError: An argument has another type.
            ValueError: A number is out of range.
            InvalidEventError: The name is not acceptable.
        """
        name = check_name("name", name)
        if not callable(handler):
            raise TypeError(f"handler must be a function of an event, not {handler!r:.60}")
        if not isinstance(query, Query):
            raise TypeError(f"query must be a Query, not {query!r:.60}")
        if partitions is not None:
            partitions = check_partitions(partitions)
        if partition_by is not None:
            partition_by = check_name("partition_by", partition_by)
            if ":" in partition_by:
                text = f"partition_by is what stands before the colon, not {partition_by!r:.60}"
                raise InvalidEventError(text, field="partition_by")
        if start not in ("beginning", "end"):
            raise ValueError(f"start must be 'beginning' or 'end', not {start!r:.60}")
        lease = check_lease(lease)
        if deadline is not None and not duration(deadline, "deadline") > 0:
            raise ValueError("deadline must be above 0; None is as long as it takes")
        if not isinstance(on_error, Retry):
            raise TypeError(f"on_error must be a Retry, not {on_error!r:.60}")
        self.name = name
        self.handler = handler
        self.query = query
        self.partitions = partitions
        self.partition_by = partition_by
        self.start = start
        self.lease = lease
        self.deadline = None if deadline is None else duration(deadline, "deadline")
        self.on_error = on_error
        self.hold_back = bool(hold_back)

    def __repr__(self) -> str:
        return f"<Group {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The partition whose events a handler is given.

    Attributes:
        group: The name of the group.
        partition: The number of the partition.
        generation: How often its owner has changed. It only rises: a system that is told it with
            each change can refuse a lower one, and so what a member does that was taken for dead.
    """

    group: str
    partition: int
    generation: int


_delivery: ContextVar[Delivery | None] = ContextVar("eventuali_delivery", default=None)


def delivery() -> Delivery:
    """Returns the partition whose event is being handled, in the handler of a group.

    Raises:
        RuntimeError: No handler of a group is running here.
    """
    found = _delivery.get()
    if found is None:
        raise RuntimeError("no handler of a consumer group is running here")
    return found


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """Where a partition stands that a member owns.

    Attributes:
        number: Its number: 0, 1, 2 …
        generation: How often its owner has changed.
        state: What the member does with it.
        position: Everything that concerns it is handled up to this position, here.
        handled: Events that were handled since it was taken.
        parked: Events of these that became dead letters.
        error: What stopped it, or is being retried; None if nothing is wrong.
        failed_at: The position of the event at which it stands; None if there is none.
    """

    number: int
    generation: int
    state: PartitionState
    position: int
    handled: int
    parked: int
    error: BaseException | None
    failed_at: int | None


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """Where a member of a group stands.

    Attributes:
        name: The name of the group.
        partitions: How many partitions the group has.
        members: How many members it has, as far as this one knows; 0 before it has looked.
        owned: The partitions that this member owns, by number.
        lost: How many partitions it has lost: taken over by others, or past the deadline.
        error: Why it can't reach the store now, or has ended; None if nothing is wrong.
    """

    name: str
    partitions: int
    members: int
    owned: tuple[PartitionStatus, ...]
    lost: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a group could not handle, and went on without.

    Attributes:
        group: The name of the group.
        position: The position of the event in the log.
        event_id: Its id.
        event_type: Its type.
        aggregate_type: The type of its stream; None without a stream.
        aggregate_id: The id of its stream; None without a stream.
        partition: The partition that it belongs to.
        reason: Why it was parked.
        error: The error, as text: its type and message.
        trace: Where it was raised.
        handled_by: Who handled it last: host and process.
        tries: How often it was handled.
        parked_at: When it was parked, aware, UTC.
        edited: The payload, as JSON, with which it is handled when it is replayed; None for the
            stored one.
        again: Whether it is to be replayed, and is not yet.
    """

    group: str
    position: int
    event_id: UUID
    event_type: str
    aggregate_type: str | None
    aggregate_id: str | None
    partition: int
    reason: Reason
    error: str
    trace: str = field(repr=False)
    handled_by: str
    tries: int
    parked_at: datetime
    edited: str | None
    again: bool
