"""Searching the words of documents: `ReadModel(text=…)` and `search`."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Optional

import plans
import pytest
from pots import SAFETY, caught_up, put, running, until_status
from stores import administrator, each_api, each_kind, each_store, schema_of, url_of
from stores import run as run_on

from eventuali import Event, Projection, ReadModel, sync
from eventuali._eventuali import Words
from eventuali.errors import ConfigurationError


class Written(Event):
    title: str | None = None
    body: str = ""
    tags: tuple[str, ...] = ()
    note: int = 0


class Withdrawn(Event):
    pass


class Article(ReadModel, index=("title",), text=("title", "body", "tags")):
    title: Optional[str]  # noqa: UP045
    body: str
    tags: tuple[str, ...]
    note: int = 0


class Articles(Projection[Article]):
    def on_written(self, event: Written, doc: Article | None) -> Article:
        return Article(title=event.title, body=event.body, tags=event.tags, note=event.note)

    def on_withdrawn(self, event: Withdrawn, doc: Article) -> None:
        return None


class Newer(Projection[Article], name="Articles", version=2):
    """The same articles, with a word more."""

    def on_written(self, event: Written, doc: Article | None) -> Article:
        return Article(title=event.title, body=f"{event.body} newer", tags=event.tags)


class Plain(ReadModel, index=("author",)):
    author: str


def run(api, kind, folder, test):
    async def limited(store):
        async with asyncio.timeout(4 * SAFETY):
            await test(store)

    run_on(api, kind, folder, limited)


async def write(store, key: str, body: str = "", title: str | None = None, **fields: Any):
    return await put(store, key, Written(title=title, body=body, **fields))


async def keys(store, text: str, **options) -> list[str]:
    return [article.key for article in await store.search(Article, text, **options)]


each_searchable = pytest.mark.parametrize(
    ("kind", "api"),
    [("sqlite-memory", "sync"), ("sqlite", "async"), ("sqlite", "sync"), ("postgres", "async"),
     ("postgres", "sync")],
)  # fmt: skip

TEXTS = {
    "de": "Die Straße über Größen, GROSS und klein",
    "el": "Ὀδυσσεύς, ὁ πολύτροπος",
    "emoji": "party 🎉 time ❤️ 2024-11-29 v2.0",
    "en": "Event sourcing isn't event-driven; O'Neil's e-mail",
    "fr": "L’été, l'œuvre et le déjà-vu",
    "ja": "東京都の天気とカタカナ",
    "sql": "SELECT * FROM words WHERE a = 'b' AND c NOT LIKE \"d%\" -- |&!<->():*^",
}
FOUND = {
    "strasse": ["de"],
    "STRASSE GRÖSSEN": ["de"],
    "grö*": ["de"],
    '"und klein"': ["de"],
    '"klein und"': [],
    "οδυσσευσ": ["el"],
    "ΠΟΛΥΤΡΟΠΟΣ": ["el"],
    "time party 🎉": ["emoji"],
    "2024-11": ["emoji"],
    "11-2024": [],
    "v2": ["emoji"],
    "isn’t sourc*": ["en"],
    '"event sour"*': ["en"],
    "sourc": [],
    "e-mail oneil": [],
    "oeuvre ete": ["fr"],
    "DEJA": ["fr"],
    "京都": ["ja"],
    "天気 東京": ["ja"],
    "京東": [],
    "a AND c": ["sql"],
    "a NEAR/2 b": [],
    "('b' | !c & <-> d:*)": ["sql"],
    '"a': ["sql"],
    "words:select": [],
    "^select -c": ["sql"],
    "e*": ["en", "fr"],
}


@each_searchable
def test_both_backends_find_the_same(kind, api, tmp_path):
    async def test(store):
        for key, body in TEXTS.items():
            await write(store, key, body)
        await caught_up(store, Articles())
        found = {text: sorted(await keys(store, text)) for text in FOUND}
        assert found == FOUND

    run(api, kind, tmp_path, test)


@each_searchable
def test_documents_come_best_first_and_by_key(kind, api, tmp_path):
    async def test(store):
        filler = "and so on and so forth, as it always goes, until the very end of it"
        for number in range(9):
            await write(store, f"none {number}", f"{filler} {number}")
        for key in ("c", "a", "d"):
            await write(store, key, f"{filler} needle")
        await write(store, "b", "needle needle needle", "Needle")
        await caught_up(store, Articles())
        assert await keys(store, "needle") == ["b", "a", "c", "d"]
        assert await keys(store, "needle", limit=2) == ["b", "a"]
        (best,) = await store.search(Article, "needle", limit=1)
        assert type(best) is Article
        assert (best.key, best.title, best.tags) == ("b", "Needle", ())
        assert len(await keys(store, "so", limit=1000)) == 12

    run(api, kind, tmp_path, test)


@each_searchable
def test_a_phrase_stands_in_one_field_and_words_in_any(kind, api, tmp_path):
    async def test(store):
        await write(store, "a", "second half", "First half", tags=("new", "old news"))
        await caught_up(store, Articles())
        for text in ("first second", "new old", '"old news"', '"second half"', "half first"):
            assert await keys(store, text) == ["a"], text
        for text in ('"half second"', '"half new"', '"new old"'):
            assert await keys(store, text) == [], text
        assert [each.key for each in await store.find(Article, title="First half")] == ["a"]

    run(api, kind, tmp_path, test)


@each_searchable
def test_words_follow_the_documents(kind, api, tmp_path):
    async def test(store):
        async with running(store, Articles()) as found:
            for body, text, wanted in (
                ("one two", "two", ["a"]),
                ("two three", "two", ["a"]),
                ("three", "two", []),
                ("", "three", []),
                ("one", "one", ["a"]),
            ):
                committed = await write(store, "a", body)
                await found.wait_for(committed, timeout=SAFETY)
                assert await keys(store, text) == wanted, (body, text)
            await found.wait_for(await put(store, "a", Withdrawn()), timeout=SAFETY)
            assert await keys(store, "one") == []
            committed = await write(store, "a", "one again", note=2)
            await found.wait_for(committed, timeout=SAFETY)
            assert await keys(store, "one") == ["a"]
        verified = await store.verify()
        assert verified.ok, verified.damage

    run(api, kind, tmp_path, test)


@each_searchable
def test_the_live_generation_is_searched(kind, api, tmp_path):
    async def test(store):
        for number in range(30):
            await write(store, f"a{number:02}", f"word {number}")
        await caught_up(store, Articles())
        assert await keys(store, "newer") == []
        await store.rebuild(Articles())
        assert len(await keys(store, "word", limit=100)) == 30
        await caught_up(store, Newer())
        assert len(await keys(store, "newer", limit=100)) == 30
        assert await keys(store, "word 7 newer") == ["a07"]
        assert (await store.verify()).ok

    run(api, kind, tmp_path, test)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_was_replaced_leaves_no_words(kind, tmp_path):
    place = url_of(kind, tmp_path)
    with sync.EventStore.create(place) as store:
        for number in range(30):
            store.append([Written(body=f"word {number}")], stream=("Article", f"a{number}"))
        store.append([Withdrawn()], stream=("Article", "a0"))
        with store.run(Articles()) as found:
            found.caught_up(timeout=SAFETY)
        assert words_rows(kind, tmp_path) == 29
        store.rebuild(Articles())
        assert words_rows(kind, tmp_path) == 29
    assert words_rows(kind, tmp_path) == 29


def words_rows(kind, folder) -> int:
    """Counts the rows that hold words, of all generations."""
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "events.db")) as db:
            (count,) = db.execute("SELECT count(*) FROM record_words_docsize").fetchone()
            return count
    with administrator() as db:
        sql = f"SELECT count(*) FROM {schema_of(folder)}.events_records WHERE lexemes IS NOT NULL"
        (count,) = db.execute(sql).fetchone()
        return count


@each_searchable
def test_tenants_search_their_own(kind, api, tmp_path):
    async def test(store):
        other = store.for_tenant("acme")
        for tenant, body in ((store, "shared one"), (other, "shared two")):
            await write(tenant, "a", body)
            await caught_up(tenant, Articles())
        assert await keys(store, "shared one") == ["a"]
        assert await keys(other, "shared one") == []
        assert await keys(other, "shared") == ["a"]

    run(api, kind, tmp_path, test)


@each_searchable
def test_the_free_form_writes_words_too(kind, api, tmp_path):
    class Free(Projection, name="Free"):
        def on_written(self, event: Written, docs: Any) -> None:
            docs.put(event.meta.aggregate_id, Article(title="Free", body=event.body, tags=()))

    async def test(store):
        await write(store, "a", "some words")
        await caught_up(store, Free())
        assert await keys(store, "free words") == ["a"]

    run(api, kind, tmp_path, test)


@each_api
def test_memory_keeps_documents_and_refuses_a_search(api, tmp_path):
    async def test(store):
        await write(store, "a", "some words", "Title")
        await caught_up(store, Articles())
        assert (await store.get(Article, "a")).body == "some words"
        assert [each.key for each in await store.find(Article, title="Title")] == ["a"]
        with pytest.raises(ConfigurationError, match="memory can't search texts"):
            await store.search(Article, "words")

    run(api, "memory", tmp_path, test)


@each_store
def test_a_query_without_a_word_is_refused(api, kind, tmp_path):
    async def test(store):
        for text in ("", "  ", "*", '""', "-- ' ;", "🎉"):
            with pytest.raises(ValueError, match="no word to search for"):
                await store.search(Article, text)
        with pytest.raises(ValueError, match="query words: 101, and the limit is 100"):
            await store.search(Article, "a " * 101)
        with pytest.raises(ValueError, match="lone surrogate"):
            await store.search(Article, "\ud800")
        with pytest.raises(TypeError):
            await store.search(Article, 5)
        for limit in (0, -1, 1001, 1.0, True, None):
            with pytest.raises(ValueError, match="limit must be an int of 1 to 1,000"):
                await store.search(Article, "a", limit=limit)
        with pytest.raises(ValueError, match=r"Plain has no text to search"):
            await store.search(Plain, "a")
        with pytest.raises(TypeError, match="derived from ReadModel"):
            await store.search(int, "a")

    run(api, kind, tmp_path, test)


@each_searchable
def test_before_anything_is_projected_nothing_is_found(kind, api, tmp_path):
    async def test(store):
        assert await store.search(Article, "a") == []

    run(api, kind, tmp_path, test)


@each_searchable
def test_a_text_that_is_too_large_stops_at_its_event(kind, api, tmp_path):
    async def test(store):
        await write(store, "a", "few words")
        await write(store, "b", "word " * 60_000)
        async with running(store, Articles(), waits=False) as found:
            status = await until_status(found, "faulted")
            assert isinstance(status.error, ValueError)
            assert "the words have 299,999 bytes; at most 262,144" in str(status.error)
            assert status.failed_at == 2
        assert await keys(store, "few") == ["a"]

    run(api, kind, tmp_path, test)


@each_kind
def test_a_view_in_memory_keeps_documents_with_texts(kind, tmp_path):
    async def test(store):
        await write(store, "a", "some words")
        view = Articles().in_memory()
        await caught_up(store, view)
        assert view["a"].body == "some words"
        assert not hasattr(view, "search")

    run("async", kind, tmp_path, test)


# --- what may be declared -------------------------------------------------------------------------

Name = NewType("Name", str)


@dataclass
class Other:
    text: str


def test_fields_of_texts_may_be_declared_in_many_ways():
    class All(ReadModel, text=("a", "b", "c", "d", "e", "f", "g", "h", "i")):
        a: str
        b: str | None
        c: list[str]
        d: tuple[str, ...]
        e: Name
        f: Annotated[str, "x"] = ""
        g: Literal["x", "y"] = "x"
        h: list[str | None] | None = None
        i: Any = None

    class Inherited(All, text=("j", "a")):
        j: str

    assert All.__texts__ == tuple("abcdefghi")
    assert Inherited.__texts__ == tuple("abcdefghij")


@pytest.mark.parametrize(
    "annotation", [int, bytes, dict[str, str], set[str], list[int], list, str | int, Other]
)
def test_other_fields_hold_no_text(annotation):
    with pytest.raises(TypeError, match="a can't be searched as"):
        type("Bad", (ReadModel,), {"__annotations__": {"a": annotation}}, text=("a",))


def test_text_names_fields():
    with pytest.raises(TypeError, match="'b' in text is not a field"):
        type("Bad", (ReadModel,), {"__annotations__": {"a": str}}, text=("b",))
    with pytest.raises(TypeError, match=r"text must be a tuple of names: text=\('a',\)"):
        type("Bad", (ReadModel,), {"__annotations__": {"a": str}}, text="a")


def test_a_value_that_is_no_text_is_refused():
    from eventuali._engine.documents import encoded

    class Anything(ReadModel, text=("a",)):
        a: Any

    assert encoded(Anything, "k", Anything(a=[None, ""]))[4] is None
    assert len(encoded(Anything, "k", Anything(a=["Ä", "b"]))[4]) == len("a ¶ b".encode())
    with pytest.raises(TypeError, match="a: a int can't be searched"):
        encoded(Anything, "k", Anything(a=5))


def test_words_have_neither_case_nor_accents():
    assert len(Words(["Straße", ""])) == len("strasse")
    assert len(Words([])) == 0


@each_searchable
def test_a_search_reads_one_generation_while_another_takes_its_place(kind, api, tmp_path):
    """Whatever moment it happens at, all that is found is of one generation."""

    async def test(store):
        for number in range(50):
            await write(store, f"a{number:02}", "word")
        await caught_up(store, Articles())
        done = False
        seen: set[tuple[int, int]] = set()

        async def search() -> None:
            while not done:
                found = await store.search(Article, "word", limit=100)
                seen.add((len(found), len({"newer" in each.body for each in found})))

        async with asyncio.TaskGroup() as group:
            group.create_task(search())
            for _ in range(3):
                await store.rebuild(Articles())
            await caught_up(store, Newer())
            done = True
        assert seen == {(50, 1)}

    run(api, kind, tmp_path, test)


def test_postgres_meets_the_words_of_its_space_only(tmp_path):
    """Without statistics, by the settings of our sessions: one space is large, the other is not."""
    with sync.EventStore.create(url_of("postgres", tmp_path)) as store:
        for tenant, count in ((store, 3000), (store.for_tenant("few"), 3)):
            for first in range(0, count, 500):
                numbers = range(first, min(first + 500, count))
                tenant.append([Written(body=f"shared {number}") for number in numbers])
            with tenant.run(Numbered()) as found:
                found.caught_up(timeout=SAFETY)
        assert len(store.for_tenant("few").search(Article, "shared")) == 3
    config = url_of("postgres", tmp_path)
    with administrator() as database:
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
            database.execute(f"SET {setting} = off")
        database.execute("SET plan_cache_mode = force_generic_plan")
        table = f"{config.schema}.{config.table_name}_records"
        database.execute(f"SELECT gin_clean_pending_list('{table}_lexemes_idx')")
        find = f"SELECT space, lexemes::text FROM {table} WHERE tenant = 'few' AND text LIKE '%0'"
        ((space, lexemes),) = database.execute(find).fetchall()
        (word,) = (each for each in lexemes.split() if "shared" in each)
        word = word.split(":")[0].replace("'", "''")
        values = f"'few', '{space}', '{word}', '{{{{}}}}', 20, true"
        lines = plans.explained_by_postgres(database, config, "records_by_words_forward", values)
    text = "\n".join(lines)
    assert "Seq Scan" not in text, text
    assert re.search(r"Bitmap Index Scan on \w+_lexemes_idx .*rows=3(\.00)? ", text), text


class Numbered(Projection[Article], name="Articles"):
    def key(self, event: Written) -> str:
        return str(event.meta.position)

    def on_written(self, event: Written, doc: Article | None) -> Article:
        return Article(title=event.title, body=event.body, tags=event.tags)
