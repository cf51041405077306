"""Lines before streams: callers of one process that would overtake each other wait their turn.

Whoever loads an aggregate to change it takes a ticket for its stream first. The others would load
in vain, for only one of them can store. Tickets only order callers; what is stored is judged by the
expected versions. So nobody has to have one: who waits too long goes on without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heapify, heappop, heappush
from itertools import count
from threading import RLock
from time import monotonic
from typing import TypeVar
from uuid import UUID

from eventuali._engine.operation import Operation, TicketWait, sleep
from eventuali._engine.pace import Key, Paces
from eventuali.aggregate import Aggregate
from eventuali.aggregate._rollback import copied, copied_exactly

A = TypeVar("A", bound=Aggregate)

HOLD = 1.0
"""Seconds that an attempt may take before the next in line goes on beside it."""

_within: ContextVar[Ticket | None] = ContextVar("within", default=None)
"""The ticket for which this code was called, which a task of it may outlive."""
within = _within.get
"""Returns that; None if there was none."""


class Line:
    """Those who want to change one stream.

    Attributes:
        holder: Whose turn it is.
        until: How long, by the monotonic clock, if others wait.
        waiting: A heap of those who wait, the first to have come on top.
        loaded: The aggregate as somebody has loaded it, a copy that nobody changes, and the id of
            its last event.
    """

    __slots__ = ("holder", "loaded", "until", "waiting")

    def __init__(self, holder: Ticket) -> None:
        self.holder = holder
        self.until = monotonic() + HOLD
        self.waiting: list[tuple[int, Ticket, Future[None]]] = []
        self.loaded: tuple[Aggregate, UUID] | None = None


class Tickets:
    """The lines of an open store.

    Attributes:
        paces: How this process shares streams with others.
    """

    def __init__(self) -> None:
        self.paces = Paces()
        self._numbers = count()
        self._lines: dict[Key, Line] = {}
        # A garbage collection may end a caller, and so give back its ticket, at any line below.
        # That can give two the turn, which costs one of them an attempt.
        self._lock = RLock()
        self._process = os.getpid()

    def draw(self) -> Ticket:
        """Returns the ticket of a caller who comes now."""
        return Ticket(self, next(self._numbers))

    def enter(self, key: Key, ticket: Ticket) -> Future[None] | None:
        """Gives a ticket its turn, or returns what to wait for; a closed one gets nothing."""
        if os.getpid() != self._process:
            return None  # the lock may be held by a thread of the parent
        with self._lock:
            if ticket.closed:
                return None
            line = self._lines.get(key)
            if line is None:
                self._lines[key] = Line(ticket)
            elif line.holder is not ticket:
                if not ticket.may_wait(key):
                    return None
                known = ticket.awaited.get(key)
                if known is not None:  # two tasks of one caller
                    return known
                turn: Future[None] = Future()
                heappush(line.waiting, (ticket.number, ticket, turn))
                ticket.awaited[key] = turn
                return turn
            ticket.held.add(key)
        return None

    def loaded(self, key: Key, cls: type[A]) -> tuple[A, UUID] | tuple[None, None]:
        """Returns a copy of what was loaded of a stream for which others have waited.

        With the id of its last event.
        """
        line = self._lines.get(key)
        found = None if line is None else line.loaded
        if found is None or type(found[0]) is not cls:
            return None, None
        return copied(found[0]), found[1]

    def waited_for(self, key: Key) -> bool:
        """Whether others wait for their turn at a stream."""
        line = self._lines.get(key)
        return line is not None and bool(line.waiting)

    def keep(self, key: Key, aggregate: Aggregate, last: UUID) -> None:
        """Keeps a copy of what was loaded for those who wait, and for the next attempt."""
        line = self._lines.get(key)
        if line is not None:
            copy = copied_exactly(aggregate)
            line.loaded = None if copy is None else (copy, last)

    def forget(self, keys: Iterable[Key]) -> None:
        """Forgets what was loaded."""
        for key in keys:
            line = self._lines.get(key)
            if line is not None:
                line.loaded = None

    def until(self, key: Key) -> float:
        """Returns when the turn of whoever has it ends."""
        with self._lock:
            line = self._lines.get(key)
            return 0.0 if line is None else line.until

    def hurry(self, key: Key) -> bool:
        """Ends a turn that has taken too long; returns whether there is a line at all."""
        with self._lock:
            line = self._lines.get(key)
            if line is not None and line.until <= monotonic():
                self._next(key, line)
            return line is not None

    def renew(self, ticket: Ticket) -> None:
        """Begins a turn anew, for another attempt."""
        with self._lock:
            now = monotonic()
            for key in list(ticket.held):
                line = self._lines.get(key)
                if line is None or line.holder is not ticket:
                    ticket.held.discard(key)  # it took too long
                else:
                    line.until = now + HOLD

    def leave(self, ticket: Ticket, keys: Iterable[Key]) -> None:
        """Ends the turns of a ticket in these lines, and its wait."""
        with self._lock:
            for key in list(keys):
                ticket.held.discard(key)
                ticket.awaited.pop(key, None)
                line = self._lines.get(key)
                if line is None:
                    continue
                if line.holder is ticket:
                    self._next(key, line)
                elif any(other is ticket for _, other, _ in line.waiting):
                    line.waiting = [each for each in line.waiting if each[1] is not ticket]
                    heapify(line.waiting)

    def close(self, ticket: Ticket) -> None:
        """Ends all turns of a ticket and all its waits, for good."""
        ticket.closed = True
        if os.getpid() != self._process:
            return
        with self._lock:
            turns = list(ticket.awaited.values())
            self.leave(ticket, ticket.held | ticket.awaited.keys())
        for turn in turns:
            turn.set_result(None)

    def check(self, tenant: str, streams: Iterable[tuple[str, str]], what: str) -> None:
        """Refuses to write to streams of a function that is running around the caller.

        Raises:
            RuntimeError: One of the streams is such.
        """
        ticket = _open(_within.get())
        if ticket is not None:
            keys = {(tenant, *stream) for stream in streams}
            for each in (ticket, *ticket.around()):
                each.check(self, keys, what)

    def _next(self, key: Key, line: Line) -> None:
        """Gives the turn to the first who waits; an empty line is dropped."""
        if not line.waiting:
            self._lines.pop(key, None)
            return
        _, line.holder, turn = heappop(line.waiting)
        line.holder.held.add(key)
        line.holder.awaited.pop(key, None)
        line.until = monotonic() + HOLD
        turn.set_result(None)


class Ticket:
    """A caller's place in any number of lines: before all who came later, in each attempt.

    Attributes:
        number: How many came before, ever.
        held: The lines in which it has its turn.
        awaited: The turns for which it waits, by line.
        closed: Whether its caller has ended.
        concerned: Says which streams the function of its caller is about, while that runs.
    """

    __slots__ = ("_outer", "awaited", "closed", "concerned", "held", "number", "tickets")

    def __init__(self, tickets: Tickets, number: int) -> None:
        self.tickets = tickets
        self._outer = _open(_within.get())
        self.number = number
        self.held: set[Key] = set()
        self.awaited: dict[Key, Future[None]] = {}
        self.closed = False
        self.concerned: Callable[[], set[Key]] | None = None

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Marks what is called for it, which must not wait for it."""
        token = _within.set(self)
        try:
            yield
        finally:
            _within.reset(token)

    def around(self) -> Iterator[Ticket]:
        """Yields the tickets for which its caller was called, the innermost first."""
        ticket = self
        while (outer := _open(ticket._outer)) is not None:
            ticket._outer = outer  # so that nobody keeps those that have ended
            yield outer
            ticket = outer
        ticket._outer = None

    def check_around(self, keys: set[Key], what: str) -> None:
        """Refuses to change streams of a function that is running around the caller.

        That one would find its streams changed, and be called again, in each of its attempts.

        Raises:
            RuntimeError: One of the streams is such.
        """
        for outer in self.around():
            outer.check(self.tickets, keys, what)

    def check(self, tickets: Tickets, keys: set[Key], what: str) -> None:
        """Refuses to change streams that the function of its caller is about, while that runs.

        Raises:
            RuntimeError: One of the streams is such.
        """
        if self.concerned is None or self.tickets is not tickets:
            return
        for _, name, key in keys & self.concerned():
            raise RuntimeError(
                f"a {what} within a transaction changes the {name} {key!r:.260}, which the "
                "transaction around it has loaded or added: change it with the unit of work of "
                "that one"
            )

    def may_wait(self, key: Key) -> bool:
        """Whether to wait in a line can't be to wait for oneself.

        Everybody waits in the order of the keys, so that no two wait for each other.
        """
        return not any(self.around()) and all(held < key for held in self.held)

    def take(self, keys: Iterable[Key]) -> Operation[None]:
        """Waits for the turn in each of the lines, unless that takes too long."""
        for key in sorted(set(keys) - self.held):
            turn = self.tickets.enter(key, self)
            if turn is not None:
                yield from self._wait(key, turn)

    def pause(self, keys: Iterable[Key]) -> Operation[None]:
        """Lets other processes have their turn, where this one has written again and again."""
        seconds = max(map(self.tickets.paces.pause, keys))
        if seconds:
            yield from sleep(seconds)

    def retake(self, keys: Iterable[Key]) -> Operation[None]:
        """Takes the turns for another attempt, of which the lines are known."""
        self.tickets.renew(self)
        missing = set(keys) - self.held
        if missing:
            self.tickets.leave(self, {key for key in self.held if key > min(missing)})
            yield from self.take(keys)

    def _wait(self, key: Key, turn: Future[None]) -> Operation[None]:
        try:
            while not turn.done():
                wait = TicketWait(turn, self.tickets.until(key) - monotonic())
                try:
                    yield wait
                except TimeoutError:
                    if key not in self.awaited or not self.tickets.hurry(key):
                        return
        except BaseException:
            self.tickets.leave(self, [key])
            raise

    def close(self) -> None:
        """Ends all turns and waits; there are no others after that."""
        self.tickets.close(self)


def _open(ticket: Ticket | None) -> Ticket | None:
    """Returns a ticket or, if it is closed, the innermost one around it that is not."""
    while ticket is not None and ticket.closed:
        ticket = ticket._outer
    return ticket
