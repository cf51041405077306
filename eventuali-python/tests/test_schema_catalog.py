"""`schema catalog`: a page of Markdown, the same each time, whatever the names are."""

from __future__ import annotations

import json
import re

import pytest
from schema_shop import shop

from eventuali.schema._markup import code, label, plain

__all__ = ["shop"]

FLOW = """```mermaid
flowchart LR
    n1(["bazaar.changed[int]"])
    n2["Order"]
    n3(["bazaar.placed"])
    n4[/"Place"/]
    n5[["Orders"]]
    n6[("OrderCount")]
    n2 --> n1
    n4 --> n2
    n2 --> n3
    n3 --> n5
    n5 --> n6
```"""


def test_a_page_says_who_raises_applies_and_handles_an_event(shop):
    done = shop.run("catalog")
    assert (done.returncode, done.stderr) == (0, "")
    section = done.stdout.partition("## bazaar.placed")[2].partition("\n## ")[0]
    assert "An order \\| was \\*placed\\*." in section
    assert "| `order_id` | `str` | required | The id \\| of the order |" in section
    assert "| `colour` | `Colour` | `<Colour.RED: 'r'>` |  |" in section
    assert "- Class: `shop.events.Placed`, version 1" in section
    assert "- Noted versions: 1" in section
    assert "- Raised by: `Order.place` on `Place`" in section
    assert "- Applied by: `Order.apply_placed`" in section
    assert "- Handled by: `Orders.on_placed`" in section
    odd = done.stdout.partition("## odd")[2].partition("\n## ")[0]
    assert "- Raised by: `audit` on `Audit`" in odd
    assert "- Handled by: nobody that was found" in odd
    assert FLOW in done.stdout
    assert shop.run("catalog").stdout == done.stdout


def test_steps_former_names_and_retired_types(shop):
    shop.write("old", '''
from eventuali import Event, upcast

class Renamed(Event, name="bazaar.renamed", version=2, formerly="bazaar.was_called|so",
              readable_by=1):
    @upcast(1)
    @staticmethod
    def add_one(data):
        """Adds | one."""
        return data

class Pinged(Event, name="bazaar.pinged", retired=True):
    pass

class Held(Event, name="bazaar.held"):
    pass

class Split(Event, name="bazaar.split", version=3, retired=True):
    @upcast(2)
    @staticmethod
    def same(data):
        return data

    @upcast(3, into=(Renamed, Held))
    @staticmethod
    def apart(data):
        """Makes two."""
        return {}, None
''')  # fmt: skip
    text = shop.run("catalog").stdout
    assert "- Step 1 → 2: `Renamed.add_one`: Adds \\| one." in text
    assert "- Step 2 → 3: `Split.same`" in text
    assert "- Step 3 → its successors: `Split.apart`: Makes two." in text
    assert "- Earlier names: `bazaar.was_called\\|so`" in text
    assert "- Readable by code of version 1 or later" in text
    assert "- Retired: a stored one becomes nothing" in text
    assert "- Retired: a stored one becomes `bazaar.renamed`, `bazaar.held`" in text
    held = json.loads(shop.run("catalog", "--json").stdout)["events"]
    by_name = {each["event_type"]: each for each in held}
    split, renamed = by_name["bazaar.split"], by_name["bazaar.renamed"]
    assert (split["becomes"], split["steps"]) == (["bazaar.renamed", "bazaar.held"], [2, 3])
    assert (renamed["formerly"], renamed["readable_by"]) == (["bazaar.was_called|so"], 1)
    assert (by_name["bazaar.pinged"]["becomes"], renamed["becomes"]) == ([], None)


def test_whatever_makes_an_event_is_found(shop):
    shop.write(
        "made",
        """
from shop import events
from shop.events import Changed, Odd
from eventuali import Event

def by_function():
    return [events.Odd()]

def by_generic():
    yield Changed[int](new=1)

async def by_coroutine():
    def inner():
        return Odd()
    return inner

class Outer:
    class Made(Event, name="bazaar.made"):
        pass

    class Inner:
        @staticmethod
        def by_inner():
            return Odd()

    def by_self(self):
        return self.Made()

    @property
    def by_property(self):
        return Outer.Made()

def not_by_this():
    Odd
    return unknown.Odd() + missing()
""",
    )
    held = json.loads(shop.run("catalog", "--json").stdout)["events"]
    raised = {each["event_type"]: [part["name"] for part in each["raised_by"]] for each in held}
    assert raised['odd|`name` "with" <all> #1'] == [
        "Outer.Inner.by_inner", "by_coroutine", "by_function", "audit",
    ]  # fmt: skip
    assert raised["bazaar.changed[int]"] == ["by_generic", "Order.change"]
    assert raised["bazaar.made"] == ["Outer.by_property", "Outer.by_self"]


def test_output_and_json(shop):
    done = shop.run("catalog", "--output", "events.md")
    assert (done.returncode, done.stdout) == (0, "")
    assert (shop.folder / "events.md").read_text() == shop.run("catalog").stdout
    held = json.loads(shop.run("catalog", "--json").stdout)
    placed = next(each for each in held["events"] if each["event_type"] == "bazaar.placed")
    assert placed["fields"][0] == {
        "name": "order_id", "type": "str", "required": True,
        "description": "The id | of the order",
    }  # fmt: skip
    assert [each["name"] for each in placed["applied_by"]] == ["Order.apply_placed"]
    assert shop.run("catalog", "--output", "nowhere/events.md").returncode == 2


def test_a_handler_that_cannot_be_resolved_is_told(shop):
    shop.write("wrong", '''
from __future__ import annotations
from eventuali import Aggregate
class Wrong(Aggregate):
    def apply_it(self, event: Missing) -> None: ...
''')  # fmt: skip
    done = shop.run("catalog")
    assert done.returncode == 2
    assert "Wrong.apply_it: the annotation of its event can't be resolved" in done.stderr


def test_every_row_of_a_table_has_as_many_cells(shop):
    for line in shop.run("catalog").stdout.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in (3, 4), line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a|b", "a\\|b"),
        ("<script>", "\\<script\\>"),
        ("*bold* _it_ `code`", "\\*bold\\* \\_it\\_ \\`code\\`"),
        ("two\nlines", "two lines"),
        ("- no list", "\\- no list"),
        ("1. no list", "1\\. no list"),
        ("# no heading", "\\# no heading"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_text_stays_text(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`a``", "``` `a`` ```"),
        ("a|b", "`a\\|b`"),
        ("a\nb", "`a b`"),
    ],
)
def test_code_stays_code(text, shown):
    assert code(text) == shown


def test_a_label_has_no_character_that_mermaid_reads():
    made = label('a"b<c>#d`e\nf&g\\h]')
    assert made == '"a#quot;b#lt;c#gt;#35;d#96;e f#amp;g#92;h]"'
    assert made.count('"') == 2
