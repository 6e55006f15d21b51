# SPDX-License-Identifier: EUPL-1.2
"""Why something cannot be used: the codes of quarantine, and a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Code = Literal[
    "no_format",
    "malformed",
    "schema",
    "too_large",
    "too_deep",
    "too_many_values",
    "duplicate_key",
    "unknown_quantity",
    "unknown_unit",
    "reserved_qualifier",
    "time_unusable",
    "time_implausible",
    "beyond_horizon",
    "too_many_sensors",
    "too_many_series",
    "rate_limited",
    "damaged",
    "engine_error",
    "bad_command",
    "bad_policy",
    "sink_refused",
]
"""Every code there is; type checking refuses another."""

CODES: Final[Mapping[str, str]] = {
    "no_format": "No rule of the policy names a format for this topic or path.",
    "malformed": "The bytes are not what the format says they should be.",
    "schema": "The message is well formed but does not follow the format's schema.",
    "too_large": "The message is larger than the settings allow; its head is kept.",
    "too_deep": "The message is nested deeper than any format needs.",
    "too_many_values": "The message holds more numbers than one message may.",
    "duplicate_key": "The message names something twice, so that it is not clear what it says.",
    "unknown_quantity": "The quantity is not in the vocabulary.",
    "unknown_unit": "The unit is unknown or does not measure this quantity.",
    "reserved_qualifier": "The qualifiers corrected and derived are for Lamppost's own results.",
    "time_unusable": "The message holds several numbers of one series and no usable times.",
    "time_implausible": "The time of an imported row cannot be true, and it has no other.",
    "beyond_horizon": "The reading is older than the correction horizon allows.",
    "too_many_sensors": "More sensors no register knows have appeared than the policy allows.",
    "too_many_series": "The sensor has more series than the policy allows.",
    "rate_limited": "The device sent more than it may; this was not looked into.",
    "damaged": "The stored entry no longer matches its checksum.",
    "engine_error": "The engine failed on it; it was set aside so that the rest goes on.",
    "bad_command": "The command names nothing that exists or is not understood.",
    "bad_policy": "The policy cannot be used; the one before it stays in force.",
    "sink_refused": "A destination would not take it; the others have it.",
}
"""What each means, for the owner of the device."""
