"""What the reference of the API leaves out of what the sources say."""

import griffe

INTERNAL = "Is not called directly"
HOOKS = {"__event_classes__", "__handlers__", "__ignored_names__"}
LAST = 1_000_000  # a line below every definition


class Docstrings(griffe.Extension):  # type: ignore[misc, unused-ignore]
    """Leaves out what only the package itself calls, and puts what a module defines first."""

    def on_class_members(self, *, cls: griffe.Class, **_: object) -> None:
        """Leaves out the hooks of classes, and constructors that are not called directly."""
        for name in HOOKS & cls.members.keys():
            del cls.members[name]
        constructor = cls.members.get("__init__")
        docstring = constructor.docstring if constructor else None
        if docstring is not None and docstring.value.startswith(INTERNAL):
            del cls.members["__init__"]

    def on_module_instance(self, *, mod: griffe.Module, **_: object) -> None:
        """Leaves out `::`, which says that what follows is shown as it stands."""
        if mod.docstring is not None:
            mod.docstring.value = mod.docstring.value.replace("\n::\n", "\n")

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Of what modules pass on, leaves what is of their private files, or is exported."""
        exported = set(pkg.exports or ())
        for module in pkg.modules.values():
            if module.name.startswith("_"):
                continue
            for name, member in list(module.members.items()):
                if not isinstance(member, griffe.Alias) or name not in (module.exports or ()):
                    continue
                if name in exported or member.target_path.startswith(f"{module.path}._"):
                    member.alias_lineno = LAST
                else:
                    del module.members[name]
