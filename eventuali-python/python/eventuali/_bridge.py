"""How answers of the extension reach an event loop.

Its threads never touch Python: they leave an answer in a mailbox and write one byte to a socket.
The loop watches that socket, and takes everything that has arrived at once.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from threading import Thread
from typing import Any
from weakref import WeakKeyDictionary, ref

from eventuali._eventuali import Mailbox, Pending

_tokens = count()


class Bridge:
    """The mailboxes of one store, one for each loop that uses it."""

    def __init__(self) -> None:
        self._boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()

    def answer(self, pending: Pending) -> asyncio.Future[Any]:
        """Returns a future of the running loop for an answer; cancelling it stops nothing."""
        loop = asyncio.get_running_loop()
        box = self._boxes.get(loop)
        if box is None:
            box = self._boxes[loop] = _Box(loop)
        future = loop.create_future()
        token = next(_tokens)
        box.waiting[token] = future
        pending.deliver(box.mailbox, token)
        return future

    def close(self) -> None:
        """Stops watching, on every loop that is still open."""
        here = asyncio.get_running_loop()
        for loop, box in list(self._boxes.items()):
            if loop is here:
                box.close(loop)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(box.close, loop)
        self._boxes.clear()


class _Box:
    """What one loop waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.mailbox = Mailbox()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self._open = True
        try:
            loop.add_reader(self.mailbox.fileno(), self._deliver)
        except NotImplementedError:  # loops without descriptors, such as Windows' Proactor
            Thread(target=_watch, args=(ref(self), ref(loop)), daemon=True).start()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        self._open = False
        try:
            loop.remove_reader(self.mailbox.fileno())
        except NotImplementedError:
            return  # its thread looks at `_open`

    def _deliver(self) -> None:
        for token, value, error in self.mailbox.drain():
            future = self.waiting.pop(token)
            if future.done():
                continue  # cancelled: nobody waits for this any more
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


def _watch(box: ref[_Box], loop: ref[asyncio.AbstractEventLoop]) -> None:
    """Waits for answers in a thread, for as long as somebody holds box and loop."""
    while True:
        here, there = box(), loop()
        if here is None or there is None or not here._open or there.is_closed():
            return
        mailbox = here.mailbox
        del here
        if mailbox.wait(0.1) and (here := box()) is not None:
            _hand_over(here, there)
        del there


def _hand_over(box: _Box, loop: asyncio.AbstractEventLoop) -> None:
    """Empties the mailbox on the loop, and waits until that is done."""
    done: Future[None] = Future()

    def deliver() -> None:
        box._deliver()
        done.set_result(None)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:  # closed meanwhile
        return
    with suppress(TimeoutError):  # a loop that stands still is asked again
        done.result(1.0)
