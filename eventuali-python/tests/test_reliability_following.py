"""The judgement of followers: each kind of bad following is found for what it is."""

from __future__ import annotations

import importlib
import sys

import pytest
from support import PROJECT

sys.path.insert(0, str(PROJECT))
try:
    following = importlib.import_module("reliability.following")
    checker = importlib.import_module("reliability.checker")
    history = importlib.import_module("reliability.history")
finally:
    sys.path.remove(str(PROJECT))

KILLED = b"killed\n"
LOG = [history.Stored(n, f"s-{n % 12}", n // 12 + 1, n) for n in range(1, 3001)]
LOG.append(history.Stored(3001, "s-1", 251, following.END))


def seen(*values: int) -> list[bytes]:
    """The lines of events whose values are their positions, but for the last one."""
    return [b"%d %d\n" % (v, v if v <= 3000 else following.END) for v in values]


def ended(what: str, position: int) -> bytes:
    return b"%s somehow %d\n" % (what.encode(), position)


def at(position: int) -> bytes:
    return b"from %d\n" % position


def judged(lines, which="all"):
    verdict = checker.Verdict()
    again = following.judge(verdict, "f", which, LOG, lines)
    found = {kind for kind in checker.VIOLATIONS if getattr(verdict, kind)}
    return found, again


ALL = seen(*range(1, 3002))


def test_a_good_follower_is_good():
    assert judged([KILLED, *ALL]) == (set(), 0)
    left = ended("left", 7)
    assert judged([KILLED, *ALL[:7], left, at(7), left, *ALL[7:]]) == (set(), 0)
    assert judged([KILLED, KILLED, *ALL[:9], b"10 1", KILLED, *ALL[9:]]) == (set(), 0), "cut off"
    early = ended("left", 0)
    assert judged([KILLED, early, *ALL[:7], left, early, KILLED, *ALL[7:]]) == (set(), 0)


def test_the_event_in_hand_comes_again_after_an_error():
    raised = ended("raised", 7)
    assert judged([KILLED, *ALL[:7], raised, *ALL[6:]]) == (set(), 0)
    for waiting in (ended("left", 6), ended("left", 0), ended("cut", 6), KILLED):
        assert judged([KILLED, *ALL[:7], raised, waiting, *ALL[6:]]) == (set(), 0)
        assert judged([KILLED, *ALL[:7], raised, waiting, *ALL[7:]])[0] == {"skipped"}


@pytest.mark.parametrize("crash", [KILLED, ended("cut", 2000)])
def test_a_page_may_come_again_after_a_crash(crash):
    again = following.AGAIN
    assert judged([KILLED, *ALL[:2000], crash, *ALL[2000 - again :]]) == (set(), again)
    assert judged([KILLED, *ALL[:2000], crash, at(1990), *ALL[1990:]]) == (set(), 10)
    found, _ = judged([KILLED, *ALL[:2000], crash, *ALL[1999 - again :]])
    assert found == {"duplicated"}
    # What a life left cleanly behind need not be where an earlier one was when it crashed.
    lines = [KILLED, *ALL[:2000], crash, *ALL[1500:1600], ended("left", 1600), *ALL[1600:]]
    assert judged(lines) == (set(), 500)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([KILLED, *ALL[:-1]], "lost"),
        ([KILLED, *ALL[:100], *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], KILLED, *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], ended("left", 100), *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], ended("left", 100), *ALL[99:]], "duplicated"),
        ([KILLED, *ALL[:100], ended("left", 100), at(99), *ALL[100:]], "duplicated"),
        ([KILLED, *ALL[:100], ended("left", 100), at(101), *ALL[100:]], "skipped"),
        ([KILLED, *ALL[:100], ended("left", 101), *ALL[100:]], "strange"),
        ([KILLED, *ALL[:100], ended("left", 99), *ALL[100:]], "strange"),
        ([KILLED, *ALL[:100], ended("raised", 100), *ALL[100:]], "skipped"),
        ([KILLED, *ALL[:100], ended("raised", 100), *ALL[98:]], "duplicated"),
        ([KILLED, *ALL[:100], ended("cut", 100), *ALL[101:]], "skipped"),
        # The checkpoint never goes back, nor ahead of where the last life was.
        ([KILLED, *ALL[:100], KILLED, *ALL[50:60], KILLED, *ALL[49:]], "duplicated"),
        ([KILLED, *ALL[:100], KILLED, *ALL[50:60], KILLED, *ALL[61:]], "skipped"),
        ([KILLED, *ALL[:100], *ALL[99:]], "duplicated"),
        ([KILLED, ALL[1], ALL[0], *ALL[2:]], "skipped"),
        ([KILLED, b"1 2\n", *ALL[1:]], "strange"),
        ([KILLED, b"7000 7000\n", *ALL], "strange"),
    ],
)
def test_a_bad_one_is_found(lines, kind):
    found, _ = judged(lines)
    assert kind in found


def test_what_was_passed_over_is_not_looked_at_again():
    assert not any("seldom" in following.tags_of(v) for v in range(1, 3001))
    for begun, found in ((2000, set()), (1999, {"strange"})):
        lines = [KILLED, at(0), ended("left", 3000), at(begun), ALL[-1]]
        assert judged(lines, "seldom") == (found, 0)
    assert judged([KILLED, at(0), ended("cut", 3000), at(0), ALL[-1]], "seldom") == (set(), 0)


def test_filters_are_judged_by_means_of_their_own():
    tagged = [line for line in ALL if int(line.split()[0]) % 4 == 1]
    assert judged([KILLED, *tagged], "t1") == (set(), 0)
    assert judged([KILLED, *ALL], "t1")[0] == {"strange"}
    assert {which for which in following.filters() if following.query_for(which).items} == set(
        following.filters()
    ) - {"all"}
