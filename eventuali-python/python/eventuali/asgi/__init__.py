"""What an HTTP API over a store needs, for every ASGI framework; it imports none of them.

    app.add_middleware(RequestContext)  # the ids of the request on every event
    add_problem_handlers(app)  # errors as application/problem+json; or problem_of(error)
    streams.open(store, after=last_event_id)  # server-sent events that end at shutdown
    await wait_until_shown(running, position)  # what the client wrote is what it reads

`eventuali.fastapi` has parameters and a response for FastAPI.
"""

from eventuali.asgi._context import RequestContext, correlation_id_of
from eventuali.asgi._problems import Problem, ProblemError, add_problem_handlers, problem_of
from eventuali.asgi._streams import EventStream, EventStreams
from eventuali.asgi._waiting import wait_until_shown

__all__ = [
    "EventStream",
    "EventStreams",
    "Problem",
    "ProblemError",
    "RequestContext",
    "add_problem_handlers",
    "correlation_id_of",
    "problem_of",
    "wait_until_shown",
]
