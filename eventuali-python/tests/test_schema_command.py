"""`python -m eventuali schema snapshot | check`: files, exit codes and what is printed."""

from __future__ import annotations

import json

import pytest
from schema_shop import Shop, shop

__all__ = ["shop"]

STEP = """
    @upcast(1)
    @staticmethod
    def add_currency(data):
        return data | {"currency": "EUR"}

    currency: str
"""


def outcome(done) -> tuple[int, str]:
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_snapshot_names_what_it_noted_and_the_check_is_content(tmp_path):
    made = Shop(tmp_path)
    code, text = outcome(made.run("snapshot"))
    assert code == 0
    assert "added: bazaar.placed 1" in text
    assert "4 types, 4 versions" in text
    code, text = outcome(made.run("check", "--strict"))
    assert (code, text) == (0, "4 types: 0 errors, 0 warnings, 0 notes\n")


def test_the_file_is_stable_and_ends_with_a_newline(shop):
    before = shop.file.read_bytes()
    stat = shop.file.stat()
    assert before.endswith(b"}\n")
    field = '    order_id: str = Field(description="The id | of the order")\n'
    shop.change(field, "")
    shop.change("    tree: Tree", f"{field}    tree: Tree")
    assert shop.run("snapshot").returncode == 0
    assert shop.file.read_bytes() == before, "the order of fields is not part of it"
    assert shop.file.stat().st_mtime_ns == stat.st_mtime_ns, "it is not written in vain"
    assert [path.name for path in shop.folder.glob(".events*")] == []
    held = json.loads(before)
    assert held["eventuali_schema"] == 1
    assert list(held["events"]) == sorted(held["events"])
    assert set(held["events"]["bazaar.placed"]["1"]) == {"class", "fingerprint", "schema"}


def test_a_change_that_breaks_stored_events_is_told_with_the_step_and_a_sample(shop):
    shop.change("    order_id: str", "    currency: str\n    order_id: str")
    code, text = outcome(shop.run("check"))
    assert code == 1
    assert "error: bazaar.placed 1: needs an upcaster" in text
    assert "raise version= to 2 and write @upcast(1)" in text
    assert 'an event such as  {"colour": "r", "lines": [{"count": 1, "sku": "a"}]' in text
    assert "would become      currency: Field required" in text
    code, text = outcome(shop.run("snapshot"))
    assert code == 1
    assert "was not written" in text

    shop.change('name="bazaar.placed"', 'name="bazaar.placed", version=2')
    code, text = outcome(shop.run("check"))
    assert code == 1
    assert "Placed 1 → 2: @upcast(1) is missing" in text

    shop.change("import Event\n", "import Event, upcast\n")
    shop.change("    currency: str\n", STEP)
    code, text = outcome(shop.run("check"))
    assert code == 0
    assert "warning: bazaar.placed 2: not recorded" in text
    assert outcome(shop.run("check", "--strict"))[0] == 1
    assert outcome(shop.run("snapshot"))[0] == 0
    assert list(json.loads(shop.file.read_text())["events"]["bazaar.placed"]) == ["1", "2"]
    assert outcome(shop.run("check", "--strict"))[0] == 0


def test_a_compatible_change_keeps_the_schema_from_before(shop):
    shop.change("    order_id: str", "    note: str = ''\n    order_id: str")
    assert outcome(shop.run("check"))[0] == 0
    code, text = outcome(shop.run("snapshot"))
    assert code == 0
    assert "changed, and every stored event fits: bazaar.placed 1" in text
    entry = json.loads(shop.file.read_text())["events"]["bazaar.placed"]["1"]
    assert len(entry["earlier"]) == 1

    shop.change("    note: str = ''\n", "")
    assert outcome(shop.run("snapshot"))[0] == 0
    # The name comes back with another type: events with the text are still stored.
    shop.change("    order_id: str", "    note: int = 0\n    order_id: str")
    code, text = outcome(shop.run("check"))
    assert code == 1
    assert "note: Input should be a valid integer" in text


def test_a_version_that_is_taken_is_replaced_only_when_told(shop):
    shop.change("lines: list[Line]", "lines: int")
    assert outcome(shop.run("snapshot"))[0] == 1
    code, text = outcome(shop.run("snapshot", "--replace"))
    assert code == 0
    assert "replaced: bazaar.placed 1" in text
    assert outcome(shop.run("check", "--strict"))[0] == 0


def test_a_type_that_vanished_is_an_error(shop):
    shop.change(r"""'odd|`name` "with" <all> #1'""", "'bazaar.even'")
    code, text = outcome(shop.run("check"))
    assert code == 1
    assert 'error: odd|`name` "with" <all> #1: removed' in text
    assert "1 version is in the file (shop.events.Odd)" in text
    assert outcome(shop.run("snapshot"))[0] == 0
    assert "odd|`name`" in shop.file.read_text(), "what may be stored is kept"


def test_a_name_that_two_modules_claim_is_an_error(shop):
    shop.write("more", 'from eventuali import Event\nclass Put(Event, name="bazaar.placed"): ...')
    for verb in ("check", "snapshot"):
        code, text = outcome(shop.run(verb))
        assert code == 1
        assert "shop.events.Placed and shop.more.Put claim this wire name" in text


def test_a_former_name_that_is_taken_is_an_error(shop):
    shop.write("more", 'from eventuali import Event\n'
               'class Put(Event, name="bazaar.put", formerly="bazaar.placed"): ...')  # fmt: skip
    code, text = outcome(shop.run("check"))
    assert code == 1
    assert "error: bazaar.placed: claimed twice" in text


def test_json(shop):
    shop.change("    order_id: str", "    currency: str\n    order_id: str")
    code, text = outcome(shop.run("check", "--json"))
    assert code == 1
    findings = json.loads(text)["findings"]
    assert {(each["level"], each["verdict"], each["event_type"]) for each in findings} == {
        ("error", "needs an upcaster", "bazaar.placed"),
        ("warning", "not recorded", "bazaar.placed"),
    }
    assert json.loads(findings[0]["sample"])["colour"] == "r"
    code, text = outcome(shop.run("snapshot", "--json"))
    assert code == 1
    assert json.loads(text)["written"] is False


def test_a_submodule_that_cannot_be_imported_is_named(shop):
    shop.write("broken", "import shop.missing")
    done = shop.run("check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("eventuali schema: shop.broken can't be imported: Module")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("source", ["raise SystemExit(0)", "1 / 0", "def"])
def test_whatever_a_module_raises_is_told(shop, source):
    shop.write("broken", source)
    done = shop.run("snapshot")
    assert done.returncode == 2
    assert "shop.broken can't be imported" in done.stderr


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("shup", "there is no module 'shup' in "),
        ("shop.evnts", "there is no module 'shop.evnts' in "),
        ("shop/events.py", "must be the name of a module"),
        ("json", "there is no class of events in json"),
    ],
)
def test_a_module_that_is_none(shop, module, message):
    done = shop.run("check", module=module)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-20], "can't be read: "),
        (lambda text: "<<<<<<< ours\n" + text, "can't be read: "),
        (lambda text: "{}", "is not a file of event schemas"),
        (lambda text: "[1]", "is not a file of event schemas"),
        (lambda text: text.replace('"eventuali_schema": 1', '"eventuali_schema": 2'),
         "has the format 2, and this release reads 1"),
        (lambda text: text.replace('"integer"', '"string"'), "it was changed by hand"),
        (lambda text: text.replace('"1": {', '"one": {', 1), "'one' is not a version"),
        (lambda text: text.replace('"bazaar.placed"', '"bazaar.changed"'), "is there twice"),
        (lambda text: text.replace('"events"', '"event"'), "has no object `events`"),
        (lambda text: '{"eventuali_schema": 1, "events": {"a": 1}}', "'a' has no versions"),
        (lambda text: '{"eventuali_schema": 1, "events": {"a": {"1": 1}}}',
         "has no object `schema`"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_and_left_alone(shop, change, message):
    before = shop.file.read_text()
    after = change(before)
    assert after != before
    shop.file.write_text(after)
    for verb in ("check", "snapshot"):
        done = shop.run(verb)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert shop.file.read_text() == after


def test_a_check_without_a_file_says_how_to_make_one(shop):
    done = shop.run("check", "--file", "none.json")
    assert done.returncode == 2
    assert "python -m eventuali schema snapshot shop" in done.stderr
    assert not (shop.folder / "none.json").exists()


def test_a_place_that_cannot_be_written_is_told(shop):
    done = shop.run("snapshot", "--file", "nowhere/events.json")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_several_modules_and_a_file_of_another_name(shop):
    done = shop.run("snapshot", "shop.model", "--file", "both.json", module="shop.events")
    assert done.returncode == 0
    assert (shop.folder / "both.json").exists()
    assert shop.run("check", "--file", "both.json").returncode == 0


def test_it_is_a_command(shop):
    assert shop.command("schema", "check", "shop", "--strict").returncode == 0
    shop.write("broken", "import shop.missing")
    done = shop.command("schema", "check", "shop")
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop.broken can't be imported" in done.stderr
    done = shop.command()
    assert done.returncode == 2
    assert "usage: python -m eventuali" in done.stderr


def test_the_command_line_says_what_it_is_called_with(shop):
    done = shop.run("chek")
    assert done.returncode == 2
    assert "invalid choice: 'chek'" in done.stderr
    assert "Exit codes" in shop.run("check", "--help").stdout
