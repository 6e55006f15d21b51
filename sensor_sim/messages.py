# SPDX-License-Identifier: EUPL-1.2
"""A message as a device hands it to the network, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One publication, to be sent at its due instant."""

    topic: str
    payload: bytes
    due_at_ns: int


def topic_of(sensor: str) -> str:
    """Return the topic that a station publishes its readings on."""
    return f"v1/{sensor}/readings"
