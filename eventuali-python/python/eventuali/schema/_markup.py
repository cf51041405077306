"""Texts of users in Markdown and Mermaid: names may hold any character that people can see."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!&])")
_LIST = re.compile(r"^(\d*)([-+=.)])")
"""What would begin a list or underline a heading."""
_IN_LABEL = {
    "#": "#35;",
    '"': "#quot;",
    "<": "#lt;",
    ">": "#gt;",
    "&": "#amp;",
    "`": "#96;",
    "\\": "#92;",
}


def plain(text: str) -> str:
    """Returns a text that Markdown shows as it is, on one line."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _LIST.sub(r"\1\\\2", line)


def code(text: str) -> str:
    """Returns a text as code, also in a table."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    inner = f" {line} " if line.startswith("`") or line.endswith("`") else line
    return f"{fence}{inner}{fence}".replace("|", "\\|")


def label(text: str) -> str:
    """Returns a text as a label of Mermaid, with its quotes."""
    line = " ".join(text.split())
    return '"' + "".join(_IN_LABEL.get(character, character) for character in line) + '"'


def row(*cells: str) -> str:
    """Returns a row of a table of cells that are Markdown."""
    return f"| {' | '.join(cells)} |"
