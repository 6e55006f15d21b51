# SPDX-License-Identifier: EUPL-1.2
"""How the programming interface answers: pages along a key, JSON or CSV, 304 when unchanged."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from fastapi import HTTPException, Request
from fastapi.responses import Response
from pydantic_core import to_json

from ingest.http_push import problem_response
from lamppost.times import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    format_instant,
    is_instant,
    parse_instant,
)
from sinks.store_reader import Row

from .context import PortalContext, context_of
from .rendering import query_text

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: problem_response(HTTPStatus(status)) for status in (400, 422)
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {}}},
    304: {"description": "Nothing changed since the ETag."},
    **_PROBLEMS,
}

BEFORE_ALL: Final = -(2**62)
"""Earlier than any instant the store can hold, with room to calculate."""

Key = tuple[int | str, ...]
_FORMULA_STARTS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\0",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}


def answer(
    request: Request,
    rows: Sequence[Row],
    item: Callable[[Row], dict[str, Any]],
    key: Callable[[Row], Key],
    limit: int,
    *,
    version: str = "",
) -> Response:
    """Return a page of rows.

    Args:
        request: asks for JSON or CSV.
        rows: at most one more than ``limit``, in order of the key.
        item: a row as it is published.
        key: where the page after a row begins.
        limit: rows of a page.
        version: changes when rows that do not come from the store do.
    """
    context = context_of(request)
    licence = context.rulebook().publication.licence_url
    items = [item(row) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        after = encoded_key(key(rows[limit - 1]))
        following = f"{request.url.path}?{query_text(request, {'after': after})}"
    headers = _headers(context, request, licence, following, version)
    if request.headers.get("if-none-match", "") == headers["ETag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if wants_csv(request):
        name = request.url.path.rsplit("/", 1)[-1]
        headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return Response(_csv(items), media_type="text/csv; charset=utf-8", headers=headers)
    body = to_json({"items": items, "next": following, "licence": licence}, inf_nan_mode="null")
    return Response(body, media_type="application/json", headers=headers)


def _headers(
    context: PortalContext, request: Request, licence: str, following: str | None, version: str
) -> dict[str, str]:
    links = [f'<{licence}>; rel="license"', '</api/v1/openapi.json>; rel="describedby"']
    links += [f'<{following}>; rel="next"'] if following else []
    # Everything here is a function of the store's position, the version and the question.
    question = f"{context.store.cursor()} {version} {request.url.path} {request.url.query}"
    question += str(wants_csv(request))
    digest = hashlib.sha256(question.encode()).hexdigest()[:16]
    return {
        "Link": ", ".join(links),
        "ETag": f'W/"{digest}"',
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }


def wants_csv(request: Request) -> bool:
    """Return whether a request asks for CSV."""
    chosen = request.query_params.get("format")
    return chosen == "csv" if chosen else "text/csv" in request.headers.get("accept", "")


def encoded_key(key: Key) -> str:
    """Return a key as text for an address.

    >>> decoded_key(encoded_key((17, "a")), (0, ""))
    (17, 'a')
    """
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decoded_key(encoded: str, start: Key) -> Key:
    """Return the key of an address, or ``start`` where it has none.

    Raises:
        HTTPException: 400, it is not one of ours.
    """
    if not encoded:
        return start
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        key = json.loads(base64.urlsafe_b64decode(padded.encode()))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    if not isinstance(key, list) or not _alike(key, start):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "after: take it from the page before")
    return tuple(key)


def _alike(key: list[Any], start: Key) -> bool:
    return [type(part) for part in key] == [type(part) for part in start] and all(
        abs(part) < 2**63 for part in key if isinstance(part, int)
    )


def instant(value: str, name: str, default: int) -> int:
    """Return the instant of a query parameter.

    Raises:
        HTTPException: 422, it is none.
    """
    if not value:
        return default
    # A plus in an address arrives as a space.
    found = parse_instant(value.replace(" ", "+"))
    if not is_instant(found):
        detail = f"{name}: an instant with zone is needed, such as 2026-11-21T21:00:00Z"
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return found


def time_range(request: Request, first: str, until: str) -> tuple[int, int]:
    """Return the half-open range an address asks for, by default the last day.

    Raises:
        HTTPException: 422, an instant is none.
    """
    now = context_of(request).clock.now_ns()
    # The default ends at a full minute, so that the following pages ask the same question.
    end = instant(until, "to", now // MINUTE_NS * MINUTE_NS + HOUR_NS)
    return instant(first, "from", end - DAY_NS - HOUR_NS), end


def window_length(value: str) -> int:
    """Return the length a window's name stands for.

    Raises:
        HTTPException: 422, it is none.

    >>> window_length("15min") // MINUTE_NS
    15
    """
    for suffix in ("min", "h", "d", "s"):
        number = value.removesuffix(suffix)
        if number != value and number.isdecimal() and 0 < int(number) < 10_000:
            return int(number) * _UNITS_NS[suffix]
    detail = "window: a number with s, min, h or d is needed, such as 1h"
    raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def instant_text(time_ns: int) -> str:
    """Return what :func:`lamppost.times.format_instant` does, fast where many share a second.

    >>> instant_text(1_500_000_000)
    '1970-01-01T00:00:01.500Z'
    """
    seconds, nanos = divmod(time_ns, SECOND_NS)
    whole = _second_text(seconds)
    if nanos == 0:
        return whole
    digits = f"{nanos // 1_000_000:03d}" if nanos % 1_000_000 == 0 else f"{nanos:09d}"
    return f"{whole[:-1]}.{digits}Z"


@lru_cache(maxsize=8192)
def _second_text(seconds: int) -> str:
    return format_instant(seconds * SECOND_NS)


def _csv(items: Sequence[dict[str, Any]]) -> str:
    """Return rows as RFC 4180 text; text that a spreadsheet would run gets a quote before it."""
    if not items:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(items[0])
    writer.writerows([_cell(value) for value in item.values()] for item in items)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, list):
        return ";".join(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
