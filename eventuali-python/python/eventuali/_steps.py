"""Work in steps, and how it is run by blocking; `Bridge.run` is how it is awaited.

Work is a generator: it yields what the extension has begun, and is sent the answer, or thrown what
came instead of one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from eventuali._eventuali import Pending

T = TypeVar("T")


class Within(NamedTuple):
    """An answer to wait for so many seconds at most; the work is thrown `TimeoutError` then."""

    pending: Pending
    seconds: float

    def wait(self) -> Any:
        """Blocks until the answer is there, as `Pending.wait` does."""
        return self.pending.wait(self.seconds)


Steps: TypeAlias = Generator[Pending | Within, Any, T]


def run(steps: Steps[T]) -> T:
    """Runs work, blocking for each answer."""
    try:
        step = steps.send(None)
        while True:
            try:
                value = step.wait()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result
