"""Names for the parameters of tests that are alike in every process, as workers need them."""

from __future__ import annotations

import re

_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SET = re.compile(r"\{([^{}:]*)\}")


def label(value: object, width: int = 40) -> str:
    """Names a value by its text, without what differs between processes."""
    text = ascii(value)[1:-1] or "''" if isinstance(value, str) else ascii(value)
    text = _ADDRESS.sub("", _UUID.sub("a UUID", text))
    text = _SET.sub(lambda found: "{" + ", ".join(sorted(found[1].split(", "))) + "}", text)
    return text[:width]
