"""A worker by the text that names it, such as `shop.projections:app`."""

from __future__ import annotations

from difflib import get_close_matches
from inspect import iscoroutine
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eventuali._imported import imported
from eventuali.errors import ConfigurationError

if TYPE_CHECKING:
    from eventuali.worker import Worker


def load_worker(text: str, cls: type[Worker]) -> Worker:
    """Imports a worker; see `eventuali.worker.load`."""
    module, colon, name = text.partition(":")
    if not colon or not all(map(str.isidentifier, [*module.split("."), name])):
        raise ConfigurationError(
            f"{text!r:.200} must be a module, a colon and a name, such as 'shop.projections:app'"
        )
    found = _attribute(imported(module), name, cls)
    if not isinstance(found, cls) and callable(found):
        found = found()
        if iscoroutine(found):
            found.close()
            raise ConfigurationError(f"{text} is a coroutine function; make it a plain `def`")
    if not isinstance(found, cls):
        raise ConfigurationError(
            f"{text} is {found!r:.60}, not a Worker; write {name} = Worker(url, projection, ...)"
        )
    return found


def _attribute(module: ModuleType, name: str, cls: type[Worker]) -> Any:
    """Returns what a module calls by a name.

    Raises:
        ConfigurationError: There is nothing; the message has names that are near.
    """
    try:
        return getattr(module, name)
    except AttributeError as error:
        names = [each for each, value in vars(module).items() if isinstance(value, cls)]
        names = names or get_close_matches(name, vars(module))
        near = f"; there is {', '.join(names)}" if names else ""
        raise ConfigurationError(f"{module.__name__} has no {name!r}{near}") from error
