# SPDX-License-Identifier: EUPL-1.2
"""F10: a message far larger than any message may be.

Method: the largest packet MQTT can announce through a real Mosquitto, and from a broker that only
announces it; a body over HTTP that unpacks to a thousand times its size. Pass: told by its length,
not by its bytes: memory grows by less than 10 MB, and what comes after is taken as ever.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost.frames import Deliveries
from lamppost.log import FRAME
from tests.chaos.publisher import Publisher
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.integration.scripted_broker import Peer, ScriptedBroker
from tests.mqtt_packets import text, variable
from tests.services import Mosquitto

# Room for what MQTT 5 adds when the broker passes it on.
LARGEST = 268_435_455 - 64
HEAD_BYTES = 1024
MOST_GROWTH = 10 << 20
PIECE = bytes(1 << 16)
GOOD = b'{"sensor":"aq-1","time":1795294800,"values":{"pm10":1}}'


def announced(remaining: int, mid: int) -> tuple[bytes, int]:
    """Return the beginning of a PUBLISH at QoS 1, and how many bytes of payload follow."""
    head = text("v1/giant/readings") + struct.pack("!H", mid)
    return b"\x32" + variable(remaining) + head, remaining - len(head)


def send_giant(sock: socket.socket, remaining: int, mid: int = 1) -> int:
    """Send one message of zeros piece by piece; return its size."""
    head, size = announced(remaining, mid)
    sock.sendall(head)
    for start in range(0, size, len(PIECE)):
        sock.sendall(PIECE[: min(len(PIECE), size - start)])
    return size


def resident(pid: int, which: str) -> int:
    """Return what a process takes ("VmRSS") or took at most ("VmHWM"), bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


@contextlib.contextmanager
def growth(pid: int) -> Iterator[list[int]]:
    """Measure by how much the memory of a process grew at most, in the list's only item."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    before, found = resident(pid, "VmRSS"), [0]
    yield found
    found[0] = resident(pid, "VmHWM") - before


def messages(installation: Installation) -> list[bytes]:
    """Return the payloads in the inbox."""
    with contextlib.closing(installation.inbox) as inbox:
        frames = [one.body for one in inbox.read(0, 10_000) if one.kind == FRAME]
    return [payload for body in frames for payload in Deliveries.from_bytes(body).payloads]


def warm_up(installation: Installation, broker: Mosquitto) -> None:
    """Let the intake take some messages of usual size."""
    warm = [("v1/warm/readings", GOOD + b" " * number) for number in range(500)]
    Publisher(broker.port, warm, client_id="warm").start().finish()
    installation.wait_until(lambda: len(messages(installation)) == 500)


@pytest.mark.timeout(600)
def test_a_giant_packet_through_mosquitto_costs_no_memory(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto
) -> None:
    """Its head is kept, it is acknowledged, and the next message is read as ever."""
    remaining = chaos.pick(24 << 20, LARGEST)
    installation = Installation(tmp_path, broker)
    process = installation.start_role("intake")
    try:
        installation.wait_until(lambda: "mqtt_connected" in installation.output())
        warm_up(installation, broker)
        with growth(process.pid) as grown:
            with contextlib.closing(_connected(broker.port)) as sock:
                size = send_giant(sock, remaining)
                sock.settimeout(120)
                assert sock.recv(4, socket.MSG_WAITALL)[:1] == b"\x40"
            Publisher(broker.port, [("v1/aq-1/readings", GOOD)]).start().finish()
            installation.wait_until(lambda: messages(installation)[-1] == GOOD, 120)
    finally:
        installation.kill_tree()

    assert messages(installation)[-2] == bytes(HEAD_BYTES)
    chaos.report(
        fault="F10",
        did=f"a packet of {size:,} bytes through Mosquitto",
        memory_growth_MiB=grown[0] / 2**20,
        limit_MiB=10,
    )
    assert grown[0] < MOST_GROWTH


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00" + text("giant"))
    assert sock.recv(4, socket.MSG_WAITALL)[:1] == b"\x20"
    return sock


@pytest.mark.timeout(600)
def test_a_giant_packet_that_is_only_announced_waits_for_nobody(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto
) -> None:
    """From a broker that sends part of it, then the rest, over and over again."""
    scripted = ScriptedBroker(speaks_5=True)
    installation = Installation(tmp_path, broker, broker_port=scripted.port)
    process = installation.start_role("intake")
    try:
        peer = scripted.accept()
        peer.welcome()
        peer.publish(range(1, 200))
        peer.pubacks(199)
        with growth(process.pid) as grown:
            for mid in range(300, 300 + chaos.pick(1, 4)):
                _send_announced(peer, chaos.pick(32 << 20, LARGEST), mid)
                assert peer.pubacks(1) == [mid]
            peer.publish(range(400, 401), GOOD.decode().replace("{", "{{").replace("}", "}}"))
            assert peer.pubacks(1) == [400]
    finally:
        installation.kill_tree()
        scripted.close()

    assert messages(installation)[-1] == GOOD
    assert messages(installation)[-2] == bytes(HEAD_BYTES)
    chaos.report(
        fault="F10",
        did="such packets from a scripted broker, MQTT 5",
        memory_growth_MiB=grown[0] / 2**20,
        limit_MiB=10,
    )
    assert grown[0] < MOST_GROWTH


def _send_announced(peer: Peer, remaining: int, mid: int) -> None:
    head = text("v1/giant/readings") + struct.pack("!H", mid) + b"\0"
    peer.socket.sendall(b"\x32" + variable(remaining) + head)
    left = remaining - len(head)
    while left:
        piece = PIECE[: min(len(PIECE), left)]
        peer.socket.sendall(piece)
        left -= len(piece)


@pytest.mark.timeout(600)
def test_a_body_that_unpacks_to_a_thousand_times_its_size_costs_no_memory(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto
) -> None:
    """413; so does one that says it is larger than it may be, before it is sent."""
    bomb = gzip.compress(b'{"sensor":"' + b"a" * chaos.pick(100 << 20, 900 << 20), 6)
    installation = Installation(tmp_path, broker)
    process = installation.start_role("portal")
    try:
        installation.wait_until(installation.answers)
        for _ in range(3):
            assert post(installation, gzip.compress(GOOD), gzip=True) == 202
        with growth(process.pid) as grown:
            answers = [post(installation, bomb, gzip=True) for _ in range(5)]
            answers.append(post(installation, b"", length=10**9))
        assert post(installation, GOOD) == 202
    finally:
        installation.kill_tree()

    assert answers == [413] * 6
    assert messages(installation) == [GOOD] * 4
    chaos.report(
        fault="F10",
        did=f"a body of {len(bomb):,} bytes that unpacks to a thousand times as many",
        memory_growth_MiB=grown[0] / 2**20,
        limit_MiB=10,
    )
    assert grown[0] < MOST_GROWTH


def post(
    installation: Installation, body: bytes, *, gzip: bool = False, length: int | None = None
) -> int:
    """Push a body; return the status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if gzip:
        headers["Content-Encoding"] = "gzip"
    if length is not None:
        headers["Content-Length"] = str(length)
    with contextlib.closing(connection):
        connection.request("POST", "/api/v1/readings", body, headers)
        return connection.getresponse().status
