# SPDX-License-Identifier: EUPL-1.2
"""What every request of the programming interface passes: limits, HEAD, questions of browsers."""

from __future__ import annotations

import json
import math
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .api_limits import ReadingLimiter
from .problem_types import PROBLEMS, type_uri

_BELOW: Final = "/api/v1/"
_READING: Final = {"GET", "HEAD"}
_PREFLIGHT: Final = (
    (b"allow", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"Accept, If-None-Match"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
)


class ApiDoor:
    """Stands before the application; what is not below the interface passes untouched."""

    def __init__(self, app: ASGIApp, limiter: ReadingLimiter) -> None:
        """Stand before an application."""
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http" or not scope["path"].startswith(_BELOW):
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            # Reading is for every page; pushing is not, so POST is not among the methods.
            await _answer(send, 204, list(_PREFLIGHT), b"")
        elif scope["method"] in _READING:
            await self._read(scope, receive, send)
        else:
            await self._app(scope, receive, _allowing_all(send))

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") or ("",)
        left, wait_s = self._limiter.take(client[0])
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        if left < 0:
            await self._refuse(scope, send, wait_s)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._told(left))
            await send(message)

        await self._app(scope, receive, send_counted)

    def _told(self, left: int) -> dict[str, str]:
        """Say how much is left (draft-ietf-httpapi-ratelimit-headers)."""
        limiter = self._limiter
        if not limiter.per_s:
            return {}
        refill_s = math.ceil(limiter.at_once / limiter.per_s)
        return {
            "RateLimit-Policy": f'"reads";q={limiter.at_once};w={refill_s}',
            "RateLimit": f'"reads";r={max(left, 0)}',
        }

    async def _refuse(self, scope: Scope, send: Send, wait_s: float) -> None:
        kind = PROBLEMS["too-many-requests"]
        seconds = max(1, math.ceil(wait_s))
        rate = f"{self._limiter.per_s:g} requests a second, {self._limiter.at_once} at once"
        document = {
            "type": type_uri("too-many-requests"),
            "title": kind.title,
            "status": kind.status.value,
            "detail": f"this client asks more often than it may ({rate}); wait {seconds} s",
            "instance": scope["path"],
        }
        body = json.dumps(document).encode()
        headers = {
            **self._told(0),
            "Retry-After": str(seconds),
            "Content-Type": "application/problem+json",
            "Cache-Control": "no-store",
            "Content-Length": str(len(body)),
        }
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await _answer(send, kind.status.value, pairs, body)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


def _allowing_all(send: Send) -> Send:
    """Name in the header Allow also the methods that are answered here."""

    async def send_allowed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("allow") == "GET":
                headers["allow"] = "GET, HEAD, OPTIONS"
        await send(message)

    return send_allowed
