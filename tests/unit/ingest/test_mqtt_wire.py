# SPDX-License-Identifier: EUPL-1.2
"""Reading PUBLISH packets in bulk: by hand-made packets, and against every cut of a stream."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mqtt_wire import HEAD_BYTES, Peeler, Received, pubacks
from tests.fuzz.fuzz_mqtt_wire import check
from tests.mqtt_packets import PINGRESP, Stream, connack, packet, publish, streams, text, variable


def peeler(*, speaks_5: bool = False, max_payload_bytes: int = 65_536) -> Peeler:
    """Return a peeler of connection 7."""
    return Peeler(7, speaks_5=speaks_5, max_payload_bytes=max_payload_bytes)


def test_a_message_is_read_with_all_that_is_needed_to_acknowledge_it() -> None:
    """Topic, payload, packet identifier, QoS, connection, instant and size come out."""
    (message,) = peeler().feed(publish("v1/a/readings", b"{}", qos=1, mid=513), 42)

    assert message == Received("v1/a/readings", b"{}", 42, 7, 513, 1, 2)


@pytest.mark.parametrize("flags", [0, 1, 8, 9])
def test_duplicate_and_retained_messages_are_messages(flags: int) -> None:
    """The DUP and RETAIN bits change nothing."""
    (message,) = peeler().feed(publish("t", b"p", qos=1, mid=1, flags=flags), 0)

    assert message.mid == 1


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 16_380, 16_381, 65_536])
def test_every_length_of_length_is_understood(size: int) -> None:
    """Payloads around the edges of one, two and three length bytes are whole."""
    (message,) = peeler().feed(publish("t", b"x" * size), 0)

    assert message.payload == b"x" * size
    assert (message.mid, message.qos, message.size) == (0, 0, size)


def test_other_packets_are_left_byte_for_byte_and_in_order() -> None:
    """CONNACK, PINGRESP and QoS 2 stay for paho, messages around them do not."""
    twice = publish("t", b"q2", qos=2, mid=9)
    one = peeler()

    messages = one.feed(
        connack() + publish("t", b"1") + twice + publish("t", b"2") + PINGRESP + PINGRESP[:1], 0
    )

    assert [message.payload for message in messages] == [b"1", b"2"]
    assert bytes(one.left) == connack() + twice + PINGRESP


def test_properties_of_mqtt_5_are_passed_over() -> None:
    """Every property a PUBLISH may have, except an alias, is not part of the payload."""
    properties = b"\x01\x01" + b"\x02\0\0\0\x09" + b"\x03" + text("json") + b"\x08" + text("answer")
    properties += b"\x09" + text(b"\0\1") + b"\x0b\xff\x7f" + b"\x26" + text("k") + text("v" * 200)

    (message,) = peeler(speaks_5=True).feed(
        publish("t", b"payload", qos=1, mid=3, properties=properties), 0
    )

    assert message.payload == b"payload"


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        (b"\x23\x00\x01", "topic alias"),
        (b"\x26" + text("k") + text("v") + b"\x23\x00\x01", "topic alias"),
        (b"\x11\x00\x00\x00\x01", "property 17"),
        (b"\x02\x00", "longer than the properties"),
        (b"\x03\xff\xff", "longer than the properties"),
        (b"\x0b\xff", "longer than the properties"),
        (b"\x0b\xff\xff\xff\xff\x01", "more than four bytes"),
    ],
)
def test_properties_that_break_the_rules_end_the_stream(properties: bytes, problem: str) -> None:
    """They are named, and nothing behind them is read."""
    one = peeler(speaks_5=True)
    good = publish("t", b"good", properties=b"")

    messages = one.feed(good + publish("t", b"bad", properties=properties) + good, 0)

    assert [message.payload for message in messages] == [b"good"]
    assert problem in one.violation
    assert one.feed(good, 0) == []


@pytest.mark.parametrize(
    "data",
    [
        packet(0x30, b""),
        packet(0x30, b"\0"),
        packet(0x30, b"\0\x05abc"),
        packet(0x32, b"\0\x01t\0"),
        publish("t", b"", qos=1, mid=0),
        publish("", b"p"),
        b"\x30\xff\xff\xff\xff\x01",
        b"\x40\xff\xff\xff\x7f",
    ],
)
def test_malformed_packets_end_the_stream(data: bytes) -> None:
    """A broken PUBLISH, a length of five bytes and a giant of another kind are refused."""
    one = peeler()

    assert one.feed(data, 0) == []
    assert one.violation


def test_a_topic_that_is_not_text_costs_only_itself() -> None:
    """It becomes a name no route matches; its neighbours are read."""
    messages = peeler().feed(publish(b"\xff", b"1") + publish("t", b"2"), 0)

    assert [message.topic for message in messages] == ["\ufffd", "t"]


@pytest.mark.parametrize("size", [1025, 200_000, 3_000_000])
@pytest.mark.parametrize("step", [1_000, 65_536, 10_000_000])
def test_of_a_payload_above_the_limit_the_head_is_kept(size: int, step: int) -> None:
    """Whole or in pieces, its first KiB and its size come out, and its neighbours are whole."""
    data = publish("t", b"a") + publish("t", b"x" * size, qos=1, mid=5) + publish("t", b"b")
    one = peeler(max_payload_bytes=1024)

    messages = [
        message for at in range(0, len(data), step) for message in one.feed(data[at : at + step], 0)
    ]

    assert [(len(message.payload), message.size) for message in messages] == [
        (1, 1),
        (HEAD_BYTES, size),
        (1, 1),
    ]
    assert messages[1].mid == 5


def test_a_giant_is_not_buffered() -> None:
    """Of the largest packet MQTT knows, next to nothing is ever in memory."""
    one = peeler()
    header = bytes([0x32]) + variable(268_435_455) + text("t") + b"\0\x01"
    block = b"\0" * 65_536
    left = 268_435_455 - 5
    tracemalloc.start()

    messages = one.feed(header, 0)
    while left:
        messages += one.feed(block[:left], 0)
        left -= min(left, len(block))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [message.size for message in messages] == [268_435_450]
    assert most < 1_000_000


def test_topics_are_kept_once_and_not_without_end() -> None:
    """The same topic is the same text object, and a flood of names is forgotten again."""
    one = peeler()

    first, second = one.feed(publish("v1/a", b"") * 2, 0)
    for number in range(70_000):
        one.feed(publish(f"v1/{number}", b""), 0)

    assert first.topic is second.topic
    assert len(one._topics) <= 65_536


def test_acknowledgements_are_joined_in_order() -> None:
    """Four bytes each, in the order given."""
    assert pubacks([1, 65_535, 258]) == b"\x40\x02\x00\x01\x40\x02\xff\xff\x40\x02\x01\x02"
    assert pubacks([]) == b""


@given(streams())
def test_the_result_does_not_depend_on_the_cuts(stream: Stream) -> None:
    """Any cuts give the messages and the bytes for paho that went in."""
    one = peeler(speaks_5=stream.speaks_5)

    messages = [message for chunk in stream.chunks() for message in one.feed(chunk, 0)]

    assert [(each.topic, each.payload, each.qos, each.mid) for each in messages] == stream.peeled
    assert bytes(one.left) == stream.left
    assert one.violation == ""


@given(st.binary(max_size=300))
def test_no_bytes_bring_it_down(data: bytes) -> None:
    """The short form of the fuzzer."""
    check(data)


@given(streams(), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=4))
def test_nearly_right_bytes_do_not_bring_it_down(
    stream: Stream, changes: list[tuple[int, int]]
) -> None:
    """A stream with a few bytes changed, as the fuzzer judges it."""
    data = bytearray(stream.data[:3000])
    for at, byte in changes:
        if data:
            data[at % len(data)] = byte

    check(struct.pack("!BH", stream.speaks_5, 1 + len(stream.cuts)) + bytes(data))
