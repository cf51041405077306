"""How a named subscription waits until it is written down how far it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventuali._engine.operation import Operation, ShieldedWait

if TYPE_CHECKING:
    from eventuali._eventuali import Checkpoint, Pending

SHIELDED_S = 5.0
"""How long a write is waited for by somebody who was cancelled."""


def flushed(checkpoint: Checkpoint) -> Operation[None]:
    """Waits until what is handled is written down, also after the wait was broken off.

    Who goes on under the name in another process must not meet the write on its way. It is waited
    for so many seconds then, however often that is broken off. A second Ctrl-C ends this wait, too.

    Raises:
        CheckpointMismatchError: Somebody else follows under this name.
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
