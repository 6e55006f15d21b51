# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: numbers that are codes, not measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.component import Rows, Scope, Verdict, register
from lamppost.details import Detail
from lamppost.explained import QuantitySettings
from lamppost.flags import FAIL, SUSPECT, Reason
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.wording import by_quantity, counted, digits, listed, unit_of, with_unit
from processors._per_series import PerSeries, QuantityName

from ._devices import ANY_DEVICE, Devices
from ._doubted import TOLERANCE, Doubted
from ._verdicts import answer

SENTINEL: Final = Reason(
    12,
    "sentinel",
    "The number is one that devices send in place of a measurement.",
    "device manuals; the values stand in the policy",
)

_EDGE: Final = 20_000  # whole numbers up to here are told apart


Codes = dict[QuantityName, tuple[float, ...]]


class SentinelSettings(QuantitySettings):
    """The codes by quantity; a quantity that is named nowhere is not judged."""

    quantities: Codes = Field(
        default_factory=dict, description="Codes of any device by quantity, canonical unit."
    )
    devices: dict[str, Codes] = Field(
        default_factory=dict, description="Codes of one type of device besides, by its name."
    )
    unknown: Codes = Field(
        default_factory=dict,
        description="Codes of some type of device that are doubted where nobody has named the type:"
        " alone they may be measurements.",
    )
    repeated: int = Field(
        default=3,
        ge=2,
        description="So many of the same in a row are a code with an unknown type, too. EPA's"
        " sensortoolkit doubts three equal values; that three of these fail is a choice.",
    )
    qualifier: str = Field(
        default="device",
        description="Qualifier of a series that names its type of device, else the station does.",
    )

    def given(self) -> Mapping[str, object]:
        """Return the codes of each quantity, and of each type of device."""
        known = {f"with {device}": codes for device, codes in self.devices.items() if codes}
        return {**self.quantities, **known, **({"unknown": self.unknown} if self.unknown else {})}

    def named(self) -> list[str]:
        """Return the quantities that have codes."""
        every = (self.quantities, *self.devices.values(), self.unknown)
        return list(dict.fromkeys(name for codes in every for name in codes))

    def about(self, quantity: str) -> Self:
        """Return the codes of a quantity; all of them where it has none."""
        narrowed = {
            name: {quantity: codes[quantity]}
            for name, codes in {"": self.quantities, **self.devices}.items()
            if quantity in codes
        }
        unknown = {name: codes for name, codes in self.unknown.items() if name == quantity}
        if not narrowed and not unknown:
            return self
        own = narrowed.pop("", {})
        return self.model_copy(update={"quantities": own, "devices": narrowed, "unknown": unknown})

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        places = {"quantities": self.quantities}
        places |= {f"devices.{device}": codes for device, codes in self.devices.items()}
        places |= {"unknown": self.unknown} if self.unknown else {}
        for place, codes in places.items():
            if not codes and place != "quantities":
                yield place, "must name at least one quantity"
            for name, some in codes.items():
                if not some:
                    yield f"{place}.{name}", "must name at least one code"


def _listed(codes: Codes) -> str:
    return by_quantity(
        codes, lambda some, unit: f"{listed(list(map(digits, some)), 'or')} {unit}".rstrip()
    )


@register("check")
class Sentinel:
    """Takes the codes that devices send when they have no measurement for missing values.

    A code is no measurement, so it is missing (QARTOD 9) with this reason, and is taken out as soon
    as it arrives: no other check, correction, window or alert sees the number, and what is
    published has none. The number stands in the detail of the reason, and in the inbox. A code must
    match exactly (within a millionth of itself, for units that were converted). What
    type of device a series is of says its qualifier, or the property ``device`` of its station.

    Where neither names a type, the numbers under ``unknown`` are suspect: 999.9 µg/m³ is what a
    broken SDS011 answers, and what a monitor with one decimal measures once in thick smoke. The
    same one ``repeated`` times in a row fails, for smoke moves and a broken device does not; a
    missing value neither ends nor prolongs such a row. With a type that is named and has no such
    code it is a measurement like any other.

    Source: manuals of devices; opendata-stuttgart/sensors-software #442 and #899 for the SDS011.

    Known failures: a true value may equal a code, 255 km/h on no street, but -1 °C any winter;
    list only what the quantity cannot be, or cannot be with that device. A device of unknown type
    whose scale ends at a code shows it for as long as thick smoke stays. Readings that come late
    are held against codes only, not against ``unknown``.
    """

    name: ClassVar[str] = "sentinel"
    reasons: ClassVar[tuple[Reason, ...]] = (SENTINEL,)
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[SentinelSettings]] = SentinelSettings

    @classmethod
    def describe(cls, settings: SentinelSettings) -> str:
        """Say which numbers are codes, of any device and of some."""
        told = [_listed(settings.quantities)] if settings.quantities else []
        told += [f"with {device} {_listed(codes)}" for device, codes in settings.devices.items()]
        codes = f" ({', and '.join(told)})" if told else ""
        doubted = ""
        if settings.unknown:
            doubted = (
                f"; with a type nobody has named, {_listed(settings.unknown)} is suspect, and from"
                f" {counted(settings.repeated, 'equal reading')} in a row on fails"
            )
        return (
            f"A reading that is a code counts as missing{codes}; the type"
            f" of a device is told by the qualifier {settings.qualifier} or the station file"
            f"{doubted}."
        )

    def __init__(
        self, settings: SentinelSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare the codes, and whose they are."""
        listed: dict[str, list[tuple[float, float]]] = {}
        tables = [settings.quantities, *settings.devices.values()]
        for owner, table in enumerate(tables, start=ANY_DEVICE):
            for quantity, codes in table.items():
                listed.setdefault(quantity, []).extend((code, float(owner)) for code in codes)
        width = max(map(len, listed.values()), default=0)
        padded = {
            name: tuple(np.resize([*given, *[(np.nan, np.nan)] * width], (width, 2)).T.ravel())
            for name, given in listed.items()
        }
        self._series = series
        self._width = width
        self._listed = PerSeries(
            series, dict.fromkeys([*listed, *settings.unknown], (1.0,)), width=1
        )
        self._codes = PerSeries(series, padded, width=2 * width)
        self._devices = Devices(series, stations, list(settings.devices), settings.qualifier)
        self._beside = _beside(code for given in listed.values() for code, _ in given)
        self._doubted = Doubted(settings.unknown, settings.repeated, series, self._devices)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._listed.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Doubt what may be a code; what certainly is one was taken out when it arrived."""
        found = self._doubted.among(rows)
        flag, reasons = answer(
            rows.missing,
            evaluated=~np.isnan(self._listed.of_rows(rows.groups)[0]),
            reason=SENTINEL,
        )
        flag[found.rows] = np.where(found.repeated, FAIL, SUSPECT)
        reasons[found.rows] = SENTINEL.mask
        details = [self._told(rows, row, run) for row, run in found.each()]
        return Verdict(flag, reasons, details=details)

    def _told(self, rows: Rows, row: int, run: int) -> Detail:
        code, value = int(rows.groups.series[row]), float(rows.value[row])
        number = with_unit(value, unit_of(self._series[code].quantity))
        often = f", and this is number {run} of the same in a row" if run > 1 else ""
        text = f"{number} is a code of some devices; what type this one is nobody has said{often}."
        return Detail(code, int(rows.time[row]), SENTINEL.bit, text)

    def codes(self, series: Int32Array, value: FloatArray) -> Int64Array:
        """Return the rows whose number is a code."""
        near = self._near_a_code(value)
        series = series[near]
        codes, owner = self._codes.of(series).reshape(2, self._width, len(near))
        # Without a code the tolerance is NaN, and nothing equals it.
        with np.errstate(invalid="ignore"):
            equal = np.abs(value[near] - codes) <= np.abs(codes) * TOLERANCE
        hit = np.flatnonzero(equal.any(axis=0))
        if not len(hit):
            return hit
        of_any = owner[:, hit] == ANY_DEVICE
        of_mine = owner[:, hit] == self._devices.of(series[hit])
        found: Int64Array = near[hit[(equal[:, hit] & (of_any | of_mine)).any(axis=0)]]
        return found

    def _near_a_code(self, value: FloatArray) -> Int64Array:
        """Return the rows whose nearest whole number lies beside a code of any quantity."""
        # NaN becomes an edge, which is looked at closely, as is what lies beyond it.
        within = np.fmin(value, _EDGE)
        np.fmax(within, -_EDGE, out=within)
        within += _EDGE + 0.5
        return np.flatnonzero(self._beside.take(within.astype(np.intp)))

    def snapshot(self) -> Snapshot:
        """Return which doubted number each series has shown last, and how often in a row."""
        return self._doubted.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was doubted; formerly nothing was."""
        if snapshot:
            self._doubted.restore(snapshot)


def _beside(codes: Iterable[float]) -> BoolArray:
    """Return which whole numbers, from -EDGE to EDGE, a value equal to a code may be rounded to."""
    found = np.zeros(2 * _EDGE + 1, np.bool_)
    found[[0, -1]] = True
    for code in codes:
        reach = abs(code) * TOLERANCE
        low, high = np.clip(np.floor([code - reach + 0.5, code + reach + 0.5]), -_EDGE, _EDGE)
        found[int(low) + _EDGE : int(high) + _EDGE + 1] = True
    return found
