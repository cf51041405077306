"""What `wait_for` takes: whatever says a position, of a commit or of a command."""

import pytest

from eventuali import Event, Projection, ReadModel, sync
from eventuali.command import Command, handles


class Struck(Event, name="wait_for.struck"):
    number: int


class Strike(Command):
    number: int


class Strikes(ReadModel, name="wait_for_strikes"):
    total: int = 0


class Counting(Projection[Strikes], name="wait_for_counting"):
    def key(self, event: Event, /) -> str:
        return "all"

    def on_struck(self, event: Struck, doc: Strikes | None) -> Strikes:
        return Strikes(total=(doc.total if doc else 0) + event.number)


@handles(Strike)
def strike(command: Strike, work: sync.UnitOfWork) -> None:
    if command.number:
        work.append([Struck(number=command.number)])


def test_the_answer_of_a_command_is_waited_for():
    with sync.EventStore.create("memory://") as store, store.run(Counting()) as running:
        bus = sync.CommandBus(store, strike)
        handled = bus.send(Strike(number=3))
        running.wait_for(handled)
        assert store.get(Strikes, "all") == Strikes(total=3)
        running.wait_for(bus.send(Strike(number=4)).position)
        assert store.get(Strikes, "all") == Strikes(total=7)
        nothing = bus.send(Strike(number=0))
        assert nothing.position is None
        running.wait_for(nothing)
        running.wait_for(nothing.position)


@pytest.mark.parametrize("wrong", [Struck(number=1), "1", 1.0], ids=["event", "text", "float"])
def test_anything_else_is_refused(wrong):
    with (
        sync.EventStore.create("memory://") as store,
        store.run(Counting()) as running,
        pytest.raises(TypeError, match="committed must be an int"),
    ):
        running.wait_for(wrong)
