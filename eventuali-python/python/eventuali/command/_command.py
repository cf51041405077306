"""A command with an id, and what a message is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from eventuali.event._envelope import new_id

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)
else:
    R = TypeVar("R")


class Answered(Generic[R]):
    """A base for messages whose class says what they are answered with.

        @dataclass
        class BalanceOf(Answered[Decimal]):
            account_id: str

    Type checkers then know what `bus.ask(BalanceOf(…))` returns.
    """

    __slots__ = ()


class Command(BaseModel, Answered[R], Generic[R]):
    """A command with an id: a frozen pydantic model that a bus handles once.

    Sent again with the same id, by anybody, it changes nothing and gives the first answer. Commands
    can be of any other class, too; without an attribute `command_id` they are handled each time.

    `class Pay(Command[Decimal])` says what it is answered with, and is checked when a bus is made.

    Attributes:
        command_id: The id; a new UUIDv7 if not given. A UUID is the same id in every spelling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: UUID | str = Field(default_factory=new_id)


def answer_of(message: type) -> Any:
    """Returns what a class of messages says that it is answered with; Any if it does not say."""
    for base in message.__mro__:
        generic: dict[str, Any] = getattr(base, "__pydantic_generic_metadata__", {})
        if generic.get("origin") is Command:
            return generic["args"][0]
        for parent in vars(base).get("__orig_bases__", ()):
            told = get_args(parent)
            if get_origin(parent) is Answered and not isinstance(told[0], TypeVar):
                return told[0]
    return Any
