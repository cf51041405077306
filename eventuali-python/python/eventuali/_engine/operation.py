"""Operations, and how one is run by blocking; `AsyncioDriver.run` is how it is awaited.

An operation is a generator: it yields a call that the extension has begun, and is sent the answer
or thrown the exception.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future as Turn
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from eventuali._eventuali import Pending

if TYPE_CHECKING:
    from asyncio import Future

T = TypeVar("T")


class ShieldedWait:
    """A wait for an answer that can be continued after an interruption, up to a time limit.

    An operation that is thrown the interruption may yield the wait again to continue it.
    """

    def __init__(self, pending: Pending, seconds: float) -> None:
        self.pending = pending
        self.until = monotonic() + seconds
        self.future: Future[Any] | None = None

    def left(self) -> float:
        """Returns the seconds that are left."""
        return max(self.until - monotonic(), 0.0)

    def wait(self) -> Any:
        """Blocks until the answer is there; raises `TimeoutError` if it takes too long."""
        return self.pending.wait(self.left())

    def awaited(self, answer: Callable[[Pending], Future[Any]]) -> Future[Any]:
        """Returns a future for the answer, the same each time it is asked for."""
        self.future = self.future or answer(self.pending)
        return self.future


class TicketWait(ShieldedWait):
    """A wait for a turn that another caller gives, up to a time limit."""

    def __init__(self, turn: Turn[None], seconds: float) -> None:
        self.turn = turn
        self.until = monotonic() + seconds
        self.future = None

    def wait(self) -> None:
        """Blocks until the turn has come; raises `TimeoutError` if it takes too long."""
        self.turn.result(self.left())

    def awaited(self, answer: Callable[[Pending], Future[Any]]) -> Future[Any]:
        """Returns a future for the turn; nobody cancels it."""
        from asyncio import wrap_future

        self.future = self.future or wrap_future(self.turn)
        return self.future


Operation: TypeAlias = Generator[Pending | ShieldedWait, Any, T]


def sleep(seconds: float) -> Operation[None]:
    """Waits for some time."""
    try:
        yield TicketWait(Turn(), seconds)
    except TimeoutError:
        return


def run(operation: Operation[T]) -> T:
    """Runs an operation, blocking for each answer."""
    try:
        step = operation.send(None)
        while True:
            try:
                value = step.wait()
            except BaseException as error:
                step = operation.throw(error)
            else:
                step = operation.send(value)
    except StopIteration as end:
        result: T = end.value
        return result
