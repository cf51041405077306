"""One log, three versions of a program: each reads what the others have stored, or says why not.

    uv run python examples/06_event_versioning.py

The booking of a gym gets a currency, and then another unit. The class of a version is made by a
function, as if each were deployed by itself.
"""

import tempfile
from pathlib import Path
from typing import Any

from eventuali import Event, UnknownEvent, upcast
from eventuali.errors import UnknownEventTypeError, UpcastError
from eventuali.sync import EventStore

BOOKED = "gym.booked"


def version_1() -> type[Event]:
    class Booked(Event, name=BOOKED):
        member: str
        euros: int

    return Booked


def version_2() -> type[Event]:
    """Says the currency, which a program of version 1 may pass over."""

    class Booked(Event, name=BOOKED, version=2, readable_by=1):
        member: str
        euros: int
        currency: str

        @upcast(1)
        @staticmethod
        def add_currency(data: dict[str, Any]) -> dict[str, Any]:
            return data | {"currency": "EUR"}

    return Booked


def version_3() -> type[Event]:
    """Counts in cents, which no older program can read."""

    class Booked(Event, name=BOOKED, version=3):
        member: str
        cents: int
        currency: str

        @upcast(1)
        @staticmethod
        def add_currency(data: dict[str, Any]) -> dict[str, Any]:
            return data | {"currency": "EUR"}

        @upcast(2)
        @staticmethod
        def in_cents(data: dict[str, Any]) -> dict[str, Any]:
            changed = dict(data)
            changed["cents"] = changed.pop("euros") * 100
            return changed

    return Booked


def forgetful() -> type[Event]:
    """Has raised the version and forgotten the step."""

    class Booked(Event, name=BOOKED, version=2):
        member: str
        euros: int
        currency: str

    return Booked


def deployed(url: str, cls: type[Event]) -> EventStore:
    """Opens the store as a program with this class does."""
    store = EventStore.create(url)
    store.register_event_class(BOOKED, cls)
    return store


def show(program: str, store: EventStore) -> None:
    for event in store.read():
        at = f"{event.position}, stored in version {event.event_version}"
        print(f"  {program} reads {at}: {event}")


def stored(store: EventStore) -> list[tuple[int, bytes]]:
    raw = [event for event in store.read(raw="all") if isinstance(event, UnknownEvent)]
    return [(event.event_version, event.payload) for event in raw]


def main(url: str) -> None:
    one, two, three = version_1(), version_2(), version_3()
    with deployed(url, one) as old, deployed(url, two) as middle, deployed(url, three) as new:
        old.append([one.from_dict({"member": "Ada", "euros": 30})])
        middle.append([two.from_dict({"member": "Eve", "euros": 25, "currency": "CHF"})])
        before = stored(old)

        print("Three programs side by side on one log")
        show("version 1", old)
        show("version 2", middle)
        show("version 3", new)
        assert [event.model_extra for event in old.read()] == [None, {"currency": "CHF"}]
        assert [event.to_dict()["cents"] for event in new.read()] == [3000, 2500]

        print("Version 3 stores an event: an older program does not take it for one of its own")
        new.append([three.from_dict({"member": "Bob", "cents": 1999, "currency": "EUR"})])
        for store in (old, middle):
            try:
                list(store.read())
            except UnknownEventTypeError as error:
                print(f"  {error}")
            else:
                raise AssertionError("an older program has read it")
        assert len(list(old.read(raw=True))) == 3

    print("A program that has raised the version and forgotten the step")
    with deployed(url, forgetful()) as store:
        try:
            list(store.read())
        except UpcastError as error:
            print(f"  {error}")
            failed_at = error.event_type, error.event_version, error.position
        else:
            raise AssertionError("version 1 was read without a step")
        assert failed_at == (BOOKED, 1, 1)
        assert stored(store)[:2] == before, "what is stored has changed"
    print("Nobody has changed what is stored.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(str(Path(directory) / "gym.db"))
