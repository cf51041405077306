"""Tenants that guess each other's ids find nothing, and can't tell "not yours" from "not there"."""

from __future__ import annotations

import inspect
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cross_tenant import (
    ALL_CALLS,
    CALLS,
    EXEMPT,
    LATER,
    MINE,
    OF_ALL,
    OTHER,
    SLOW,
    STRANGER,
    Guess,
    Tenant,
    outcome,
    some_calls,
)
from roles import Roles
from stores import url_of

from eventuali import EventStore, sync
from eventuali.errors import IdempotencyConflictError

KINDS = ("memory", "sqlite", "postgres", "postgres-roles")
CALLS_OF_EACH = 2000


def test_every_public_method_is_called_or_exempt() -> None:
    for cls in (EventStore, sync.EventStore):
        public = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}
        assert public == CALLS.keys() | EXEMPT.keys(), public ^ (CALLS.keys() | EXEMPT.keys())
    assert not CALLS.keys() & EXEMPT.keys()
    assert OF_ALL.keys() | SLOW <= CALLS.keys()


class World:
    """A store of two tenants: the one that calls, and another one."""

    def __init__(self, mine: sync.EventStore, theirs: sync.EventStore, other: Tenant) -> None:
        self.mine, self.theirs, self.other = mine, theirs, other
        MINE.settle(mine, 2)
        other.settle(theirs, 3)


@contextmanager
def worlds(kind: str, folder: Path) -> Any:
    """Opens a store in which there is the other tenant, and one in which there is a stranger."""
    with ExitStack() as stack:
        made = []
        for other in (OTHER, STRANGER):
            place = folder / other.name
            place.mkdir()
            url = url_of(kind.split("-")[0], place)
            if kind == "postgres-roles":
                roles = stack.enter_context(Roles(url, MINE.name, other.name))
                mine, theirs = (
                    stack.enter_context(sync.EventStore.create(roles.of(name), tenant=name))
                    for name in (MINE.name, other.name)
                )
            else:
                store = stack.enter_context(sync.EventStore.create(url))
                mine, theirs = store.for_tenant(MINE.name), store.for_tenant(other.name)
            made.append(World(mine, theirs, other))
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_two_thousand_guesses_say_nothing(kind, tmp_path) -> None:
    random, made, heard = Random(17), Counter(), Counter()
    with worlds(kind, tmp_path) as (full, bare):
        for number, (name, call) in enumerate(some_calls(4711, CALLS_OF_EACH)):
            if number % 10 == 0:  # the other one is at work meanwhile
                stream = random.randrange(4)
                for world in (full, bare):
                    world.other.write(world.theirs, LATER + number, stream)
            there, not_there = outcome(call, full.mine), outcome(call, bare.mine)
            assert there == not_there, (number, name)
            assert f"{OTHER.label} words" not in repr(there), (number, name)
            made[name] += 1
            heard[name, isinstance(there, tuple)] += 1
        assert made.total() == CALLS_OF_EACH
        assert made.keys() == ALL_CALLS.keys(), "some method was never called"
        # It was no matter of refusals: most of what can give something did.
        assert sum(heard[name, False] for name in made) > CALLS_OF_EACH // 3
        # What the other one has is there.
        assert len(list(full.theirs.read())) == len(list(bare.theirs.read())) > 200
        assert OTHER.label in repr(outcome(lambda store: list(store.read()), full.theirs))
    print(f"{kind}: {CALLS_OF_EACH} calls, " + ", ".join(f"{n} {made[n]}" for n in sorted(made)))


@pytest.mark.parametrize("name", sorted(ALL_CALLS.keys() - OF_ALL.keys()))
def test_a_call_that_reaches_the_other_tenant_is_noticed(name, tmp_path) -> None:
    """The positive control: the tenant is left out of one method, in turn of each."""
    with worlds("sqlite", tmp_path) as (full, bare):
        random = Random(3)
        for _ in range(60):
            call = ALL_CALLS[name](Guess(Random(random.random())))
            if outcome(call, full.theirs) != outcome(call, bare.mine):
                return
    pytest.fail("whoever gets the other tenant's answers hears the same")


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_id_is_one_of_the_whole_store(kind, tmp_path) -> None:
    """What leaks, as docs/tenants.md says: an id that is stored is no id for another tenant."""
    with worlds(kind, tmp_path) as (full, bare):
        for stream in (("cross.jar", "new"), None):
            event = OTHER.event(3)
            with pytest.raises(IdempotencyConflictError) as caught:
                full.mine.append([event], stream=stream)
            assert caught.value.event_ids == [event.event_id]
            assert OTHER.label not in str(caught.value)
            assert OTHER.name not in str(caught.value)
            fresh = Tenant("x", "y" * 6).event(stream is None)
            assert bare.mine.append([fresh], stream=stream).positions
            assert full.mine.append([fresh], stream=stream).positions
