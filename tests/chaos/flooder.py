# SPDX-License-Identifier: EUPL-1.2
"""One device that sends as fast as it can: ``python -m tests.chaos.flooder PORT SECONDS RATE``."""

from __future__ import annotations

import socket
import sys
import time

from tests.mqtt_packets import publish, text

DEVICE = "flood"
PAYLOAD = b'{"sensor":"flood","values":{"voc_index":100}}'
_CHUNK = 250
_CHUNKS = 4
_PUBACK_BYTES = 4


def main() -> None:
    """Flood, and say how many messages the broker has taken."""
    port, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    chunks = [
        b"".join(
            publish(f"v1/{DEVICE}/readings", PAYLOAD, qos=1, mid=first + number)
            for number in range(1, _CHUNK + 1)
        )
        for first in range(0, _CHUNK * _CHUNKS, _CHUNK)
    ]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + text("flooder")
        sock.sendall(bytes([0x10, len(body)]) + body)
        sock.recv(4, socket.MSG_WAITALL)
        sent = taken = 0
        begun_at = time.monotonic()
        while (elapsed_s := time.monotonic() - begun_at) < seconds or taken < sent * _PUBACK_BYTES:
            room = sent - taken // _PUBACK_BYTES <= _CHUNK * (_CHUNKS - 1)
            if elapsed_s < seconds and room and sent < rate * elapsed_s:
                sock.sendall(chunks[sent // _CHUNK % _CHUNKS])
                sent += _CHUNK
            elif taken < sent * _PUBACK_BYTES:
                taken += len(sock.recv(1 << 16))
            else:
                time.sleep(0.001)
    sys.stdout.write(f"{sent} {time.monotonic() - begun_at}\n")


if __name__ == "__main__":
    main()
