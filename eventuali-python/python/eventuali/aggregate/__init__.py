"""Aggregates: state that results only from events.

    class Account(Aggregate):
        balance: Decimal = Decimal(0)

        def apply_deposited(self, event: Deposited) -> None:
            self.balance += event.amount

    account = Account(id="acc-1")
    account.apply(Deposited(amount=Decimal("10.00")))

This module does no I/O and imports no extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from importlib import import_module
from time import time as seconds
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from eventuali._values import values
from eventuali.aggregate._commands import Method, handle
from eventuali.aggregate._handlers import HandledTypes, Handlers, outer_locals, returned_value
from eventuali.aggregate._rollback import Savepoint, beside, own_slots, restore
from eventuali.aggregate._watch import watcher
from eventuali.errors import InvalidEventError
from eventuali.event import Event, _registry
from eventuali.event._context import begun, current
from eventuali.event._names import check_name
from eventuali.event._slot import begin, bind_given, set_applied

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from eventuali.event._demo import User, UserDeactivated, UserEmailChanged, UserRegistered

__all__ = ["Aggregate", "User", "UserDeactivated", "UserEmailChanged", "UserRegistered"]


if TYPE_CHECKING:

    class _Slots(BaseModel):
        """What type checkers see of the slots beside the fields, and of the class keywords."""

        @property
        def _uncommitted(self) -> list[Event]: ...
        @property
        def _pending(self) -> Any: ...
        @property
        def _savepoint(self) -> Savepoint | None: ...

        def __init_subclass__(
            cls,
            *,
            name: str | None = None,
            snapshot_every: int | None = None,
            snapshot_version: int | None = None,
            **kwargs: Unpack[ConfigDict],
        ) -> None: ...
else:
    _Slots = BaseModel


class Aggregate(_Slots):
    """State that results from events, as a pydantic model in which every field has a default.

    `apply(event)` changes the state through the handler of the event, a method
    `apply_<snake_case of the event's class>`. The annotation of its parameter says which classes it
    takes, `A | B` for several. The aggregate keeps new events until the store saves them.

    `class Account(Aggregate, name="account")` sets the wire name of the type, by default the class
    name; it is not inherited. `snapshot_every=100` has a snapshot written every 100 events, 0 never
    one; without it, the policy of the store says it. `snapshot_version=2` makes those of another
    number unusable, for a change that the code of the class does not show. Both are inherited.

    Attributes:
        id: The id of the stream; a new UUID if not given.
        version: The number of events that produced this state, saved or not.
        ignores: Event classes or wire names that change nothing and need no handler.
    """

    model_config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
    __slots__ = ("__weakref__", "_pending", "_savepoint", "_uncommitted")

    id: str = Field(default_factory=lambda: str(uuid4()), strict=True, frozen=True)
    version: int = Field(default=0, ge=0, strict=True, frozen=True)
    ignores: ClassVar[Iterable[type[Event] | str]] = ()

    __aggregate_type__: ClassVar[str] = "Aggregate"
    __assignable__: ClassVar[frozenset[str]] = frozenset()
    __own_slots__: ClassVar[tuple[MemberDescriptorType, ...]] = ()
    __dispatch__: ClassVar[Handlers]
    __commands__: ClassVar[Mapping[type, Method] | None] = None
    __snapshot_every__: ClassVar[int | None] = None
    __snapshot_version__: ClassVar[int] = 0
    __made_at__: ClassVar[float] = 0.0

    if not TYPE_CHECKING:  # type checkers make the constructor from the fields

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
            # Here and not in `__init__`, which pydantic passes by when it validates JSON.
            self = super().__new__(cls)
            set_uncommitted(self, [])
            set_pending(self, None)
            set_savepoint(self, None)
            return self

        def __init_subclass__(
            cls,
            *,
            name: str | None = None,
            snapshot_every: int | None = None,
            snapshot_version: int | None = None,
            **kwargs: Any,
        ) -> None:
            super().__init_subclass__(**kwargs)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in self.__assignable__:  # as pydantic does it, in half the time
                self.__dict__[name] = value
                self.__pydantic_fields_set__.add(name)
            else:
                super().__setattr__(name, value)

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        name: str | None = None,
        snapshot_every: int | None = None,
        snapshot_version: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.__aggregate_type__ = _wire_name(cls, name)
        _check_fields(cls)
        cls.__assignable__ = _assignable(cls)
        cls.__own_slots__ = own_slots(cls, Aggregate)
        _set_snapshots(cls, snapshot_every, snapshot_version)
        cls.__made_at__ = seconds()
        cls.__commands__ = None  # found when they are first asked for
        cls.__dispatch__ = Handlers(cls, cls.ignores, outer_locals())
        _registry.register_aggregate(cls.__aggregate_type__, cls)

    @property
    def aggregate_type(self) -> str:
        """The wire name of the type."""
        return self.__aggregate_type__

    def apply(self, event: Event) -> None:
        """Changes the state with a new event, which the next save stores.

        If a handler raises, the aggregate stays as it was. Mutable values are restored from a copy
        made at the first event after the last save; values that can't be copied are not restored.

        Raises:
            TypeError: `event` is not an event, or its handler returned a value, such as a
                coroutine.
            InvalidEventError: The event has no handler (`field` is `"event_type"`), or it was
                applied or stored before (`field` is `"event"`).
        """
        savepoint = self._savepoint or begin_savepoint(self)
        handler = savepoint.isolating[type(event)]
        # The slot of a new event has its time alone. That is looked at here, and below, in place of
        # two calls that would cost 4 % each.
        try:
            time = event._envelope
        except AttributeError:  # built by pydantic
            time = None
        if type(time) is not int or (begun and current() is not None):
            begin(event)
        uncommitted = self._uncommitted
        count = len(uncommitted)
        before = self.__dict__.copy()
        kept = beside(self) if savepoint.has_beside else None
        try:
            if (returned := handler(self, event)) is not None:
                raise returned_value(self, event, returned)
            if len(uncommitted) != count:
                raise _applied_itself(self)
        except BaseException as error:
            del uncommitted[count:]
            restore(self, savepoint, before, kept, error)
            raise
        # Looked up again: `validate_assignment` replaces the state, a look at the id the time.
        self.__dict__["version"] = version = before["version"] + 1
        time, kind, key = event._envelope, savepoint.aggregate_type, before["id"]
        if type(time) is int:
            index = count - savepoint.start
            set_applied(event, (time, kind, key, version, savepoint.ids, index))
        else:
            bind_given(event, kind, key, version)
        uncommitted.append(event)

    def handle(self, command: object) -> list[Event]:
        """Handles a command by the method that is marked for its class with `handles`.

            account = Account.from_events([AccountOpened(owner="Ada")])
            assert account.handle(Deposit(amount=5)) == [Deposited(amount=5)]

        If the method raises, the aggregate stays as it was, as in `apply`.

        Returns:
            The events that the method applied, which the next save stores.

        Raises:
            UnknownCommandError: No method takes the command.
        """
        return answered(self, command)[1]

    @classmethod
    def from_events(cls, events: Iterable[Event], id: str | None = None) -> Self:
        """Makes the aggregate that results from events; none of them waits to be saved.

        Args:
            events: The events of one stream from the first on, or new ones.
            id: The id; by default that of the stored events, or a new one.

        Raises:
            InvalidEventError: An event has no handler, belongs to another aggregate or is not the
                next version, or its handler applied an event.
        """
        aggregate: Self | None = None if id is None else cls(id=id)
        for event in events:
            if not isinstance(event, Event):
                raise TypeError(f"events must hold Event, not {type(event).__name__}")
            meta = event.meta
            if aggregate is None:
                aggregate = cls() if meta.aggregate_id is None else cls(id=meta.aggregate_id)
            _check_next(aggregate, event)
            replay(aggregate, event)
            aggregate.__dict__["version"] += 1
        return cls() if aggregate is None else aggregate

    def get_uncommitted_events(self) -> list[Event]:
        """Returns the events waiting to be saved, oldest first."""
        return self._uncommitted.copy()

    def has_uncommitted_events(self) -> bool:
        """Returns whether events are waiting to be saved."""
        return bool(self._uncommitted)

    def mark_events_as_committed(self) -> None:
        """Forgets the events waiting to be saved, because they are saved or should not be."""
        self._uncommitted.clear()
        set_pending(self, None)
        set_savepoint(self, None)

    def is_new(self) -> bool:
        """Returns whether nothing of the aggregate was ever saved."""
        return self.version == len(self._uncommitted)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, including `id` and `version`, by name as Python values.

        Unlike `model_dump`, it includes excluded fields, omits computed fields and runs no
        serializers, so `from_dict` makes an equal state from it. It omits private attributes.
        """
        return values(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Makes an aggregate from the result of `to_dict`; no event waits to be saved.

        The keys may be names or aliases of fields. Computed fields are ignored.

        Raises:
            pydantic.ValidationError: A field is unknown or has a wrong value.
        """
        computed = cls.__pydantic_decorators__.computed_fields
        given = {name: value for name, value in data.items() if name not in computed}
        return cls.model_validate(given, by_name=True, by_alias=True)

    @classmethod
    def __handlers__(cls) -> Handlers:
        """Returns the handlers by exact event class; a subclass is added when it is looked up.

        Raises:
            TypeError: The annotation of a method names a class that does not exist.
        """
        return cls.__dispatch__.complete()

    @classmethod
    def __event_classes__(cls) -> HandledTypes:
        """Returns the event classes by wire name; others are looked for in the registry."""
        return cls.__dispatch__.settled().classes

    @classmethod
    def __ignored_names__(cls) -> set[str]:
        """Returns the wire names whose events change nothing, so that they need no decoding."""
        return cls.__dispatch__.ignored_names()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        _give(copied, self._uncommitted.copy(), self._pending)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = super().__deepcopy__(memo)
        _give(copied, deepcopy(self._uncommitted, memo), self._pending)
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        own = {"_uncommitted": self._uncommitted, "_pending": self._pending}
        return super().__getstate__() | own

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        _give(self, state["_uncommitted"], state["_pending"])


# The slots' own accessors: `BaseModel.__setattr__` is slow.
set_uncommitted: Callable[[Aggregate, list[Event]], None] = vars(Aggregate)["_uncommitted"].__set__
set_pending: Callable[[Aggregate, Any], None] = vars(Aggregate)["_pending"].__set__
set_savepoint: Callable[[Aggregate, Savepoint | None], None] = vars(Aggregate)["_savepoint"].__set__


def committed(aggregate: Aggregate, count: int) -> None:
    """Forgets the first `count` unsaved events; called by the store after it has saved them."""
    del aggregate._uncommitted[:count]
    set_pending(aggregate, None)
    set_savepoint(aggregate, None)


def replay(aggregate: Aggregate, event: Event) -> None:
    """Applies an event without noting it as unsaved; called by the store, too."""
    returned = aggregate.__dispatch__.isolating[type(event)](aggregate, event)
    if returned is not None:
        raise returned_value(aggregate, event, returned)
    check_replayed(aggregate)


def check_replayed(aggregate: Aggregate) -> None:
    """Checks that no handler applied an event during a replay; called by the store after it.

    Raises:
        InvalidEventError: An event waits to be saved.
    """
    if aggregate._uncommitted:
        raise _applied_itself(aggregate)


def answered(aggregate: Aggregate, command: object) -> tuple[Any, list[Event]]:
    """Handles a command; returns what the method answered, too. Called by a bus."""
    return handle(aggregate, command, begin_savepoint)


def _applied_itself(aggregate: Aggregate) -> InvalidEventError:
    text = f"{type(aggregate).__name__}: a handler must not apply events itself"
    return InvalidEventError(text, field="event")


def begin_savepoint(aggregate: Aggregate) -> Savepoint:
    """Keeps the state, so that the changes of a failing handler can be undone."""
    savepoint = Savepoint(aggregate)
    set_savepoint(aggregate, savepoint)
    if (told := watcher()) is not None:
        told(aggregate)
    return savepoint


def _wire_name(cls: type[Aggregate], name: str | None) -> str:
    origin = cls.__pydantic_generic_metadata__["origin"]
    if name is None and origin is not None:
        generic = cast("type[Aggregate]", origin)
        name = generic.__aggregate_type__ + cls.__name__.removeprefix(generic.__name__)
    return check_name("aggregate_type", cls.__name__ if name is None else name)


def _check_fields(cls: type[Aggregate]) -> None:
    if cls.model_config.get("extra") == "allow":
        raise TypeError(f"{cls.__name__}: an aggregate must declare its fields, not extra='allow'")
    for name, own in Aggregate.__pydantic_fields__.items():
        kept = cls.__pydantic_fields__.get(name)
        if any(getattr(kept, part, None) != getattr(own, part) for part in _PARTS):
            raise TypeError(
                f"{cls.__name__}: {name!r} is a field of every aggregate and can't be declared "
                "again; give yours another name"
            )
    for name, field in cls.__pydantic_fields__.items():
        if field.is_required():
            raise TypeError(
                f"{cls.__name__}.{name} needs a default, its value before the first event: "
                f"write `{name}: ... = <value>`"
            )


def _set_snapshots(cls: type[Aggregate], every: int | None, version: int | None) -> None:
    """Takes what a class says of its snapshots."""
    if every is not None:
        cls.__snapshot_every__ = _count(cls, "snapshot_every", every)
    if version is not None:
        cls.__snapshot_version__ = _count(cls, "snapshot_version", version)
    hidden = hidden_state(cls)
    if cls.__snapshot_every__ and hidden:
        raise TypeError(
            f"{cls.__name__}: {hidden} is no field, and a snapshot holds fields only; make it a "
            "field, or write snapshot_every=0"
        )


def _count(cls: type[Aggregate], keyword: str, given: object) -> int:
    if type(given) is not int:
        raise TypeError(f"{cls.__name__}: {keyword} must be an int, not {given!r:.60}")
    if given < 0:
        raise ValueError(f"{cls.__name__}: {keyword} must be at least 0, not {given!r:.60}")
    return given


def hidden_state(cls: type[Aggregate]) -> str | None:
    """Returns the name of a private attribute or slot of a class, which no snapshot holds."""
    slots = (slot.__name__ for slot in cls.__own_slots__)
    return next(iter((*cls.__private_attributes__, *slots)), None)


_PARTS = ("annotation", "default", "default_factory", "frozen", "metadata")


def _assignable(cls: type[Aggregate]) -> frozenset[str]:
    """Returns the fields whose assignment pydantic neither refuses nor validates."""
    if cls.model_config.get("frozen") or cls.model_config.get("validate_assignment"):
        return frozenset()
    fields = cls.__pydantic_fields__
    return frozenset(name for name, field in fields.items() if not field.frozen)


def _check_next(aggregate: Aggregate, event: Event) -> None:
    meta = event.meta
    if meta.aggregate_id not in (None, aggregate.id):
        raise InvalidEventError(
            f"an event of {meta.aggregate_id!r} is among those of {aggregate.id!r}",
            field="aggregate_id",
        )
    if meta.aggregate_version not in (None, aggregate.version + 1):
        raise InvalidEventError(
            f"version {meta.aggregate_version} does not follow version {aggregate.version}",
            field="aggregate_version",
        )


def _give(aggregate: Aggregate, events: list[Event], pending: Any) -> None:
    """Gives a copy of an aggregate the unsaved events of the original."""
    set_uncommitted(aggregate, events)
    set_pending(aggregate, pending)


if not TYPE_CHECKING:  # which would take any name for one of this module

    def __getattr__(name: str) -> Any:
        """Imports the demo when it is asked for."""
        if name in _DEMO:
            return getattr(import_module("eventuali.event._demo"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_DEMO = {"User", "UserDeactivated", "UserEmailChanged", "UserRegistered"}
