"""Signals that stop a worker."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def caught(stop: Callable[[str], None]) -> Iterator[None]:
    """Tells the name of the first signal, and leaves a second one to those that handled it before.

    A loop's `add_signal_handler` would wait for its next iteration, which a handler of events that
    hangs never lets it reach; then the second signal would do nothing. And Windows has none.
    """

    def told(number: int, frame: FrameType | None) -> None:
        restore()
        stop(signal.Signals(number).name)

    def restore() -> None:
        for each, handler in before.items():
            if signal.getsignal(each) is told:
                # None: not set by Python, which can't set it again.
                signal.signal(each, signal.SIG_DFL if handler is None else handler)

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    try:
        for each in _SIGNALS:
            signal.signal(each, told)
        yield
    finally:
        restore()
