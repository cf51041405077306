"""Every example runs from a clean directory, and `examples/README.md` shows what it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
LIMIT = 120  # seconds: an example that hangs fails
SECTION = re.compile(
    r"^## \[(?P<file>[^\]]+\.py)\]\(\1\)\n\n(?P<line>[^\n]+)\n\n"
    r"```sh\n(?P<command>[^\n]+)\n```\n\n```text\n(?P<output>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]"), "<date>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ns|µs|ms|s)\b"), "<duration>"),
    (re.compile(r"^(system|Python) {2,}\S.*$", re.MULTILINE), r"\1 <machine>"),
    (re.compile(r" {2,}[\d,]+ {2,}[\d,]+ {2,}\d+\.\dx  \d+\.\d–\d+\.\d$", re.M), " <figures>"),
    (re.compile(r"(  +[\d,]+  +| )[\d,…]+ events/s$", re.MULTILINE), " <rate>"),
)
"""What differs from run to run."""


def run(script, directory, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", script, *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT,
    )


def masked(text):
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text


def sections():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    return {section["file"]: section for section in SECTION.finditer(text)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_and_prints_what_the_page_shows(script, tmp_path, monkeypatch):
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    done = run(script, working)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [*working.iterdir(), *temporary.iterdir()] == [], "it leaves files behind"
    section = sections()[script.name]
    assert section["command"] == f"uv run python examples/{script.name}"
    assert masked(section["output"]) == masked(done.stdout)


def test_the_page_lists_the_examples_and_nothing_else():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert list(sections()) == re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert sorted(sections()) == [script.name for script in SCRIPTS]


def test_the_first_example_keeps_a_file_that_is_named(tmp_path):
    script = EXAMPLES / "01_basic_event_store_simple.py"
    for _ in range(2):  # a second user in the same file
        done = run(script, tmp_path, "users.db")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "users.db").stat().st_size > 0


def test_masking_leaves_only_what_changes():
    text = "id 1b2647dc-97d6-4196-9efb-f70d792c284e at 00:31:22.557844, 12 ms, version 3"
    assert masked(text) == "id <id> at <time>, <duration>, version 3"
    table = "Python  3.11.7\nload   81,894   9,062     1.5x  0.9–12.4\n1  1  Opened  a=1\n"
    assert masked("Sales  9  1a      0     9,825 events/s\nat 12 events/s\n") == (
        "Sales  9  1a <rate>\nat <rate>\n"
    )
    assert masked(table) == "Python <machine>\nload <figures>\n1  1  Opened  a=1\n"


def test_their_unit_tests_pass(tmp_path):
    plugins = ("-p", "no:cacheprovider", "-p", "anyio", "-p", "eventuali.testing.plugin")
    command = [sys.executable, "-B", "-W", "error", "-m", "pytest", "-q", *plugins]
    done = subprocess.run(
        [*command, "--disable-plugin-autoload", "--rootdir", tmp_path, EXAMPLES / "tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout
