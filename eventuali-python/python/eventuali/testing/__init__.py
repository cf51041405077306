"""What tests of event-sourced code need: given / when / then, a clock to set, and a store for each.

    from eventuali.testing import given

    def test_a_withdrawal() -> None:
        given(Account, Opened(owner="Ada"), Deposited(amount=10)).when(
            lambda account: account.withdraw(4)
        ).then(Withdrawn(amount=4))

`eventuali.testing.plugin` is the pytest plugin, with the fixtures `store`, `sync_store` and
`clock`; `eventuali.testing.strategies` makes events for Hypothesis. `import eventuali` brings none
of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventuali.testing import strategies as strategies
    from eventuali.testing._clock import Clock
    from eventuali.testing._given import given, stream
    from eventuali.testing._replays import Replayed, assert_replays, record_states
    from eventuali.testing._streams import given_streams

__all__ = [
    "Clock",
    "Replayed",
    "assert_replays",
    "given",
    "given_streams",
    "record_states",
    "stream",
]

_HOME = {
    "Clock": "_clock",
    "Replayed": "_replays",
    "assert_replays": "_replays",
    "given": "_given",
    "given_streams": "_streams",
    "record_states": "_replays",
    "stream": "_given",
}


if not TYPE_CHECKING:  # which would take any name for one of this module

    def __getattr__(name: str) -> Any:
        """Brings a name when it is first asked for: pytest imports this package in every run."""
        if name == "strategies":
            return import_module("eventuali.testing.strategies")
        if name not in _HOME:
            raise AttributeError(f"module 'eventuali.testing' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"eventuali.testing.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "strategies"})
