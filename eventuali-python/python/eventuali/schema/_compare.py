"""Which values that one schema allows another one refuses, by what the two say.

Objects are open for those who read: what a reader does not know is kept. Limits and patterns are
checks, which a store passes over when it reads an event that was valid when it was stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from eventuali.schema._described import DECIMAL, KEYS, PARTIAL, ZONE, Schema

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = (
    "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "x-max-digits",
    "x-decimal-places",
)  # fmt: skip
_SAME = ("pattern", "multipleOf", ZONE, "uniqueItems")
_ANY_TEXT = frozenset({None, "path", "file-path", "directory-path", "password"})
_SIMPLE = ("string", "integer", "number", "boolean", "null", "array", "object")


class Narrowing(NamedTuple):
    """A value that is written and may not be read.

    Attributes:
        path: Where, such as ``items[].price``.
        text: What it is about.
        is_check: Whether it is a limit or pattern, and not a type.
    """

    path: str
    text: str
    is_check: bool


def narrowings(writer: Schema, reader: Schema, *, whole: bool = False) -> list[Narrowing]:
    """Returns what keeps values of one schema from fitting another; empty if they all fit.

    Args:
        writer: What the values are like.
        reader: What they are to fit.
        whole: Whether the values have all fields, as what is written with this schema does. What
            was written before a field was added has not.
    """
    comparison = _Comparison(writer.get("$defs", {}), reader.get("$defs", {}), whole=whole)
    return list(dict.fromkeys(comparison.of(writer, reader, "")))


def changes(old: Schema, new: Schema) -> list[str]:
    """Returns what was added, removed or changed in the fields of a class, a line each."""
    before, after = old.get("properties", {}), new.get("properties", {})
    required = set(new.get("required", ()))
    lines = [
        f"{name} was added, {'required' if name in required else 'optional'}"
        for name in after
        if name not in before
    ]
    lines += [f"{name} was removed" for name in before if name not in after]
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was.get("default") != now.get("default") and "default" in was and "default" in now:
            lines.append(
                f"the default of {name} was {was['default']!r:.40} and is {now['default']!r:.40}"
            )
    return sorted(lines)


class _Comparison:
    def __init__(self, written: Schema, read: Schema, *, whole: bool) -> None:
        self._whole = whole
        self._written = written
        self._read = read
        self._within: set[tuple[int, int]] = set()

    def of(self, writer: Any, reader: Any, path: str) -> Iterator[Narrowing]:
        writer, reader = _resolved(writer, self._written), _resolved(reader, self._read)
        choices = _choices(writer)
        if choices is not None:
            for each in choices:
                yield from self.of(each, reader, path)
            return
        options = _choices(reader)
        if options is None:
            yield from self._plain(writer, reader, path)
            return
        tried = [list(self.of(writer, each, path)) for each in options]
        if all(tried):
            # The type that fits best says what is wrong; without one, it is that none fits.
            best = min(tried, key=lambda found: (any(not f.is_check for f in found), len(found)))
            same = [f for f, each in zip(tried, options, strict=True) if self._alike(writer, each)]
            if same or all(f.is_check for f in best):
                yield from same[0] if same else best
            else:
                yield Narrowing(path, f"{_shown(writer)} fits none of the types", False)

    def _alike(self, writer: Schema, reader: Schema) -> bool:
        same: bool = _tag(writer, self._written) == _tag(_resolved(reader, self._read), self._read)
        return same

    def _plain(self, writer: Schema, reader: Schema, path: str) -> Iterator[Narrowing]:
        if not _says(reader):
            return
        if not _says(writer):
            yield Narrowing(path, f"anything does not fit {_shown(reader)}", False)
            return
        members = _members(writer)
        if members is not None:
            yield from _members_fit(members, reader, path)
            return
        allowed = _members(reader)
        if allowed is not None:
            text = f"{_shown(writer)} does not fit {_shown(reader)}"
            yield Narrowing(path, text, False)
            return
        kind, wanted = writer.get("type"), reader.get("type")
        if kind != wanted and (kind, wanted) != ("integer", "number"):
            yield Narrowing(path, f"{_shown(writer)} does not fit {_shown(reader)}", False)
            return
        if kind == "string" and not _same_text(writer, reader):
            yield Narrowing(path, f"{_shown(writer)} does not fit {_shown(reader)}", False)
            return
        yield from _limits(writer, reader, path)
        if kind == "array":
            yield from self._items(writer, reader, path)
        elif kind == "object":
            pair = id(writer), id(reader)
            if pair not in self._within:  # else one holds itself: what does not fit is told above
                self._within.add(pair)
                try:
                    yield from self._object(writer, reader, path)
                finally:
                    self._within.discard(pair)

    def _object(self, writer: Schema, reader: Schema, path: str) -> Iterator[Narrowing]:
        before, after = writer.get("properties", {}), reader.get("properties", {})
        always = set(writer.get("required", ()))
        if self._whole and not writer.get(PARTIAL):
            always |= before.keys()
        for name in sorted(set(reader.get("required", ())) - always):
            text = "is required and may be missing" if name in before else "is required, not there"
            yield Narrowing(_field(path, name), text, False)
        for name in sorted(before.keys() & after.keys()):
            yield from self.of(before[name], after[name], _field(path, name))
        values = reader.get("additionalProperties")
        if isinstance(values, dict):
            given = writer.get("additionalProperties")
            yield from self.of(given if isinstance(given, dict) else {}, values, f"{path}{{}}")
        if KEYS in reader:
            keys = writer.get(KEYS) or {"type": "string"}
            yield from self.of(keys, reader[KEYS], f"{path}{{key}}")

    def _items(self, writer: Schema, reader: Schema, path: str) -> Iterator[Narrowing]:
        before, after = writer.get("prefixItems"), reader.get("prefixItems")
        if before is not None and after is not None:
            if len(before) != len(after):
                text = f"{len(before)} items are not {len(after)}"
                yield Narrowing(path, text, False)
            for index, (was, now) in enumerate(zip(before, after, strict=False)):
                yield from self.of(was, now, f"{path}[{index}]")
        elif after is not None:
            yield Narrowing(path, f"a list is no tuple of {len(after)}", False)
        elif before is not None:
            for was in before:
                yield from self.of(was, reader.get("items", {}), f"{path}[]")
        else:
            yield from self.of(writer.get("items", {}), reader.get("items", {}), f"{path}[]")


def _resolved(schema: Any, definitions: Schema) -> Schema:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = definitions.get(schema["$ref"].rpartition("/")[2], {})
    if isinstance(schema, dict) and len(schema.get("allOf", ())) == 1:
        return _resolved(schema["allOf"][0], definitions)
    return schema if isinstance(schema, dict) else {}


def _choices(schema: Schema) -> list[Any] | None:
    found: list[Any] | None = schema.get("anyOf", schema.get("oneOf"))
    return found


def _says(schema: Schema) -> bool:
    """Whether a schema says anything of a value."""
    return not schema.keys().isdisjoint({"type", "enum", "const", "anyOf", "oneOf", "allOf"})


def _members(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _members_fit(members: list[Any], reader: Schema, path: str) -> Iterator[Narrowing]:
    allowed = _members(reader)
    for member in members:
        if allowed is not None:
            if not any(type(member) is type(each) and member == each for each in allowed):
                yield Narrowing(path, f"{member!r} does not fit {_shown(reader)}", False)
        elif not _is_of(member, reader.get("type")) or (
            isinstance(member, str) and reader.get("format") not in _ANY_TEXT
        ):
            yield Narrowing(path, f"{member!r} does not fit {_shown(reader)}", False)


def _is_special(member: Any, reader: Schema) -> bool:
    """Whether a text would have to be of a form."""
    return isinstance(member, str) and reader.get("format") not in _ANY_TEXT


def _is_of(value: Any, kind: Any) -> bool:
    kinds: dict[Any, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "null": (type(None),),
        "array": (list,),
        "object": (dict,),
    }
    return kind not in kinds or type(value) in kinds[kind]


def _same_text(writer: Schema, reader: Schema) -> bool:
    was, now = writer.get("format"), reader.get("format")
    return was == now or now in _ANY_TEXT


def _limits(writer: Schema, reader: Schema, path: str) -> Iterator[Narrowing]:
    for key in (*_LOWER, *_UPPER):
        if key not in reader:
            continue
        was, now = writer.get(key), reader[key]
        if was is None and key in ("minLength", "minItems", "minProperties"):
            was = 0
        tighter = was is None or (
            _number(was) < _number(now) if key in _LOWER else _number(was) > _number(now)
        )
        if tighter and not _implied(writer, key, _number(now)):
            yield Narrowing(path, f"{key} was {_or_none(writer.get(key))}, is {now}", True)
    for key in _SAME:
        if key in reader and writer.get(key) != reader[key]:
            was = _or_none(writer.get(key))
            yield Narrowing(path, f"{key} was {was}, is {reader[key]}", True)


def _implied(writer: Schema, key: str, now: float) -> bool:
    """Whether another limit of the same side keeps values within."""
    if key in ("minimum", "maximum"):
        other = "exclusiveMinimum" if key == "minimum" else "exclusiveMaximum"
    elif key in ("exclusiveMinimum", "exclusiveMaximum"):
        other = "minimum" if key == "exclusiveMinimum" else "maximum"
    else:
        return False
    if other not in writer:
        return False
    beyond = _number(writer[other]) - now if key in _LOWER else now - _number(writer[other])
    return beyond > 0 or (beyond == 0 and key in ("minimum", "maximum"))


def _number(value: Any) -> float:
    return float(value)


def _or_none(value: Any) -> str:
    return "none" if value is None else str(value)


def _tag(schema: Schema, definitions: Schema) -> Any:
    """Returns what tells one choice of a union from the others: its tags, or its type and form."""
    properties = schema.get("properties", {})
    tags = [
        (name, repr(found.get("const")))
        for name in sorted(properties)
        if "const" in (found := _resolved(properties[name], definitions))
    ]
    if tags:
        return tags
    return schema.get("type"), schema.get("format"), sorted(properties)


def _field(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(schema: Schema) -> str:
    if (members := _members(schema)) is not None:
        return f"one of {', '.join(map(repr, members))}"
    kind = str(schema.get("type", "anything"))
    form = schema.get("format")
    return form if form == DECIMAL else f"{kind} ({form})" if form else kind
