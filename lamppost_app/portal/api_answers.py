# SPDX-License-Identifier: EUPL-1.2
"""How the programming interface answers: pages along a key, three formats, 304 when unchanged."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import duckdb
import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response
from pydantic_core import to_json

from lamppost.times import format_instant
from sinks.instant_texts import known_zone
from sinks.store_layout import LAYOUT_VERSION
from sinks.store_reader import QueryTimedOut

from .api_formats import Form, negotiated
from .api_limits import MAX_ROWS, MAX_WINDOWS
from .api_models import Limits
from .api_names import check_names
from .api_queries import Paged
from .api_text import csv_text, json_rows, parquet_file
from .context import PortalContext, context_of
from .problem_types import ApiProblem
from .rendering import query_text
from .rulebook import Rulebook

BEFORE_ALL: Final = -(2**62)
"""Earlier than any instant the store can hold, with room to calculate."""
_RETRY_AFTER_S: Final = "5"
_OUTSIDE_THE_QUESTION: Final = {"limit", "after", "format", "from", "to"}

Key = tuple[int | str, ...]
Period = tuple[int, int]


def _own_version() -> str:
    try:
        return version("lamppost")
    except PackageNotFoundError:
        return "0"


_VERSION: Final = f"{_own_version()} {LAYOUT_VERSION}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the store has of a page.

    Attributes:
        table: what is published, a page at most.
        following: key of the last row where more follow.
    """

    table: pa.Table
    following: Key | None


@dataclass(frozen=True)
class Asked:
    """One request for a page.

    Attributes:
        request: as it came.
        query: its parameters.
        start: key before the first row; pages begin behind theirs.
        period: the half-open period it is about, where it is about one.
        state: changes when what is answered does, though the store and the question do not.
        only_state: whether what is answered changes with ``state`` alone, whatever is stored.
    """

    request: Request
    query: Paged
    start: Key
    period: Period | None = None
    state: str = ""
    only_state: bool = False

    def answer(self, read: Callable[[Key, Rulebook], Found]) -> Response:
        """Return the page, or 304 when the client has it.

        Args:
            read: gives the rows behind a key; it is only asked when the client has them not.

        Raises:
            ApiProblem: the question cannot be answered.
        """
        self._check_names()
        key = self._key()
        with store_problems():
            etag = self._etag(self._context.reader.state())
        if _matches(self.request.headers.get("if-none-match", ""), etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=_freshness(etag))
        with store_problems(), self._context.reader.snapshot(self._timeout_s):
            etag = self._etag(self._context.reader.state())
            rules = self._context.rulebook()
            found = read(key, rules)
            if not found.table.num_rows:
                check_names(self._context.reader, rules, self.query)
        return self._response(found, rules, etag)

    @cached_property
    def form(self) -> Form:
        """The format asked for."""
        return negotiated(self.query.format, self.request.headers.get("accept", ""))

    @property
    def page_rows(self) -> int:
        """Rows to ask for: one more than a page, to know whether others follow."""
        return self.query.limit + 1

    def page(self, table: pa.Table, key: Callable[[int], Key]) -> tuple[pa.Table, Key | None]:
        """Return the rows of the page, and the key of the last where others follow.

        Args:
            table: at most one row more than a page.
            key: the key of a row by its number.
        """
        limit = self.query.limit
        return table.slice(0, limit), key(limit - 1) if table.num_rows > limit else None

    @property
    def _context(self) -> PortalContext:
        return context_of(self.request)

    @property
    def _timeout_s(self) -> float:
        return self._context.settings.http.query_timeout_s

    @cached_property
    def _limits(self) -> Limits:
        http = self._context.settings.http
        return Limits(
            rows=MAX_ROWS,
            windows=MAX_WINDOWS,
            timeout_s=http.query_timeout_s,
            requests_per_s=http.reads_per_s,
            requests_at_once=http.reads_at_once,
        )

    def _check_names(self) -> None:
        counts = Counter(name for name, _ in self.request.query_params.multi_items())
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            detail = "told more than once"
            raise ApiProblem(
                "invalid-parameters",
                f"{', '.join(repeated)}: {detail}",
                errors=[
                    {"parameter": name, "code": "repeated", "detail": detail} for name in repeated
                ],
            )

    @cached_property
    def _question(self) -> str:
        """What is asked, apart from how much of it and in which format."""
        items = sorted(self.request.query_params.multi_items())
        asked = [item for item in items if item[0] not in _OUTSIDE_THE_QUESTION and item[1]]
        return f"{self.request.url.path}?{urlencode(asked)} {self.period}"

    def _etag(self, position: str) -> str:
        """Return a strong tag: the same bytes are answered as long as none of this changes."""
        stored = "" if self.only_state else position
        store = f"{_VERSION} {_identity(self._context.settings.store_path)} {stored}"
        page = f"{self.query.limit} {self.query.after} {self.form.value} {self._limits}"
        return f'"{_digest(f"{store} {self.state} {self._question} {page}")}"'

    def _key(self) -> Key:
        """Return the key the page begins behind.

        Raises:
            ApiProblem: the token is not one of this question.
        """
        if not self.query.after:
            return self.start
        question, *key = _decoded(self.query.after) or [""]
        if question != _digest(self._question)[:8] or not _alike(key, self.start):
            detail = "after: take the address of the page from next, or from the header Link"
            raise ApiProblem("invalid-page-token", detail)
        return tuple(key)

    def _next(self, following: Key) -> str:
        token = _encoded([_digest(self._question)[:8], *following])
        changes: dict[str, object] = {"after": token}
        if self.period is not None:
            # The period a question has by default moves on; that of its pages must not.
            changes |= {name: format_instant(at) for name, at in zip(("from", "to"), self.period)}  # noqa: B905 - both are pairs
        return f"{self.request.url.path}?{query_text(self.request, changes)}"

    def _response(self, found: Found, rules: Rulebook, etag: str) -> Response:
        following = None if found.following is None else self._next(found.following)
        headers = {**_freshness(etag), "Link": self._links(rules, following)}
        if self.form is Form.JSON:
            body = self._document(found, rules, following)
            return Response(body, media_type="application/json", headers=headers)
        name = self.request.url.path.removeprefix("/api/v1/").replace("/", "-")
        headers["Content-Disposition"] = f'attachment; filename="{name}.{self.form.value}"'
        if self.form is Form.CSV:
            body = csv_text(found.table)
        else:
            body = parquet_file(found.table, self._facts(rules))
        return Response(body, media_type=self.form.content_type, headers=headers)

    def _links(self, rules: Rulebook, following: str | None) -> str:
        links = [
            f'<{rules.publication.licence_url}>; rel="license"',
            '</api/v1/openapi.json>; rel="service-desc"',
            '</api>; rel="service-doc"',
        ]
        if self.form is Form.CSV:
            table = self.request.url.path.removeprefix("/api/v1/")
            about = f"/api/v1/csvw/{table}?{self.request.url.query}".rstrip("?")
            links.append(f'<{about}>; rel="describedby"; type="application/csvm+json"')
        links += [f'<{following}>; rel="next"'] if following else []
        return ", ".join(links)

    def _document(self, found: Found, rules: Rulebook, following: str | None) -> bytes:
        rest = {
            "next": following,
            "licence": rules.publication.licence_url,
            "publisher": rules.publication.publisher,
            "time_zone": zone_of(rules),
            "gas_conditions": rules.gas_conditions,
            "policy": rules.policy,
            "limits": self._limits.model_dump(),
        }
        return b'{"items":[' + json_rows(found.table) + b"]," + to_json(rest)[1:]

    def _facts(self, rules: Rulebook) -> dict[str, str]:
        """Return what a Parquet file says of itself as a whole."""
        publication = rules.publication
        return {
            "title": publication.title,
            "publisher": publication.publisher,
            "licence": publication.licence,
            "licence_url": publication.licence_url,
            "policy": rules.policy,
            "method": rules.method,
            "time_zone": zone_of(rules),
            "gas_conditions": rules.gas_conditions,
            "source": f"{self.request.url.path}?{self.request.url.query}".rstrip("?"),
        }


_LATER: Final = {"Retry-After": _RETRY_AFTER_S}


@contextlib.contextmanager
def store_problems() -> Iterator[None]:
    """Tell what goes wrong with the store as problems.

    Raises:
        ApiProblem: it did.
    """
    try:
        yield
    except QueryTimedOut as error:
        raise ApiProblem("query-timed-out", str(error), headers=_LATER) from error
    except (duckdb.ConnectionException, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        detail = "the store is busy or being closed; ask again"
        raise ApiProblem("unavailable", detail, headers=_LATER) from error


def zone_of(rules: Rulebook) -> str:
    """Return the city's time zone, UTC where the policy names none."""
    return known_zone(rules.content.get("time", {}).get("zone"))


@lru_cache(maxsize=64)
def _identity(path: Path) -> str:
    """Return what tells a store from one that was built anew in its place."""
    facts = path.stat()
    return f"{facts.st_dev} {facts.st_ino}"


def _freshness(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "public, no-cache", "Vary": "Accept"}


def _matches(header: str, etag: str) -> bool:
    """Return whether a client has what a tag stands for (RFC 9110, weak comparison)."""
    known = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in known or etag in known


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _encoded(parts: list[int | str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _decoded(token: str) -> list[int | str] | None:
    try:
        padded = token + "=" * (-len(token) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded.encode()))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return parts if isinstance(parts, list) else None


def _alike(key: list[int | str], start: Key) -> bool:
    return [type(part) for part in key] == [type(part) for part in start] and all(
        abs(part) < 2**63 for part in key if isinstance(part, int)
    )
