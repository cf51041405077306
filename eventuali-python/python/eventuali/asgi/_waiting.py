"""Reading one's own writes: a bounded wait for read models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventuali.asgi._problems import RETRY, ProblemError, problem

if TYPE_CHECKING:
    from eventuali.projection import Projection
    from eventuali.running import Running


async def wait_until_shown(
    running: Running,
    position: int | None,
    *projections: type[Projection[Any]],
    timeout: float = 2.0,
) -> None:
    """Waits until read models show a position that a client got from its own write.

    Args:
        running: What `store.run` returned, in this process; other processes may do the work.
        position: The position, such as that of `?wait_for=`; None for no wait.
        projections: The classes to wait for; without any, all that run here.
        timeout: The longest wait, in seconds.

    Raises:
        ProblemError: It took longer: 503 with `Retry-After`.
        ProjectionError: One of them is faulted, or was stopped.
    """
    if position is None:
        return
    try:
        await running.wait_for(position, *projections, timeout=timeout)
    except TimeoutError:
        raise ProblemError(
            problem(
                "not-shown-yet",
                "Not shown yet",
                503,
                f"The read model does not show position {position} yet. Try again.",
                retry_after=RETRY,
                position=position,
            )
        ) from None
