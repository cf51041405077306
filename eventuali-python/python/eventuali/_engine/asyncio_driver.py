"""How answers of the extension reach an event loop.

Its threads never touch Python: they leave an answer in a mailbox and write one byte to a socket.
The loop watches that socket, and takes everything that has arrived at once.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count
from threading import Thread
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, finalize, ref

from eventuali._engine.operation import Operation, ShieldedWait
from eventuali._eventuali import Mailbox, Pending

T = TypeVar("T")

_tokens = count()
_TURN = 0.001
"""How long a loop may spin for answers without an iteration, in seconds."""


class AsyncioDriver:
    """The mailboxes of one store, one for each loop that uses it."""

    def __init__(self) -> None:
        self._boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()
        # The loop that asked last, for the lookup above takes as long as all the rest.
        self._last: tuple[ref[asyncio.AbstractEventLoop], ref[_Box]] | None = None
        self._closed = False

    def answer(self, pending: Pending) -> asyncio.Future[Any]:
        """Returns a future for an answer; cancelling it does not stop the call."""
        loop = asyncio.get_running_loop()
        box = self._box(loop)
        if box is None or box.gone:
            return _now(loop, pending)
        future = loop.create_future()
        token = next(_tokens)
        box.waiting[token] = future
        pending.deliver(box.mailbox, token)
        return future

    async def run(self, operation: Operation[T]) -> T:
        """Runs an operation, awaiting each answer."""
        answer = self.answer
        try:
            step = operation.send(None)
            while True:
                try:
                    if isinstance(step, ShieldedWait):
                        value = await self._shielded(step)
                    elif step.soon and (found := self._spin(step)) is not None:
                        value = found[0]
                    else:
                        value = await answer(step)
                except BaseException as error:
                    step = operation.throw(error)
                else:
                    step = operation.send(value)
        except StopIteration as end:
            result: T = end.value
            return result

    def _spin(self, pending: Pending) -> tuple[Any] | None:
        """Returns an answer that comes at once, in a tuple, without an iteration of the loop."""
        loop = asyncio.get_running_loop()
        box = self._box(loop)
        free = box is not None and not box.waiting
        return pending.spin() if free and _may_spin(loop) else None

    async def _shielded(self, step: ShieldedWait) -> Any:
        future = step.awaited(self.answer)
        if not future.done():
            await asyncio.wait([future], timeout=step.left())
        if not future.done():
            raise TimeoutError
        return future.result()

    def _box(self, loop: asyncio.AbstractEventLoop) -> _Box | None:
        """Returns the mailbox of a loop; none once the store is closed."""
        last = self._last
        if last is not None and last[0]() is loop and (box := last[1]()) is not None:
            return box
        box = self._boxes.get(loop)
        if box is None and not self._closed:
            box = self._boxes[loop] = _Box(loop)
        self._last = None if box is None else (ref(loop), ref(box))
        return box

    def close(self) -> None:
        """Closes the mailbox of every loop that is still open, once nobody waits for it.

        Other threads continue meanwhile: a loop may still find its mailbox here after closing it.
        """
        self._closed = True
        self._last = None
        here = asyncio._get_running_loop()  # None where a test closes the store
        for loop, box in list(self._boxes.items()):
            if loop is here:
                box.close()
            else:
                with suppress(RuntimeError):  # a closed loop waits for nothing
                    loop.call_soon_threadsafe(box.close)
        self._boxes.clear()


def _now(loop: asyncio.AbstractEventLoop, pending: Pending) -> asyncio.Future[Any]:
    """Returns a completed future: a closed store answers at once."""
    future = loop.create_future()
    try:
        future.set_result(pending.wait())
    except Exception as error:
        future.set_exception(error)
    return future


class _Box:
    """What one loop waits for. The loop holds it weakly, so that a dropped store is freed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.mailbox = Mailbox()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.gone = False  # whether the loop has let go of it: nothing is delivered any more
        self._closing = False
        self._self: _Box | None = None
        try:
            loop.add_reader(self.mailbox.fileno(), _deliver, ref(self))
        except NotImplementedError:  # loops without descriptors, such as Windows' Proactor
            self.end = finalize(self, bool)  # nothing: its thread ends by itself
            Thread(target=_watch, args=(ref(self), ref(loop)), daemon=True).start()
        else:
            # It keeps the mailbox, and so the descriptor, until the loop has let go of it.
            self.end = finalize(self, partial(_unwatch, ref(loop), self.mailbox))
        self.end.atexit = False

    def deliver(self) -> None:
        """Completes the futures whose answers have arrived; runs on the loop."""
        for token, value, error in self.mailbox.drain():
            future = self.waiting.pop(token)
            if future.done():
                continue  # cancelled: nobody waits for this any more
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        if self._closing and not self.waiting and self.end.detach() is not None:
            self._self, self.gone = None, True
            with suppress(NotImplementedError):  # its thread looks at `end`
                asyncio.get_running_loop().remove_reader(self.mailbox.fileno())

    def close(self) -> None:
        """Leaves the loop once every answer has arrived; runs on the loop."""
        self._closing = True
        # The driver lets go of this box; until the last answer it keeps itself.
        self._self = self if self.waiting else None
        self.deliver()


def _may_spin(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop may spin for an answer while nobody else waits for one.

    An iteration of the loop takes longer than an answer that comes at once. To let other tasks run,
    the loop goes on after a millisecond of such answers, counted over all stores.
    """
    now = monotonic()
    since = _spinning.get(loop)
    if since is None:
        _spinning[loop] = now
        loop.call_soon(_spinning.pop, loop, None)
        return True
    return now - since < _TURN


_spinning: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()
"""Since when each loop has been spinning without an iteration."""


def _deliver(box: ref[_Box]) -> None:
    here = box()
    if here is not None:
        here.deliver()


def _unwatch(loop: ref[asyncio.AbstractEventLoop], mailbox: Mailbox) -> None:
    there = loop()
    if there is None or there.is_closed():
        return
    with suppress(RuntimeError):  # closed meanwhile
        there.call_soon_threadsafe(_remove, loop, mailbox)


def _remove(loop: ref[asyncio.AbstractEventLoop], mailbox: Mailbox) -> None:
    there = loop()
    if there is not None and not there.is_closed():
        there.remove_reader(mailbox.fileno())


def _watch(box: ref[_Box], loop: ref[asyncio.AbstractEventLoop]) -> None:
    """Waits for answers in a thread, as long as box and loop are alive."""
    while True:
        here, there = box(), loop()
        if here is None or there is None or not here.end.alive or there.is_closed():
            return
        mailbox = here.mailbox
        del here
        if mailbox.wait(0.1) and (here := box()) is not None:
            _hand_over(here, there)
            del here
        del there


def _hand_over(box: _Box, loop: asyncio.AbstractEventLoop) -> None:
    """Empties the mailbox on the loop, and waits for that."""
    done: Future[None] = Future()

    def deliver() -> None:
        box.deliver()
        done.set_result(None)

    with suppress(RuntimeError, TimeoutError):  # closed meanwhile; a loop that stands still
        loop.call_soon_threadsafe(deliver)
        done.result(1.0)
