# SPDX-License-Identifier: EUPL-1.2
"""What is asked of InfluxDB 2 beside writing: who it is, its buckets, and to delete one point."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

import urllib3

from lamppost.errors import NotConnected
from lamppost.times import format_instant

from .bounded_http import Exchange

_IDENTITY: Final = re.compile(r"[0-9a-f]{16}")
_SHOWN: Final = 300
_NOBODYS: Final = "lamppost_self_check"
_CONNECTION_ERRORS: Final = (urllib3.exceptions.HTTPError, OSError, UnicodeError)

Answer = Literal["found", "absent", "refused", "unsupported"]


class Reply(NamedTuple):
    """An answer.

    Attributes:
        status: HTTP status.
        content: the JSON object it holds; empty when it holds none.
        text: what it says, for people, bounded.
        headers: its headers, names in lower case.
    """

    status: int
    content: Mapping[str, Any]
    text: str
    headers: Mapping[str, str]

    @property
    def answer(self) -> Answer:
        """What the server makes of a question of the v2 API.

        An address the server does not know is not an absent thing: InfluxDB answers in JSON.
        """
        if self.status in {401, 403}:
            return "refused"
        if 200 <= self.status < 300 and (self.content or self.status == 204):
            return "found"
        if self.status == 404 and self.content:
            return "absent"
        return "unsupported"


class Bucket(NamedTuple):
    """A bucket as the server describes it.

    Attributes:
        answer: whether there is one.
        retention_s: how long it keeps points, 0 for ever; None where that is not said.
        text: what the server said.
    """

    answer: Answer
    retention_s: int | None = None
    text: str = ""


class InfluxApi:
    """Asks one server, each question within a total time."""

    def __init__(self, url: str, org: str, token: str, timeout_s: float) -> None:
        """Connect to nothing yet."""
        self._url = url.rstrip("/")
        self._org = org
        self._headers = {"Authorization": f"Token {token}"} if token else {}
        self._timeout_s = timeout_s
        self._exchange = Exchange()
        limit = urllib3.Timeout(total=timeout_s)
        self._http = urllib3.PoolManager(num_pools=1, retries=False, timeout=limit)
        self._http.pool_classes_by_scheme = self._exchange.pools()

    def close(self) -> None:
        """Close the connection."""
        self._http.clear()
        self._exchange.close()

    def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Ask a question; with a body it is a POST of JSON.

        Raises:
            NotConnected: there is no server, or no whole answer in time, or it asks us to wait.
        """
        where = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._exchange.within(self._timeout_s):
                answer = self._http.request(
                    "GET" if body is None else "POST",
                    where,
                    body=data,
                    headers=headers,
                    redirect=False,
                )
                text = " ".join(answer.data.decode(errors="replace").split())
        except _CONNECTION_ERRORS as error:
            late = self._exchange.late(error)
            problem = f"no whole answer within {self._timeout_s:g} s" if late else str(error)
            raise NotConnected(f"InfluxDB at {self._url} cannot be reached: {problem}") from error
        if answer.status == 429 or answer.status >= 500:
            raise NotConnected(f"InfluxDB at {self._url} answered {answer.status}: {text[:_SHOWN]}")
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, _object(text), text[:_SHOWN], named)

    def server(self) -> Reply:
        """Return how the server is: ``name`` and ``version`` where it is InfluxDB 2."""
        return self.ask("/health")

    def organization(self) -> str:
        """Return the identity of our organization, empty where it cannot be seen."""
        reply = self.ask("/api/v2/orgs", {"org": self._org})
        found = reply.content.get("orgs")
        if isinstance(found, list) and found and isinstance(found[0], dict):
            return str(found[0].get("id", ""))
        return self._org if _IDENTITY.fullmatch(self._org) else ""

    def bucket(self, name: str) -> Bucket:
        """Look for a bucket."""
        reply = self.ask("/api/v2/buckets", {"org": self._org, "name": name})
        if reply.answer != "found":
            return Bucket(reply.answer, text=reply.text)
        found = reply.content.get("buckets")
        if not isinstance(found, list):
            return Bucket("unsupported", text=reply.text)
        ours = [one for one in found if isinstance(one, dict) and one.get("name") == name]
        return Bucket("found", _retention_s(ours[0])) if ours else Bucket("absent")

    def create_bucket(self, name: str, retention_s: int) -> Reply:
        """Create a bucket; ``absent`` in the reply's answer means that our organization is."""
        organization = self.organization()
        if not organization:
            return Reply(404, {"code": "not found"}, f"organization {self._org} not visible", {})
        rules = [{"type": "expire", "everySeconds": retention_s}]
        wanted = {"orgID": organization, "name": name, "retentionRules": rules}
        return self.ask("/api/v2/buckets", body=wanted)

    def may_write(self, bucket: str) -> bool:
        """Whether a bucket is there for our token, seen or not.

        Deleting what nobody writes takes the right to write, and changes nothing.
        """
        return self.delete(bucket, _NOBODYS, {}, 0).answer == "found"

    def delete(self, bucket: str, measurement: str, tags: Mapping[str, str], at: int) -> Reply:
        """Delete the points of one instant that have these tags, and possibly more."""
        terms = [f"_measurement={_quoted(measurement)}"]
        terms += [f"{_quoted(name)}={_quoted(value)}" for name, value in tags.items()]
        instant = format_instant(at)
        body = {"start": instant, "stop": instant, "predicate": " AND ".join(terms)}
        return self.ask("/api/v2/delete", {"org": self._org, "bucket": bucket}, body)

    def skew_s(self, reply: Reply) -> float | None:
        """Return how far the server's clock is ahead of ours, None where it does not say."""
        try:
            theirs = parsedate_to_datetime(reply.headers["date"])
        except (KeyError, TypeError, ValueError):
            return None
        return (theirs - datetime.now(UTC)).total_seconds() if theirs.tzinfo else None


def _object(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _retention_s(bucket: Mapping[str, Any]) -> int | None:
    rules = bucket.get("retentionRules")
    if not isinstance(rules, list):
        return None
    seconds = [rule.get("everySeconds", 0) for rule in rules if isinstance(rule, dict)]
    return int(seconds[0]) if seconds else 0


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
