# SPDX-License-Identifier: EUPL-1.2
"""Pushed readings are on disk before the device hears yes."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from ingest.http_push import PushLimits, _split, push_router
from ingest.limits import Limiter, Limits
from lamppost.clock import ManualClock
from lamppost.flooding import EXCESSES
from lamppost.frames import Deliveries
from lamppost.log import EXCESS, FRAME, THROTTLED, Entry, Log, Record
from lamppost_app.sqlite_log import SqliteLog

NOW = 1_795_300_200_000_000_000
MESSAGE = b'{"sensor":"aq-1","time":"2026-11-21T21:00:00Z","values":{"pm2_5":12.10}}'
URL = "/api/v1/readings"
TYPE = {"Content-Type": "application/json"}


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[SqliteLog]:
    """A real inbox."""
    opened = SqliteLog(tmp_path / "inbox.db")
    yield opened
    opened.close()


def post(
    log: Log, body: bytes, headers: dict[str, str] | None = None, **options: Any
) -> httpx.Response:
    """Push a body through a fresh application."""
    app = FastAPI()
    app.include_router(push_router(log, clock=ManualClock(NOW), **options))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(URL, content=body, headers={**TYPE, **(headers or {})})

    return asyncio.run(send())


def payloads(inbox: SqliteLog) -> list[bytes]:
    """Return what the inbox holds, and check how it is labelled."""
    found: list[bytes] = []
    for entry in inbox.read(0, 100):
        deliveries = Deliveries.from_bytes(entry.body)
        assert entry.kind == FRAME
        assert set(deliveries.routes) == {URL}
        assert set(deliveries.sources) == {"http"}
        assert list(deliveries.received_at) == [NOW + n for n in range(len(deliveries.payloads))]
        assert entry.at == NOW
        found += deliveries.payloads
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (MESSAGE, [MESSAGE]),
        (b"  " + MESSAGE + b"\n", [MESSAGE]),
        (b"[" + MESSAGE + b" ,\n " + MESSAGE + b"]", [MESSAGE, MESSAGE]),
        (MESSAGE + b"\n" + MESSAGE + b"\r\n\n", [MESSAGE, MESSAGE]),
        (b'{\n "a": 1\n}', [b'{\n "a": 1\n}']),
    ],
    ids=["object", "spaces", "array", "ndjson", "pretty"],
)
def test_messages_reach_the_inbox_byte_for_byte(
    inbox: SqliteLog, body: bytes, expected: list[bytes]
) -> None:
    """One delivery per message, in one frame."""
    answer = post(inbox, body)

    assert answer.status_code == 202
    assert answer.json() == {"accepted": len(expected), "rejected": []}
    assert payloads(inbox) == expected
    assert inbox.last() == 1


def test_gzip_is_read(inbox: SqliteLog) -> None:
    """Devices that pay per byte compress."""
    answer = post(inbox, gzip.compress(MESSAGE, mtime=0), {"Content-Encoding": "gzip"})

    assert answer.status_code == 202
    assert payloads(inbox) == [MESSAGE]


def test_a_bad_message_costs_only_itself(inbox: SqliteLog) -> None:
    """What is an object is taken, what is not is named by its position."""
    answer = post(inbox, MESSAGE + b"\n{broken\n17\n" + MESSAGE)

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [(item["index"], item["code"]) for item in answer.json()["rejected"]] == [
        (1, "malformed"),
        (2, "schema"),
    ]
    assert payloads(inbox) == [MESSAGE, MESSAGE]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{broken", {}, 400),
        (b"[" + MESSAGE, {}, 400),
        (b"[" + MESSAGE + b"] tail", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"17", {}, 422),
        (b"[]", {}, 422),
        (MESSAGE, {"Content-Type": "text/xml"}, 415),
        (MESSAGE, {"Content-Type": "text/plain"}, 415),
        (MESSAGE, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (MESSAGE, {"Content-Type": ""}, 415),
        (MESSAGE, {"Sec-Fetch-Site": "cross-site"}, 403),
        (MESSAGE, {"Sec-Fetch-Site": "same-site"}, 403),
        (MESSAGE, {"Origin": "http://evil.example"}, 403),
        (MESSAGE, {"Origin": "http://[evil"}, 403),
        (MESSAGE, {"Origin": "null"}, 403),
        (MESSAGE, {"Content-Encoding": "br"}, 415),
        (MESSAGE, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(MESSAGE, mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * 30_000_000), {"Content-Encoding": "gzip"}, 413),
        (b" " * 2_000_000, {}, 413),
        (b"[" + b"{}," * 3000 + b"{}]", {}, 413),
        (b"[" + b"1," * 3000 + b"1]", {}, 413),
        (b"{}\n" * 3000, {}, 413),
    ],
)
def test_what_cannot_be_taken_is_a_problem_document(
    inbox: SqliteLog, body: bytes, headers: dict[str, str], status: int
) -> None:
    """And nothing of it reaches the inbox."""
    answer = post(inbox, body, headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert inbox.last() == 0


def test_a_body_without_length_is_counted(inbox: SqliteLog) -> None:
    """Content-Length lies or is missing; bytes are counted as they come."""
    app = FastAPI()
    app.include_router(push_router(inbox, limits=PushLimits(body_bytes=1024)))

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 512

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(URL, content=chunks(), headers=TYPE)

    assert asyncio.run(send()).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://test"},
        {"Sec-Fetch-Site": "none"},
        {"Content-Type": "application/x-ndjson; charset=utf-8"},
    ],
)
def test_devices_and_our_own_pages_may_push(inbox: SqliteLog, headers: dict[str, str]) -> None:
    """Only other sites are kept out."""
    assert post(inbox, MESSAGE, headers).status_code == 202


async def conversation(log: Log, *events: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Play one request event by event, waiting after the last one; return what is sent."""
    app = FastAPI()
    app.include_router(push_router(log, **options))
    coming, sent = list(events), []

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.sleep(60)
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(),
             "query_string": b"", "http_version": "1.1", "scheme": "http",
             "headers": [(b"content-type", b"application/json")]}  # fmt: skip
    await app(scope, receive, send)
    return sent


PART = {"type": "http.request", "body": MESSAGE[:20], "more_body": True}


def test_a_body_that_stalls_is_given_up(inbox: SqliteLog) -> None:
    """A device that hangs must not hold a connection for ever."""
    limits = PushLimits(stall_s=0.05)

    answer = asyncio.run(conversation(inbox, PART, limits=limits))[0]

    assert answer["status"] == 408
    assert (b"connection", b"close") in answer["headers"]
    assert inbox.last() == 0


def test_a_sender_that_hangs_up_is_no_error_of_ours(inbox: SqliteLog) -> None:
    """Nothing is raised into the server, nothing reaches the inbox."""
    answer = asyncio.run(conversation(inbox, PART, {"type": "http.disconnect"}))[0]

    assert answer["status"] == 400
    assert inbox.last() == 0


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic right", "right"])
def test_the_token_is_asked_for(inbox: SqliteLog, header: str) -> None:
    """Nobody without it gets in."""
    answer = post(inbox, MESSAGE, {"Authorization": header}, token="right")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert inbox.last() == 0


def test_the_right_token_opens(inbox: SqliteLog) -> None:
    """The scheme's name may be in any case."""
    answer = post(inbox, MESSAGE, {"Authorization": "bearer right"}, token="right")

    assert answer.status_code == 202


class FullDisk:
    """A log on a disk with no room."""

    def append(self, records: Sequence[Record]) -> int:
        """Refuse."""
        raise OSError("no space left on device")

    def read(self, after: int, limit: int) -> list[Entry]:
        """Hold nothing."""
        return []


def test_a_full_disk_is_said_and_nothing_is_promised() -> None:
    """503 with a time to come back, never 202."""
    answer = post(FullDisk(), MESSAGE)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), JSON, max_size=4), min_size=1, max_size=8),
    st.sampled_from(["array", "lines"]),
)
def test_splitting_loses_nothing(messages: list[dict[str, Any]], form: str) -> None:
    """Every message comes out as it went in, as array and as lines."""
    texts = [json.dumps(message, ensure_ascii=False) for message in messages]
    body = f"[{' , '.join(texts)}]" if form == "array" else "\n".join(texts)

    found = _split(body, 100)

    assert [piece.decode() for piece in found.taken] == texts
    assert found.rejected == []


async def push_through(app: FastAPI, *bodies: bytes) -> list[httpx.Response]:
    """Push bodies one after the other, and wait until counts have been entered."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = [await client.post(URL, content=body, headers=TYPE) for body in bodies]
    waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.gather(*waiting)
    return answers


def limited_app(log: Log) -> FastAPI:
    """Return an application whose sensors may send two messages, and one more into quarantine."""
    app = FastAPI()
    limits = Limits(messages_per_s=0.01, burst_messages=2, kept_messages_per_h=1)
    limiter = Limiter(limits, "http")
    app.include_router(push_router(log, clock=ManualClock(NOW), limiter=limiter))
    return app


def message_of(sensor: str) -> bytes:
    """Return a message of a sensor."""
    return json.dumps({"sensor": sensor, "values": {"pm10": 1}}).encode()


def test_a_sensor_over_its_limit_is_told_to_wait(inbox: SqliteLog) -> None:
    """429 with Retry-After, nothing of it stored, but counted; another sensor is not affected."""
    app, noisy = limited_app(inbox), message_of("noisy")

    answers = asyncio.run(push_through(app, *[noisy] * 6, message_of("calm")))

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429, 429, 202]
    assert answers[3].headers["Retry-After"] == "100"
    assert answers[3].json()["rejected"][0]["code"] == "rate_limited"
    kinds = [entry.kind for entry in inbox.read(0, 100)]
    assert kinds == [FRAME, FRAME, THROTTLED, EXCESS, FRAME, EXCESS]
    counted = [EXCESSES.validate_json(one.body) for one in inbox.read(0, 9) if one.kind == EXCESS]
    assert [row.refused for rows in counted for row in rows] == [0, 3]


def test_other_sensors_of_the_same_request_are_taken(inbox: SqliteLog) -> None:
    """What is beyond the limit is rejected by its position; the rest is on disk."""
    noisy, calm = message_of("noisy"), message_of("calm")
    body = b"[" + b",".join([noisy, b"7", noisy, noisy, noisy, calm, noisy]) + b"]"

    (answer,) = asyncio.run(push_through(limited_app(inbox), body))

    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "200"
    assert answer.json()["accepted"] == 4
    rejected = [(one["index"], one["code"]) for one in answer.json()["rejected"]]
    assert rejected == [(1, "schema"), (4, "rate_limited"), (6, "rate_limited")]
    assert Deliveries.from_bytes(inbox.read(0, 1)[0].body).payloads == [noisy, noisy, calm]


def test_counts_that_cannot_be_entered_go_with_the_next(inbox: SqliteLog) -> None:
    """A full disk loses no count as long as the process lives."""
    full = _FullAtTimes(inbox)
    app, noisy = limited_app(full), message_of("noisy")

    async def scenario() -> None:
        await push_through(app, *[noisy] * 5)
        full.is_full = True
        await push_through(app, noisy)
        full.is_full = False
        await push_through(app, noisy)

    asyncio.run(scenario())

    counted = [EXCESSES.validate_json(one.body) for one in inbox.read(0, 9) if one.kind == EXCESS]
    assert [row.refused for rows in counted for row in rows] == [0, 2, 2]


class _FullAtTimes:
    """An inbox on a disk that is full at times."""

    def __init__(self, inner: SqliteLog) -> None:
        self.is_full = False
        self._inner = inner

    def append(self, records: Sequence[Record]) -> int:
        """Store, or refuse."""
        if self.is_full:
            raise OSError("the disk is full")
        return self._inner.append(records)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Read."""
        return self._inner.read(after, limit)

    def last(self) -> int:
        """Return the highest number."""
        return self._inner.last()

    def trim(self, before: int) -> int:
        """Forget."""
        return self._inner.trim(before)
