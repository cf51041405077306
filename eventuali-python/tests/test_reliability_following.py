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

KILLED, LEFT = following.KILLED, following.LEFT
LOG = [history.Stored(n, f"s-{n % 12}", n // 12 + 1, n) for n in range(1, 3001)]
LOG.append(history.Stored(3001, "s-1", 251, following.END))


def seen(*values: int) -> list[bytes]:
    """The lines of events whose values are their positions, but for the last one."""
    return [b"%d %d\n" % (v, v if v <= 3000 else following.END) for v in values]


def judged(lines, which="all"):
    verdict = checker.Verdict()
    again = following.judge(verdict, "f", which, LOG, lines)
    found = {kind for kind in checker.VIOLATIONS if getattr(verdict, kind)}
    return found, again


ALL = seen(*range(1, 3002))


def test_a_good_follower_is_good():
    assert judged([KILLED, *ALL]) == (set(), 0)
    assert judged([KILLED, *ALL[:7], LEFT, LEFT, *ALL[7:]]) == (set(), 0)
    assert judged([KILLED, KILLED, *ALL[:9], b"10 1", KILLED, *ALL[9:]]) == (set(), 0), "cut off"


def test_a_page_may_come_again_after_a_crash():
    again = following.AGAIN
    assert judged([KILLED, *ALL[:2000], KILLED, *ALL[2000 - again :]]) == (set(), again)
    found, _ = judged([KILLED, *ALL[:2000], KILLED, *ALL[1999 - again :]])
    assert found == {"duplicated"}
    # What a life left cleanly behind need not be where an earlier one was when it crashed.
    lines = [KILLED, *ALL[:2000], KILLED, *ALL[1500:1600], LEFT, *ALL[1600:]]
    assert judged(lines) == (set(), 500)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([KILLED, *ALL[:-1]], "lost"),
        ([KILLED, *ALL[:100], *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], KILLED, *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], LEFT, *ALL[101:]], "skipped"),
        ([KILLED, *ALL[:100], LEFT, *ALL[99:]], "duplicated"),
        ([KILLED, *ALL[:100], *ALL[99:]], "duplicated"),
        ([KILLED, ALL[1], ALL[0], *ALL[2:]], "skipped"),
        ([KILLED, b"1 2\n", *ALL[1:]], "strange"),
        ([KILLED, b"7000 7000\n", *ALL], "strange"),
    ],
)
def test_a_bad_one_is_found(lines, kind):
    found, _ = judged(lines)
    assert kind in found


def test_filters_are_judged_by_means_of_their_own():
    tagged = [line for line in ALL if int(line.split()[0]) % 4 == 1]
    assert judged([KILLED, *tagged], "t1") == (set(), 0)
    assert judged([KILLED, *ALL], "t1")[0] == {"strange"}
    assert {which for which in following.filters() if following.query_for(which).items} == set(
        following.filters()
    ) - {"all"}
