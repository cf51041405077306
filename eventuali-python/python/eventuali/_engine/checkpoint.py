"""How a named subscription waits for the write of its checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventuali._engine.operation import Operation, ShieldedWait

if TYPE_CHECKING:
    from eventuali._eventuali import Checkpoint, Pending

SHIELDED_S = 5.0
"""How long a cancelled task waits for a write."""


def flushed(checkpoint: Checkpoint) -> Operation[None]:
    """Waits until the position of the handled events is written, even if it is cancelled.

    Another process that resumes by this name must not meet a write that is still under way. A
    cancelled wait therefore continues for `SHIELDED_S`, however often it is cancelled. A second
    Ctrl-C ends it.

    Raises:
        CheckpointMismatchError: Another subscriber uses this name.
    """
    broken_off: BaseException | None = None
    step: Pending | ShieldedWait = checkpoint.flush()
    while True:
        try:
            yield step
        except GeneratorExit:
            raise
        except Exception:
            if broken_off is None:
                raise
            raise broken_off from None
        except BaseException as error:
            if broken_off is None:
                broken_off, step = error, ShieldedWait(checkpoint.flush(), SHIELDED_S)
            elif isinstance(error, KeyboardInterrupt):
                raise
        else:
            if broken_off is None:
                return
            raise broken_off
