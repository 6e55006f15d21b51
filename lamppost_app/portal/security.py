# SPDX-License-Identifier: EUPL-1.2
"""What every answer carries, and who may act as an operator."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
        " object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_PUBLIC: Final = ("/api/", "/downloads/files/")
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Link, RateLimit, RateLimit-Policy, Retry-After",
}
_LOCAL_NAMES: Final = {"localhost", "127.0.0.1", "::1"}


class SecurityHeaders:
    """Adds the security headers to every answer, and CORS to public data."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and complete its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        public = scope["method"] in {"GET", "HEAD"} and scope["path"].startswith(_PUBLIC)

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**_HEADERS, **(_CORS if public else {})}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_completed)


class NotAllowed(Exception):
    """Someone may not act as an operator.

    Attributes:
        status: 401 asks for the password, 403 is final.
        text: key of the sentence that says why and what to do.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.status = status
        self.text = text


def check_operator(request: Request, password: str) -> None:
    """Let an operator's request through.

    It must come from our own pages and show the password. Without a password set, only a browser
    on this machine may act, and only under a local name: a strange name that leads to this
    machine is how other sites reach into it.

    Raises:
        NotAllowed: otherwise.
    """
    if not _same_origin(request):
        raise NotAllowed(HTTPStatus.FORBIDDEN, "operator.other_origin")
    if password:
        if not _shows(request.headers.get("authorization", ""), password):
            raise NotAllowed(HTTPStatus.UNAUTHORIZED, "operator.password")
    elif not (_is_loopback(request) and request.url.hostname in _LOCAL_NAMES):
        raise NotAllowed(HTTPStatus.FORBIDDEN, "operator.no_password_set")


def _same_origin(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site == "same-origin"
    return urlsplit(origin).netloc == request.headers.get("host")


def _shows(header: str, password: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        shown = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return False
    return hmac.compare_digest(shown, password.encode())


def _is_loopback(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
