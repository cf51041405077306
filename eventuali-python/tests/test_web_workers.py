"""An API under Uvicorn with two workers: conflicts, repetition, ids, waits, event streams."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep

import httpx
import pytest
from servers import LIMIT, Server, at_once, messages, served
from stores import each_shared


@each_shared
def test_a_conflict_says_what_was_expected_and_found(kind, tmp_path):
    with served(kind, tmp_path) as (_, clients):
        for version in range(20):
            params = {"expected": version}
            answers = at_once([partial(each.put, "/jars/a", params=params) for each in clients])
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            (lost,) = (answer for answer in answers if answer.status_code == 409)
            assert lost.headers["Content-Type"] == "application/problem+json"
            problem = lost.json()
            assert problem["type"] == "urn:problem-type:eventuali:conflict"
            assert problem["status"] == 409
            assert problem["stream"] == ["web.jar", "a"]
            assert problem["expected"] == (version or "no_stream")
            assert problem["actual"] == version + 1
        assert clients[0].get("/jars/a/now").json()["total"] == 20


@each_shared
def test_a_repeated_request_has_one_effect_and_one_answer(kind, tmp_path):
    with served(kind, tmp_path) as (_, clients):
        for number in range(10):
            key = {"Idempotency-Key": f"request-{number:010}"}
            send = {"params": {"amount": 2}, "headers": key}
            answers = at_once([partial(each.post, "/jars/a", **send) for each in clients * 2])
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            assert answers[0].json()["total"] == 2 * (number + 1)
        assert clients[0].get("/jars/a/now").json()["total"] == 20
        other = clients[1].post("/jars/a", params={"amount": 3}, headers=key)
        assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (
            422,
            "command-id-reused",
        )
        # Without the same key it has an effect each time.
        for number in range(2):
            key = {"Idempotency-Key": f"another-{number:010}"}
            clients[0].post("/jars/a", params={"amount": 1}, headers=key).raise_for_status()
        assert clients[1].get("/jars/a/now").json()["total"] == 22


def mixed(clients: list[httpx.Client]) -> int:
    """Sends 200 requests at once, and counts the events with an id or user of another one."""

    def send(number: int) -> None:
        headers = {"X-Correlation-ID": f"request-{number}", "X-User": f"user-{number}"}
        answer = clients[number % 2].post(f"/notes/{number}", headers=headers)
        assert answer.json() == number
        assert answer.headers["X-Correlation-ID"] == f"request-{number}"

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(send, range(200)))
    events = clients[0].get("/events").json()
    assert sorted(event["data"]["number"] for event in events) == list(range(200))
    return sum(
        (event["correlation_id"], event["user_id"])
        != (f"request-{event['data']['number']}", f"user-{event['data']['number']}")
        for event in events
    )


@each_shared
def test_ids_of_requests_never_mix(kind, tmp_path):
    with served(kind, tmp_path) as (_, clients):
        assert mixed(clients) == 0
        # A plain function runs in a thread.
        headers = {"X-Correlation-ID": "in-a-thread"}
        assert clients[0].get("/who", headers=headers).json()["correlation"] == "in-a-thread"


def test_ids_that_mix_are_seen(tmp_path):
    with served("sqlite", tmp_path, "global") as (_, clients):
        assert mixed(clients) > 0


@each_shared
def test_a_write_is_read_from_the_other_worker(kind, tmp_path):
    with served(kind, tmp_path) as (_, clients):
        for number in range(20):
            write, read = random.sample(clients, 2)
            key = {"Idempotency-Key": f"request-{number:010}"}
            written = write.post("/jars/a", params={"amount": 1}, headers=key).json()
            params = {"wait_for": written["position"]}
            shown = read.get("/jars/a", params=params, headers={"X-Limit": "30"})
            assert shown.json()["total"] >= written["total"] == number + 1
        # A position that nobody wrote is waited for within the bound.
        params = {"wait_for": 10**9}
        late = clients[0].get("/jars/a", params=params, headers={"X-Limit": "0.1"})
        assert (late.status_code, late.headers["Retry-After"]) == (503, "1")
        assert late.json()["type"] == "urn:problem-type:eventuali:not-shown-yet"
        assert late.json()["position"] == 10**9
        for wrong in (-1, "x", 10**30):
            assert clients[0].get("/jars/a", params={"wait_for": wrong}).status_code == 422


@each_shared
def test_a_stream_resumes_without_a_gap_or_a_double(kind, tmp_path):
    total, chance = 150, random.Random(17)
    with served(kind, tmp_path) as (server, clients):

        def write() -> None:
            for number in range(total):
                writer = clients[number % 2]
                writer.post(f"/notes/{number}").raise_for_status()
                if number % 7 == 0:  # positions that the stream passes over
                    key = {"Idempotency-Key": f"request-{number:010}"}
                    writer.post("/jars/a", params={"amount": 1}, headers=key).raise_for_status()

        writing = threading.Thread(target=write)
        writing.start()
        seen: list[dict[str, str]] = []
        resumed = 0
        while len(seen) < total:
            headers = {"Last-Event-ID": seen[-1]["id"]} if seen else {}
            count = chance.randrange(1, 20)
            with httpx.stream(
                "GET", f"{server.url}/stream", headers=headers, timeout=LIMIT
            ) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                assert answer.headers["X-Correlation-ID"]
                for message in messages(answer.iter_lines()):
                    seen.append(message)
                    count -= 1
                    if count == 0 or len(seen) == total:
                        break
            resumed += 1
        writing.join(LIMIT)
        assert resumed > 5
        assert {message["event"] for message in seen} == {"web.noted"}
        shown = [json.loads(message["data"]) for message in seen]
        assert [one["data"]["number"] for one in shown] == list(range(total))
        assert [str(one["position"]) for one in shown] == [message["id"] for message in seen]
        for client in clients:  # a keep-alive notices that the clients are gone
            end = monotonic() + LIMIT
            while client.get("/streams").json():
                assert monotonic() < end
                sleep(0.05)


@contextmanager
def streaming(server: Server, clients: list[httpx.Client]) -> Iterator[list[Iterator[str]]]:
    """Opens streams until both workers have one, each of which has sent its first event."""
    clients[0].post("/notes/0").raise_for_status()
    opened: list[httpx.Response] = []
    lines: list[Iterator[str]] = []
    with httpx.Client(timeout=LIMIT, limits=httpx.Limits(max_connections=None)) as client:
        while not all(each.get("/streams").json() for each in clients):
            request = client.build_request("GET", f"{server.url}/stream")
            opened.append(client.send(request, stream=True))
            lines.append(opened[-1].iter_lines())
            assert next(messages(lines[-1]))["event"] == "web.noted"
            assert len(opened) < 200
        yield lines
        for answer in opened:
            answer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@each_shared
def test_streams_end_when_the_server_is_told_to_stop(kind, number, tmp_path):
    with served(kind, tmp_path) as (server, clients), streaming(server, clients) as lines:
        server.stop(number)
        for each in lines:
            assert not list(messages(each))  # it ended as a response ends, not broken off
        assert "ERROR" not in server.said(), server.said()


def test_a_server_whose_streams_do_not_end_does_not_stop(tmp_path):
    with served("sqlite", tmp_path, "deaf") as (server, clients), streaming(server, clients):
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(5)
        os.killpg(server.process.pid, signal.SIGKILL)


@each_shared
def test_responses_show_events_with_their_metadata(kind, tmp_path):
    with served(kind, tmp_path) as (_, clients):
        headers = {"X-Correlation-ID": "r-1", "X-User": "ada"}
        clients[0].post("/notes/7", headers=headers).raise_for_status()
        for path in ("/events", "/views"):
            (event,) = clients[1].get(path).json()
            assert event["data"] == {"number": 7}
            assert (event["event_type"], event["position"]) == ("web.noted", 1)
            assert (event["correlation_id"], event["user_id"]) == ("r-1", "ada")
        schema = clients[0].get("/openapi.json").json()
        schemas = schema["components"]["schemas"]
        (view,) = (name for name in schemas if name.startswith("EventView_"))
        assert schemas[view]["properties"]["data"]["anyOf"] == [
            {"$ref": "#/components/schemas/Saved"},
            {"$ref": "#/components/schemas/Noted"},
        ]
        stream = schema["paths"]["/stream"]["get"]["responses"]["200"]["content"]
        assert list(stream) == ["text/event-stream"]
        problem = schema["paths"]["/jars/{id}"]["put"]["responses"]["409"]["content"]
        assert "expected" in problem["application/problem+json"]["schema"]["properties"]
        answer = clients[0].get("/jars/none/now")
        assert (answer.status_code, answer.json()["stream"]) == (404, ["web.jar", "none"])
        key = {"Idempotency-Key": "request-0000000001"}
        answer = clients[0].post("/jars/a", params={"amount": -1}, headers=key)
        assert (answer.status_code, answer.json()["detail"]) == (422, "less than nothing")
        for wrong in ("nonsense", "-1", "9" * 30):
            answer = clients[0].get("/stream", headers={"Last-Event-ID": wrong})
            assert answer.status_code == 422
