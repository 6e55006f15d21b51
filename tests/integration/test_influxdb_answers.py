# SPDX-License-Identifier: EUPL-1.2
"""Whatever a database, or what stands before it, answers: no point is lost or written off."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from lamppost.errors import NotConnected, PartialWrite
from lamppost.log import Entry
from lamppost.series import SeriesKey
from sinks.influxdb import InfluxdbSink, InfluxSettings
from tests.outbox_entries import START_NS, readings_entry, rules_entry, series_entry
from tests.raw_server import RawServer, is_write, read_request, reset
from tests.write_server import Answer, Request, WriteServer

KEYS = [SeriesKey("aq-017", "pm2_5"), SeriesKey("poison", "pm2_5")]
PAGE = "<html><body>Sign in</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
YES = b"HTTP/1.1 204 No Content\r\n\r\n"
MakeSink = Callable[..., InfluxdbSink]


@pytest.fixture
def sink_to() -> Iterator[MakeSink]:
    """Make primed sinks and close them in the end."""
    made: list[InfluxdbSink] = []

    def make(url: str, **settings: object) -> InfluxdbSink:
        sink = InfluxdbSink(InfluxSettings(url=url, **settings))
        sink.prime([series_entry(1, KEYS), rules_entry(2)])
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()


def points(count: int, poison: object = ()) -> Entry:
    """Return an entry of readings, some of the series that is refused."""
    codes = np.zeros(count, int)
    codes[np.array(poison, int)] = 1
    return readings_entry(3, series=codes, time=START_NS + np.arange(count))


def poisoned(request: Request) -> Answer:
    """Refuse a request that holds a bad line, as InfluxDB does."""
    if any("station=poison" in line for line in request.lines):
        return Answer(400, '{"code":"invalid","message":"unable to parse"}')
    return Answer()


@pytest.mark.parametrize("place", [0, 1, 2499, 2500, 4999])
def test_one_bad_point_of_5000_costs_itself_and_a_few_requests(
    place: int, sink_to: MakeSink
) -> None:
    """It is found by halving: two requests for each power of two, not one for each point."""
    with WriteServer(poisoned) as server:
        with pytest.raises(PartialWrite) as caught:
            sink_to(server.url).write([points(5000, [place])], 3)
        assert set(caught.value.refused) == {place}
        assert caught.value.tally is not None
        assert sum(caught.value.tally.stored.values()) == 4999
        assert sum(caught.value.tally.refused.values()) == 1
        assert len(server.stored) == 4999
        assert len(server.requests) <= 2 * math.ceil(math.log2(5000)) + 2


def test_many_bad_points_are_found_without_pressing_the_server(sink_to: MakeSink) -> None:
    """After some hundred refusals the sink pauses, and then goes on where it was."""
    entry, bad = points(2000, range(0, 2000, 2)), set(range(0, 2000, 2))
    with WriteServer(poisoned) as server:
        sink = sink_to(server.url)
        refused: set[int] = set()
        pauses: list[NotConnected] = []
        while not refused:
            before = len(server.requests)
            try:
                sink.write([entry], 3)
            except NotConnected as pause:
                pauses.append(pause)
            except PartialWrite as caught:
                refused = set(caught.refused)
            assert len(server.requests) - before < 1000
        assert 1 <= len(pauses) < 20
        assert {(pause.progressed, pause.retry_after_s) for pause in pauses} == {(True, 1.0)}
        assert refused == bad
        assert len(server.stored) == 1000
        assert len(server.requests) < 2 * 2000 + 20 * len(pauses)


def test_a_server_that_says_how_many_points_it_left_out_is_believed(sink_to: MakeSink) -> None:
    """Points older than the bucket keeps are refused in one request, however many they are."""

    def too_old(request: Request) -> Answer:
        text = f"partial write: points beyond retention policy dropped={len(request.lines)}"
        return Answer(422, f'{{"code":"unprocessable entity","message":"{text}"}}')

    with WriteServer() as server:
        sink = sink_to(server.url)
        sink.write([points(1)], 3)
        good = set(server.requests[0].lines)
        server.script = lambda asked: Answer() if set(asked.lines) == good else too_old(asked)
        old = readings_entry(4, time=START_NS - 10**15 + np.arange(3000))
        with pytest.raises(PartialWrite) as caught:
            sink.write([old], 4)
        assert len(caught.value.refused) == 3000
        assert len(server.requests) == 3


@pytest.mark.parametrize("heard_before", [True, False])
def test_a_server_that_refuses_everything_costs_no_point(
    heard_before: bool,  # noqa: FBT001 - a parameter
    sink_to: MakeSink,
) -> None:
    """It would not even take what it has taken before: then the lines are not to blame."""
    with WriteServer() as server:
        sink = sink_to(server.url)
        if heard_before:
            sink.write([points(1)], 3)
        server.script = lambda _: Answer(400, '{"code":"invalid","message":"no"}')
        for _ in range(3):
            before = len(server.requests)
            with pytest.raises(NotConnected, match=r"refuses every line.*check that url"):
                sink.write([points(500)], 3)
            assert len(server.requests) - before < 60
        server.script = lambda _: Answer()
        sink.write([points(500)], 3)
        assert len(server.stored) == 500


def test_a_single_bad_line_among_good_batches_is_refused(sink_to: MakeSink) -> None:
    """Alone in its batch, it is told from a broken server by a line that was taken before."""
    with WriteServer(poisoned) as server:
        sink = sink_to(server.url)
        sink.write([points(1)], 3)
        with pytest.raises(PartialWrite):
            sink.write([points(1, [0])], 3)
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [200, 400, 404, 502, 504])
def test_a_page_of_a_proxy_is_not_the_answer_of_a_database(status: int, sink_to: MakeSink) -> None:
    """Neither as a yes nor as a no."""
    with WriteServer(lambda _: Answer(status, PAGE, HTML)) as server:
        with pytest.raises(NotConnected) as caught:
            sink_to(server.url).write([points(10)], 3)
        assert (
            "proxy" in str(caught.value)
            or "page for people" in str(caught.value)
            or (status == 404 and "bucket" in str(caught.value))
        )
        assert len(server.requests) == 1


def test_a_proxy_with_a_lower_limit_gets_smaller_requests(sink_to: MakeSink) -> None:
    """Also when it says so with a page."""

    def small(request: Request) -> Answer:
        return Answer(413, PAGE, HTML) if request.size > 20_000 else Answer()

    with WriteServer(small) as server:
        sink = sink_to(server.url)
        sink.write([points(5000)], 3)
        assert len(server.stored) == 5000


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_credential_or_bucket_writes_no_point_off(status: int, sink_to: MakeSink) -> None:
    """It says what to check, is asked once per attempt, and everything arrives afterwards."""
    with WriteServer(lambda _: Answer(status, '{"code":"x","message":"no"}')) as server:
        sink = sink_to(server.url)
        for _ in range(3):
            with pytest.raises(NotConnected, match=r"token|bucket"):
                sink.write([points(5000)], 3)
        assert len(server.requests) == 3
        server.script = lambda _: Answer()
        sink.write([points(5000)], 3)
        assert len(server.stored) == 5000


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_address_that_has_moved_is_said_and_not_followed(status: int, sink_to: MakeSink) -> None:
    """The credential goes to the address that was configured and nowhere else."""
    with WriteServer() as elsewhere:
        answer = Answer(status, "", {"Location": f"{elsewhere.url}/api/v2/write"})
        with WriteServer(lambda _: answer) as server:
            with pytest.raises(NotConnected, match=f"answered {status}.*{elsewhere.url}"):
                sink_to(server.url).write([points(1)], 3)
            assert elsewhere.requests == []


def test_a_broken_transfer_goes_on_where_it_broke(sink_to: MakeSink) -> None:
    """Lines the server has confirmed are not written again in the next attempt."""
    with WriteServer() as server:
        sink = sink_to(server.url, request_bytes=20_000)
        server.script = lambda _: Answer(503 if len(server.requests) == 4 else 204)
        with pytest.raises(NotConnected):
            sink.write([points(2000)], 3)
        tally = sink.write([points(2000)], 3)
        assert tally is not None
        assert sum(tally.stored.values()) == 2000
        lines = [line for request in server.requests for line in request.lines]
        refused = len(server.requests[3].lines)
        assert len(lines) == 2000 + refused


@pytest.mark.parametrize(
    ("wish", "waits"),
    [
        ("1e300", 300),
        ("inf", 300),
        ("-5", 0),
        ("nan", None),
        ("", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 99 Dec 99999 23:59:59 GMT", None),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 300, id="a day"
        ),
    ],
)
def test_absurd_wishes_to_wait_are_capped(
    wish: str, waits: float | None, sink_to: MakeSink
) -> None:
    """Nobody stops us for a day with one header."""
    with WriteServer(lambda _: Answer(503, "no", {"Retry-After": wish})) as server:
        with pytest.raises(NotConnected) as caught:
            sink_to(server.url).write([points(1)], 3)
        assert caught.value.retry_after_s == waits


def write_only(treat: Callable[[socket.socket, threading.Event], None]) -> RawServer:
    """Return a server that answers questions about buckets, and treats writes as told."""

    def serve(connection: socket.socket, over: threading.Event) -> None:
        while request := read_request(connection):
            if is_write(request):
                treat(connection, over)
                return
            connection.sendall(NOT_FOUND)

    return RawServer(serve)


def trickle(text: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Return a treatment that sends one byte after the other, slowly."""

    def treat(connection: socket.socket, over: threading.Event) -> None:
        for place in range(len(text)):
            connection.sendall(text[place : place + 1])
            if over.wait(0.05):
                return

    return treat


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n",
        b"HTTP/1.1 500 Broken\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000,
        b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 400,
    ],
)
def test_an_answer_byte_by_byte_ends_at_the_time_limit(answer: bytes, sink_to: MakeSink) -> None:
    """Each byte begins the time-out of the socket anew; the limit is for the whole request."""
    with write_only(trickle(answer)) as server:
        sink = sink_to(server.url, timeout_s=0.5)
        with pytest.raises(NotConnected, match=r"no whole answer within 0\.5 s"):
            sink.write([points(1)], 3)


def test_a_list_of_buckets_byte_by_byte_ends_as_well(sink_to: MakeSink) -> None:
    """The question before the first write has the same limit."""
    treat = trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b" " * 9999)
    with RawServer(treat) as server, pytest.raises(NotConnected, match="no whole answer"):
        sink_to(server.url, timeout_s=0.5).write([points(1)], 3)


def test_a_server_that_accepts_and_stays_silent_is_an_outage(sink_to: MakeSink) -> None:
    """It may even have read nothing of a request larger than all buffers between us."""
    with RawServer(lambda _, over: over.wait(60) and None) as server:
        sink = sink_to(server.url, timeout_s=0.3, request_bytes=50_000_000)
        with pytest.raises(NotConnected, match="no whole answer"):
            sink.write([points(1)], 3)
    with write_only(lambda _, over: over.wait(60) and None) as server:
        sink = sink_to(server.url, timeout_s=0.5, request_bytes=50_000_000)
        with pytest.raises(NotConnected, match="no whole answer"):
            sink.write([points(200_000)], 3)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n"]
)
def test_a_connection_that_breaks_in_the_answer_is_an_outage(
    said: bytes, sink_to: MakeSink
) -> None:
    """Half an answer is none."""

    def treat(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(said)
        reset(connection)

    with write_only(treat) as server, pytest.raises(NotConnected):
        sink_to(server.url).write([points(1)], 3)


def test_a_yes_to_half_a_request_is_not_believed(sink_to: MakeSink) -> None:
    """The server answers after the first bytes and hangs up; the rest never arrived."""

    def serve(connection: socket.socket, over: threading.Event) -> None:
        head = connection.recv(4096)
        if not is_write(head):
            connection.sendall(NOT_FOUND + b"")
            head = connection.recv(4096)
        connection.sendall(YES)
        connection.shutdown(socket.SHUT_RD)
        over.wait(0.5)

    with RawServer(serve) as server:
        sink = sink_to(server.url, timeout_s=5.0, request_bytes=50_000_000)
        with pytest.raises(NotConnected):
            sink.write([points(200_000)], 3)


def test_a_server_that_closes_kept_connections_costs_nothing(sink_to: MakeSink) -> None:
    """The next request opens a new one."""

    def treat(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(YES)

    with write_only(treat) as server:
        sink = sink_to(server.url)
        written = 0
        for _ in range(20):
            try:
                sink.write([points(1)], 3)
                written += 1
            except NotConnected:
                continue
        assert written >= 10


def test_an_endless_answer_takes_no_memory(sink_to: MakeSink) -> None:
    """Its beginning is enough."""

    def treat(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65_536)

    with write_only(treat) as server, pytest.raises(NotConnected, match="answered 500") as caught:
        sink_to(server.url).write([points(1)], 3)
    assert len(str(caught.value)) < 500


def test_what_is_no_list_of_buckets_does_not_keep_us_from_writing(sink_to: MakeSink) -> None:
    """Some databases answer that question with a page."""

    def serve(connection: socket.socket, _: threading.Event) -> None:
        while request := read_request(connection):
            body = b"" if is_write(request) else PAGE.encode()
            head = b"HTTP/1.1 204 Yes\r\n" if is_write(request) else b"HTTP/1.1 200 OK\r\n"
            length = b"" if is_write(request) else b"Content-Length: %d\r\n" % len(body)
            connection.sendall(
                head + b"Content-Type: application/json\r\n" + length + b"\r\n" + body
            )

    with RawServer(serve) as server:
        sink_to(server.url).write([points(1)], 3)
