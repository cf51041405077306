"""The pages of the site: where MkDocs would look into one folder, this says which files there are.

They are README.md, the pages under docs/, and what these link to, each under its path in the
repository; then one page a public module under api/.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "eventuali-python/python/eventuali"
INTERNAL = {"codec"}  # nothing that a caller names
INHERITING = {"member", "running", "subscription", "sync"}  # classes with members from private ones
LINK = re.compile(r"\]\(<?([^)\s>#]+)[^)]*\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
LANGUAGES = {".py": "python", ".rs": "rust", ".sh": "sh", ".sql": "sql", ".toml": "toml"}


class Listing(File):  # type: ignore[misc, unused-ignore]
    """A file that is no page and is shown on one."""

    def is_documentation_page(self) -> bool:
        """It is one, whatever its name ends in."""
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Keeps what the theme brings, and puts the pages in the place of the folder's files."""
    folder = Path(config.docs_dir)
    theme = [file for file in files if not Path(file.abs_src_path or "/").is_relative_to(folder)]
    pages = [from_repository(path, config) for path in sorted(repository())]
    modules = [
        File.generated(config, f"api/{name}.md", content=text) for name, text in reference().items()
    ]
    script = File.generated(
        config, "assets/iframe-worker.js", abs_src_path=str(ROOT / "docs/site/iframe-worker.js")
    )
    return Files([*theme, *pages, *modules, script])


def on_page_markdown(markdown: str, **_: object) -> str:
    """Shows a bar without its backslash in code in a table, as GitHub does."""
    return ROW.sub(lambda row: CODE.sub(lambda c: c[0].replace("\\|", "|"), row[0]), markdown)


def repository() -> set[str]:
    """The paths of README.md, of the pages of docs/, and of what these link to."""
    docs = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")]
    waiting = ["README.md", *docs]
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(linked(path))
    return found


def linked(path: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    if not path.endswith(".md"):
        return
    for link in LINK.findall(CODE.sub("", (ROOT / path).read_text())):
        target = normpath(join(dirname(path), link))
        if (ROOT / target).resolve().is_relative_to(ROOT) and (ROOT / target).is_file():
            yield target


def from_repository(path: str, config: MkDocsConfig) -> File:
    """A page, a picture, or the listing of a file that is neither."""
    suffix = PurePosixPath(path).suffix
    if suffix in {".md", ".png", ".svg"}:
        return File(path, str(ROOT), config.site_dir, use_directory_urls=False)
    text = (ROOT / path).read_text().rstrip("\n")
    content = f"# {path}\n\n````{LANGUAGES.get(suffix, 'text')}\n{text}\n````\n"
    return Listing.generated(config, path, content=content, inclusion=InclusionLevel.NOT_IN_NAV)


def reference() -> dict[str, str]:
    """The pages of the reference of the API by their names, one a public module."""
    modules = sorted({*map(module_of, sources())} - INTERNAL)
    rows = [f"| [`eventuali.{name}`]({name}.md) | {summary(name)} |" for name in modules]
    names = [f"| [`{name}`][{place}] | `{module}` |" for name, module, place in exported()]
    index = "\n".join(
        [
            "# eventuali",
            "\n::: eventuali\n    options:\n      members: false\n",
            "## Modules\n\n| module | |\n|---|---|",
            *rows,
            "\n## Names of the package\n\n| name | from |\n|---|---|",
            *names,
        ]
    )
    return {"index": index, **{name: module_page(name) for name in modules}}


def sources() -> Iterator[Path]:
    """The files of the public modules, packages among them."""
    yield from PACKAGE.glob("[!_]*.py")
    yield from PACKAGE.glob("[!_]*/__init__.py")


def module_of(path: Path) -> str:
    """The name of a module by its file."""
    return path.parent.name if path.stem == "__init__" else path.stem


def module_page(name: str) -> str:
    """The page of a module."""
    options = "    options:\n      inherited_members: true\n" if name in INHERITING else ""
    return f"# eventuali.{name}\n\n::: eventuali.{name}\n{options}"


def summary(module: str) -> str:
    """The first line of a module's docstring."""
    (path,) = (path for path in sources() if module_of(path) == module)
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n")[0]


def exported() -> Iterator[tuple[str, str, str]]:
    """What `eventuali` itself exports: the name, its module, and where the reference has it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("eventuali."):
            for alias in node.names if "._" not in str(node.module) else []:
                yield alias.name, str(node.module), f"{node.module}.{alias.name}"
