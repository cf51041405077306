"""The code blocks of the README and of `docs/` run, and print what the pages say they print.

The ```python blocks of a page run in order, in one namespace, in an empty directory and a process
of their own. A block that awaits runs in the event loop of the page, any other outside of it. After
a statement, a comment `# → text` is a line that the statement must print; a bare expression counts
as printing its repr. `…` stands for any text.
"""

import ast
import asyncio
import contextlib
import dataclasses
import inspect
import io
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from eventuali import EventMeta, errors

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in ROOT.glob("docs/**/*.md") if "```python" in page.read_text()),
]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARROW = re.compile(r"# →(?: (.*))?$")
LIMIT = 120  # seconds: a page that hangs fails


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, page],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_page_of_errors_knows_the_tree():
    page = (ROOT / "docs/reference/errors.md").read_text()
    tree = re.search(r"::\n\n(.*?)\n\n\S", errors.__doc__, re.DOTALL)[1]
    drawn = re.search(r"```text\n(.*?)\n```", page, re.DOTALL)[1]
    assert drawn == textwrap.dedent(tree)
    explained = set(re.findall(r"`(\w+Error)`", page))
    families = {"EventualiError", "EventStoreError"}
    assert set(errors.__all__) - families <= explained


def test_the_page_of_events_knows_the_metadata():
    page = (ROOT / "docs/reference/events.md").read_text()
    table = re.findall(r"^\| `(\w+)` \|", page.partition("## Metadata")[2], re.MULTILINE)
    assert sorted(table) == sorted(field.name for field in dataclasses.fields(EventMeta))


def test_links_between_pages_lead_somewhere():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_links.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "1 + 1  # → 3",
        "print('a')\nprint('b')\n# → a",
        "for i in range(2):\n    print(i)\n# → 0",
        "import asyncio\nawait asyncio.sleep(0, 'a')  # → 'b'",
        "print('a b')  # → a … c",
    ],
)
def test_a_page_that_lies_is_found(source):
    with pytest.raises(AssertionError, match="the page says"):
        run([(1, source)])


def test_a_page_that_is_right_passes():
    run([
        (1, "import asyncio\nfor i in range(2):\n    print(i)\n# → 0\n# → 1\n"),
        (9, "(await asyncio.sleep(0, 'a'))  # → 'a'\nprint('id', 17)  # → id …\n"),
        (20, "async with asyncio.timeout(9):\n    2 * i  # → 2\nprint('not said')\n"),
    ])  # fmt: skip


def run(blocks):
    """Runs blocks, given as (line, source), and compares what each statement prints."""
    names = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for line, source in blocks:
            statements = ast.parse(source).body
            awaits = compiled(ast.parse(source)).co_flags & inspect.CO_COROUTINE
            starts = [first_line(statement) for statement in statements]
            ends = [start - 1 for start in starts[1:]] + [source.count("\n") + 1]
            lines = source.split("\n")
            for statement, start, end in zip(statements, starts, ends, strict=True):
                found = [ARROW.search(text) for text in lines[start - 1 : end]]
                said = [(arrow[1] or "").rstrip() for arrow in found if arrow]
                shown = Shown(lines).visit(statement)
                tree = ast.Module([ast.fix_missing_locations(shown)], [])
                code = compiled(ast.increment_lineno(tree, line - 1))
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    if awaits:
                        runner.run(in_loop(code, names))
                    else:  # no loop runs, so that blocking code may block
                        exec(code, names)
                compare(said, printed.getvalue().splitlines(), line + start - 1)


def first_line(statement):
    decorators = getattr(statement, "decorator_list", [])
    return min(node.lineno for node in [statement, *decorators])


def compiled(tree):
    return compile(tree, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def in_loop(code, names):
    result = eval(code, names)  # a coroutine where the code awaits at its top level
    if inspect.iscoroutine(result):
        await result


class Shown(ast.NodeTransformer):
    """Prints the repr of the bare expressions that have an arrow behind them."""

    def __init__(self, lines):
        self.lines = lines

    def visit_Expr(self, node):
        prints = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
        if prints or not ARROW.search(self.lines[node.end_lineno - 1]):
            return node
        shown = ast.parse("print(repr(0))").body[0]
        shown.value.args[0].args[0] = node.value
        return ast.copy_location(shown, node)


def compare(said, printed, line):
    if not said:
        return
    pattern = "\n".join(".*".join(map(re.escape, text.split("…"))) for text in said)
    actual = "\n".join(text.rstrip() for text in printed)
    told = "\n".join(said)
    assert re.fullmatch(pattern, actual), f"line {line}: the page says\n{told}\nand it is\n{actual}"


def blocks_of(page):
    text = page.read_text()
    return [(text.count("\n", 0, b.start(1)) + 1, b[1]) for b in BLOCK.finditer(text)]


def patient():
    """Lets Hypothesis take its time, for this machine may be busy."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("docs", suppress_health_check=[HealthCheck.too_slow], deadline=None)
    settings.load_profile("docs")


if __name__ == "__main__":
    if "import strategies" in Path(sys.argv[1]).read_text():
        patient()
    run(blocks_of(Path(sys.argv[1])))
