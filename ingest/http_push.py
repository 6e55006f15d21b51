# SPDX-License-Identifier: EUPL-1.2
"""Readings pushed over HTTP: accepted only when they are committed to the inbox."""

from __future__ import annotations

import asyncio
import hmac
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from lamppost.clock import Clock, SystemClock
from lamppost.flooding import EXCESSES, Excess
from lamppost.frames import Deliveries
from lamppost.log import EXCESS, Log, Record

from .limits import Fate, Judgement, Limiter, records, retry_after_s
from .refused_counts import RefusedCounts

ROUTE: Final = "/api/v1/readings"
MAX_MESSAGES: Final = 2500
_INFLATED_FACTOR: Final = 10
_INFLATED_AT_ONCE: Final = 65_536
_RETRY_AFTER_S: Final = 5
_MEDIA_TYPES: Final = {"application/json", "application/x-ndjson", "application/ndjson"}
_REFUSALS: Final = (400, 401, 403, 408, 413, 415, 422, 429, 503)
_NAME_CHARACTERS: Final = 128
PROBLEMS_PAGE: Final = "/api/problems"
"""Where the kinds of problem are explained."""
_KINDS: Final = {
    HTTPStatus.TOO_MANY_REQUESTS: "too-many-requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}
_SPACE: Final = " \t\r\n"


class Rejection(BaseModel):
    """One message of a request that was not taken.

    Attributes:
        index: its position in the request, from 0.
        code: why, as in the quarantine's list of codes.
        detail: what exactly is wrong.
    """

    index: int
    code: str
    detail: str


class Receipt(BaseModel):
    """What became of a request.

    Attributes:
        accepted: messages now on our disk; what is wrong inside one is quarantined with its reason.
        rejected: messages that are not JSON objects, or beyond the limit of their sensor.
    """

    accepted: int
    rejected: list[Rejection] = Field(default_factory=list)


class Refused(Exception):
    """A request cannot be taken; becomes a problem document."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        """Keep status, the sentence for the device's owner, and response headers."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True)
class _Messages:
    taken: list[bytes] = field(default_factory=list)
    sensors: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.taken) + len(self.rejected)

    def take(self, text: str, value: object) -> None:
        """Keep the text of an object; say what is wrong with anything else."""
        if isinstance(value, dict):
            sensor = value.get("sensor")
            self.places.append(len(self))
            self.sensors.append(sensor[:_NAME_CHARACTERS] if isinstance(sensor, str) else "")
            self.taken.append(text.encode())
        else:
            self.reject("schema", "a message is a JSON object")

    def reject(self, code: str, detail: str) -> None:
        self.rejected.append(Rejection(index=len(self), code=code, detail=detail))

    def refuse(self, rows: Sequence[int]) -> None:
        """Say which of those taken are beyond the limit of their sensor."""
        for row in rows:
            detail = f"{self.sensors[row] or 'an unnamed sensor'} sends more than it may"
            self.rejected.append(
                Rejection(index=self.places[row], code="rate_limited", detail=detail)
            )
        self.rejected.sort(key=lambda rejection: rejection.index)


@dataclass(frozen=True, slots=True)
class PushLimits:
    """What one request may hold.

    Attributes:
        body_bytes: bytes as sent; decompressed, ten times as many.
        messages: messages.
        stall_s: seconds without a byte after which the request is given up.
    """

    body_bytes: int = 1_048_576
    messages: int = MAX_MESSAGES
    stall_s: float = 30.0


def problem(
    status: HTTPStatus, detail: str, headers: dict[str, str] | None = None, **facts: Any
) -> JSONResponse:
    """Return a problem document (RFC 9457); its type leads to the documentation."""
    kind = f"{PROBLEMS_PAGE}#{_KINDS.get(status, 'request-refused')}"
    content = {"type": kind, "title": status.phrase, "status": status.value}
    return JSONResponse(
        {**content, "detail": detail, **facts},
        status_code=status.value,
        headers=headers,
        media_type="application/problem+json",
    )


def problem_response(status: HTTPStatus) -> dict[str, Any]:
    """Return what OpenAPI says about an answer that is a problem document."""
    return {"description": status.phrase, "content": {"application/problem+json": {}}}


def push_router(
    log: Log,
    *,
    clock: Clock | None = None,
    token: str = "",
    limits: PushLimits | None = None,
    limiter: Limiter | None = None,
) -> APIRouter:
    """Return the routes that take readings.

    Args:
        log: the inbox.
        clock: tells the instant of receipt.
        token: bearer token a device must show; empty lets everyone in.
        limits: what one request may hold.
        limiter: what one sensor may send; None lets everything in.
    """
    router = APIRouter(tags=["readings"])
    receive = _Door(log, clock or SystemClock(), token, limits or PushLimits(), limiter)
    refusals: dict[int | str, dict[str, Any]] = {
        status: problem_response(HTTPStatus(status)) for status in _REFUSALS
    }
    body = {
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "object"}}
                for kind in ("application/json", "application/x-ndjson")
            },
        }
    }

    @router.post(
        ROUTE,
        status_code=HTTPStatus.ACCEPTED,
        response_model=Receipt,
        responses=refusals,
        openapi_extra=body,
    )
    async def post_readings(request: Request) -> JSONResponse:
        """Take one message, a JSON array of messages, or one message per line (NDJSON).

        The answer 202 means: on disk. The body may be compressed with gzip.
        """
        try:
            return await receive.handle(request)
        except Refused as refused:
            return problem(refused.status, refused.detail, refused.headers)
        except ClientDisconnect:
            # Nobody is left to hear it; without an answer the server would log a traceback.
            return problem(HTTPStatus.BAD_REQUEST, "the connection ended before the body did")

    return router


@dataclass(frozen=True, slots=True)
class _Door:
    log: Log
    clock: Clock
    token: str
    limits: PushLimits
    limiter: Limiter | None
    refused: RefusedCounts = field(default_factory=RefusedCounts)

    async def handle(self, request: Request) -> JSONResponse:
        _check_site(request)
        self._authorise(request.headers.get("authorization", ""))
        _check_media_type(request.headers.get("content-type", ""))
        raw = await self._body(request)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        text = _text(raw, encoding, self.limits.body_bytes * _INFLATED_FACTOR)
        messages = _split(text, self.limits.messages)
        if messages.taken:
            return await self._take(messages)
        rejected = [rejection.model_dump() for rejection in messages.rejected]
        detail = "no message in the request is a JSON object"
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, rejected=rejected)

    async def _take(self, messages: _Messages) -> JSONResponse:
        """Commit what is within the limits of the sensors, and what is kept beyond them."""
        now = self.clock.now_ns()
        judgement = None
        if self.limiter is not None:
            sizes = [len(message) for message in messages.taken]
            judgement = self.limiter.judge(messages.sensors, sizes, now)
        refused = [] if judgement is None else judgement.rows(Fate.REFUSE)
        stored = len(messages.taken) - len(refused)
        if stored:
            await asyncio.to_thread(self._commit, messages.taken, judgement, now)
        elif judgement is not None:
            self.refused.add(judgement.excesses)
            self.refused.see_to_it(self._count)
        messages.refuse(refused)
        headers = {}
        if judgement is not None and refused:
            headers["Retry-After"] = str(retry_after_s(judgement.wait_s))
        if not stored:
            rejected = [rejection.model_dump() for rejection in messages.rejected]
            detail = "the sensor sends more than it may; send again later, and more slowly"
            status = HTTPStatus.TOO_MANY_REQUESTS
            return problem(status, detail, headers, rejected=rejected)
        receipt = Receipt(accepted=stored, rejected=messages.rejected)
        return JSONResponse(receipt.model_dump(), HTTPStatus.ACCEPTED, headers)

    def _count(self, excesses: list[Excess]) -> None:
        """Enter the counts of what was refused whole."""
        self.log.append([Record(EXCESS, self.clock.now_ns(), EXCESSES.dump_json(excesses))])

    def _authorise(self, header: str) -> None:
        if not self.token:
            return
        scheme, _, shown = header.partition(" ")
        same = hmac.compare_digest(shown.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "show the push token: Authorization: Bearer <token>",
                WWW_Authenticate="Bearer",
            )

    async def _body(self, request: Request) -> bytes:
        limit = self.limits.body_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self.limits.stall_s) as patience:
                return await self._collected(request, patience)
        except TimeoutError as error:
            detail = f"nothing of the body came for {self.limits.stall_s:g} s; send it again"
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, detail, Connection="close") from error

    async def _collected(self, request: Request, patience: asyncio.Timeout) -> bytes:
        limit = self.limits.body_bytes
        chunks = bytearray()
        async for chunk in request.stream():
            patience.reschedule(asyncio.get_running_loop().time() + self.limits.stall_s)
            chunks += chunk
            if len(chunks) > limit:
                raise _too_large(limit)
        return bytes(chunks)

    def _commit(self, messages: list[bytes], judgement: Judgement | None, now: int) -> None:
        deliveries = Deliveries()
        for number, message in enumerate(messages):
            # Readings without a time take that of receipt: two of them are two instants.
            deliveries.add(ROUTE, message, now + number, source="http")
        try:
            self.log.append(records(deliveries, judgement, now))
        except OSError as error:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the readings could not be stored; send them again later",
                Retry_After=str(_RETRY_AFTER_S),
            ) from error


def _check_site(request: Request) -> None:
    """Refuse what a page of another site sends: its visitor's network is not its own to use."""
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    is_ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if site not in {"none", "same-origin"} or not is_ours:
        raise Refused(HTTPStatus.FORBIDDEN, "pages of other sites cannot push readings")


def _check_media_type(header: str) -> None:
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        shown = media_type or "a body without Content-Type"
        detail = f"send application/json or application/x-ndjson, not {shown}"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)


def _text(raw: bytes, encoding: str, limit: int) -> str:
    if encoding == "gzip":
        raw = _inflate(raw, limit)
    elif encoding not in {"", "identity"}:
        detail = f"the content encoding {encoding} is not supported; use gzip or none"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, Accept_Encoding="gzip")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: {error.reason} at byte {error.start}"
        raise Refused(HTTPStatus.BAD_REQUEST, detail) from error


def _inflate(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # Counted before it is kept: what unpacks to a thousand times its size takes no memory.
        if _inflated_bytes(raw, limit) > limit:
            raise _too_large(limit)
        inflated = inflater.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not gzip: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not one whole gzip stream")
    return inflated


def _inflated_bytes(raw: bytes, limit: int) -> int:
    """Return how large a body is unpacked, as far as the limit."""
    inflater, size, rest = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS), 0, raw
    while rest and size <= limit:
        size += len(inflater.decompress(rest, _INFLATED_AT_ONCE))
        rest = inflater.unconsumed_tail
    return size


def _split(text: str, limit: int) -> _Messages:
    messages = _Messages()
    body = text.strip(_SPACE)
    if not body:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is empty")
    try:
        for piece, value in _values(body):
            messages.take(piece, value)
            if len(messages) > limit:
                detail = f"at most {limit} messages in one request"
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    except (ValueError, RecursionError) as error:
        if body.startswith("[") or "\n" not in body:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
        return _split_lines(body, limit)
    return messages


def _split_lines(body: str, limit: int) -> _Messages:
    lines = [line.strip(_SPACE) for line in body.split("\n")]
    lines = [line for line in lines if line]
    if len(lines) > limit:
        detail = f"at most {limit} messages in one request"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    messages = _Messages()
    for line in lines:
        try:
            messages.take(line, json.loads(line))
        except (ValueError, RecursionError) as error:
            messages.reject("malformed", f"not JSON: {error}")
    return messages


def _values(body: str) -> Iterator[tuple[str, object]]:
    """Yield the text of every message as it was sent, with its value."""
    decoder = json.JSONDecoder()
    is_array = body.startswith("[")
    position = _skip(body, 1) if is_array else 0
    if is_array and body[position : position + 1] == "]":
        position = _skip(body, position + 1)
    while position < len(body):
        value, end = decoder.raw_decode(body, position)
        yield body[position:end], value
        position = _skip(body, end)
        if is_array:
            position = _after_separator(body, position)


def _after_separator(body: str, position: int) -> int:
    mark = body[position : position + 1]
    following = _skip(body, position + 1)
    at_end = following == len(body)
    if (mark == "," and not at_end) or (mark == "]" and at_end):
        return following
    raise ValueError(f"expected a comma or the end of the array at character {position}")


def _skip(body: str, position: int) -> int:
    while position < len(body) and body[position] in _SPACE:
        position += 1
    return position


def _too_large(limit: int) -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {limit} bytes in one request")
