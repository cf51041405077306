"""Keeps the extension to its importers, which import-linter cannot: it sees no compiled module."""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "eventuali-python/python/eventuali"
ALLOWED = {"__init__", "config", "store", "sync/__init__"}
ENGINE = "_engine/"


def imports(source: str) -> set[str]:
    """Every dotted name that a module of the package imports, relative ones made absolute."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["eventuali" if node.level else "", node.module]))
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return names


def is_allowed(module: str) -> bool:
    """Whether a module, named by its path, may import the extension."""
    return module in ALLOWED or module.startswith(ENGINE)


def main() -> int:
    """Names the modules that import the extension and are not on the list."""
    wrong = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not is_allowed(path.relative_to(PACKAGE).with_suffix("").as_posix())
        and "eventuali._eventuali" in imports(path.read_text())
    ]
    for name in wrong:
        print(f"{name} imports eventuali._eventuali; only {ENGINE} and {sorted(ALLOWED)} may")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
