# SPDX-License-Identifier: EUPL-1.2
"""A small server with the endpoints of InfluxDB's v2 API that the sink uses, as documented.

Organizations, tokens and buckets are kept here. Points go to a real InfluxDB of the first
generation, whose line protocol and storage engine the second has taken over; without one, they are
only counted.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.services import InfluxDB

ORG, ORG_ID = "city", "0123456789abcdef"
ALL_RIGHTS = frozenset({"see", "create", "write"})
_TERM = re.compile(r'(?:(\w+)|"((?:[^"\\]|\\.)*)")="((?:[^"\\]|\\.)*)"(?: AND |$)')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class InfluxFront:
    """Listens on a free port of this machine until closed.

    Attributes:
        database: holds the points.
        rights: what each token may do.
        retention_s: of each bucket there is, 0 for ever.
        deleted: the predicates of deletions.
        deletes: whether points can be deleted at all.
        version: what it says it is.
        skew_s: how far its clock is ahead.
    """

    database: InfluxDB | None = None
    rights: dict[str, frozenset[str]] = field(default_factory=lambda: {"secret": ALL_RIGHTS})
    retention_s: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[dict[str, str]] = field(default_factory=list)
    deletes: bool = True
    version: str = "v2.7.12"
    skew_s: float = 0.0

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        for bucket in self.retention_s:
            self._make(bucket)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def get(self, path: str, query: dict[str, str], rights: frozenset[str]) -> tuple[int, Any]:
        """Answer a question."""
        if path == "/api/v2/orgs":
            known = query.get("org") == ORG and "see" in rights
            return (200, {"orgs": [{"id": ORG_ID, "name": ORG}]}) if known else _absent("org")
        if path != "/api/v2/buckets":
            return _absent("path")
        if query.get("org", ORG) not in {ORG, ORG_ID}:
            return _absent("organization name")
        seen = sorted(self.retention_s) if "see" in rights else []
        named = [one for one in seen if query.get("name") in {None, one}]
        if "name" in query and not named:
            return _absent(f'bucket "{query["name"]}"')
        return 200, {"buckets": [self._bucket(name) for name in named]}

    def post(
        self, path: str, query: dict[str, str], body: bytes, rights: frozenset[str]
    ) -> tuple[int, Any]:
        """Do what is asked."""
        if path == "/api/v2/buckets":
            return self._create(json.loads(body), rights)
        bucket = query.get("bucket", "")
        if path not in {"/api/v2/write", "/api/v2/delete"} or query.get("org") not in {ORG, ORG_ID}:
            return _absent("path")
        if path == "/api/v2/delete" and not self.deletes:
            return 404, None
        if bucket not in self.retention_s:
            return _absent(f'bucket "{bucket}"')
        if "write" not in rights:
            return 403, {"code": "forbidden", "message": "insufficient permissions"}
        if path == "/api/v2/delete":
            return self._delete(bucket, json.loads(body))
        assert query["precision"] == "ns"
        return self._write(bucket, body)

    def _create(self, wanted: dict[str, Any], rights: frozenset[str]) -> tuple[int, Any]:
        if "create" not in rights:
            return 403, {"code": "forbidden", "message": "write:orgs/x/buckets is unauthorized"}
        assert wanted["orgID"] == ORG_ID
        (rule,) = wanted["retentionRules"]
        assert rule["type"] == "expire"
        if 0 < rule["everySeconds"] < 3600:
            text = "expiration seconds must be greater than or equal to one hour"
            return 422, {"code": "unprocessable entity", "message": text}
        if wanted["name"] in self.retention_s:
            text = f"bucket with name {wanted['name']} already exists"
            return 422, {"code": "conflict", "message": text}
        self.retention_s[wanted["name"]] = rule["everySeconds"]
        self._make(wanted["name"])
        return 201, self._bucket(wanted["name"])

    def _make(self, bucket: str) -> None:
        if self.database is not None:
            self.database.do(f'CREATE DATABASE "{bucket}"')

    def _bucket(self, name: str) -> dict[str, Any]:
        rules = [{"type": "expire", "everySeconds": self.retention_s[name]}]
        return {"id": name, "orgID": ORG_ID, "name": name, "retentionRules": rules}

    def _write(self, bucket: str, body: bytes) -> tuple[int, Any]:
        self.lines += [(bucket, line) for line in body.decode().splitlines()]
        if self.database is None:
            return 204, None
        status, answer = self.database.post("/write", {"db": bucket, "precision": "ns"}, body)
        if status == 204:
            return 204, None
        return status, {"code": "invalid", "message": json.loads(answer)["error"]}

    def _delete(self, bucket: str, asked: dict[str, str]) -> tuple[int, Any]:
        self.deleted.append(asked)
        terms = dict(_terms(asked["predicate"]))
        measurement = terms.pop("_measurement")
        low, high = _nanoseconds(asked["start"]), _nanoseconds(asked["stop"])
        where = [f"time >= {low}", f"time <= {high}"]
        where += [f"{_named(name)} = {_text(value)}" for name, value in terms.items()]
        if self.database is not None:
            statement = f"DELETE FROM {_named(measurement)} WHERE {' AND '.join(where)}"
            self.database.do(statement, bucket)
        return 204, None


def _terms(predicate: str) -> list[tuple[str, str]]:
    """Read ``"key"="value" AND …``, the only form of a predicate that v2 knows."""
    found, place = [], 0
    while place < len(predicate):
        match = _TERM.match(predicate, place)
        assert match, predicate[place:]
        found.append((match[1] or _unescaped(match[2]), _unescaped(match[3])))
        place = match.end()
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _named(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _nanoseconds(text: str) -> int:
    whole, _, part = text.removesuffix("Z").partition(".")
    elapsed = datetime.fromisoformat(f"{whole}+00:00") - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + int(part.ljust(9, "0"))


def _absent(what: str) -> tuple[int, Any]:
    return 404, {"code": "not found", "message": f"{what} not found"}


def _handler(owner: InfluxFront) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path, query = self._asked()
            if path == "/health":
                said = {"name": "influxdb", "status": "pass", "version": owner.version}
                self._say(200, said)
            else:
                self._if_known(lambda rights: owner.get(path, query, rights))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            path, query = self._asked()
            self._if_known(lambda rights: owner.post(path, query, body, rights))

        def date_time_string(self, timestamp: float | None = None) -> str:
            now = datetime.now(UTC).timestamp() + owner.skew_s
            return format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)

        def _asked(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))

        def _if_known(self, answer: Callable[[frozenset[str]], tuple[int, Any]]) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Token ")
            if token in owner.rights:
                self._say(*answer(owner.rights[token]))
            else:
                self._say(401, {"code": "unauthorized", "message": "unauthorized access"})

        def _say(self, status: int, content: object) -> None:
            data = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the test output readable."""

    return Handler
