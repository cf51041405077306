"""`tools/check_types.py` finds what is wrong in the code of a page, and says the page's line."""

import importlib
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

PAGE = """\
# A page

```python
from eventuali import Event, EventStore, Query


class PageOfTypes(Event):
    amount: int
```

It awaits outside of a function:

```python
store = await EventStore.create("memory://")
await store.append([PageOfTypes(amount=1)])
async for event in store.read(Query(event_types=[PageOfTypes])):
    text: str = event.amount
```

<!-- no types: a misspelt field -->
```python
PageOfTypes(ammount=1)
```

```python
amount: str = 1
```
"""
EXAMPLE = "def half(number: int) -> int:\n    return number / 2\n"


@pytest.fixture
def check_types(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(TOOLS))
    # A cache that is shared tells the paths of the run before, where the files were the same.
    monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path / "cache"))
    return importlib.import_module("check_types")


def lines(found):
    """Where each checker finds something."""
    told = {"mypy": [], "pyright": []}
    for one in found:
        told[one.rule.partition(":")[0]].append((one.path, one.line))
    return told


def test_a_mistake_is_told_with_its_line_on_the_page(check_types, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "half.py").write_text(EXAMPLE)
    found = check_types.check(tmp_path, tmp_path / "programs")
    read = PAGE.splitlines()
    wrong = [
        ("docs/page.md", read.index("    text: str = event.amount") + 1),
        ("docs/page.md", read.index("amount: str = 1") + 1),
        ("examples/half.py", 2),
    ]
    assert lines(found) == {"mypy": wrong, "pyright": wrong}, found
    assert str(found[0]).startswith(f"docs/page.md:{wrong[0][1]}: Incompatible types in assignment")


def test_only_a_comment_with_a_reason_leaves_a_block_out(check_types):
    block = "```python\nwrong()\n```\n"
    assert check_types.program(block) == "\nwrong()\n\n\n"
    assert check_types.program(f"<!-- no types -->\n{block}") == "\n\nwrong()\n\n\n"
    assert check_types.program(f"<!-- no types: why -->\n{block}").strip() == ""
    assert check_types.program(f"<!-- no types: why -->\n\n{block}").strip() == ""
    assert "wrong" in check_types.program(f"<!-- no types: why -->\ntext\n\n{block}")


def test_a_page_that_is_no_python_is_a_finding(check_types, tmp_path):
    (tmp_path / "README.md").write_text("```python\nif True\n```\n")
    found = check_types.check(tmp_path, tmp_path / "programs")
    assert {place for places in lines(found).values() for place in places} == {("README.md", 2)}
    assert {one.rule for one in found} >= {"mypy: syntax", "pyright: syntax"}


def test_a_checker_that_does_not_run_is_no_success(check_types):
    with pytest.raises(SystemExit, match=r"failed: .*nosuchmodule"):
        check_types._said([check_types.sys.executable, "-m", "nosuchmodule"])


def test_the_pages_of_the_repository_are_found(check_types):
    names = {page.name for page in check_types.pages(check_types.ROOT)}
    assert {"README.md", "getting-started.md", "events.md", "read-models.md"} <= names
