"""Workers in processes of their own: signals, what is left behind, exit codes, what is printed."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from contextlib import suppress

import pytest
from hosts import closed_port
from postgres_server import Private
from pots import Pot, PotMade, make
from stores import each_shared, opened, url_of
from workers import LIMIT, RUN, checked, filled, process, total, written

from eventuali import sync

MOST_DEATHS = 12

# --- signals --------------------------------------------------------------------------------------


@each_shared
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_signal_in_the_middle_loses_and_repeats_nothing(kind, number, tmp_path):
    place = url_of(kind, tmp_path)
    written(place, (kind, number), 4000)
    with process(place, "pots", tmp_path, "slow") as first:
        first.wait_for("in the middle")
        first.tell(number)
        assert first.ended() == 0, first.lines
    assert first.has(f"stopping by {number.name}", "stopped: Pots at position ")
    with pytest.raises(AssertionError):
        asyncio.run(checked(place))  # it was in the middle
    with process(place, "pots", tmp_path) as second:
        second.wait_for("Pots: live", "Sums: live")
        assert second.stop() == 0, second.lines
    asyncio.run(checked(place))


@each_shared
def test_a_second_worker_takes_over(kind, tmp_path):
    place = url_of(kind, tmp_path)
    written(place, kind, 3000)
    with (
        process(place, "pots", tmp_path, "slow") as first,
        process(place, "pots", tmp_path, "slow") as second,
    ):
        first.wait_for("in the middle")
        second.wait_for("in the middle")
        assert first.stop() == 0, first.lines
        second.wait_for("Pots: live", "Sums: live")
        assert second.stop() == 0, second.lines
    asyncio.run(checked(place))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_second_signal_ends_at_once(number, code, tmp_path):
    """Even if a handler hangs, so that the event loop stands still."""
    place = url_of("sqlite", tmp_path)
    end = filled(place, 1, 13, 2)
    with process(place, "poison", tmp_path, "hang") as worker:
        worker.wait_for("hanging")
        worker.tell(number)
        while worker.process.poll() is None:  # two signals at once may come as one
            worker.tell(number)
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(0.2)
        assert worker.ended() == code, worker.lines
    with process(place, "poison", tmp_path) as worker:
        worker.wait_for(f"Poison: live at position {end}")
        assert worker.stop() == 0
    assert total(place) == 3


RESTORES = """
import logging, signal, sys
from threading import Thread
from time import sleep
from eventuali.worker import load
def mine(number, frame): ...
signal.signal(signal.SIGTERM, mine)
before = signal.getsignal(signal.SIGINT)
worker = load(sys.argv[1])
def stop():
    while not worker.status():
        sleep(0.01)
    worker.stop()
stopping = Thread(target=stop)
log = logging.getLogger("eventuali.worker")
stopping.start()
code = worker.run()
stopping.join()
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.getsignal(signal.SIGINT) is before
assert (log.handlers, log.level) == ([], logging.NOTSET)
sys.exit(code)
"""


def test_handlers_of_signals_and_the_log_are_as_before(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 1)
    with process(place, "poison", tmp_path, code=RESTORES) as worker:
        assert worker.ended() == 0, worker.lines
    assert worker.has("stopping by stop()")


# --- handlers that fail, and that end the process -------------------------------------------------


@each_shared
def test_when_all_are_faulted_it_ends(kind, tmp_path):
    place = url_of(kind, tmp_path)
    filled(place, 1, 13, 2)
    with process(place, "poison", tmp_path, "raise") as worker:
        assert worker.ended() == 1
    assert worker.has("Poison: faulted at position 2, Poured: ValueError('thirteen')")
    assert worker.has("no projection is left to run", "stopped: Poison at position 1")
    assert worker.has('raise ValueError("thirteen")')
    assert total(place) == 1


def test_one_that_is_faulted_stops_no_other(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 1, 13)
    with process(place, "both", tmp_path, "raise") as worker:
        worker.wait_for("Poison: faulted", "Pots: live")
        assert worker.has("Poison: failed after position 1, trying again: ValueError('thirteen')")

        async def goes_on():
            async with opened("async", place) as store:
                await make(store, "a", "Ada", 1)
                while not await store.get(Pot, "a"):
                    await asyncio.sleep(0.01)

        asyncio.run(asyncio.wait_for(goes_on(), LIMIT))
        assert worker.stop() == 1
    assert worker.has('raise ValueError("thirteen")')
    assert not worker.has("another exception occurred"), "its traceback is that of the handler"


@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("interrupt", -signal.SIGINT)])
def test_a_handler_that_ends_the_process_ends_it(how, code, tmp_path):
    place = url_of("sqlite", tmp_path)
    end = filled(place, *range(1, 20))
    with process(place, "both", tmp_path, how) as worker:
        assert worker.ended() == code, worker.lines
    assert worker.has("Poison: a handler raised ", "stopped: Poison")
    with process(place, "both", tmp_path) as worker:
        worker.wait_for(f"Poison: live at position {end}")
        assert worker.stop() == 0
    assert total(place) == 19


def test_a_handler_that_always_ends_the_process_is_found(tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, *range(1, 20))
    for _ in range(MOST_DEATHS):
        with process(place, "both", tmp_path, "exit") as worker:
            worker.wait_for_any("Poison: faulted at position 13, Poured", "a handler raised")
            if worker.has("Poison: faulted"):
                worker.wait_for("Pots: live")
                assert worker.stop() == 1
                break
            assert worker.ended() == 3, worker.lines
    assert worker.has("Poison: faulted"), worker.lines
    assert total(place) == 12


# --- what is printed ------------------------------------------------------------------------------

CONFIGURED = """
import logging, sys
logging.basicConfig(format="MINE %(message)s", level=logging.INFO)
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""

QUIET = """
import logging, sys
logging.getLogger("eventuali.worker").addHandler(logging.NullHandler())
from eventuali.worker import load
sys.exit(load(sys.argv[1]).run())
"""

LATE = """
import logging, sys
from pots import PotMade, Pots
import shop
def loud(self, event: PotMade, doc: None) -> shop.Pot:
    logging.warning("loud")
    return shop.Pot(owner=event.owner)
class Loud(Pots):
    on_made = loud
sys.exit(shop.Worker(shop.PLACE, Loud()).run())
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (RUN, r"\d+-\d+-\d+ \d+:\d+:\d+,\d+ (INFO|ERROR) +\S"),
        (CONFIGURED, "MINE "),
        (QUIET, None),
    ],
)
def test_lines_are_printed_if_nobody_has_configured_the_log(code, printed, tmp_path):
    place = url_of("sqlite", tmp_path)
    filled(place, 13)
    with process(place, "poison", tmp_path, "raise", code) as worker:
        assert worker.ended() == 1
    if printed is None:
        assert worker.lines == []
        return
    texts = (" starts on ", ": faulted at", "no projection is left", "stopped: ")
    for text in texts:
        (line,) = [line for line in worker.lines if text in line]
        assert re.match(printed, line)


def test_a_handler_that_configures_the_log_doubles_no_line(tmp_path):
    place = url_of("sqlite", tmp_path)
    with sync.EventStore.create(place) as store:
        store.append([PotMade(owner="Ada")], stream=("Pot", "a"))
    with process(place, "", tmp_path, code=LATE) as worker:
        worker.wait_for("Loud: live")
        assert worker.stop() == 0
    for text in ("loud", "Loud: live", "stopped: "):
        assert len([line for line in worker.lines if text in line]) == 1, worker.lines


# --- opening the store ----------------------------------------------------------------------------


def test_a_server_that_is_still_starting_is_waited_for(tmp_path):
    server = Private()
    try:
        url = server.url.replace("postgres@", "postgres:hush@") + "?connect_timeout=1"
        with process(url, "both", tmp_path) as worker:
            worker.wait_for("the store can't be opened, next attempt in 0.4 s: ")
            server.start()
            worker.wait_for("Poison: live", "Pots: live")
            assert worker.stop() == 0
    finally:
        server.remove()
    assert not worker.has("hush")


def test_who_waits_for_a_server_can_be_stopped(tmp_path):
    with closed_port() as port:
        url = f"postgresql://app:hush@127.0.0.1:{port}/shop?connect_timeout=1"
        with process(url, "both", tmp_path) as worker:
            worker.wait_for("the store can't be opened")
            assert worker.stop() == 0, worker.lines
    assert not worker.has("hush")
