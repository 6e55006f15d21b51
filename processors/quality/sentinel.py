# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: numbers that are codes, not measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int32Array, Int64Array
from lamppost.component import Rows, Scope, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import MISSING, MISSING_VALUE, Reason
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.wording import by_quantity, digits, listed
from processors._per_series import PerSeries, QuantityName

from ._devices import ANY_DEVICE, Devices
from ._verdicts import answer

SENTINEL: Final = Reason(
    12,
    "sentinel",
    "The device sent a code that stands for no measurement.",
    "device manuals; the values stand in the policy",
)

_TOLERANCE: Final = 1e-6
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
    qualifier: str = Field(
        default="device",
        description="Qualifier of a series that names its type of device, else the station does.",
    )

    def given(self) -> Mapping[str, object]:
        """Return the codes of each quantity, and of each type of device."""
        known = {f"with {device}": codes for device, codes in self.devices.items() if codes}
        return {**self.quantities, **known}

    def named(self) -> list[str]:
        """Return the quantities that have codes."""
        every = (self.quantities, *self.devices.values())
        return list(dict.fromkeys(name for codes in every for name in codes))

    def about(self, quantity: str) -> Self:
        """Return the codes of a quantity; all of them where it has none."""
        narrowed = {
            name: {quantity: codes[quantity]}
            for name, codes in {"": self.quantities, **self.devices}.items()
            if quantity in codes
        }
        if not narrowed:
            return self
        own = narrowed.pop("", {})
        return self.model_copy(update={"quantities": own, "devices": narrowed})

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        places = {"quantities": self.quantities}
        places |= {f"devices.{device}": codes for device, codes in self.devices.items()}
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
    type of device a series is of says its qualifier, or the property ``device`` of its station; of
    a type that is not known only the codes of any device count.

    Known failures: a true value may equal a code, 255 km/h on no street, but -1 Cel any winter, and
    one value in thousands within smoke beyond 1000 ug/m3; list only what the quantity cannot be, or
    cannot be with that device.
    """

    name: ClassVar[str] = "sentinel"
    reasons: ClassVar[tuple[Reason, ...]] = (SENTINEL,)
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = False
    Settings: ClassVar[type[SentinelSettings]] = SentinelSettings

    @classmethod
    def describe(cls, settings: SentinelSettings) -> str:
        """Say which numbers are codes, of any device and of some."""
        told = [_listed(settings.quantities)] if settings.quantities else []
        told += [f"with {device} {_listed(codes)}" for device, codes in settings.devices.items()]
        return (
            f"A reading that is a code counts as missing ({', and '.join(told)}); the type"
            f" of a device is told by the qualifier {settings.qualifier} or the station file."
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
        self._width = width
        self._listed = PerSeries(series, dict.fromkeys(listed, (1.0,)), width=1)
        self._codes = PerSeries(series, padded, width=2 * width)
        self._devices = Devices(series, stations, list(settings.devices), settings.qualifier)
        self._beside = _beside(code for given in listed.values() for code, _ in given)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._listed.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Compare every value with the codes of its quantity."""
        flag, reasons = answer(
            rows.missing,
            evaluated=~np.isnan(self._listed.of_rows(rows.groups)[0]),
            reason=SENTINEL,
        )
        found = self.codes(rows.groups.series, rows.value)
        flag[found], reasons[found] = MISSING, SENTINEL.mask | MISSING_VALUE.mask
        return Verdict(flag, reasons)

    def codes(self, series: Int32Array, value: FloatArray) -> Int64Array:
        """Return the rows whose number is a code."""
        near = self._near_a_code(value)
        series = series[near]
        codes, owner = self._codes.of(series).reshape(2, self._width, len(near))
        # Without a code the tolerance is NaN, and nothing equals it.
        with np.errstate(invalid="ignore"):
            equal = np.abs(value[near] - codes) <= np.abs(codes) * _TOLERANCE
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
        """Return nothing: each value is judged by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""


def _beside(codes: Iterable[float]) -> BoolArray:
    """Return which whole numbers, from -EDGE to EDGE, a value equal to a code may be rounded to."""
    found = np.zeros(2 * _EDGE + 1, np.bool_)
    found[[0, -1]] = True
    for code in codes:
        reach = abs(code) * _TOLERANCE
        low, high = np.clip(np.floor([code - reach + 0.5, code + reach + 0.5]), -_EDGE, _EDGE)
        found[int(low) + _EDGE : int(high) + _EDGE + 1] = True
    return found
