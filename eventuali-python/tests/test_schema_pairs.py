"""What `schema check` says of a change: a table of pairs of classes, also in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from schema_pairs import PAIRS, Pair

from eventuali.schema import Finding, Registry, Verdict, check

DOCS = Path(__file__).parents[2] / "docs" / "schema.md"
LEVELS = ("ok", "warning", "error")


def found(pair: Pair) -> list[Finding]:
    said = check(Registry.of(pair.old), Registry.of(pair.new))
    return [each for each in said if each.verdict is not Verdict.NOT_RECORDED]


def verdict(findings: list[Finding]) -> Verdict:
    """Returns the worst verdict; of two that are as bad, the first."""
    worst = max(findings, key=lambda each: LEVELS.index(each.level), default=None)
    return Verdict.OK if worst is None else worst.verdict


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 40
    assert len({pair.change for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.change)
def test_the_verdict_on_a_change(pair) -> None:
    findings = found(pair)
    assert verdict(findings) is pair.verdict, "\n".join(map(str, findings))


def test_the_page_has_the_same_table() -> None:
    page = DOCS.read_text("utf-8")
    table = page.partition("| what changed | verdict |\n|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [f"| {cell(pair.change)} | {shown(pair)} |" for pair in PAIRS]


def test_the_page_knows_every_verdict() -> None:
    page = DOCS.read_text("utf-8")
    for each in Verdict:
        level = Finding(each, "", None, "").level
        assert f"| `{each}` | {level} |" in page


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def shown(pair: Pair) -> str:
    level = Finding(pair.verdict, "", None, "").level
    return "ok" if level == "ok" else f"{level}: {pair.verdict}"
