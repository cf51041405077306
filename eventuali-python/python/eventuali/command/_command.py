"""A command with an id."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from eventuali.event._envelope import new_id


class Command(BaseModel):
    """A command with an id: a frozen pydantic model that a bus handles once.

    Sent again with the same id, by anybody, it changes nothing and gives the first answer. Commands
    can be of any other class, too; without an attribute `command_id` they are handled each time.

    Attributes:
        command_id: The id; a new UUIDv7 if not given. A UUID is the same id in every spelling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: UUID | str = Field(default_factory=new_id)
