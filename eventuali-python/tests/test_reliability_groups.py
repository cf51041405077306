"""The judge of `reliability` for groups finds each kind of bad history."""

from __future__ import annotations

import importlib
import sys

import pytest
from support import PROJECT

sys.path.insert(0, str(PROJECT))
try:
    checker = importlib.import_module("reliability.checker")
    consuming = importlib.import_module("reliability.consuming")
    history = importlib.import_module("reliability.history")
finally:
    sys.path.remove(str(PROJECT))

LOG = [history.Stored(position, "s", position, 100 + position) for position in range(1, 7)]


def lines(*entries):
    """The lines of members, each "member time what generation position" of partition 0."""
    members: dict[str, list] = {}
    for entry in entries:
        member, at, what, generation, position = entry.split()
        value = 100 + int(position) if int(position) else 0
        line = consuming.Handled(what, int(at), 0, int(generation), int(position), value)
        members.setdefault(member, []).append(line)
    return [consuming.Lines(None, lines=each) for each in members.values()]


def handled(member, generation, first, last, at=0):
    """Events that a member handles, one after the other."""
    found = []
    for position in range(first, last + 1):
        for what in ("began", "done"):
            found.append(f"{member} {at + 10 * position} {what} {generation} {position}")
    return found


def found(*entries, **options):
    verdict = checker.Verdict()
    judge = consuming.Judge(verdict, LOG, lines(*entries))
    judge.judge(**options)
    return {name for name in checker.VIOLATIONS if getattr(verdict, name)}, judge


def test_a_good_course_is_good():
    course = [*handled("a", 1, 1, 3), "a 40 gave 1 0", *handled("b", 2, 4, 6)]
    kinds, judge = found(*course)
    assert (kinds, judge.generations, judge.again) == (set(), 2, [0, 0])


def test_what_comes_again_after_a_crash_is_good():
    kinds, judge = found(*handled("a", 1, 1, 4), *handled("b", 2, 3, 6, at=100))
    assert (kinds, judge.again) == (set(), [2, 2])


def test_an_event_that_was_begun_and_not_done_comes_again():
    course = [*handled("a", 1, 1, 3), "a 40 began 1 4", *handled("b", 2, 4, 6, at=100)]
    assert found(*course)[0] == set()


@pytest.mark.parametrize(
    ("course", "kind"),
    [
        (handled("a", 1, 1, 5), "lost"),
        ([*handled("a", 1, 1, 5), "a 60 began 1 6"], "lost"),
        ([*handled("a", 1, 1, 2), *handled("a", 1, 4, 6), *handled("b", 2, 3, 3)], "skipped"),
        ([*handled("a", 1, 1, 3), *handled("b", 2, 5, 6), *handled("c", 3, 4, 4)], "skipped"),
        ([*handled("a", 1, 1, 4), *handled("a", 1, 3, 6, at=100)], "reordered"),
        ([*handled("a", 1, 1, 3), "a 40 gave 1 0", *handled("b", 2, 3, 6)], "duplicated"),
        ([*handled("a", 1, 1, 3), *handled("b", 1, 4, 6)], "strange"),
        ([*handled("a", 1, 1, 6, at=100), *handled("b", 2, 4, 6)], "strange"),
    ],
)
def test_a_bad_course(course, kind):
    assert kind in found(*course)[0]


def test_one_event_may_have_been_in_hand_while_its_owner_was_stopped():
    course = [*handled("a", 1, 1, 3), "a 999 began 1 4", "a 999 done 1 4"]
    kinds, judge = found(*course, *handled("b", 2, 4, 6, at=100))
    assert (kinds, judge.zombies) == (set(), 1)


def test_more_than_the_documents_say_came_again():
    long = [history.Stored(number, "s", number, 100 + number) for number in range(1, 1203)]
    verdict = checker.Verdict()
    course = [*handled("a", 1, 1, 1202), *handled("b", 2, 202, 202, at=99999)]
    consuming.Judge(verdict, long, lines(*course)).judge()
    assert verdict.duplicated == 0
    course = [*handled("a", 1, 1, 1202), *handled("b", 2, 200, 200, at=99999)]
    consuming.Judge(verdict, long, lines(*course)).judge()
    assert verdict.duplicated == 2


def test_replayed_events_are_out_of_turn():
    course = [*handled("a", 1, 1, 3), *handled("a", 1, 5, 6), *handled("a", 1, 4, 4, at=100)]
    assert found(*course, replayed=[104])[0] == set()
    assert "skipped" in found(*course)[0]


def test_lines_are_read_as_they_come(tmp_path):
    file = tmp_path / "lines"
    member = consuming.Lines(file)
    assert member.read() == []
    file.write_bytes(b"began 5 0 1 7 107\ndone 6 0")
    assert member.read() == [consuming.Handled("began", 5, 0, 1, 7, 107)]
    with file.open("ab") as out:
        out.write(b" 1 7 107\n")
    assert member.read() == [consuming.Handled("done", 6, 0, 1, 7, 107)]
    assert len(member.lines) == 2
