"""Tags that the class of an event says: found by queries, however the event came about."""

from __future__ import annotations

import asyncio
import copy
import pickle
from functools import cached_property
from typing import ClassVar

import pytest
from labels import label
from pydantic import TypeAdapter, computed_field
from stores import each_store, gathered, opened, url_of

from eventuali import Aggregate, Event, InvalidEventError, Query, sync


class Enrolled(Event, name="tags.enrolled"):
    course: str
    student: str

    @property
    def tags(self) -> list[str]:
        return [f"course:{self.course}", f"student:{self.student}"]


class Labelled(Event, name="tags.labelled"):
    tags: list[str]
    number: int = 0


class Audited(Event, name="tags.audited"):
    tags: ClassVar[tuple[str, ...]] = ("audit",)


class Optional(Event, name="tags.optional"):
    tags: set[str] | None = None


class Cached(Event, name="tags.cached"):
    number: int

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return (f"n:{self.number}",)


class Computed(Event, name="tags.computed"):
    @computed_field
    @property
    def tags(self) -> tuple[str, ...]:
        return ("computed",)


class Counting(Event, name="tags.counting"):
    asked: ClassVar[int] = 0

    @property
    def tags(self) -> list[str]:
        type(self).asked += 1
        return [f"asked:{self.asked}"]


class Elsewhere(Event, name="tags.elsewhere"):
    """Has something of that name which is no collection of texts."""

    tags: dict[str, int] | list[int] | str | int


class Method(Event, name="tags.method"):
    def tags(self) -> str:
        return "no property"


class Topic(Aggregate):
    seen: list[str] = []  # noqa: RUF012

    def apply_enrolled(self, event: Enrolled) -> None:
        self.seen.append(event.course)


@each_store
def test_tags_that_a_class_says_are_stored_and_found(kind, api, tmp_path):
    async def main():
        async with opened(api, url_of(kind, tmp_path)) as store:
            await store.append([Enrolled(course="c1", student="ada")])
            await store.append([Labelled(tags=["red", "big"]), Labelled(tags=[], number=1)])
            topic = Topic(id="t")
            topic.apply(Enrolled(course="c2", student="ada"))
            topic.apply(Enrolled.model_validate({"course": "c2", "student": "bob"}))
            await store.save(topic)
            stored = await gathered(store.read())
            places = [event.meta.position for event in stored]

            async def found(*tags):
                return [event.position for event in await gathered(store.read(Query(tags=tags)))]

            assert await found("course:c1") == places[:1]
            assert await found("student:ada") == [places[0], places[3]]
            assert await found("course:c2", "student:bob") == places[4:]
            assert await found("red") == await found("big", "red") == places[1:2]
            assert stored[0].meta.tags == ("course:c1", "student:ada")
            assert stored[1].meta.tags == tuple(stored[1].tags) == ("red", "big")
            assert (stored[2].meta.tags, stored[2].tags) == ((), [])
            assert topic.version == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("event", "tags"),
    [
        (Audited(), ("audit",)),
        (Audited(correlation_id="c"), ("audit",)),
        (Optional(), ()),
        (Optional(tags={"b", "c", "a"}), ("a", "b", "c")),
        (Cached(number=3), ("n:3",)),
        (Computed(), ("computed",)),
        (Labelled(tags=["a", "b", "a"]), ("a", "b")),
        (Elsewhere(tags={"a": 1}), ()),
        (Elsewhere(tags=[1]), ()),
        (Elsewhere(tags="text"), ()),
        (Method(), ()),
        (Enrolled(course="c", student="s", tags=["vip"]), ("course:c", "student:s", "vip")),
        (Enrolled(course="c", student="s", tags=["student:s"]), ("course:c", "student:s")),
        (Enrolled.model_construct(course="c", student="s"), ("course:c", "student:s")),
        (TypeAdapter(Enrolled).validate_json('{"course": "c", "student": "s"}'),
         ("course:c", "student:s")),
    ],
    ids=label,
)  # fmt: skip
def test_what_a_class_may_say(event, tags):
    with sync.EventStore.create("memory://") as store:
        store.append([copy.copy(event)])
        store.append([pickle.loads(pickle.dumps(event)).model_copy()])
        assert [one.meta.tags for one in store.read()] == [tags, tags]
    assert event.meta.tags == tags


def test_a_copy_that_is_changed_says_other_tags():
    event = Enrolled(course="c1", student="ada", tags=["vip"])
    moved = event.model_copy(update={"course": "c2"})
    assert moved.meta.tags == ("course:c2", "student:ada", "vip")
    with sync.EventStore.create("memory://") as store:
        store.append([event])
        (stored,) = store.read()
        again = stored.model_copy(update={"student": "bob"})
        assert again.meta.tags == ("course:c1", "student:bob", "vip")
        assert stored.model_copy(update={"tags": ["new"]}).meta.tags[2:] == ("new",)


def test_they_are_asked_for_once():
    event = Counting()
    tags = event.meta.tags
    with sync.EventStore.create("memory://") as store:
        first = store.append([event])
        assert store.append([event]) == first
        (stored,) = store.read()
    assert event.meta.tags == stored.meta.tags == tags
    assert Counting.asked == 1


@pytest.mark.parametrize("wrong", [[1], "text", 5, ["a\x00"], [""], ["x" * 256], [None]])
def test_a_property_that_gives_no_tags_is_refused_and_nothing_is_stored(wrong):
    class Wrong(Event, name=f"tags.wrong.{hash(repr(wrong))}"):
        @property
        def tags(self):
            return wrong

    with sync.EventStore.create("memory://") as store:
        event = Wrong()
        for _ in range(2):
            with pytest.raises(InvalidEventError) as caught:
                store.append([event])
            assert caught.value.field == "tags"
        assert list(store.read()) == []


def test_a_property_that_raises_stores_nothing_and_is_asked_again():
    class Late(Event, name="tags.late"):
        ready: ClassVar[bool] = False

        @property
        def tags(self):
            if not self.ready:
                raise LookupError("not yet")
            return ["late"]

    with sync.EventStore.create("memory://") as store:
        event = Late()
        with pytest.raises(LookupError):
            store.append([event])
        Late.ready = True
        store.append([event])
        assert [one.meta.tags for one in store.read(Query(tags=["late"]))] == [("late",)]


def test_a_subclass_says_what_its_base_says():
    class Online(Enrolled, name="tags.online"):
        pass

    class Silent(Enrolled, name="tags.silent"):
        @property
        def tags(self):
            return []

    assert Online(course="c", student="s").meta.tags == ("course:c", "student:s")
    assert Silent(course="c", student="s").meta.tags == ()
