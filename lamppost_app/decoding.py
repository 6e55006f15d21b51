# SPDX-License-Identifier: EUPL-1.2
"""From a frame to a batch: route to a format, give codes, convert units, settle the time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import ReadingBatch
from lamppost.component import Format
from lamppost.decoded import Columns, Decoded, Key, Measurement, Shapes
from lamppost.derived import is_derived
from lamppost.flags import (
    MISSING,
    MISSING_VALUE,
    NOT_EVALUATED,
    SUSPECT,
    TIME_IMPLAUSIBLE,
    TIME_MISSING,
)
from lamppost.frames import Deliveries
from lamppost.imports import IMPORT_FORMAT, IMPORT_ROUTE, IMPORT_SOURCE
from lamppost.policy import Policy
from lamppost.quantities import QUANTITIES
from lamppost.quarantine import Refusal
from lamppost.refusal_codes import Code
from lamppost.series import SeriesKey
from lamppost.times import BAD_TIME, NO_TIME, SECOND_NS, format_instant, is_instant
from lamppost.units import conversion

from .admission import Admission, TurnedAway

_REMEMBERED: Final = 500_000
_ROUTES: Final = 100_000
_USELESS: Final = 20_000
"""Meanings remembered only because they are refused."""

_INDISTINCT: Final = "several numbers of {quantity}, no usable time to tell them apart: "

TOO_LARGE_HEADER: Final = "lamppost-too-large"
"""Set by the intake on a message it kept only the head of; the value is the full size."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """What a frame holds.

    Attributes:
        readings: in order of receipt, flagged NOT_EVALUATED, MISSING or (wrong clock) SUSPECT.
        delivery: position of the message each reading came in.
        refused: what could not be used.
        imported: which readings are history out of a file, shape (n,).
        claimed: the instant each device gave, believable or not; NO_TIME or BAD_TIME for none.
    """

    readings: ReadingBatch
    delivery: npt.NDArray[np.int64]
    refused: list[Refusal]
    imported: npt.NDArray[np.bool_]
    claimed: npt.NDArray[np.int64]


class Decoder:
    """Decodes frames under one policy."""

    def __init__(self, policy: Policy, formats: Mapping[str, Format], admission: Admission) -> None:
        """Take the formats by name, and who numbers the series; the policy's bounds hold there."""
        self._routes = [(topic_pattern(route.match), route.format) for route in policy.routes]
        if IMPORT_FORMAT in formats:
            self._routes.append((topic_pattern(IMPORT_ROUTE), IMPORT_FORMAT))
        self._formats = formats
        self._admission = admission
        self._gas_conditions = policy.units.gas_conditions
        admission.rule = policy.growth
        self._not_before = round(policy.time.not_before.timestamp()) * SECOND_NS
        self._max_ahead = round(policy.time.max_ahead_s * SECOND_NS)
        self._forget()

    def _forget(self) -> None:
        """Start with nothing remembered from earlier frames; all of it can be worked out again."""
        self._format_of: dict[str, str | None] = {}
        self._interned: dict[Key, int] = {}
        self._meanings: list[Measurement] = []
        self._shapes: dict[str, Shapes] = {name: {} for name in self._formats}
        self._codes = np.empty(0, np.int32)
        self._scales = np.empty(0, np.float64)
        self._offsets = np.empty(0, np.float64)
        self._refusals: dict[int, tuple[Code, str, str]] = {}
        self._unsettled: set[int] = set()

    def decode(self, deliveries: Deliveries, now: int = 0) -> DecodedFrame:
        """Return the readings of a frame; bounds per hour go by engine time ``now``."""
        # Names are the devices' choice: one that invents them must not fill our memory.
        if len(self._interned) > _REMEMBERED or len(self._refusals) > _USELESS:
            self._forget()
        if len(self._format_of) > _ROUTES:
            self._format_of.clear()
        out = Decoded(self._interned)
        for name, rows in self._by_format(deliveries, out).items():
            out.shapes = self._shapes[name]
            self._formats[name].decode(deliveries, rows, out)
        self._learn(out, now)
        return self._settle(out, deliveries.received(), _is_import(deliveries))

    def _by_format(self, deliveries: Deliveries, out: Decoded) -> dict[str, Sequence[int]]:
        names = list(map(self._format_of.get, deliveries.routes))
        if len(set(names)) == 1 and names[0] is not None and not any(deliveries.headers):
            return {names[0]: range(len(names))}
        for route in set(deliveries.routes).difference(self._format_of):
            self._format_of[route] = self._find_format(route)
        names = list(map(self._format_of.__getitem__, deliveries.routes))
        by_format: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if self._is_too_large(deliveries, row):
                limit = f"{len(deliveries.payloads[row])} bytes of it are kept"
                out.refuse(row, "too_large", limit)
            elif name is None:
                route = deliveries.routes[row]
                out.refuse(row, "no_format", f"no route of the policy matches {route!r}")
            else:
                by_format.setdefault(name, []).append(row)
        return {**by_format}

    @staticmethod
    def _is_too_large(deliveries: Deliveries, row: int) -> bool:
        headers = deliveries.headers[row]
        return headers is not None and TOO_LARGE_HEADER in json.loads(headers)

    def _find_format(self, route: str) -> str | None:
        return next((name for pattern, name in self._routes if pattern.fullmatch(route)), None)

    def _learn(self, out: Decoded, now: int) -> None:
        """Work out code and conversion of meanings not seen before.

        Those of series that were turned away are asked for again in every frame, always in order of
        appearance: what is remembered from earlier frames must not show in the numbering.
        """
        start, total = len(self._codes), len(self._interned)
        if total > start:
            unknown = total - start
            self._codes = np.append(self._codes, np.full(unknown, -1, np.int32))
            self._scales = np.append(self._scales, np.ones(unknown))
            self._offsets = np.append(self._offsets, np.zeros(unknown))
            self._meanings += out.measurements(start)
            self._unsettled.update(range(start, total))
        if not self._unsettled:
            return
        for number in dict.fromkeys(out.columns().meaning.tolist()):
            if number in self._unsettled:
                self._understand(number, self._meanings[number], now)

    def _understand(self, number: int, meaning: Measurement, now: int) -> None:
        """Settle code, scale and offset of a meaning, or why it is refused."""
        if meaning.quantity not in QUANTITIES:
            detail = f"{meaning.quantity!r} is not in the vocabulary"
            self._refusals[number] = ("unknown_quantity", detail, meaning.sensor)
            self._unsettled.discard(number)
            return
        if is_derived(meaning.qualifiers):
            detail = f"{meaning.qualifiers!r} would pass for a result of ours; name it otherwise"
            self._refusals[number] = ("reserved_qualifier", detail, meaning.sensor)
            self._unsettled.discard(number)
            return
        way = conversion(meaning.quantity, meaning.unit, self._gas_conditions)
        if way is None:
            detail = f"{meaning.unit!r} does not measure {meaning.quantity}"
            self._refusals[number] = ("unknown_unit", detail, meaning.sensor)
            self._unsettled.discard(number)
            return
        key = SeriesKey(meaning.sensor, meaning.quantity, meaning.qualifiers)
        found = self._admission.code(key, now)
        if isinstance(found, TurnedAway):
            self._refusals[number] = (*found, meaning.sensor)
            return
        self._refusals.pop(number, None)
        self._unsettled.discard(number)
        self._codes[number] = found
        self._scales[number], self._offsets[number] = way

    def _settle(
        self,
        out: Decoded,
        received_at: npt.NDArray[np.int64],
        is_import: npt.NDArray[np.bool_],
    ) -> DecodedFrame:
        rows = out.columns()
        delivery, meaning, times, values = rows
        codes = self._codes[meaning]
        refused = list(out.refused)
        refused += [
            Refusal(int(delivery[row]), *self._refusals[int(meaning[row])])
            for row in np.flatnonzero(codes < 0)
        ]
        # Formats were run one after the other; receipt order is what counts from here on.
        kept = np.flatnonzero(codes >= 0)
        kept = kept[np.argsort(delivery[kept], kind="stable")]
        time = times[kept]
        unplaced = self._unplaced(time, received_at[delivery[kept]])
        imported = is_import[delivery[kept]]
        lost = unplaced & imported
        refused += self._untimed("time_implausible", rows, kept[lost])
        surplus = ~lost & _repeated(unplaced, delivery[kept], codes[kept])
        refused += self._untimed("time_unusable", rows, kept[surplus], _INDISTINCT)
        stays = ~(surplus | lost)
        kept, time, imported = kept[stays], time[stays], imported[stays]
        scale, offset = self._scales[meaning[kept]], self._offsets[meaning[kept]]
        with np.errstate(over="ignore"):  # what leaves the range of numbers is missing, see below
            value = values[kept] * scale + offset
        # What is imported was heard when it was measured: the clock of a series runs on from there.
        received = np.where(imported, time, received_at[delivery[kept]])
        readings = self._judge_time(codes[kept], time, received, delivery[kept], value)
        return DecodedFrame(readings, delivery[kept], refused, imported, time)

    def _untimed(
        self, code: Code, rows: Columns, where: npt.NDArray[np.int64], told: str = ""
    ) -> Iterator[Refusal]:
        """Yield the refusals of numbers without a time that can be used; ``told`` comes first."""
        taken = zip(*(column[where].tolist() for column in rows[:3]), strict=True)
        for delivery, meaning, instant in taken:
            what = self._meanings[meaning]
            detail = told.format(quantity=what.quantity) + _implausible(instant)
            yield Refusal(delivery, code, detail, what.sensor)

    def _unplaced(
        self, time: npt.NDArray[np.int64], received: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return which readings have no time that can be believed."""
        return (time < self._not_before) | (time > received + self._max_ahead)

    def _judge_time(
        self,
        codes: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
        received: npt.NDArray[np.int64],
        delivery: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
    ) -> ReadingBatch:
        unplaced = self._unplaced(time, received)
        absent = time == NO_TIME
        wrong = unplaced & ~absent
        missing = ~np.isfinite(value)
        flag = np.full(len(codes), NOT_EVALUATED, np.uint8)
        flag[wrong] = SUSPECT
        flag[missing] = MISSING
        reasons = np.zeros(len(codes), np.uint32)
        reasons[absent] |= TIME_MISSING.mask
        reasons[wrong] |= TIME_IMPLAUSIBLE.mask
        reasons[missing] |= MISSING_VALUE.mask
        return ReadingBatch(
            series=codes,
            # Messages read from the socket together share an instant of receipt; a nanosecond for
            # each keeps those without a time of their own apart.
            time=np.where(unplaced, received + delivery, time),
            received=received,
            value=np.where(missing, np.nan, value),
            flag=flag,
            reasons=reasons,
        )


def _is_import(deliveries: Deliveries) -> npt.NDArray[np.bool_]:
    """Return which messages are history out of a file."""
    sources = deliveries.sources
    if IMPORT_SOURCE not in sources:
        return np.zeros(len(sources), np.bool_)
    return np.fromiter((source == IMPORT_SOURCE for source in sources), np.bool_, len(sources))


def _implausible(time: int) -> str:
    if time == BAD_TIME:
        return "it is no time at all, or lies outside 1900 to 2200"
    if not is_instant(time):
        return "there is none, or it names no zone"
    return f"{format_instant(time)} lies before the earliest believable time, or in the future"


def _repeated(
    unplaced: npt.NDArray[np.bool_],
    delivery: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """Return which readings without a time follow another of their series in their message."""
    repeated = unplaced.copy()
    rows = np.flatnonzero(unplaced)
    _, first = np.unique((delivery[rows] << 32) + codes[rows], return_index=True)
    repeated[rows[first]] = False
    return repeated


def topic_pattern(match: str) -> re.Pattern[str]:
    """Return the pattern of an MQTT topic filter (or a plain path)."""
    levels = []
    for level in match.split("/"):
        if level == "#":
            levels.append("#")
            break
        levels.append("[^/]*" if level == "+" else re.escape(level))
    text = "/".join(levels)
    # "a/#" also matches "a" itself, as the MQTT specification says (4.7.1.2).
    return re.compile(
        text.removesuffix("/#") + "(/.*)?" if text.endswith("/#") else text.replace("#", ".*"),
        re.DOTALL,
    )
