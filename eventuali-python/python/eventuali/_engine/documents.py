"""Documents of read models: as they are stored, as they are changed, and as they are found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

from eventuali._engine.operation import Operation
from eventuali._eventuali import Projection as Core
from eventuali._eventuali import Words
from eventuali.codec.json import Codec, Inexact
from eventuali.errors import SerializationError
from eventuali.event._names import check_name
from eventuali.projection._model import (
    WORDS_BYTES,
    ReadModel,
    Scalar,
    entries,
    set_key,
    texts,
)

M = TypeVar("M", bound=ReadModel)

Document: TypeAlias = tuple[str, str, bytes | None, list[tuple[str, Scalar]], Words | None]
"""(model, key, JSON or None, entries of the index, words of its texts)"""


def codec(model: type[ReadModel]) -> Codec[Any]:
    """Returns how documents of a model are stored; worked out once a class."""
    found: Codec[Any] | None = model.__codec__
    if found is None:
        found = model.__codec__ = Codec(model)
    return found


def check_key(key: object) -> None:
    """Refuses what can't be the key of a document.

    Raises:
        InvalidEventError: The text breaks the grammar of names.
        TypeError: It is not a str.
    """
    if key is None:
        raise TypeError(
            "key must be a str, not None; an event that belongs to no aggregate has no aggregate_id"
        )
    check_name("key", key)


def encoded(model: type[ReadModel], key: str, document: ReadModel | None) -> Document:
    """Returns what is stored of a document; None deletes it.

    Raises:
        InvalidEventError: The key is not acceptable.
        SerializationError: A value would not come back as it is; `path` says which.
        TypeError: A value can't be indexed or searched.
        ValueError: A value is too large for the index, or the words of its texts are.
    """
    name = model.__model_name__
    check_key(key)
    if document is None:
        return name, key, None, [], None
    try:
        json = codec(model).encode(document)
    except Inexact as refused:
        where = f"{name}.{refused.path}" if refused.path else name
        text = f"{where} can't be stored exactly: {refused.reason}"
        raise SerializationError(text, path=refused.path) from refused.__cause__
    set_key(document, key)
    refuse_large(name, key, json)
    return name, key, json, entries(document), words(document)


def words(document: ReadModel) -> Words | None:
    """Returns the words of a document's texts; None if there are none.

    Raises:
        TypeError: A field holds no text.
        ValueError: They are too large.
    """
    if not type(document).__texts__:
        return None
    found = Words(texts(document))
    if len(found) > WORDS_BYTES:
        fields = ", ".join(type(document).__texts__)
        raise ValueError(
            f"{fields}: the words have {len(found):,} bytes; at most {WORDS_BYTES:,} can be "
            "searched"
        )
    return found if len(found) else None


def refuse_large(name: str, key: str, json: bytes) -> None:
    """Refuses a document that no record holds.

    Raises:
        SerializationError: It is larger.
    """
    if len(json) > DOCUMENT_BYTES:
        raise SerializationError(
            f"the document {key!r:.60} of {name} has {len(json):,} bytes as JSON; at most "
            f"{DOCUMENT_BYTES:,} can be stored"
        )


def encoded_all(model: type[ReadModel], documents: dict[str, ReadModel]) -> list[Document]:
    """Returns what is stored of documents, by their keys.

    Raises:
        Inexact: A value of one would not come back as it is.
        TypeError: A value of one can't be indexed or searched.
        ValueError: A value of one is too large for the index, or the words of its texts are.
    """
    name = model.__model_name__
    jsons = codec(model).encode_all(documents.values())
    for key, json in zip(documents, jsons, strict=True):
        if len(json) > DOCUMENT_BYTES:
            refuse_large(name, key, json)
    for key, document in documents.items():
        set_key(document, key)
    if not (model.__indexed__ or model.__texts__):
        none: list[tuple[str, Scalar]] = []
        return [(name, key, json, none, None) for key, json in zip(documents, jsons, strict=True)]
    return [
        (name, key, json, entries(document), words(document))
        for (key, document), json in zip(documents.items(), jsons, strict=True)
    ]


def decoded(model: type[M], key: str, json: bytes) -> M:
    """Returns the document of what is stored.

    Raises:
        SerializationError: It does not fit its class.
    """
    try:
        document: M = codec(model).decode(json)
    except Exception as error:
        text = (
            f"the document {key!r:.260} of {model.__model_name__} does not fit its class: "
            f"{str(error) or repr(error)}; raise the version of the projection to build it anew"
        )
        raise SerializationError(text) from error
    set_key(document, key)
    return document


DOCUMENT_BYTES = 8 << 20
KEYS = 1000
"""How many documents are read at a time."""

Address: TypeAlias = tuple[type[ReadModel], str]


class Changes:
    """The documents that the free form has read and written, as JSON.

    They are kept from page to page: nobody else changes them as long as the cursor is where it was.
    """

    def __init__(self, core: Core, number: int) -> None:
        self._core = core
        self._number = number
        self._known: dict[Address, bytes | None] = {}
        self._changed: dict[Address, Document] = {}
        self._models: set[str] = set()

    def _begin_page(self, most: int) -> None:
        """Begins a page; forgets what was used longest ago, but for the last page's changes."""
        for place in self._changed:
            self._known[place] = self._known.pop(place)
        if len(self._known) > most:
            for place in list(self._known)[: len(self._known) - most]:
                if place not in self._changed:
                    del self._known[place]
        self._changed = {}

    def _get(self, model: type[M], key: str) -> Operation[M | None]:
        """Returns the document of a key, which is read where it is not known yet."""
        if (model, key) not in self._known:
            yield from self._read(model, [key])
        json = self._known[model, key]
        return None if json is None else decoded(model, key, json)

    def _get_many(self, model: type[M], keys: Iterable[str]) -> Operation[dict[str, M]]:
        """Returns the documents of several keys, of which unknown ones are read together."""
        wanted = list(dict.fromkeys(keys))
        unknown = [key for key in wanted if (model, key) not in self._known]
        for first in range(0, len(unknown), KEYS):
            yield from self._read(model, unknown[first : first + KEYS])
        there = ((key, self._known[model, key]) for key in wanted)
        return {key: decoded(model, key, json) for key, json in there if json is not None}

    def _read(self, model: type[ReadModel], keys: list[str]) -> Operation[None]:
        check_model(model)
        for key in keys:
            check_key(key)
        found, _ = yield self._core.documents(self._number, model.__model_name__, keys)
        there = dict(found)
        for key in keys:
            self._known[model, key] = there.get(key)

    def put(self, key: str, document: ReadModel) -> None:
        """Writes a document under a key.

        Raises:
            TypeError: It is not a document, or the key not a str.
            InvalidEventError: The key is not 1 to 255 bytes of visible text.
            SerializationError: A value would not come back as it is.
        """
        model = type(document)
        check_model(model)
        self._note(model, key, encoded(model, key, document))

    def delete(self, model: type[ReadModel], key: str) -> None:
        """Deletes a document, if there is one."""
        check_model(model)
        self._note(model, key, encoded(model, key, None))

    def _note(self, model: type[ReadModel], key: str, written: Document) -> None:
        self._known[model, key] = written[2]
        self._changed[model, key] = written
        self._models.add(model.__model_name__)

    def _changed_documents(self) -> list[Document]:
        """Returns what is to be written."""
        return list(self._changed.values())


def check_model(model: object) -> None:
    """Refuses what is no class of read models.

    Raises:
        TypeError: It is none.
    """
    if not (isinstance(model, type) and issubclass(model, ReadModel) and model is not ReadModel):
        raise TypeError(f"a read model must be a class derived from ReadModel, not {model!r:.60}")
