# SPDX-License-Identifier: EUPL-1.2
"""Quarantine: what could not be used, byte for byte, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

CODES: Final[dict[str, str]] = {
    "no_format": "No rule of the policy names a format for this topic or path.",
    "malformed": "The bytes are not what the format says they should be.",
    "schema": "The message is well formed but does not follow the format's schema.",
    "too_large": "The message is larger than the settings allow; its head is kept.",
    "unknown_quantity": "The quantity is not in the vocabulary.",
    "unknown_unit": "The unit is unknown or does not measure this quantity.",
    "time_unusable": "The message holds several numbers of one series and no usable times.",
    "beyond_horizon": "The reading is older than the correction horizon allows.",
    "damaged": "The stored entry no longer matches its checksum.",
    "engine_error": "The engine failed on it; it was set aside so that the rest goes on.",
    "bad_command": "The command names nothing that exists or is not understood.",
}

_FIELDS: list[pa.Field[Any]] = [
    pa.field("received_at", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("route", pa.string(), nullable=False),
    pa.field("headers", pa.string()),
    pa.field("payload", pa.binary(), nullable=False),
    pa.field("sensor", pa.string(), nullable=False),
    pa.field("code", pa.string(), nullable=False),
    pa.field("detail", pa.string(), nullable=False),
]
QUARANTINE_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing refused while decoding a frame.

    Attributes:
        delivery: position of the message in its frame.
        code: one of :data:`CODES`.
        detail: what exactly, for the owner of the device.
        sensor: identity, as far as it could be read.
    """

    delivery: int
    code: str
    detail: str
    sensor: str = ""
