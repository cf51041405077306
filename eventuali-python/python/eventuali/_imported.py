"""Modules by the names that users give on a command line."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

from eventuali.errors import ConfigurationError


def imported(name: str) -> ModuleType:
    """Imports a module as `python -m` does: the current directory is on the path.

    Raises:
        ConfigurationError: There is none of this name.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise  # it was found, and imports another one that was not
        raise ConfigurationError(
            f"there is no module {missing!r} in {here} or on the path of Python"
        ) from error
