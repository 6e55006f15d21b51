# SPDX-License-Identifier: EUPL-1.2
"""Fuzzes the bulk reader against itself at other cuts and against stock paho.

Run as ``python -m tests.fuzz.fuzz_mqtt_wire [-max_total_time=60]``: with atheris if it is
installed, else with random changes to well-formed streams for as many seconds.
"""

from __future__ import annotations

import random
import re
import sys
import time
from pathlib import Path

from ingest.mqtt_wire import Peeler
from tests.mqtt_packets import Message, connack, cut, packet, publish, text, through_paho

_MAX_PAYLOAD_BYTES = 1024


def check(data: bytes) -> None:
    """Judge one input: a byte for the protocol, two for the cuts, the rest is the stream.

    Raises:
        AssertionError: the result depends on the cuts, or differs from paho's.
    """
    if len(data) < 3:
        return
    speaks_5, stream = bool(data[0] & 1), data[3:]
    step = 1 + int.from_bytes(data[1:3]) % (len(stream) + 1)
    whole = _peel(stream, [], speaks_5=speaks_5)
    assert _peel(stream, range(0, len(stream), step), speaks_5=speaks_5) == whole
    assert _peel(stream, range(len(stream)), speaks_5=speaks_5) == whole
    messages, _, violation = whole
    expected, accepted = through_paho(iter([stream]), speaks_5=speaks_5)
    expected = [message for message in expected if message[2] < 2]
    both = min(len(messages), len(expected))
    assert messages[:both] == [_bounded(message) for message in expected[:both]]
    # Each side may be stricter than the other, but one that accepted all has missed nothing.
    assert violation or len(messages) >= len(expected)
    assert not accepted or len(expected) >= len(messages)


def _peel(
    stream: bytes, cuts: range | list[int], *, speaks_5: bool
) -> tuple[list[Message], bytes, str]:
    peeler = Peeler(1, speaks_5=speaks_5, max_payload_bytes=_MAX_PAYLOAD_BYTES)
    messages = [message for chunk in cut(stream, cuts) for message in peeler.feed(chunk, 0)]
    found = [(each.topic, each.payload, each.qos, each.mid) for each in messages]
    return found, bytes(peeler.left), peeler.violation


def _bounded(message: Message) -> Message:
    topic, payload, qos, mid = message
    return topic, payload if len(payload) <= _MAX_PAYLOAD_BYTES else payload[:1024], qos, mid


def _random_input(source: random.Random) -> bytes:
    """Return a well-formed stream with some bytes changed, dropped or doubled."""
    speaks_5 = source.random() < 0.5
    stream = connack(speaks_5=speaks_5)
    for _ in range(source.randrange(8)):
        properties = source.choice([b"", b"\x26" + text("k") + text("v"), b"\x23\0\1", b"\x0b\x01"])
        stream += source.choice([
            publish("v1/a/readings", source.randbytes(source.choice([0, 9, 130, 1500])),
                    qos=source.randrange(3), mid=source.randrange(5),
                    properties=properties if speaks_5 else None),
            packet(0x62, b"\0\1"),
            packet(source.randrange(256), source.randbytes(source.randrange(6))),
        ])  # fmt: skip
    data = bytearray(stream)
    for _ in range(source.randrange(4)):
        at = source.randrange(len(data))
        data[at : at + source.randrange(2)] = source.randbytes(source.randrange(3))
    return bytes([speaks_5]) + source.randbytes(2) + bytes(data)


def _run_random(seconds: float) -> None:
    seed = random.SystemRandom().randrange(2**32)
    source = random.Random(seed)
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        data = _random_input(source)
        try:
            check(data)
        except BaseException:
            sys.stderr.write(f"seed {seed}, input {count}: {data.hex()}\n")
            raise
        count += 1
    sys.stdout.write(f"{count} random inputs, seed {seed}: no difference\n")


def main() -> None:
    """Fuzz until told to stop."""
    try:
        import atheris
    except ImportError:
        limit = re.search(r"-max_total_time=(\d+)", " ".join(sys.argv))
        _run_random(float(limit[1]) if limit else 60.0)
        return
    atheris.instrument_all()
    atheris.Setup([*sys.argv, str(_seeds())], check)
    atheris.Fuzz()


def _seeds() -> Path:
    """Write some well-formed inputs for the fuzzer to start from."""
    folder = Path("build/fuzz/mqtt_wire")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(50):
        (folder / str(number)).write_bytes(_random_input(random.Random(number)))
    return folder


if __name__ == "__main__":
    main()
