# SPDX-License-Identifier: EUPL-1.2
"""What the engine said is in the database, bad lines alone are refused, and nothing is lost."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from lamppost.errors import NotConnected, PartialWrite
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS
from sinks.influxdb import InfluxdbSink, InfluxSettings
from tests.outbox_entries import (
    START_NS,
    aggregates_entry,
    alerts_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
)
from tests.services import VictoriaMetrics
from tests.write_server import Answer, Request, WriteServer

KEYS = [SeriesKey("aq-017", "pm2_5"), SeriesKey("poison", "pm2_5"), SeriesKey("a, b=c", "no2")]
NAMES = [series_entry(1, KEYS), rules_entry(2)]


@pytest.fixture
def sink_to() -> Iterator[Callable[..., InfluxdbSink]]:
    """Make primed sinks and close them in the end."""
    made: list[InfluxdbSink] = []

    def make(url: str, **settings: object) -> InfluxdbSink:
        sink = InfluxdbSink(InfluxSettings(url=url, **settings))
        sink.prime(NAMES)
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()


def poisoned(request: Request) -> Answer:
    """Refuse a request that holds a bad line, as InfluxDB does."""
    if any("station=poison" in line for line in request.lines):
        return Answer(400, '{"code":"invalid","message":"unable to parse"}')
    return Answer()


@pytest.mark.integration
def test_aggregates_are_read_back_exactly(
    victoria_metrics: VictoriaMetrics, sink_to: Callable[..., InfluxdbSink]
) -> None:
    """Every number of every hour comes back bit for bit, at its time, under its names."""
    rng = np.random.default_rng(1)
    starts = START_NS - HOUR_NS * np.arange(100)
    # VictoriaMetrics keeps about twelve significant digits of any number.
    mean = np.round(rng.normal(20, 5, 100), 6)
    entry = aggregates_entry(3, series=[2], start=starts, mean=mean)
    sink_to(victoria_metrics.url).write([entry], 3)
    (series,) = victoria_metrics.query('aggregates_mean{station="a, b=c"}')
    assert series["metric"]["quantity"] == "no2"
    assert series["metric"]["window"] == "1h"
    found = dict(zip(series["timestamps"], series["values"], strict=True))
    assert found == dict(zip((starts // 1_000_000).tolist(), mean.tolist(), strict=True))
    (count,) = victoria_metrics.query('aggregates_count{station="a, b=c"}')
    assert set(count["values"]) == {60}


@pytest.mark.integration
def test_all_kinds_arrive_at_a_real_database(
    victoria_metrics: VictoriaMetrics, sink_to: Callable[..., InfluxdbSink]
) -> None:
    """Readings, indices and alert events are there too."""
    entries = [readings_entry(3), indices_entry(4), alerts_entry(5)]
    sink_to(victoria_metrics.url, gzip="on").write(entries, 5)
    for name, value in {"readings_value": 1.5, "indices_value": 51, "alerts_active": 1}.items():
        (series,) = victoria_metrics.query(f'{name}{{station="aq-017"}}')
        assert set(series["values"]) == {value}


@pytest.mark.integration
def test_a_killed_database_gets_everything_after_its_return(
    victoria_metrics: VictoriaMetrics, sink_to: Callable[..., InfluxdbSink]
) -> None:
    """While it is away the sink says so; writing the same entries again stores them."""
    sink = sink_to(victoria_metrics.url)
    entry = readings_entry(3, time=[START_NS + 1_000_000], score=[7.5])
    victoria_metrics.kill()
    try:
        with pytest.raises(NotConnected, match="cannot be reached"):
            sink.write([entry], 3)
    finally:
        victoria_metrics.start()
    sink.write([entry], 3)
    (series,) = victoria_metrics.query('readings_score{station="aq-017"}')
    assert series["values"] == [7.5]


def test_only_the_bad_lines_are_refused(sink_to: Callable[..., InfluxdbSink]) -> None:
    """Neighbours of a bad line are stored; the refusal names line, entry and answer."""
    codes = np.zeros(500, int)
    codes[[7, 8, 400]] = 1
    entries = [
        readings_entry(3, series=codes[:300], time=START_NS + np.arange(300)),
        readings_entry(4, series=codes[300:], time=START_NS + np.arange(300, 500)),
    ]
    with WriteServer(poisoned) as server:
        with pytest.raises(PartialWrite) as caught:
            sink_to(server.url).write(entries, 4)
        assert set(caught.value.refused) == {7, 8, 400}
        assert len(server.stored) == 497
    reason = caught.value.refused[400]
    assert "HTTP 400" in reason
    assert "unable to parse" in reason
    assert "entry 4: readings,station=poison" in reason
    assert len(reason) < 1000


def test_a_request_that_is_too_large_is_cut(sink_to: Callable[..., InfluxdbSink]) -> None:
    """A server with a lower limit than ours gets smaller requests."""

    def small(request: Request) -> Answer:
        return Answer(413, "too large") if len(request.lines) > 10 else Answer()

    entry = readings_entry(3, time=START_NS + np.arange(100))
    with WriteServer(small) as server:
        sink_to(server.url).write([entry], 3)
        assert len(server.stored) == 100


def test_requests_are_bounded_by_bytes(sink_to: Callable[..., InfluxdbSink]) -> None:
    """A large batch goes out in several requests, whole lines each, in order."""
    entry = readings_entry(3, time=START_NS + np.arange(1000))
    with WriteServer() as server:
        sink_to(server.url, request_bytes=5_000).write([entry], 3)
        assert all(request.size <= 5_000 for request in server.requests)
        assert len(server.requests) > 10
        assert len(server.stored) == 1000


def test_compression_is_used_when_asked_for(sink_to: Callable[..., InfluxdbSink]) -> None:
    """The request is smaller and says the same."""
    entry = readings_entry(3, time=START_NS + np.arange(1000))
    with WriteServer() as server:
        sink_to(server.url, gzip="on").write([entry], 3)
        (request,) = server.requests
        assert request.headers["Content-Encoding"] == "gzip"
        assert request.size < sum(map(len, request.lines)) / 4
        assert len(server.stored) == 1000


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "check the token"), (404, "bucket"), (429, ""), (500, ""), (503, "")]
)
def test_a_server_that_does_not_blame_the_lines_is_asked_again(
    status: int, hint: str, sink_to: Callable[..., InfluxdbSink]
) -> None:
    """Credentials, limits and outages cost no data."""
    with WriteServer(lambda _: Answer(status, "no")) as server:
        with pytest.raises(NotConnected, match=f"answered {status}: no.*{hint}") as caught:
            sink_to(server.url).write([readings_entry(3)], 3)
        assert caught.value.retry_after_s is None
        assert len(server.requests) == 1


def test_the_wish_to_wait_is_passed_on(sink_to: Callable[..., InfluxdbSink]) -> None:
    """Retry-After counts, as seconds and as a date; nonsense does not."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for wish, low, high in (("7", 7, 7), (later, 50, 60), ("soon", None, None)):
        answer = Answer(429, "slow down", {"Retry-After": wish})
        server = WriteServer(lambda _, answer=answer: answer)
        with server, pytest.raises(NotConnected) as caught:
            sink_to(server.url).write([readings_entry(3)], 3)
        waits = caught.value.retry_after_s
        assert waits is None if low is None else low <= waits <= high


def test_a_silent_server_is_not_waited_for_longer_than_set(
    sink_to: Callable[..., InfluxdbSink],
) -> None:
    """A time-out is an outage."""
    server = WriteServer(lambda _: Answer(after_s=1.0))
    with server, pytest.raises(NotConnected, match="cannot be reached"):
        sink_to(server.url, timeout_s=0.2).write([readings_entry(3)], 3)


def test_an_address_nobody_listens_at_is_an_outage(sink_to: Callable[..., InfluxdbSink]) -> None:
    """Refused connections are tried again later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NotConnected, match="cannot be reached"):
        sink_to(url).write([readings_entry(3)], 3)


def test_readings_can_be_left_out(sink_to: Callable[..., InfluxdbSink]) -> None:
    """Then only what was made of them is written."""
    with WriteServer() as server:
        sink_to(server.url, readings=False).write([readings_entry(3), indices_entry(4)], 4)
        assert {head.split(",")[0] for head, _ in server.stored} == {"indices"}


def test_entries_without_lines_need_no_server(sink_to: Callable[..., InfluxdbSink]) -> None:
    """Names alone cause no request."""
    sink_to("http://127.0.0.1:1").write([*NAMES, Entry(5, "ledger", START_NS, b"[]")], 5)
