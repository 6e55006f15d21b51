# SPDX-License-Identifier: EUPL-1.2
"""Outbox to InfluxDB 2 and whatever speaks its v2 write API, as ready-made line protocol."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from pydantic import Field, SecretStr

from lamppost import events
from lamppost.balance import Tally, accepted_rows, count_rows
from lamppost.component import Settings, register
from lamppost.errors import NotConnected, PartialWrite
from lamppost.log import AGGREGATES, ALERTS, INDICES, READINGS, RULES, SERIES, STATIONS, Entry

from .line_protocol import LineWriter
from .series_names import NamedSink
from .text_columns import TextColumn, concatenated, content, ends

# Answers that say nothing about the lines: a credential, an address, a limit, a proxy.
_NOT_THE_LINES: Final = frozenset({401, 402, 403, 404, 405, 407, 408, 425, 429})
_HINTS: Final = {
    401: "check the token",
    403: "the token may not write to this bucket",
    404: "check url, org and bucket",
    429: "it asks us to write less often",
}
_LONGEST_WAIT_S: Final = 3600.0
_LINE_SHOWN: Final = 400
_ANSWER_SHOWN: Final = 300
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class InfluxSettings(Settings):
    """Where to write, and how much.

    Attributes:
        url: address of the server.
        org: organization, by name or id.
        bucket: where the points go.
        token: credential with the right to write to the bucket.
        readings: write every judged reading too, not only aggregates, indices and alerts.
        timeout_s: longest wait for an answer.
        request_bytes: largest request, before compression.
        gzip: compress requests; "auto" does unless the server is on this machine.
    """

    url: str = "http://127.0.0.1:8086"
    org: str = "city"
    bucket: str = "lamppost"
    token: SecretStr = SecretStr("")
    readings: bool = True
    timeout_s: float = Field(default=30.0, gt=0)
    request_bytes: int = Field(default=2_000_000, ge=1_000)
    gzip: Literal["auto", "on", "off"] = "auto"


class _Rejected(Exception):
    """The server says that something in the lines is wrong."""


class _Batch:
    """Lines of many entries in one buffer, cut by byte offsets."""

    def __init__(self, entries: Sequence[Entry], columns: Sequence[TextColumn]) -> None:
        lines = concatenated(columns)
        self._content = content(lines)
        self._ends: npt.NDArray[np.int64] = ends(lines)
        self._entries = entries
        self._first_lines = np.cumsum([0, *(len(column) for column in columns)])
        self.stored = np.zeros(len(self), np.bool_)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def body(self, start: int, stop: int) -> bytes:
        """Return lines as one request body."""
        return bytes(self._content[self._ends[start] : self._ends[stop]])

    def fitting(self, start: int, size: int) -> int:
        """Return where to stop so that the lines from ``start`` fit into ``size``, at least one."""
        stop = int(np.searchsorted(self._ends, self._ends[start] + size, side="right")) - 1
        return max(stop, start + 1)

    def describe(self, line: int) -> str:
        """Return which entry a line came from and what it says, bounded."""
        entry = int(np.searchsorted(self._first_lines, line, side="right")) - 1
        text = self.body(line, line + 1).decode().rstrip("\n")
        return f"entry {self._entries[entry].seq}: {text[:_LINE_SHOWN]}"

    def tally(self, refused: Mapping[int, str]) -> Tally:
        """Return what became of accepted readings, each of which is one line."""
        tally = Tally()
        lost = np.zeros(len(self), np.bool_)
        lost[list(refused)] = True
        for entry, first, last in zip(
            self._entries, self._first_lines, self._first_lines[1:], strict=False
        ):
            series = accepted_rows(entry)
            if len(series):
                count_rows(tally.stored, entry.at, series[self.stored[first:last]])
                count_rows(tally.refused, entry.at, series[lost[first:last]])
        return tally


@register("sink")
class InfluxdbSink(NamedSink):
    """Writes readings, aggregates, indices and alert events to InfluxDB, synchronously.

    Points are keyed by tags and time, so writing one again overwrites it with itself. A field that
    a later revision no longer has keeps its former value there: read it together with ``count``.
    """

    name: ClassVar[str] = "influxdb"
    wants: ClassVar[tuple[str, ...]] = (
        SERIES,
        STATIONS,
        RULES,
        READINGS,
        AGGREGATES,
        INDICES,
        ALERTS,
    )
    Settings: ClassVar[type[InfluxSettings]] = InfluxSettings

    def __init__(self, settings: InfluxSettings) -> None:
        """Connect to nothing yet: the server may be away when we start."""
        super().__init__()
        self._settings = settings
        self._writer = LineWriter(self.names)
        # Any: much of the client's published interface carries no types.
        self._client: Any = InfluxDBClient(
            url=settings.url,
            token=settings.token.get_secret_value(),
            org=settings.org,
            timeout=round(settings.timeout_s * 1000),
        )
        self._write_api: Any = self._client.write_api(write_options=SYNCHRONOUS)
        self._gzip = settings.gzip == "on" or (
            settings.gzip == "auto" and urlsplit(settings.url).hostname not in _LOOPBACK
        )
        self._checked = False

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally | None:  # noqa: ARG002 - kept by the runner
        """Write the lines of entries, in order; ``refused`` counts lines of this call from 0.

        Returns:
            The accepted readings the server confirmed; None when readings are not written.

        Raises:
            NotConnected: the server is away, wants us to wait, or refuses us as such.
            PartialWrite: it refused some lines; all others are stored.
        """
        batch = _Batch(entries, [self._lines(entry) for entry in entries])
        if not len(batch):
            return Tally() if self._settings.readings else None
        self._check_bucket()
        refused: dict[int, str] = {}
        start = 0
        while start < len(batch):
            stop = batch.fitting(start, self._settings.request_bytes)
            self._store(batch, start, stop, refused)
            start = stop
        tally = batch.tally(refused) if self._settings.readings else None
        if refused:
            raise PartialWrite(refused, tally)
        return tally

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.close()

    def _lines(self, entry: Entry) -> TextColumn:
        self.names.learn(entry)
        if entry.kind == READINGS and not self._settings.readings:
            return concatenated([])
        return self._writer.lines(entry)

    def _store(self, batch: _Batch, start: int, stop: int, refused: dict[int, str]) -> None:
        """Write lines, halving what is rejected until the lines that are to blame stand alone."""
        try:
            self._post(batch.body(start, stop))
            batch.stored[start:stop] = True
        except _Rejected as rejection:
            if stop - start == 1:
                refused[start] = f"{rejection}; {batch.describe(start)}"
                return
            middle = (start + stop) // 2
            self._store(batch, start, middle, refused)
            self._store(batch, middle, stop, refused)

    def _post(self, body: bytes) -> None:
        if self._gzip:
            body = gzip.compress(body, compresslevel=1, mtime=0)
        try:
            self._write_api.write(self._settings.bucket, self._settings.org, body)
        except ApiException as error:
            raise self._condition(error) from error
        except (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError) as error:
            raise NotConnected(
                f"InfluxDB at {self._settings.url} cannot be reached: {error}"
            ) from error

    def _condition(self, error: ApiException) -> NotConnected | _Rejected:
        status = error.status or 0
        answer = " ".join(str(error.body or error.reason or "").split())[:_ANSWER_SHOWN]
        if 400 <= status < 500 and status not in _NOT_THE_LINES:
            return _Rejected(f"HTTP {status}: {answer}")
        hint = f" ({_HINTS[status]})" if status in _HINTS else ""
        text = f"InfluxDB at {self._settings.url} answered {status}: {answer}{hint}"
        return NotConnected(text, retry_after_s=_retry_after_s(error))

    def _check_bucket(self) -> None:
        """Warn once when the server knows no such bucket; tolerate servers that cannot be asked.

        Not an error: a token that may only write cannot see buckets.
        """
        if self._checked:
            return
        bucket = self._settings.bucket
        try:
            missing = self._client.buckets_api().find_bucket_by_name(bucket) is None
        except ApiException:
            missing = False
        except (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError, ValueError) as error:
            raise NotConnected(
                f"InfluxDB at {self._settings.url} cannot be reached: {error}"
            ) from error
        if missing:
            events.warning("influxdb_bucket_not_visible", bucket=bucket, url=self._settings.url)
        if self._gzip:
            self._client.api_client.set_default_header("Content-Encoding", "gzip")
        self._checked = True


def _retry_after_s(error: ApiException) -> float | None:
    """Return what a Retry-After header asks for, in either of its two spellings."""
    headers: Mapping[str, str] = error.headers or {}
    wish = headers.get("Retry-After")
    if wish is None:
        return None
    try:
        return min(max(0.0, float(wish)), _LONGEST_WAIT_S)
    except ValueError:
        pass
    try:
        wait_s = (parsedate_to_datetime(wish) - datetime.now(UTC)).total_seconds()
        return min(max(0.0, wait_s), _LONGEST_WAIT_S)
    except (TypeError, ValueError):
        return None
