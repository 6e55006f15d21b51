# SPDX-License-Identifier: EUPL-1.2
"""Publishes ready-made messages, as a process of its own: ``python -m benchmarks.publisher``."""

from __future__ import annotations

import sys

from sensor_sim.load import load_messages

from .raw_mqtt import RawClient

SENSORS = 1_000


def main() -> None:
    """Encode the messages, say so, wait for a line and publish."""
    port, count, qos = (int(argument) for argument in sys.argv[1:])
    messages = [(one.topic, one.payload) for one in load_messages(count, SENSORS, 7)]
    with RawClient(port, "load", clean=True) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        client.publish(messages, qos)


if __name__ == "__main__":
    main()
