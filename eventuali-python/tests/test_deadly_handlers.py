"""Handlers that end their process: the one is found, and no other projection is blamed."""

from __future__ import annotations

import json
import signal

from pots import Poured
from stores import url_of
from support import script

from eventuali import sync

MOST_DEATHS = 12

RUN = """
import json, os, signal, sys
from threading import Event
from time import sleep
from eventuali import Projection, ReadModel, sync
from pots import Poured

BEGUN = Event()

class Sick(ReadModel):
    events: int = 0

class Slow(ReadModel):
    events: int = 0

class TheSick(Projection[Sick], name="sick"):
    def key(self, event):
        return "all"

    def on_any(self, event: Poured, doc: Sick | None) -> Sick:
        if event.amount == 0:
            BEGUN.wait(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return Sick(events=(doc.events if doc else 0) + 1)

class TheSlow(Projection[Slow], name="slow"):
    def key(self, event):
        return "all"

    def on_any(self, event: Poured, doc: Slow | None) -> Slow:
        if event.amount == 0:
            BEGUN.set()
            sleep(1)
        return Slow(events=(doc.events if doc else 0) + 1)

with sync.EventStore.create(sys.argv[1]) as store, store.run(TheSick(), TheSlow()) as running:
    while True:
        sick, slow = running.status()
        if sick.state == "faulted" and slow.state in ("faulted", "live"):
            break
        sleep(0.01)
    print(json.dumps([[s.state, s.failed_at, s.position] for s in (sick, slow)]))
"""


def test_a_projection_beside_one_that_ends_the_process_is_not_blamed(tmp_path):
    """The other one is slow, so that it never ends an event before the process is gone."""
    place = url_of("sqlite", tmp_path)
    with sync.EventStore.create(place) as store:
        end = store.append([Poured(amount=amount) for amount in range(100)]).positions[-1]
    for death in range(MOST_DEATHS):
        done = script(RUN, place)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, (death, done.stderr)
    assert death > 0
    sick, slow = json.loads(done.stdout)
    assert sick == ["faulted", 1, 0]
    assert slow == ["live", None, end]
