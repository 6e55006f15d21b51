# SPDX-License-Identifier: EUPL-1.2
"""A client that is not ours, to see what arrives from a broker."""

from __future__ import annotations

import subprocess
import threading
import time

from sinks.mqtt_client import BrokerSettings, Publisher
from tests.services import Mosquitto


class Subscriber:
    """What mosquitto_sub, a client that is not ours, receives."""

    def __init__(self, broker: Mosquitto, topic: str) -> None:
        """Subscribe and wait until the broker has noted it."""
        self.messages: list[tuple[str, bytes]] = []
        self._process = subprocess.Popen(
            [
                "mosquitto_sub",
                *("-h", broker.host, "-p", str(broker.port), "-q", "1", "-F", "%t %p"),
                *("-t", topic, "-t", "probe", "-i", f"sub-{time.monotonic_ns()}", "-c"),
            ],
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        probe = Publisher(BrokerSettings(port=broker.port))
        while not self.messages:
            probe.publish_all([("probe", b"-")])
            time.sleep(0.05)
        probe.close()

    def received(self, count: int, timeout_s: float = 20.0) -> list[tuple[str, bytes]]:
        """Wait for a number of messages and return them without the probes."""
        until = time.monotonic() + timeout_s
        found: list[tuple[str, bytes]] = []
        while len(found) < count and time.monotonic() < until:
            time.sleep(0.02)
            found = [message for message in list(self.messages) if message[0] != "probe"]
        return found

    def close(self) -> None:
        """Stop receiving."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            topic, _, payload = line.rstrip(b"\n").partition(b" ")
            self.messages.append((topic.decode(), payload))
