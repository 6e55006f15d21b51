# SPDX-License-Identifier: EUPL-1.2
"""The native JSON dialect: one station, one or many times, many quantities."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .calendar_time import SECOND_NS
from .instruments import INSTRUMENTS
from .noise import Floats, Instants

NO2_UG_M3_PER_PPB = 1.9125

_OWN_UNITS: Mapping[tuple[str, str], Callable[[Floats], Floats]] = {
    ("temperature", "degF"): lambda celsius: np.round(celsius * 1.8 + 32.0, 2),
    ("no2", "ppb"): lambda mass: np.round(mass / NO2_UG_M3_PER_PPB, 2),
}


@dataclass(frozen=True)
class Report:
    """What one station wants to say: as many values of each quantity as there are times.

    A None is sent as null and a NaN as the word NaN, which is not JSON but is seen in the field.
    """

    sensor: str
    time_ns: Instants
    values: Mapping[str, list[Any]]
    units: Mapping[str, str] = field(default_factory=dict)
    epoch_time: bool = False


def encode(report: Report) -> bytes:
    """Return the native JSON of a report: bare values for one time, lists for several."""
    times = _epoch_seconds(report.time_ns) if report.epoch_time else iso_texts(report.time_ns)
    single = len(report.time_ns) == 1
    body: dict[str, Any] = {
        "sensor": report.sensor,
        "time": times[0] if single else times,
        "values": {q: v[0] if single else v for q, v in report.values.items()},
    }
    if report.units:
        body["units"] = dict(report.units)
    return json.dumps(body, separators=(",", ":")).encode()


def in_own_unit(quantity: str, values: Floats, unit: str) -> Floats:
    """Return values in the unit that a device sends; a sentinel has no unit and stays."""
    converted = _OWN_UNITS[quantity, unit](values)
    return np.where(values == INSTRUMENTS[quantity].sentinel, values, converted)


def value_list(quantity: str, values: Floats) -> list[Any]:
    """Return values as JSON numbers, whole where the device sends whole numbers, None for NaN."""
    if INSTRUMENTS[quantity].decimals == 0 and not np.isnan(values).any():
        return list(values.astype(np.int64).tolist())
    return null_for_nan(values)


def null_for_nan(values: Floats) -> list[Any]:
    """Return values as JSON numbers, None for NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def iso_texts(time_ns: Instants) -> list[str]:
    """Return instants as RFC 3339 text in UTC, to the second or, where needed, the nanosecond."""
    precision = "s" if not np.any(time_ns % SECOND_NS) else "ns"
    stamps = time_ns.astype("datetime64[ns]").astype(f"datetime64[{precision}]")
    return [f"{stamp}Z" for stamp in stamps.astype(str).tolist()]


def _epoch_seconds(time_ns: Instants) -> list[Any]:
    if not np.any(time_ns % SECOND_NS):
        return list((time_ns // SECOND_NS).tolist())
    return list((time_ns / SECOND_NS).tolist())
