"""A catalog of events in Markdown: fields, versions, and who has to do with each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from eventuali.aggregate import Aggregate
from eventuali.aggregate._commands import MARK, methods_of
from eventuali.errors import ConfigurationError
from eventuali.event import Event
from eventuali.event._registry import shown
from eventuali.projection import Projection
from eventuali.schema._markup import code, label, plain, row
from eventuali.schema._program import Program, program
from eventuali.schema._registry import Registry
from eventuali.schema._sources import Maker, makers

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Part:
    """A method or function that has to do with an event.

    Attributes:
        owner: The name of its class; empty for a function.
        name: Its name, with its class.
        command: The name of the command that it handles; empty for none.
        model: The name of the read model that it keeps; empty for none.
    """

    owner: str
    name: str
    command: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """An event, and what has to do with it."""

    event: type[Event]
    raised: tuple[Part, ...]
    applied: tuple[Part, ...]
    handled: tuple[Part, ...]


def catalog(*modules: str, recorded: Registry | None = None) -> str:
    """Returns a catalog of the events of modules in Markdown; the same for the same code.

    Args:
        modules: The names of modules, which are imported with all their submodules.
        recorded: The registry, for the versions that were stored.

    Raises:
        ConfigurationError: A module can't be imported, there is no event, or an aggregate has a
            handler whose annotation can't be resolved.
    """
    found = program(modules)
    described = describe(found)
    lines = [
        "# Events",
        "",
        f"Made by `python -m eventuali schema catalog {' '.join(modules)}`. Who raises an event is "
        "found by reading the source: functions and methods that make one.",
        "",
        row("event", "version", "class"),
        "|---|---|---|",
    ]
    for each in described:
        cls = each.event
        version = str(cls.__event_version__)
        lines.append(row(code(cls.__event_type__), version, code(shown(cls))))
    for each in described:
        lines += ["", *_section(each, recorded)]
    lines += ["", "## Flows"]
    for title, group in _groups(described).items():
        lines += ["", f"### {plain(title)}", "", "```mermaid", "flowchart LR", *_flow(group), "```"]
    return "\n".join(lines) + "\n"


def describe(found: Program) -> list[Described]:
    """Returns the events of a program, sorted by wire name, each with what concerns it."""
    made = makers(found.modules, found.events)
    described = [
        Described(
            event,
            tuple(_raising(maker, found) for maker in made if maker.event is event),
            tuple(_applying(found.aggregates, event)),
            tuple(_handling(found.projections, event)),
        )
        for event in found.events
    ]
    return sorted(described, key=lambda each: (each.event.__event_type__, shown(each.event)))


def of_described(described: Described) -> dict[str, Any]:
    """Returns an event and what concerns it as JSON."""
    cls = described.event
    into = cls.__becomes__
    return {
        "event_type": cls.__event_type__,
        "version": cls.__event_version__,
        "class": shown(cls),
        "description": inspect.cleandoc(vars(cls).get("__doc__") or ""),
        "formerly": list(cls.__formerly__),
        "readable_by": cls.__readable_by__,
        "becomes": None if into is None else [each.__event_type__ for each in into],
        "steps": sorted(cls.__upcasters__),
        "fields": [
            {
                "name": name,
                "type": _type(field, cls),
                "required": field.is_required(),
                "description": field.description or "",
            }
            for name, field in cls.__pydantic_fields__.items()
        ],
        "raised_by": [asdict(part) for part in described.raised],
        "applied_by": [asdict(part) for part in described.applied],
        "handled_by": [asdict(part) for part in described.handled],
    }


def _raising(maker: Maker, found: Program) -> Part:
    method = maker.name.rpartition(".")[2]
    if maker.owner is None:
        marked = (f for f in found.functions if getattr(f, "__qualname__", "") == maker.name)
        return Part("", maker.name, next((_command(each) for each in marked), ""))
    command = ""
    if issubclass(maker.owner, Aggregate):
        handled = (each for each in methods_of(maker.owner).values() if each.name == method)
        command = next((each.mark.message.__qualname__ for each in handled), "")
    return Part(maker.owner.__qualname__, maker.name, command)


def _command(function: Any) -> str:
    message: type = getattr(function, MARK).message
    return message.__qualname__


def _applying(aggregates: Iterable[type[Aggregate]], event: type[Event]) -> Iterator[Part]:
    for aggregate in aggregates:
        try:
            method = aggregate.__dispatch__.complete().method_of(event)
        except TypeError as error:
            raise ConfigurationError(str(error)) from error
        if method is not None:
            owner = aggregate.__qualname__
            yield Part(owner, f"{owner}.{method}")


def _handling(projections: Iterable[type[Projection[Any]]], event: type[Event]) -> Iterator[Part]:
    for projection in projections:
        handler = projection.__handlers_of_all__().get(event)
        if handler is not None:
            model = projection.__model__
            owner = projection.__qualname__
            name = "" if model is None else model.__qualname__
            yield Part(owner, f"{owner}.{handler.name}", model=name)


# --- a section ------------------------------------------------------------------------------------


def _section(described: Described, recorded: Registry | None) -> Iterator[str]:
    cls = described.event
    yield f"## {plain(cls.__event_type__)}"
    yield ""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    if text:
        yield from (plain(line) for line in text.split("\n\n")[:1])
        yield ""
    yield from _facts(cls, recorded)
    yield ""
    fields = cls.__pydantic_fields__
    if fields:
        yield row("field", "type", "default", "description")
        yield "|---|---|---|---|"
        for name, field in fields.items():
            yield row(code(name), code(_type(field, cls)), _default(field),
                      plain(field.description or ""))  # fmt: skip
    else:
        yield "It has no fields."
    yield ""
    for title, parts in (
        ("Raised by", described.raised),
        ("Applied by", described.applied),
        ("Handled by", described.handled),
    ):
        yield f"- {title}: {', '.join(map(_named, parts)) or 'nobody that was found'}"


def _named(part: Part) -> str:
    return code(part.name) + (f" on {code(part.command)}" if part.command else "")


def _facts(cls: type[Event], recorded: Registry | None) -> Iterator[str]:
    version = cls.__event_version__
    yield f"- Class: {code(shown(cls))}, version {version}"
    if former := cls.__formerly__:
        yield f"- Earlier names: {', '.join(map(code, former))}"
    if (oldest := cls.__readable_by__) is not None:
        yield f"- Readable by code of version {oldest} or later"
    into = cls.__becomes__
    if into is not None:
        names = ", ".join(code(each.__event_type__) for each in into) or "nothing"
        yield f"- Retired: a stored one becomes {names}"
    noted = [] if recorded is None else recorded.versions(cls.__event_type__)
    if noted:
        yield f"- Noted versions: {', '.join(str(each.version) for each in noted)}"
    for number, step in sorted(cls.__upcasters__.items()):
        name = str(getattr(step, "__qualname__", repr(step)))
        about = inspect.cleandoc(getattr(step, "__doc__", None) or "").partition("\n")[0]
        target = str(number + 1) if number < version else "its successors"
        tail = f": {plain(about)}" if about else ""
        yield f"- Step {number} → {target}: {code(name)}{tail}"


def _type(field: FieldInfo, cls: type[Event]) -> str:
    text = inspect.formatannotation(field.annotation, base_module=cls.__module__)
    return _ADDRESS.sub("", text).replace("typing.", "")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return f"made by {code(getattr(field.default_factory, '__qualname__', 'a function'))}"
    if field.default is PydanticUndefined:
        return "required"
    return code(_ADDRESS.sub("", f"{field.default!r:.60}"))


# --- the diagram ----------------------------------------------------------------------------------


def _groups(described: Iterable[Described]) -> dict[str, list[Described]]:
    """Returns the events by what raises or applies them: a diagram for each."""
    found: dict[str, list[Described]] = {}
    for each in described:
        part = next(iter((*each.applied, *each.raised)), None)
        title = "Other events" if part is None else part.owner or part.name
        found.setdefault(title, []).append(each)
    return dict(sorted(found.items()))


class _Nodes:
    """The nodes of a diagram, numbered in the order in which they come up."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._ids: dict[tuple[str, str], str] = {}

    def of(self, kind: str, name: str) -> str:
        """Returns the id of a node; a kind has a shape of its own."""
        if (kind, name) not in self._ids:
            self._ids[kind, name] = identity = f"n{len(self._ids) + 1}"
            begin, end = _SHAPES[kind]
            self.lines.append(f"    {identity}{begin}{label(name)}{end}")
        return self._ids[kind, name]


_SHAPES = {
    "command": ("[/", "/]"),
    "code": ("[", "]"),
    "event": ("([", "])"),
    "projection": ("[[", "]]"),
    "model": ("[(", ")]"),
}


def _flow(described: Iterable[Described]) -> Iterator[str]:
    """Yields the lines of a diagram: command, aggregate, event, projection, read model."""
    nodes = _Nodes()
    edges: dict[str, None] = {}
    for each in described:
        event = nodes.of("event", each.event.__event_type__)
        for part in each.raised:
            source = nodes.of("code", part.owner or part.name)
            if part.command:
                edges[f"    {nodes.of('command', part.command)} --> {source}"] = None
            edges[f"    {source} --> {event}"] = None
        for part in each.handled:
            target = nodes.of("projection", part.owner)
            edges[f"    {event} --> {target}"] = None
            if part.model:
                edges[f"    {target} --> {nodes.of('model', part.model)}"] = None
    yield from nodes.lines
    yield from edges
