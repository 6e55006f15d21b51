# SPDX-License-Identifier: EUPL-1.2
"""The way from a station to the network, and what goes wrong on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .calendar_time import DAY_NS, HOUR_NS
from .dialects import Report, encode
from .faults import FaultKind, FaultLabel
from .messages import Message, topic_of
from .noise import Instants

DUPLICATE_DELAY_NS = 400_000_000
UNKNOWN_UNIT = "glowworm"

LINE_FAULTS = frozenset(
    {
        FaultKind.SILENCE,
        FaultKind.CLOCK_EPOCH,
        FaultKind.CLOCK_DAY_AHEAD,
        FaultKind.CLOCK_HOUR_AHEAD,
        FaultKind.NULL_VALUE,
        FaultKind.NAN_VALUE,
        FaultKind.DUPLICATE,
        FaultKind.MALFORMED,
        FaultKind.UNKNOWN_UNIT,
        FaultKind.UNKNOWN_QUANTITY,
    }
)


def transmit(report: Report, faults: tuple[FaultLabel, ...], due_at_ns: int) -> list[Message]:
    """Return the messages that reach the network when a station reports under some faults."""
    kinds = {fault.kind for fault in faults}
    if FaultKind.SILENCE in kinds:
        return []
    for fault in faults:
        report = _garbled(report, fault)
    payload = encode(report)
    if FaultKind.MALFORMED in kinds:
        payload = payload[: len(payload) * 3 // 5]
    message = Message(topic_of(report.sensor), payload, due_at_ns)
    if FaultKind.DUPLICATE in kinds:
        return [message, replace(message, due_at_ns=due_at_ns + DUPLICATE_DELAY_NS)]
    return [message]


def unknown_name(quantity: str) -> str:
    """Return the name under which a confused device sends a quantity."""
    return f"glow_{quantity}"


def _garbled(report: Report, fault: FaultLabel) -> Report:
    """Return the report as a fault of the device's software leaves it."""
    suffering = [q for q in report.values if fault.quantity in {None, q}]
    match fault.kind:
        case FaultKind.CLOCK_EPOCH | FaultKind.CLOCK_DAY_AHEAD | FaultKind.CLOCK_HOUR_AHEAD:
            return replace(report, time_ns=_wrong_clock(report.time_ns, fault))
        case FaultKind.NULL_VALUE:
            return _filled(report, suffering, None)
        case FaultKind.NAN_VALUE:
            return _filled(report, suffering, np.nan)
        case FaultKind.UNKNOWN_UNIT:
            return replace(report, units={**report.units, **dict.fromkeys(suffering, UNKNOWN_UNIT)})
        case FaultKind.UNKNOWN_QUANTITY:
            return _renamed(report, suffering)
        case _:
            return report


def _wrong_clock(time_ns: Instants, fault: FaultLabel) -> Instants:
    if fault.kind == FaultKind.CLOCK_EPOCH:
        return time_ns - fault.start_ns // 1_000_000_000 * 1_000_000_000
    return time_ns + (DAY_NS if fault.kind == FaultKind.CLOCK_DAY_AHEAD else HOUR_NS)


def _filled(report: Report, suffering: list[str], filler: float | None) -> Report:
    filling: list[Any] = [filler] * len(report.time_ns)
    return replace(report, values={**report.values, **dict.fromkeys(suffering, filling)})


def _renamed(report: Report, suffering: list[str]) -> Report:
    names = {quantity: unknown_name(quantity) for quantity in suffering}
    return replace(
        report,
        values={names.get(quantity, quantity): v for quantity, v in report.values.items()},
        units={names.get(quantity, quantity): u for quantity, u in report.units.items()},
    )
