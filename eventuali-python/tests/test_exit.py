"""What happens to the stores that are still open when the interpreter ends."""

import time

import pytest
from labels import label

from eventuali._engine import lifecycle
from eventuali.errors import ForkedProcessError


class Closing:
    """A store, as far as the end of the interpreter is concerned."""

    def __init__(self, log, takes=0.0, fails=None):
        self.log, self.takes, self.fails = log, takes, fails

    def close(self):
        self.log.append("close")
        if isinstance(self.fails, ForkedProcessError):
            raise self.fails
        return self

    def wait(self, seconds):
        self.log.append(seconds)
        time.sleep(min(seconds, self.takes))
        if self.fails or seconds < self.takes:
            raise self.fails or TimeoutError


@pytest.fixture
def exiting(monkeypatch):
    monkeypatch.setattr(lifecycle, "_EXIT_SECONDS", 0.2)

    def exiting(*stores):
        monkeypatch.setattr(lifecycle, "_open", set(stores))
        lifecycle._close_all()

    return exiting


def test_every_store_is_told_before_any_is_waited_for(exiting):
    log = []
    exiting(*(Closing(log) for _ in range(3)))
    assert log[:3] == ["close"] * 3
    assert len(log) == 6


def test_stores_that_do_not_close_share_one_deadline(exiting):
    log = []
    exiting(*(Closing(log, takes=60.0) for _ in range(4)))
    waits = sorted(each for each in log if each != "close")
    assert len(waits) == 4
    assert 0.1 < waits[-1] <= 0.2
    assert sum(waits) < 0.3
    assert waits[0] >= 0


@pytest.mark.parametrize("error", [TimeoutError(), ForkedProcessError("forked")], ids=label)
def test_a_store_that_fails_does_not_keep_the_others_from_closing(exiting, error):
    log = []
    exiting(*(Closing(log, fails=fails) for fails in (error, None, error, None)))
    assert log.count("close") == 4
    assert len(log) >= 6
