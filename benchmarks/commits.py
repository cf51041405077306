"""Our own commits, each built from its own sources into its own environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.workers import ROOT

BUILT = ROOT / "target" / "bench" / "commits"


def environment(commit: str) -> tuple[str, Path]:
    """Returns the short hash of a commit and an interpreter that has it; builds it where needed.

    Raises:
        subprocess.CalledProcessError: There is no such commit, or it does not build.
    """
    revision = _output("git", "rev-parse", "--verify", "--short=12", f"{commit}^{{commit}}")
    home = BUILT / revision
    python = home / "env" / "bin" / "python"
    if not (home / "done").exists():
        print(f"building {commit} ({revision}), about two minutes", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _build(revision, home)
        (home / "done").touch()
    return revision, python


def sources_of(revision: str, home: Path) -> Path:
    """Takes the files of a commit from git, and returns where they are.

    They are as new as now, for the commits share what cargo has built: it takes sources that are
    older than that for what it was built from.
    """
    sources = home / "sources"
    sources.mkdir(parents=True)
    archive = home / "sources.tar"
    _run("git", "archive", "--output", str(archive), revision)
    _run("tar", "--extract", "--touch", "--file", str(archive), "--directory", str(sources))
    archive.unlink()
    return sources


def _build(revision: str, home: Path) -> None:
    """Builds a release wheel of a commit; dependencies are built once for all."""
    sources = sources_of(revision, home)
    settings = {
        **os.environ,
        "CARGO_TARGET_DIR": str(BUILT / "target"),
        "UV_PROJECT_ENVIRONMENT": str(home / "env"),
    }
    settings.pop("MATURIN_PEP517_ARGS", None)
    # With the dependencies of its own lock file.
    sync = [str(ROOT / "tools" / "uv"), "sync", "--quiet", "--locked", "--no-dev", "--no-editable"]
    _run(*sync, "--python", sys.executable, "--directory", str(sources), environment=settings)


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=ROOT, check=True, env=environment)  # noqa: S603


def _output(*command: str) -> str:
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()
