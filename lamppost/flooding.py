# SPDX-License-Identifier: EUPL-1.2
"""Flooding: what the doors say of a device that sends more than it may, and the alert about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from .alerts import Signal
from .frames import Deliveries, arrow_batch, arrow_bytes

FLOODING_RULE_ID: Final = "device_flooding"

_DEVICES_KEY: Final = b"devices"
_NAMES: Final[TypeAdapter[list[str]]] = TypeAdapter(list[str])


class Excess(BaseModel):
    """What a door did with a device over its limit, since it last said so.

    Attributes:
        source: the door.
        device: who.
        messages: how many it sent, those within the limit included.
        kept: those over the limit that are kept in quarantine.
        refused: those beyond that, of which nothing is kept.
        per_s: messages a second it may send in the long run.
        burst: messages it may send at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    device: str
    messages: int = Field(ge=0)
    kept: int = Field(ge=0)
    refused: int = Field(ge=0)
    per_s: float
    burst: int


EXCESSES: Final[TypeAdapter[list[Excess]]] = TypeAdapter(list[Excess])


def throttled_bytes(deliveries: Deliveries, devices: Sequence[str]) -> bytes:
    """Return the body of an entry of messages over the limit, with the device of each."""
    metadata = {_DEVICES_KEY: json.dumps(devices).encode()}
    return arrow_bytes(deliveries.to_arrow().replace_schema_metadata(metadata))


def read_throttled(body: bytes) -> tuple[Deliveries, list[str]]:
    """Return the messages of such an entry, and the device of each.

    Raises:
        ValueError: the entry does not say whose they are.
    """
    batch = arrow_batch(body)
    deliveries = Deliveries.from_arrow(batch)
    devices = _NAMES.validate_json((batch.schema.metadata or {}).get(_DEVICES_KEY, b""))
    if len(devices) != len(deliveries):
        raise ValueError("not as many devices as messages")
    return deliveries, devices


def flooding_signal(
    device: str, source: str, *, active: bool, at: int, rate: float, limit: float, sentence: str
) -> Signal:
    """Return a signal of the rule about devices over their limit."""
    return Signal(
        subject=device,
        quantity="",
        qualifiers=f"door={source}",
        active=active,
        at=at,
        observed=rate,
        expected=limit,
        band_low=float("nan"),
        band_high=float("nan"),
        unit="1/s",
        sentence=sentence,
        clears_when="the device stays within its limit for a minute",
    )
