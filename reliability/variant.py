"""The broken variant: the same package with a writer that `EVENTUALI_FAULT` can break.

It is built from this tree with the feature `faults` and lies under `target/`, never where the
package is imported from. Without the variable it behaves like the package itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from reliability.processes import ROOT

VARIABLE = "EVENTUALI_FAULT"
_PACKAGE = ROOT / "eventuali-python/python/eventuali"


def build() -> Path:
    """Builds it, and returns the directory to put on `PYTHONPATH`.

    Raises:
        subprocess.CalledProcessError: The compiler refused.
    """
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command = ["cargo", "build", "--locked", "--profile", "fast", "-p", "eventuali-python"]
    environment = os.environ | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable}
    subprocess.run(
        [*command, "--features", "faults", "--target-dir", target / "faults"],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=sys.stderr,
    )
    directory = target / "faults/python"
    shutil.rmtree(directory, ignore_errors=True)
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(_PACKAGE, directory / "eventuali", ignore=ignore)
    built = target / "faults/fast/lib_eventuali.so"
    shutil.copy(built, directory / "eventuali/_eventuali.abi3.so")
    if VARIABLE.encode() not in built.read_bytes():
        raise RuntimeError(f"{built} has no faults")
    return directory
