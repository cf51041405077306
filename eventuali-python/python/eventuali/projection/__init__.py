"""Projections: what the log says, as documents that people query.

A projection is a pure fold, an event and a document in, a document out, or free to write any
documents. `EventStore.run` keeps it up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Self,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)

from eventuali.errors import InvalidEventError, ProjectionError
from eventuali.event import Event, _registry
from eventuali.projection._handlers import Handler, handler_of, handlers_of
from eventuali.projection._model import ReadModel, check_part
from eventuali.projection._places import (
    AsyncOwnTables,
    Checkpoint,
    InSql,
    MemoryView,
    OwnTables,
    Placed,
)
from eventuali.projection._statements import Statements

__all__ = [
    "AsyncOwnTables",
    "Checkpoint",
    "InSql",
    "MemoryView",
    "OwnTables",
    "Placed",
    "Projection",
    "ProjectionState",
    "ProjectionStatus",
    "ReadModel",
    "Retry",
    "Runnable",
    "Statements",
]

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    M = TypeVarWithDefault("M", bound=ReadModel, default=Any)
else:
    M = TypeVar("M", bound=ReadModel)

ProjectionState: TypeAlias = Literal["catching up", "live", "faulted", "stopped", "elsewhere"]
"""What a projection does: it works through what is stored, it waits for new events, it stopped at
an event or at an error of the store, it was stopped, or another process works on it."""


class Projection(Generic[M]):
    """Keeps documents up to date with the log.

    The pure form names its model. A handler takes an event and the document of the event's key,
    None if there is none, and returns the document, which it may have changed; None deletes it:

        class Accounts(Projection[AccountView], version=2):
            def on_opened(self, event: AccountOpened, doc: None) -> AccountView:
                return AccountView(owner=event.owner)

            def on_deposited(self, event: Deposited, doc: AccountView) -> AccountView:
                doc.balance += event.amount
                return doc

    The free form takes `docs`, and reads and writes documents of any models:

        class Funnel(Projection, version=1):
            async def on_placed(self, event: OrderPlaced, docs: Documents) -> None:
                step = await docs.get(Step, "placed") or Step()
                step.count += 1
                docs.put("placed", step)

    Class keywords: `version`, which a change of what the documents say raises, so that they are
    built anew beside the old ones; `name`, by default the class name; `inline`, for the pure form
    with the default key: a store that is opened with `inline=[…]` commits its documents together
    with the events.
    """

    __projection_name__: ClassVar[str] = ""
    __projection_version__: ClassVar[int] = 1
    __model__: ClassVar[type[ReadModel] | None] = None
    __inline__: ClassVar[bool] = False
    __handlers__: ClassVar[dict[type[Event], Handler]] = {}

    def __init_subclass__(
        cls, *, version: int = 1, name: str | None = None, inline: bool | None = None
    ) -> None:
        super().__init_subclass__()
        cls.__projection_name__ = check_part(cls.__name__ if name is None else name)
        if type(version) is not int or not 0 < version < 2**32:
            raise InvalidEventError(
                f"{cls.__name__}: version must be an int of 1 or more, not {version!r:.60}",
                field="version",
            )
        cls.__projection_version__ = version
        cls.__model__ = _model_of(cls) or cls.__model__
        local = sys._getframe(1).f_locals
        generic = bool(getattr(cls, "__parameters__", ()))
        cls.__handlers__ = handlers_of(cls, local, cls.__model__, generic=generic)
        if iscoroutinefunction(cls.key):
            raise TypeError(f"{cls.__name__}.key is a coroutine function; make it a plain `def`")
        if "key" in vars(cls) and cls.__model__ is None:
            raise TypeError(
                f"{cls.__name__}: key is of the pure form; name the model: Projection[Model]"
            )
        if inline is not None and type(inline) is not bool:
            raise TypeError(f"{cls.__name__}: inline must be a bool, not {inline!r:.60}")
        if inline is not None:
            cls.__inline__ = inline
        if cls.__inline__ and (cls.__model__ is None or cls.key is not Projection.key):
            raise TypeError(
                f"{cls.__name__}: an inline projection names a model and leaves out `key`: each of "
                "its documents is that of one aggregate"
            )

    @classmethod
    def __handlers_of_all__(cls) -> dict[type[Event], Handler]:
        """Returns the handlers, also of the subclasses that exist now of the classes they take.

        Each by the newest definition of its class.
        """
        found: dict[type[Event], Handler] = {}
        seen: set[type[Event]] = set()
        waiting = [*cls.__handlers__, *map(_registry.current, cls.__handlers__)]
        while waiting:
            event = waiting.pop()
            handler = handler_of(cls.__handlers__, event)
            if handler is not None and event not in seen:
                seen.add(event)
                found[_registry.current(event)] = handler
                waiting += event.__subclasses__()
        return found

    def key(self, event: Any, /) -> str | None:
        """Returns the key of the document that an event concerns; None passes the event over.

        It is the id of the event's aggregate unless this is overridden.

        Raises:
            ProjectionError: The event belongs to no aggregate.
        """
        key: str | None = event.meta.aggregate_id
        if key is None:
            raise without_key(self, event)
        return key

    def fold(self, events: Iterable[Event], documents: dict[str, M] | None = None) -> dict[str, M]:
        """Applies events to documents without a store, as for a test.

        Args:
            events: The events; those without a handler are passed over. With the default `key`,
                they must have been applied to an aggregate or read from a store.
            documents: The documents so far by key; it is changed.

        Raises:
            TypeError: The projection is of the free form.
            ProjectionError: A handler returned something else than a document.
        """
        if self.__model__ is None:
            raise TypeError(f"{type(self).__name__} is of the free form, which needs a store")
        found: dict[str, M] = {} if documents is None else documents
        for event in events:
            handler = handler_of(self.__handlers__, type(event))
            key = None if handler is None else self.key(event)
            if handler is None or key is None:
                continue
            after = apply(self, handler, event, found.get(key))
            if after is None:
                found.pop(key, None)
            else:
                found[key] = after
        return found

    def into(self, tables: OwnTables[Any] | AsyncOwnTables[Any]) -> Placed:
        """Returns this projection, to be run so that its handlers write tables of yours.

            store.run(Invoices().into(Sessions(sessionmaker(engine))))

        Its handlers take a session of yours instead of `docs`, and a page of events is one
        transaction, with the checkpoint. A version that is newer than that of the tables calls
        `reset` first, and fills them anew.

        Raises:
            TypeError: The projection names a model, or `tables` is something else; or a handler is
                a coroutine function where the session is not awaited, or `reset` does not fit it.
        """
        cls = type(self)
        if cls.__model__ is not None:
            raise TypeError(f"{cls.__name__} names a model; only the free form writes own tables")
        if not isinstance(tables, OwnTables | AsyncOwnTables):
            raise TypeError(f"tables must be OwnTables or AsyncOwnTables, not {tables!r:.60}")
        awaited = isinstance(tables, AsyncOwnTables)
        for handler in cls.__handlers__.values():
            if handler.is_async and not awaited:
                raise TypeError(
                    f"{cls.__name__}.{handler.name} is a coroutine function, but {tables!r:.60} "
                    "is not awaited: make it a plain `def`, or use AsyncOwnTables"
                )
        if cls.reset is not Projection.reset and iscoroutinefunction(cls.reset) is not awaited:
            raise TypeError(
                f"{cls.__name__}.reset must be "
                f"{'a coroutine function' if awaited else 'a plain `def`'}, for {tables!r:.60}"
            )
        return Placed(self, tables)

    def in_sql(self) -> InSql:
        """Returns this projection, to be run so that its handlers write tables with SQL.

            class Invoices(Projection):
                def on_issued(self, event: InvoiceIssued, sql: Statements) -> None:
                    sql.execute("INSERT INTO invoices (number) VALUES ($1)", event.number)

            store.run(Invoices().in_sql())

        The tables are in the database of the store, SQLite or PostgreSQL. The statements of a page
        are executed in the commit that moves the checkpoint. A version that is newer than that of
        the tables calls `reset` first, in the commit that begins anew.

        Raises:
            TypeError: The projection names a model, or a handler or `reset` is a coroutine
                function.
        """
        cls = type(self)
        if cls.__model__ is not None:
            raise TypeError(f"{cls.__name__} names a model; only the free form writes with SQL")
        found = [handler.name for handler in cls.__handlers__.values() if handler.is_async]
        if iscoroutinefunction(cls.reset):
            found.append("reset")
        if found:
            raise TypeError(
                f"{cls.__name__}.{found[0]} is a coroutine function, but sql.execute has nothing "
                "to wait for: make it a plain `def`"
            )
        return InSql(self)

    def in_memory(self) -> MemoryView[M]:
        """Returns the documents of this projection in memory, to be run and read.

            balances = Accounts().in_memory()
            async with store.run(balances) as running:
                print(balances["acc-1"].balance)

        Raises:
            TypeError: The projection is of the free form.
        """
        if self.__model__ is None:
            raise TypeError(f"{type(self).__name__} is of the free form, which needs a store")
        return MemoryView(self)

    def reset(self, session: Any, /) -> Any:
        """Empties the tables of yours that this projection writes, to be filled anew.

        It is called within a transaction by a rebuild, and when the version has risen. Define it
        for a projection that is used with `into`: a coroutine function where the session is
        awaited, else a plain `def`. With `in_sql`, it takes `Statements`.

        Raises:
            ProjectionError: It is not defined.
        """
        raise ProjectionError(
            f"the tables of {self.__projection_name__} are to be filled anew; define "
            f"{type(self).__name__}.reset(self, session), which empties them"
        )


Runnable: TypeAlias = Projection[Any] | Placed | InSql | MemoryView[Any]
"""What can be run: a projection whose documents the store keeps, or that has another place."""


def projection_of(runnable: Runnable) -> Projection[Any]:
    """Returns the projection that is run."""
    return runnable if isinstance(runnable, Projection) else runnable.projection


def without_key(projection: Projection[Any], event: Event) -> ProjectionError:
    """Returns the error for an event that belongs to no aggregate, where its id is the key."""
    name = type(projection).__name__
    return ProjectionError(
        f"this {type(event).__name__} belongs to no aggregate, whose id would be the key of the "
        f"document; override {name}.key, which returns None for events to pass over"
    )


def apply(
    projection: Projection[M], handler: Handler, event: Event, document: M | None
) -> M | None:
    """Calls a handler of the pure form.

    Raises:
        ProjectionError: There is no document, or the handler returned none and may not delete.
    """
    if document is None and handler.needs_document:
        raise without_document(projection, handler, event)
    after = handler.function(projection, event, document)
    if type(after) is not projection.__model__:
        refuse_unless_none(projection, handler, after)
        return None
    return after  # type: ignore[return-value]


def without_document(
    projection: Projection[Any], handler: Handler, event: Event
) -> ProjectionError:
    """Returns the error for an event whose handler takes no None for the document."""
    return ProjectionError(
        f"{type(projection).__name__}.{handler.name} takes a document, but there is none for "
        f"this {type(event).__name__}; annotate it with `| None` to take that, too"
    )


def refuse_unless_none(projection: Projection[Any], handler: Handler, after: object) -> None:
    """Takes None from a handler that may delete, and nothing else that is not a document.

    Raises:
        ProjectionError: It is not None, or the handler may not delete.
    """
    name = f"{type(projection).__name__}.{handler.name}"
    if after is not None:
        raise ProjectionError(f"{name} returned {after!r:.60}, not a document of its model")
    if not handler.may_delete:
        raise ProjectionError(
            f"{name} returned None, which deletes the document; return the document, or annotate "
            "the result with `| None`"
        )


def _model_of(cls: type) -> type[ReadModel] | None:
    """Returns the model that a class names, itself or for a generic base; None if it names none."""
    for base in vars(cls).get("__orig_bases__", ()):
        origin = get_origin(base)
        if not (isinstance(origin, type) and issubclass(origin, Projection)):
            continue
        for given in get_args(base):
            if isinstance(given, type) and issubclass(given, ReadModel) and given is not ReadModel:
                return given
            if not isinstance(given, TypeVar):
                raise TypeError(f"{cls.__name__}: {given!r:.60} is not a class of read models")
    return None


def check_projections(projections: Sequence[object]) -> None:
    """Refuses what can't be run.

    Raises:
        TypeError: There is no projection, or something is none.
        ValueError: Two have the same name.
    """
    if not projections:
        raise TypeError("there must be at least one projection")
    names = set()
    for projection in projections:
        if isinstance(projection, Placed | InSql | MemoryView):
            projection = projection.projection
        if isinstance(projection, type) and issubclass(projection, Projection):
            raise TypeError(f"a projection must be an object; write {projection.__name__}()")
        if not isinstance(projection, Projection):
            raise TypeError(f"a projection must be a Projection, not {projection!r:.60}")
        cls = type(projection)
        if not cls.__handlers__:
            raise TypeError(f"{cls.__name__} has no handlers: write methods on_…(self, event, doc)")
        if cls.__projection_name__ in names:
            raise ValueError(f"two projections have the name {cls.__projection_name__!r}")
        names.add(cls.__projection_name__)


def check_inline(inline: Iterable[object]) -> tuple[Projection[Any], ...]:
    """Returns inline projections, and refuses what can't be updated together with the events.

    Raises:
        TypeError: Something is not an inline projection.
        ValueError: Two have the same name.
    """
    if isinstance(inline, Projection):
        raise TypeError("inline takes a list of projections: inline=[…]")
    projections = tuple(inline)
    if not projections:
        return ()
    check_projections(projections)
    checked: list[Projection[Any]] = []
    models = set()
    for projection in projections:
        if not isinstance(projection, Projection) or not projection.__inline__:
            raise TypeError(
                f"{projection!r:.60} is not an inline projection; its class needs inline=True"
            )
        model = projection.__model__
        if model in models:
            raise ValueError(f"two projections have the model {model and model.__name__}")
        models.add(model)
        checked.append(projection)
    return tuple(checked)


def check_rebuild(projection: Runnable) -> str:
    """Refuses what can't be rebuilt; returns the name of what can.

    Raises:
        TypeError: It is no projection, or a view in memory.
    """
    if isinstance(projection, MemoryView):
        raise TypeError("a view in memory is built anew whenever it is run; run it again")
    check_projections([projection])
    return type(projection_of(projection)).__projection_name__


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an event is tried again whose handler failed, and what happens then.

        Retry(5)                # then the projection, or the partition of a group, stops at it
        Retry(5).then("park")   # for groups: it becomes a dead letter

    Attributes:
        times: How many attempts follow the first.
        backoff: The pause before the second attempt, in seconds; it doubles with each attempt.
        otherwise: What happens then; `"stop"`: the projection is faulted at that event. `"park"`:
            the group goes on without it; see `eventuali.group`.
    """

    times: int = 0
    backoff: float = 0.1
    otherwise: Literal["stop", "park"] = "stop"

    def __post_init__(self) -> None:
        if type(self.times) is not int or self.times < 0:
            raise ValueError(f"times must be an int of 0 or more, not {self.times!r:.60}")
        if not 0 <= self.backoff < float("inf"):
            raise ValueError(f"backoff must be seconds, not {self.backoff!r:.60}")
        if self.otherwise not in ("stop", "park"):
            raise ValueError(f"it can 'stop' or 'park' then, not {self.otherwise!r:.60}")

    def then(self, otherwise: Literal["stop", "park"]) -> Self:
        """Returns the same policy with another end."""
        return replace(self, otherwise=otherwise)


def check_stops(on_error: Retry) -> None:
    """Refuses a policy that is none for projections.

    Raises:
        ValueError: It goes on without an event, and documents would be wrong from then on.
    """
    if on_error.otherwise != "stop":
        raise ValueError(
            "a projection can only 'stop' at an event that it can't handle: documents without it "
            f"would be wrong; {on_error.otherwise!r} is for groups"
        )


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """Where a projection stands.

    Attributes:
        name: The name of the projection.
        version: Its version.
        state: What it does.
        rebuilding: Whether it fills documents beside the live ones.
        position: The documents hold everything that concerns them up to this position.
        lag: How many positions of the log lie behind that, of which not all may concern it.
        lag_time: How long the oldest of these has been stored; None if there is none or it is
            not known.
        rate: Events per second that were handled in the last seconds.
        handled: Events that were handled since it was started here.
        error: What stopped it, or is being retried; None if nothing is wrong.
        failed_at: The position of the event at which it stopped; None if there is none.
    """

    name: str
    version: int
    state: ProjectionState
    rebuilding: bool
    position: int
    lag: int
    lag_time: timedelta | None
    rate: float
    handled: int
    error: BaseException | None
    failed_at: int | None
