"""Follows every link from one Markdown file to another file or heading of this repository."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names: set[str] = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        name, repeat = base, 0
        while name in names:
            repeat += 1
            name = f"{base}-{repeat}"
        names.add(name)
    return names


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere. Addresses on the web are not looked up."""
    found = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        known = target.exists() and target.is_relative_to(ROOT)
        if not known or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


def main() -> int:
    """Looks at every Markdown file that git knows or would know."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    pages = [ROOT / name for name in listed if (ROOT / name).exists()]
    lost = [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in broken(page)]
    print("\n".join([f"{len(pages)} pages, {len(lost)} broken links", *lost]))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
