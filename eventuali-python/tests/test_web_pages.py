"""The programs of the pages on web frameworks, under Uvicorn with two workers."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from pathlib import Path

import httpx
import pytest
from servers import LIMIT, Server, at_once, messages, served
from stores import each_shared

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAD = """
import os, pickle
PLACE = pickle.loads(bytes.fromhex(os.environ["PLACE"]))
"""
NAMED = re.compile(r"# (settings|store|domain|views|middleware|asgi|urls)\.py\n")
URLS = """
def create(request: HttpRequest, product_id: str) -> HttpResponse:
    product = Product(id=product_id)
    product.apply(Restocked(quantity=1))
    event_store().save(product)
    return HttpResponse()

settings.ALLOWED_HOSTS = ["*"]
settings.ROOT_URLCONF = (
    *settings.ROOT_URLCONF,
    path("products/<str:product_id>/create", create),
    path("products/<str:product_id>/restock", restock),
    path("products/<str:product_id>/count", correct),
)
"""


def blocks(page: str) -> list[str]:
    return [block[1] for block in BLOCK.finditer((DOCS / page).read_text())]


def starlette_page() -> str:
    """The definitions of the page, without the calls."""
    code = [block for block in blocks("starlette.md") if "await calls" not in block]
    return "\n".join([HEAD, *code]).replace('"sqlite://bank.db"', "PLACE")


def django_page() -> str:
    """The modules of the page as one, which is also that of the middleware."""
    code = [block for block in blocks("django.md") if NAMED.match(block)]
    text = "\n".join([HEAD, *code, URLS]).replace('"sqlite://events.db"', "PLACE")
    setting = 'settings.MIDDLEWARE = ["page.EventMiddleware"]\n'
    assert text.count("# asgi.py\n") == 1
    return text.replace("# asgi.py\n", f"# asgi.py\n{setting}")


def resumed(url: str, count: int) -> list[dict[str, str]]:
    """Reads so many messages, one a connection."""
    seen: list[dict[str, str]] = []
    while len(seen) < count:
        headers = {"Last-Event-ID": seen[-1]["id"]} if seen else {}
        with httpx.stream("GET", f"{url}/stream", headers=headers, timeout=LIMIT) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert answer.headers["X-Correlation-ID"]
            seen.append(next(messages(answer.iter_lines())))
    return seen


def check_streams(server: Server, count: int) -> list[dict[str, str]]:
    """Resumes a stream, then stops the server while several are open; returns the messages."""
    seen = resumed(server.url, count)
    positions = [int(message["id"]) for message in seen]
    assert positions == sorted(set(positions))
    with httpx.Client(timeout=LIMIT) as client:
        open_ones = [
            client.send(client.build_request("GET", f"{server.url}/stream"), stream=True)
            for _ in range(4)
        ]
        lines = [answer.iter_lines() for answer in open_ones]
        for each in lines:
            assert next(messages(each)) == seen[0]
        server.stop(signal.SIGTERM)
        for each in lines:
            list(messages(each))  # it ended as a response ends
        for answer in open_ones:
            answer.close()
    return seen


@each_shared
@pytest.mark.parametrize("app", ["app", "api"], ids=["starlette", "litestar"])
def test_the_page_on_asgi_frameworks(app, kind, tmp_path):
    (tmp_path / "page.py").write_text(starlette_page())
    with served(kind, tmp_path, app=f"page:{app}") as (server, (client,)):
        for number in range(5):
            key = {"Idempotency-Key": f"request-{number:010}", "X-Correlation-ID": f"r-{number}"}
            send = partial(client.post, "/accounts/a/payments", json={"amount": 1}, headers=key)
            answers = at_once([send] * 4)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            assert {answer.headers["X-Correlation-ID"] for answer in answers} == {f"r-{number}"}
            shown = client.get("/accounts/a", params={"wait_for": answers[0].json()["position"]})
            assert shown.json() == {"amount": number + 1}
        events = client.get("/events").json()
        assert [event["correlation_id"] for event in events] == [f"r-{n}" for n in range(5)]
        assert client.get("/stream", headers={"Last-Event-ID": "x"}).status_code == 422
        check_streams(server, 5)


@each_shared
def test_the_page_on_django(kind, tmp_path):
    (tmp_path / "page.py").write_text(django_page())
    with served(kind, tmp_path, app="page:application") as (server, (client,)):
        missing = {"Idempotency-Key": "request-0000000000"}
        answer = client.post("/products/lamp/restock", data={"quantity": 1}, headers=missing)
        assert answer.status_code == 404
        assert client.get("/products/lamp/create").status_code == 200
        for number in range(5):
            key = {"Idempotency-Key": f"request-{number:010}", "X-Correlation-ID": f"r-{number}"}
            send = partial(client.post, "/products/lamp/restock", data={"quantity": 2}, headers=key)
            answers = at_once([send] * 4)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            assert answers[0].json()["in_stock"] == 1 + 2 * (number + 1)
            assert {answer.headers["X-Correlation-ID"] for answer in answers} == {f"r-{number}"}
        # Synchronous and asynchronous views, at once.
        paths = ["/products/lamp/sell", "/products/lamp/sell-async"] * 3
        sell = partial(client.post, data={"quantity": 1})
        answers = at_once(
            [
                partial(sell, path, headers={"X-Correlation-ID": f"s-{number}"})
                for number, path in enumerate(paths)
            ]
        )
        assert {answer.status_code for answer in answers} == {200}
        given = {"quantity": 1, "expected": 3}
        answer = client.post("/products/lamp/count", data=given)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (answer.status_code, problem["expected"], problem["actual"]) == (409, 3, 12)
        seen = check_streams(server, 6)
        ids = [json.loads(message["data"])["correlation_id"] for message in seen]
        assert sorted(ids) == [f"s-{number}" for number in range(6)]
