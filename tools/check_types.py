"""Checks the types of the code in the README, the docs and the examples, with mypy and pyright.

The ```python blocks of a page are one program; if any of them awaits, the body of a coroutine.
A block below a comment `<!-- no types: why -->` is left out: it shows a mistake.
"""

import ast
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "target" / "docs-types"
BLOCK = re.compile(r"^(<!-- no types: .* -->\n+)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACES = re.compile(r"^\s*(\S+?\.py):(\d+):", re.MULTILINE)
HEAD = "async def page() -> None:"


def pages() -> dict[str, Path]:
    """The pages with code, by the name of their program."""
    found = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return {
        re.sub(r"\W", "_", str(page.relative_to(ROOT))): page
        for page in found
        if "```python" in page.read_text()
    }


def awaits(block: str) -> bool:
    """Whether a block awaits outside of a function."""
    try:
        compile(block, "block", "exec", dont_inherit=True)
    except SyntaxError:
        compile(block, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return True
    return False


def program(page: str) -> str:
    """The program of a page, each of its lines where it stands on the page."""
    blocks = [match for match in BLOCK.finditer(page) if match[1] is None]
    wrapped = any(awaits(block[2]) for block in blocks)
    lines = [""] * (page.count("\n") + 1)
    for block in blocks:
        first = page.count("\n", 0, block.start(2))
        for number, line in enumerate(block[2].splitlines(), first):
            lines[number] = f"    {line}" if wrapped and line else line
    if wrapped:
        first = page.count("\n", 0, blocks[0].start(2))
        lines[first - 1] = HEAD  # where the fence is
    return "\n".join(lines) + "\n"


def run(*command: str) -> tuple[int, str]:
    """Runs a checker; what it returns and says."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Writes the programs and checks them."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for old in PROGRAMS.glob("*.py"):
        old.unlink()
    found = pages()
    for name, page in found.items():
        (PROGRAMS / f"{name}.py").write_text(program(page.read_text()))
    examples = sorted(str(path) for path in ROOT.glob("examples/*.py"))
    config = {
        "include": [".", *examples],
        "typeCheckingMode": "standard",
        "extraPaths": [str(ROOT / "eventuali-python" / "python")],
        "pythonVersion": "3.11",
    }
    (PROGRAMS / "pyrightconfig.json").write_text(json.dumps(config, indent=2))
    programs = [str(PROGRAMS / f"{name}.py") for name in found]
    scripts = Path(sysconfig.get_path("scripts"))
    failed = 0
    for title, (code, said) in (
        ("mypy --strict", run(sys.executable, "-m", "mypy", "--strict", *programs)),
        (
            "pyright, standard",
            run(
                str(scripts / "basedpyright"),
                "--level=error",
                f"--pythonpath={sys.executable}",
                f"--project={PROGRAMS}",
            ),
        ),
    ):
        failed += bool(code)
        print(f"{title}: {len(found)} pages")
        if code:
            print(PLACES.sub(lambda place: f"  {at(found, place)}:{place[2]}:", said))
    return 1 if failed else 0


def at(found: dict[str, Path], place: re.Match[str]) -> str:
    """The page that a program was made from, or the program itself."""
    page = found.get(Path(place[1]).stem)
    return place[1] if page is None else str(page.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
