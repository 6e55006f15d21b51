# SPDX-License-Identifier: EUPL-1.2
"""Outbox to InfluxDB 2 and whatever speaks its v2 write API, as ready-made line protocol."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from pydantic import Field, SecretStr

from lamppost import events
from lamppost.balance import Tally
from lamppost.component import Settings, register
from lamppost.errors import NotConnected, PartialWrite
from lamppost.log import AGGREGATES, ALERTS, INDICES, READINGS, RULES, SERIES, STATIONS, Entry

from .bounded_http import Exchange
from .line_batch import LineBatch, Settled
from .line_protocol import LineWriter
from .series_names import NamedSink
from .text_columns import TextColumn, concatenated

# Answers that say nothing about the lines: a credential, an address, a limit, a proxy.
_NOT_THE_LINES: Final = frozenset({401, 402, 403, 404, 405, 407, 408, 425, 429})
_HINTS: Final = {
    401: "check the token",
    403: "the token may not write to this bucket",
    404: "check url, org and bucket: it must exist",
    429: "it asks us to write less often",
    502: "the proxy in front of it cannot reach it",
    504: "the proxy in front of it cannot reach it",
}
_PAGE_HINT: Final = "a page for people, so something else answers: check url and the proxy"
_TOO_LARGE: Final = 413
_LONGEST_WAIT_S: Final = 300.0
_LEAST_BYTES: Final = 1_000
_MOST_REJECTIONS: Final = 256
_PAUSE_S: Final = 1.0
# From a server that has never taken a line, this many refusals say more about it than about them.
_REFUSED_UNHEARD: Final = 16
_DROPPED: Final = re.compile(r"\bdropped=(\d{1,9})\b")
_CONNECTION_ERRORS: Final = (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError)
# What the client makes of an answer that is no list of buckets.
_NO_LIST_OF_BUCKETS: Final = (ValueError, AttributeError, TypeError, KeyError)
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
        timeout_s: longest time a request may take, from connecting to the end of the answer.
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
    """The server says that something in the lines is wrong.

    Attributes:
        dropped: how many lines it says it has left out, None where it does not say.
        too_large: whether the request is what is wrong.
    """

    def __init__(self, status: int, answer: str) -> None:
        """Take the answer apart."""
        super().__init__(f"HTTP {status}: {answer[:_ANSWER_SHOWN]}")
        found = _DROPPED.search(answer)
        self.dropped = int(found[1]) if found else None
        self.too_large = status == _TOO_LARGE


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
        self._exchange = Exchange()
        self._client.api_client.rest_client.pool_manager.pool_classes_by_scheme = (
            self._exchange.pools()
        )
        self._checked = False
        self._settled: dict[int, Settled] = {}
        self._request_bytes = settings.request_bytes
        self._good_line = b""
        self._refused_in_a_row = 0
        self._rejections = 0
        self._lines_blamed = False

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally | None:  # noqa: ARG002 - kept by the runner
        """Write the lines of entries, in order; ``refused`` counts lines of this call from 0.

        What an attempt has stored is not written again by the next one.

        Returns:
            The accepted readings the server confirmed; None when readings are not written.

        Raises:
            NotConnected: the server is away, wants us to wait, or refuses us as such.
            PartialWrite: it refused some lines; all others are stored.
        """
        batch = LineBatch(entries, [self._lines(entry) for entry in entries], self._settled)
        if not len(batch):
            return Tally() if self._settings.readings else None
        self._check_bucket()
        self._rejections, self._lines_blamed = 0, False
        try:
            self._store_open(batch)
        except NotConnected:
            self._settled = batch.settled()
            raise
        self._settled = {}
        tally = batch.tally() if self._settings.readings else None
        if batch.refused:
            raise PartialWrite(batch.refused, tally)
        return tally

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.api_client.rest_client.pool_manager.clear()
        self._client.close()
        self._exchange.close()

    def _lines(self, entry: Entry) -> TextColumn:
        self.names.learn(entry)
        if entry.kind == READINGS and not self._settings.readings:
            return concatenated([])
        return self._writer.lines(entry)

    def _store_open(self, batch: LineBatch) -> None:
        for first, last in list(batch.open_runs()):
            start = first
            while start < last:
                stop = min(last, batch.fitting(start, self._request_bytes))
                self._store(batch, start, stop)
                start = stop

    def _store(self, batch: LineBatch, start: int, stop: int) -> None:
        """Write lines, halving what is rejected until the lines that are to blame stand alone."""
        try:
            self._post(batch.body(start, stop))
        except _Rejected as rejection:
            self._pace(rejection, stop - start)
            # Where all lines of a request are left out, as many as there are, each is to blame.
            if stop - start == 1 or rejection.dropped == stop - start:
                batch.refuse(start, stop, str(rejection))
                self._doubt(batch, start, stop, rejection)
                return
            middle = (start + stop) // 2
            self._store(batch, start, middle)
            self._store(batch, middle, stop)
            return
        batch.store(start, stop)
        self._good_line, self._refused_in_a_row = batch.body(stop - 1, stop), 0
        self._request_bytes = min(2 * self._request_bytes, self._settings.request_bytes)

    def _pace(self, rejection: _Rejected, lines: int) -> None:
        """Leave the server alone for a moment when it has rejected much.

        Raises:
            NotConnected: what is settled by now stays so.
        """
        if rejection.too_large and lines > 1:
            self._request_bytes = max(self._request_bytes // 2, _LEAST_BYTES)
        self._rejections += 1
        if self._rejections > _MOST_REJECTIONS:
            text = f"InfluxDB at {self._settings.url} refuses many lines, the last with {rejection}"
            raise NotConnected(text, retry_after_s=_PAUSE_S, progressed=True)

    def _doubt(self, batch: LineBatch, start: int, stop: int, rejection: _Rejected) -> None:
        """Ask whether a server that takes nothing would take a line it has taken before.

        Raises:
            NotConnected: it would not: the lines are not to blame, and none is given up.
        """
        self._refused_in_a_row += stop - start
        if self._lines_blamed or batch.any_stored:
            return
        if self._good_line:
            self._lines_blamed = self._takes(self._good_line)
        elif self._refused_in_a_row < _REFUSED_UNHEARD:
            return
        if not self._lines_blamed:
            batch.forgive()
            text = (
                f"InfluxDB at {self._settings.url} refuses every line, the last with {rejection}"
                " (check that url leads to the write API of InfluxDB 2, and the bucket)"
            )
            raise NotConnected(text)

    def _takes(self, line: bytes) -> bool:
        try:
            self._post(line)
        except _Rejected:
            return False
        return True

    def _post(self, body: bytes) -> None:
        if self._gzip:
            body = gzip.compress(body, compresslevel=1, mtime=0)
        exchange, settings = self._exchange, self._settings
        try:
            with exchange.within(settings.timeout_s):
                self._write_api.write(settings.bucket, settings.org, body)
                exchange.require_trust()
        except ApiException as error:
            if exchange.timed_out:
                raise self._too_slow() from error
            raise self._condition(error) from error
        except NotConnected as error:
            raise NotConnected(f"InfluxDB at {settings.url}: {error}") from error
        except _CONNECTION_ERRORS as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> NotConnected:
        if self._exchange.timed_out or isinstance(error, urllib3.exceptions.TimeoutError):
            return self._too_slow()
        return NotConnected(f"InfluxDB at {self._settings.url} cannot be reached: {error}")

    def _too_slow(self) -> NotConnected:
        """Ask for less at a time from a server that does not manage as much."""
        self._request_bytes = max(self._request_bytes // 2, _LEAST_BYTES)
        text = f"no whole answer within {self._settings.timeout_s:g} s"
        return NotConnected(f"InfluxDB at {self._settings.url} cannot be reached: {text}")

    def _condition(self, error: ApiException) -> NotConnected | _Rejected:
        status = error.status or 0
        answer = " ".join(str(error.body or error.reason or "").split())
        # A request that is too large is refused by the proxy in front, too, as a page.
        strange = self._exchange.is_page and status != _TOO_LARGE
        if 400 <= status < 500 and status not in _NOT_THE_LINES and not strange:
            return _Rejected(status, answer)
        hint = _HINTS.get(status, _PAGE_HINT if strange else "")
        headers: Mapping[str, str] = error.headers or {}
        where = headers.get("Location")
        if 300 <= status < 400 and where:
            hint = f"set url to where it leads: {where[:_ANSWER_SHOWN]}"
        text = f"InfluxDB at {self._settings.url} answered {status}: {answer[:_ANSWER_SHOWN]}"
        text += f" ({hint})" if hint else ""
        return NotConnected(text, retry_after_s=_retry_after_s(error))

    def _check_bucket(self) -> None:
        """Warn once when the server knows no such bucket; tolerate servers that cannot be asked.

        Not an error: a token that may only write cannot see buckets.
        """
        if self._checked:
            return
        bucket = self._settings.bucket
        try:
            with self._exchange.within(self._settings.timeout_s):
                missing = self._client.buckets_api().find_bucket_by_name(bucket) is None
        except (ApiException, *_NO_LIST_OF_BUCKETS) as error:
            if self._exchange.timed_out:
                raise self._too_slow() from error
            missing = False
        except _CONNECTION_ERRORS as error:
            raise self._unreachable(error) from error
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
        wait_s = float(wish)
    except ValueError:
        try:
            wait_s = (parsedate_to_datetime(wish) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return None
    return None if math.isnan(wait_s) else min(max(0.0, wait_s), _LONGEST_WAIT_S)
