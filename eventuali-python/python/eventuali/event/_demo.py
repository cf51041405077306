"""The demo: a user who registers, moves and leaves. It claims its wire names when it is imported.

Its names are those of `eventuali.aggregate` and `eventuali.event`, which import it when somebody
asks for them.
"""

from __future__ import annotations

from eventuali.aggregate import Aggregate
from eventuali.event import DomainEvent


class UserRegistered(DomainEvent):
    """Demo: somebody registered."""

    name: str
    email: str


class UserEmailChanged(DomainEvent):
    """Demo: a user has another address now."""

    old_email: str
    new_email: str


class UserDeactivated(DomainEvent):
    """Demo: a user can't act any more."""

    reason: str | None = None


class User(Aggregate):
    """Demo: a user with an address."""

    name: str = ""
    email: str = ""
    is_active: bool = True

    def change_email(self, email: str) -> None:
        """Changes the address.

        Raises:
            ValueError: The user is inactive.
        """
        self._check_active()
        self.apply(UserEmailChanged(old_email=self.email, new_email=email))

    def deactivate(self, reason: str | None = None) -> None:
        """Ends the user's activity.

        Raises:
            ValueError: The user is inactive already.
        """
        self._check_active()
        self.apply(UserDeactivated(reason=reason))

    def _check_active(self) -> None:
        if not self.is_active:
            raise ValueError(f"user {self.id!r} is inactive")

    def apply_user_registered(self, event: UserRegistered) -> None:
        """Takes name and address."""
        self.name = event.name
        self.email = event.email

    def apply_user_email_changed(self, event: UserEmailChanged) -> None:
        """Takes the new address."""
        self.email = event.new_email

    def apply_user_deactivated(self, event: UserDeactivated) -> None:
        """Marks the user inactive."""
        self.is_active = False
