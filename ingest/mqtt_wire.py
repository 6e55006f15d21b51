# SPDX-License-Identifier: EUPL-1.2
"""MQTT packets as bytes: PUBLISH at QoS 0 and 1 is read here in bulk, all else is left as it is."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

HEAD_BYTES: Final = 1024
"""How much is kept of a payload above the limit."""

UNREADABLE_TOPIC: Final = "\ufffd"
"""Stands for a topic that is not UTF-8; no route matches it."""

PINGRESP: Final = b"\xd0\x00"

# First byte of the packets taken out, with their QoS; any DUP and RETAIN bits. All others, PUBLISH
# at QoS 2 among them, are paho's.
_PEELED: Final = {0x30 | flags: (flags >> 1) & 1 for flags in range(16) if not flags & 0b100}

# Above the payload limit there must be room for the longest topic and for properties.
_HEADROOM: Final = 131_072
_LONGEST_LENGTH: Final = 4
_INTERNED_TOPICS: Final = 65_536
_INTERNED_TOPIC_BYTES: Final = 256

# MQTT 5, table 2-4: the properties a PUBLISH may have, by how their values are laid out.
_FIXED_PROPERTIES: Final = {0x01: 1, 0x02: 4}
_TEXT_PROPERTIES: Final = {0x03: 1, 0x08: 1, 0x09: 1, 0x26: 2}
_SUBSCRIPTION_IDENTIFIER: Final = 0x0B
_TOPIC_ALIAS: Final = 0x23


class Received(NamedTuple):
    """One message, with what is needed to acknowledge it.

    Attributes:
        received_at: instant its bytes were read, ns UTC.
        epoch: the connection it came over; an acknowledgement never crosses connections.
        mid: packet identifier, 0 at QoS 0.
        size: bytes the payload had on the wire; ``payload`` is only its head when this is more.
    """

    topic: str
    payload: bytes
    received_at: int
    epoch: int
    mid: int
    qos: int
    size: int


class ViolationError(Exception):
    """The peer sent what MQTT forbids, or what was not offered to it."""


class Peeler:
    """Takes PUBLISH packets at QoS 0 and 1 out of the byte stream of one connection.

    Guaranteed: the result does not depend on how the stream is cut into reads, and at most
    ``max_payload_bytes`` + 128 KiB are buffered, whatever lengths packets announce.

    Attributes:
        left: all other packets, whole and in order, for paho to consume from the front.
        violation: why the stream cannot be read on; "" while it can.
    """

    def __init__(self, epoch: int, *, speaks_5: bool, max_payload_bytes: int) -> None:
        """Take the connection's number and protocol, and the largest payload kept whole."""
        self.left = bytearray()
        self.violation = ""
        self._epoch = epoch
        self._speaks_5 = speaks_5
        self._max_payload_bytes = max_payload_bytes
        self._longest = max_payload_bytes + _HEADROOM
        self._topics: dict[bytes, str] = {}
        self._tail = bytearray()
        self._needed = 0
        self._to_skip = 0
        self._cut: Received | None = None

    def feed(self, data: bytes, received_at: int) -> list[Received]:
        """Take in what was read and return the messages that are complete now."""
        messages: list[Received] = []
        if self.violation:
            return messages
        if self._to_skip:
            data = self._skip(data, messages)
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return messages
            data = bytes(self._tail)
            self._tail.clear()
        try:
            used = self._peel(data, received_at, messages)
        except ViolationError as problem:
            self.violation = str(problem)
            return messages
        self._tail += data[used:]
        return messages

    def _peel(self, data: bytes, received_at: int, messages: list[Received]) -> int:
        """Take whole packets from the front and return how many bytes are used up."""
        at, end = 0, len(data)
        while end - at >= 2:
            length, body = data[at + 1], at + 2
            if length > 127:
                length, body = variable_integer(data, at + 1)
                if not body:
                    self._needed = end - at + 1
                    return at
            stop = body + length
            qos = _PEELED.get(data[at])
            if qos is None and length > self._longest:
                raise ViolationError(f"a packet of type {data[at] >> 4} with {length} bytes")
            if stop > end:
                return self._begin(data, at, body, stop, received_at)
            if qos is None:
                self.left += data[at:stop]
            else:
                messages.append(self._message(data, body, stop, qos, received_at))
            at = stop
        self._needed = 2
        return at

    def _begin(self, data: bytes, at: int, body: int, stop: int, received_at: int) -> int:
        """Wait for the rest of a packet, or, if it is far too long, take its head only."""
        too_long = stop - body > self._longest
        self._needed = (body + _HEADROOM if too_long else stop) - at
        if len(data) - at < self._needed:
            return at
        self._cut = self._message(data, body, stop, _PEELED[data[at]], received_at)
        self._to_skip = stop - len(data)
        return len(data)

    def _message(self, data: bytes, body: int, stop: int, qos: int, received_at: int) -> Received:
        """Read one PUBLISH, of which at least the head is there."""
        mid = 0
        if stop - body < 2:
            raise ViolationError("a PUBLISH without a topic")
        start = topic_end = body + 2 + (data[body] << 8) + data[body + 1]
        if topic_end + 2 * qos > stop:
            raise ViolationError("a PUBLISH shorter than its topic")
        if qos:
            start += 2
            mid = (data[topic_end] << 8) + data[topic_end + 1]
            if not mid:
                raise ViolationError("a PUBLISH at QoS 1 without a packet identifier")
        if self._speaks_5:
            start = _after_properties(data, start, min(stop, body + _HEADROOM - HEAD_BYTES))
        raw = data[body + 2 : topic_end]
        size = stop - start
        end = stop if size <= self._max_payload_bytes else start + min(size, HEAD_BYTES)
        topic = self._topics.get(raw) or self._topic(raw)
        return Received(topic, data[start:end], received_at, self._epoch, mid, qos, size)

    def _topic(self, raw: bytes) -> str:
        if not raw:
            raise ViolationError("a PUBLISH with an empty topic")
        try:
            topic = raw.decode()
        except UnicodeDecodeError:
            topic = UNREADABLE_TOPIC
        if len(raw) <= _INTERNED_TOPIC_BYTES:
            if len(self._topics) >= _INTERNED_TOPICS:
                self._topics.clear()
            self._topics[raw] = topic
        return topic

    def _skip(self, data: bytes, messages: list[Received]) -> bytes:
        """Drop the rest of a payload above the limit; its message is complete when all came."""
        skipped = min(self._to_skip, len(data))
        self._to_skip -= skipped
        if not self._to_skip and self._cut is not None:
            messages.append(self._cut)
            self._cut = None
        return data[skipped:]


def bounded(payload: bytes, max_payload_bytes: int) -> bytes:
    """Return a payload, or its head if it is above the limit."""
    return payload if len(payload) <= max_payload_bytes else payload[:HEAD_BYTES]


def pubacks(mids: Sequence[int]) -> bytes:
    """Return the acknowledgements of messages at QoS 1 (the same in 3.1.1 and 5), joined."""
    words = [0x4002] * (2 * len(mids))
    words[1::2] = mids
    return struct.pack(f"!{len(words)}H", *words)


def variable_integer(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer and the position behind it, which is 0 if bytes are missing.

    >>> variable_integer(bytes([0xC1, 0x02, 0x00]), 0)
    (321, 2)

    Raises:
        ViolationError: it is longer than four bytes.
    """
    value = shift = 0
    for byte in data[at : at + _LONGEST_LENGTH]:
        at += 1
        if byte < 128:
            return value + (byte << shift), at
        value += (byte & 127) << shift
        shift += 7
    if shift == 7 * _LONGEST_LENGTH:
        raise ViolationError("a length of more than four bytes")
    return 0, 0


def _after_properties(data: bytes, at: int, stop: int) -> int:
    """Return where the payload of an MQTT 5 PUBLISH starts.

    Raises:
        ViolationError: the properties do not fit, are not a PUBLISH's, or hold a topic alias.
    """
    if at < stop and data[at] == 0:
        return at + 1
    length, start = variable_integer(data[at : min(stop, at + _LONGEST_LENGTH)], 0)
    end = at + start + length
    if start == 0 or end > stop:
        raise ViolationError("a PUBLISH shorter than its properties")
    properties = data[end - length : end]
    at = 0
    while at < length:
        at = _after_property(properties, at)
    if at > length:
        raise ViolationError("a property longer than the properties")
    return end


def _after_property(properties: bytes, at: int) -> int:
    identifier = properties[at]
    at += 1
    if identifier == _TOPIC_ALIAS:
        raise ViolationError("a topic alias, though none was offered")
    if identifier in _FIXED_PROPERTIES:
        return at + _FIXED_PROPERTIES[identifier]
    if identifier in _TEXT_PROPERTIES:
        for _ in range(_TEXT_PROPERTIES[identifier]):
            at += 2 + int.from_bytes(properties[at : at + 2])
        return at
    if identifier != _SUBSCRIPTION_IDENTIFIER:
        raise ViolationError(f"property {identifier} in a PUBLISH")
    _, behind = variable_integer(properties, at)
    return behind or len(properties) + 1
