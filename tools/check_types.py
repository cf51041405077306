"""Checks the types of the code in the README, the docs and the examples, with mypy and pyright.

mypy is strict; pyright, here basedpyright, is in its standard mode. The ```python blocks of a page
are one program, as in the tests of the docs, and may await outside of a function. What is found is
told with the line of the page. A block below a comment `<!-- no types: why -->` is left out: it
shows a mistake, or uses a library that has no types.
"""

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "target" / "docs-types"
BLOCK = re.compile(r"^(<!-- no types: .+ -->\n+)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AWAITS = re.compile(
    r'"(await|async with|async for)" outside (async )?function'
    r'|"await" allowed only within async function'
    r'|Use of "async" not allowed outside of async function'
)
"""What the checkers say of a page that awaits outside of a function."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that a checker finds wrong."""

    path: str
    line: int
    text: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text} [{self.rule}]"


def pages(root: Path) -> list[Path]:
    """The pages with code."""
    found = [root / "README.md", *sorted(root.glob("docs/**/*.md"))]
    return [page for page in found if page.exists() and "```python" in page.read_text()]


def program(page: str) -> str:
    """The program of a page, each of its lines where it stands on the page."""
    lines = [""] * (page.count("\n") + 1)
    for block in BLOCK.finditer(page):
        if block[1] is None:
            first = page.count("\n", 0, block.start(2))
            code = block[2].splitlines()
            lines[first : first + len(code)] = code
    return "\n".join(lines) + "\n"


def mypy(files: Sequence[str]) -> list[Finding]:
    """What mypy finds in files."""
    said = _said([sys.executable, "-m", "mypy", "--strict", "--output=json", *files])
    return [
        Finding(str(ROOT / one["file"]), one["line"], one["message"], f"mypy: {one['code']}")
        for one in map(json.loads, said.splitlines())
        if one["severity"] == "error"
    ]


def pyright(files: Sequence[str], directory: Path) -> list[Finding]:
    """What pyright finds in files; its configuration is written into a directory."""
    return [
        Finding(
            one["file"],
            one["range"]["start"]["line"] + 1,
            one["message"].replace("\n", "\n    "),
            f"pyright: {one.get('rule', 'syntax')}",
        )
        for one in pyright_says(files, directory)
        if one["severity"] == "error"
    ]


def pyright_says(files: Sequence[str], directory: Path) -> list[dict[str, Any]]:
    """All that pyright says of files, types that it reveals included."""
    config = {
        "include": list(files),
        "typeCheckingMode": "standard",
        "extraPaths": [str(ROOT / "eventuali-python" / "python")],
        "pythonVersion": "3.11",
    }
    (directory / "pyrightconfig.json").write_text(json.dumps(config, indent=2))
    program = str(Path(sysconfig.get_path("scripts")) / "basedpyright")
    options = ["--outputjson", f"--pythonpath={sys.executable}", f"--project={directory}"]
    said: dict[str, Any] = json.loads(_said([program, *options]))
    if said["summary"]["filesAnalyzed"] < len(files):
        raise SystemExit(f"pyright read {said['summary']['filesAnalyzed']} of {len(files)} files")
    found: list[dict[str, Any]] = said["generalDiagnostics"]
    return found


def _said(command: Sequence[str]) -> str:
    """What a checker prints as JSON."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    if "{" not in done.stdout and done.returncode != 0:  # it ends with 1 for what it finds, too
        raise SystemExit(f"{' '.join(command[:4])} failed: {done.stdout}{done.stderr}")
    return done.stdout


def check(root: Path, programs: Path) -> list[Finding]:
    """What the checkers find in the pages and examples below a directory."""
    programs.mkdir(parents=True, exist_ok=True)
    for old in programs.glob("*.py"):
        old.unlink()
    origins = {}
    for page in pages(root):
        name = str(page.relative_to(root))
        written = programs / (re.sub(r"\W", "_", name) + ".py")
        written.write_text(program(page.read_text()))
        origins[str(written)] = name
    for example in sorted(root.glob("examples/*.py")):
        origins[str(example)] = str(example.relative_to(root))
    files = list(origins)
    with ThreadPoolExecutor() as both:
        strict, standard = both.submit(mypy, files), both.submit(pyright, files, programs)
        found = strict.result() + standard.result()
    return sorted(
        Finding(origins.get(one.path, one.path), one.line, one.text, one.rule)
        for one in found
        if not (one.path in origins and AWAITS.search(one.text))
    )


def main() -> int:
    """Checks the pages and examples of the repository."""
    found = check(ROOT, PROGRAMS)
    for one in found:
        print(one)
    if not found:
        print(f"types: {len(pages(ROOT))} pages and the examples pass mypy --strict and pyright")
        return 0
    print(
        f"types: {len(found)} findings in {', '.join(sorted({one.path for one in found}))}\n"
        "Annotate the code as its reader would. Above a block that shows a mistake, write\n"
        "<!-- no types: why -->"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
