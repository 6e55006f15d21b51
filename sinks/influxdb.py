# SPDX-License-Identifier: EUPL-1.2
"""Outbox to InfluxDB 2 and whatever speaks its v2 write API, as ready-made line protocol."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from lamppost import events
from lamppost.balance import Tally
from lamppost.component import register
from lamppost.errors import NotConnected, PartialWrite
from lamppost.log import AGGREGATES, ALERTS, INDICES, READINGS, RULES, SERIES, STATIONS, Entry
from lamppost.times import HOUR_NS

from .bounded_http import Exchange
from .influx_buckets import open_api, prepare
from .influx_settings import InfluxSettings
from .line_batch import LineBatch, Part, Settled
from .line_protocol import LineWriter, shorter_than
from .series_names import NamedSink
from .withdrawals import Withdrawal, Withdrawals

__all__ = ["InfluxSettings", "InfluxdbSink"]

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
_ANSWER_SHOWN: Final = 300
_NO_DELETE: Final = "the server does not delete points, so what a revision has withdrawn stays"
_TAGS_OF_ANOTHER: Final = "a point with more tags of the same station and quantity would go as well"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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

    Points are keyed by tags and time, so writing one again overwrites it with itself. Where a later
    revision no longer has a field, the point is deleted before that revision is written.
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
        self._withdrawals = Withdrawals(self.names)
        self._api = open_api(settings)
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
        self._prepared = False
        self._can_delete = True
        self._said_stay: set[int] = set()
        self._unclear = 0
        self._settled: dict[str, dict[int, Settled]] = {}
        self._request_bytes = settings.request_bytes
        self._good_lines: dict[str, bytes] = {}
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
        batches = self._batches(entries)
        readings = self._settings.readings
        if not any(map(len, batches.values())):
            return Tally() if readings else None
        self._prepare()
        self._rejections, self._lines_blamed = 0, False
        try:
            for bucket, batch in batches.items():
                self._store_open(bucket, batch)
        except NotConnected:
            self._settled = {bucket: batch.settled() for bucket, batch in batches.items()}
            raise
        self._settled = {}
        tally = Tally() if readings else None
        refused: dict[int, str] = {}
        first = 0
        for batch in batches.values():
            refused |= {first + line: reason for line, reason in batch.refused.items()}
            first += len(batch)
            if tally is not None:
                tally.stored.update(batch.tally().stored)
                tally.refused.update(batch.tally().refused)
        if refused:
            raise PartialWrite(refused, tally)
        return tally

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.api_client.rest_client.pool_manager.clear()
        self._client.close()
        self._exchange.close()
        self._api.close()

    def _batches(self, entries: Sequence[Entry]) -> dict[str, LineBatch]:
        """Return the lines of entries, in order, by the bucket they go to."""
        parts: dict[str, list[Part]] = {}
        for entry in entries:
            self.names.learn(entry)
            if entry.kind == READINGS and not self._settings.readings:
                continue
            for bucket, part in self._by_bucket(entry):
                lines = self._writer.lines(part)
                if len(lines):
                    withdrawn = self._withdrawals.of(part)
                    parts.setdefault(bucket, []).append(Part(part, lines, withdrawn))
        return {
            bucket: LineBatch(found, self._settled.get(bucket, {}))
            for bucket, found in parts.items()
        }

    def _by_bucket(self, entry: Entry) -> list[tuple[str, Entry]]:
        settings = self._settings
        if entry.kind == READINGS:
            return [(settings.readings_bucket or settings.bucket, entry)]
        if entry.kind == AGGREGATES and settings.minutes_bucket:
            minutes, longer = shorter_than(entry, HOUR_NS)
            return [(settings.minutes_bucket, minutes), (settings.bucket, longer)]
        return [(settings.bucket, entry)]

    def _store_open(self, bucket: str, batch: LineBatch) -> None:
        for first, last in list(batch.open_runs()):
            start = first
            self._withdraw(bucket, batch.withdrawals(first, last))
            while start < last:
                stop = min(last, batch.fitting(start, self._request_bytes))
                self._store(bucket, batch, start, stop)
                start = stop

    def _withdraw(self, bucket: str, points: Sequence[Withdrawal]) -> None:
        """Delete points whose new revision lacks a field, where the server can."""
        if self._withdrawals.unclear > self._unclear:
            self._unclear = self._withdrawals.unclear
            events.warning("influxdb_fields_stay", points=self._unclear, why=_TAGS_OF_ANOTHER)
        for point in points if self._can_delete else ():
            reply = self._api.delete(bucket, point.measurement, point.tags, point.at)
            if reply.answer == "found":
                continue
            # Without JSON it is no answer of this API: there is no such address.
            self._can_delete = bool(reply.content)
            if reply.status not in self._said_stay:
                self._said_stay.add(reply.status)
                why = f"{_NO_DELETE}: {reply.status} {reply.text}"
                events.warning("influxdb_fields_stay", points=len(points), why=why)
            if not self._can_delete:
                return

    def _store(self, bucket: str, batch: LineBatch, start: int, stop: int) -> None:
        """Write lines, halving what is rejected until the lines that are to blame stand alone."""
        try:
            self._post(bucket, batch.body(start, stop))
        except _Rejected as rejection:
            self._pace(rejection, stop - start)
            # Where all lines of a request are left out, as many as there are, each is to blame.
            if stop - start == 1 or rejection.dropped == stop - start:
                batch.refuse(start, stop, str(rejection))
                self._doubt(bucket, batch, stop - start, rejection)
                return
            middle = (start + stop) // 2
            self._store(bucket, batch, start, middle)
            self._store(bucket, batch, middle, stop)
            return
        batch.store(start, stop)
        self._good_lines[bucket], self._refused_in_a_row = batch.body(stop - 1, stop), 0
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

    def _doubt(self, bucket: str, batch: LineBatch, refused: int, rejection: _Rejected) -> None:
        """Ask whether a server that takes nothing would take a line it has taken before.

        Raises:
            NotConnected: it would not: the lines are not to blame, and none is given up.
        """
        self._refused_in_a_row += refused
        if self._lines_blamed or batch.any_stored:
            return
        if bucket in self._good_lines:
            self._lines_blamed = self._takes(bucket, self._good_lines[bucket])
        elif self._refused_in_a_row < _REFUSED_UNHEARD:
            return
        if not self._lines_blamed:
            batch.forgive()
            text = (
                f"InfluxDB at {self._settings.url} refuses every line, the last with {rejection}"
                " (check that url leads to the write API of InfluxDB 2, and the bucket)"
            )
            raise NotConnected(text)

    def _takes(self, bucket: str, line: bytes) -> bool:
        try:
            self._post(bucket, line)
        except _Rejected:
            return False
        return True

    def _post(self, bucket: str, body: bytes) -> None:
        if self._gzip:
            body = gzip.compress(body, compresslevel=1, mtime=0)
        exchange, settings = self._exchange, self._settings
        try:
            with exchange.within(settings.timeout_s):
                self._write_api.write(bucket, settings.org, body)
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
        if self._exchange.late(error):
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

    def _prepare(self) -> None:
        if self._prepared:
            return
        prepare(self._api, self._settings)
        if self._gzip:
            self._client.api_client.set_default_header("Content-Encoding", "gzip")
        self._prepared = True


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
