"""A log that is copied with `tracking`, by importers that are killed: exactly once, in order."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from time import monotonic, sleep

import pytest
from importer import NAME
from ledger import Counted
from postgres_server import server_url
from stores import SHARED, schema_of, url_of
from support import TESTS

from eventuali.sync import EventStore

EVENTS = 2_000
KILLS = 8


def named(kind, folder):
    """Says where a store is, as a child takes it."""
    if kind == "postgres":
        return f"{server_url()}#{schema_of(folder)}"
    return f"sqlite:///{folder / 'events.db'}"


class Importers:
    """Children that copy the log of one folder into that of another."""

    def __init__(self, kind, way, tmp_path):
        self.kind, self.way = kind, way
        self.source, self.target = tmp_path / "source", tmp_path / "target"
        for folder in (self.source, self.target):
            folder.mkdir()
        with EventStore.create(url_of(kind, self.source)) as store:
            store.append([Counted(number=n) for n in range(EVENTS)])

    def start(self):
        """Starts one that is at work when this returns."""
        places = named(self.kind, self.source), named(self.kind, self.target)
        command = [sys.executable, str(TESTS / "importer.py"), self.way, *places]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "begun\n"
        return child

    def seen(self):
        """Returns the numbers that were copied, and the position up to which."""
        with EventStore.create(url_of(self.kind, self.target)) as store:
            return [event.number for event in store.read()], store.tracked(NAME)

    def killed(self, chance, kills, most):
        """Kills importers at random moments, `most` of which run at a time."""
        with EventStore.create(url_of(self.kind, self.target)) as store:
            for _ in range(kills):
                before = store.tracked(NAME) or 0
                if before == EVENTS:
                    break
                children = [self.start() for _ in range(chance.randint(1, most))]
                # One commit at least is stored, and another one is under way.
                give_up = monotonic() + 30
                while (store.tracked(NAME) or 0) == before and monotonic() < give_up:
                    sleep(0.001)
                sleep(chance.uniform(0, 0.03))
                for child in children:
                    child.kill()
                for child in children:
                    child.communicate()

    def finished(self, many):
        """Lets importers run to their end."""
        children = [self.start() for _ in range(many)]
        for child in children:
            child.communicate(timeout=120)
        assert [child.returncode for child in children] == [0] * many


@pytest.mark.parametrize("kind", SHARED)
def test_each_event_is_copied_once_and_in_order(kind, tmp_path):
    importers = Importers(kind, "tracked", tmp_path)
    importers.killed(Random(f"tracking-{kind}"), KILLS, most=2)
    importers.finished(2)
    numbers, position = importers.seen()
    assert numbers == list(range(EVENTS))
    assert position == EVENTS


@pytest.mark.parametrize("kind", SHARED)
def test_a_position_that_is_saved_apart_is_caught(kind, tmp_path):
    """The positive control: between two commits, a kill shows sooner or later."""
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        importers = Importers(kind, "apart", folder)
        importers.killed(Random(f"apart-{kind}-{attempt}"), KILLS, most=1)
        importers.finished(1)
        numbers, _ = importers.seen()
        if numbers != list(range(EVENTS)):
            again = len(numbers) - len(set(numbers))
            assert again > 0
            assert set(numbers) == set(range(EVENTS))
            return
    pytest.fail("events that were copied twice were not caught")
