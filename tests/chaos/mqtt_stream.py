# SPDX-License-Identifier: EUPL-1.2
"""MQTT packets out of a byte stream that comes in pieces."""

from __future__ import annotations

from collections.abc import Iterator

PUBLISH, PUBACK = 3, 4


class Packets:
    """Cuts a stream into packets."""

    def __init__(self) -> None:
        """Start between two packets."""
        self._left = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield first byte and body of every packet that is whole now."""
        data, at = self._left + data, 0
        while (found := _one(data, at)) is not None:
            body, end = found
            yield data[at], data[body:end]
            at = end
        self._left = data[at:]


def _one(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the body of a packet begins and ends, None while it is not whole."""
    length = 0
    for place, byte in enumerate(data[at + 1 : at + 5]):
        length += (byte & 127) << (7 * place)
        if byte < 128:
            body = at + 2 + place
            return (body, body + length) if body + length <= len(data) else None
    return None


def publication(first: int, body: bytes, *, speaks_5: bool) -> tuple[int, bytes]:
    """Return packet identifier (0 at QoS 0) and payload of a PUBLISH."""
    at = 2 + int.from_bytes(body[:2])
    mid = 0
    if first & 0b110:
        mid = int.from_bytes(body[at : at + 2])
        at += 2
    if speaks_5:
        length = shift = 0
        while True:
            byte = body[at]
            at += 1
            length += (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        at += length
    return mid, body[at:]
