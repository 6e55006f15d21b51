# SPDX-License-Identifier: EUPL-1.2
"""Sentinel: numbers that are codes, not measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import Reason
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from processors._per_series import PerSeries, QuantityName

from ._verdicts import answer

SENTINEL: Final = Reason(
    12,
    "sentinel",
    "The number is a code that devices send in place of a measurement.",
    "device manuals; the values stand in the policy",
)


class SentinelSettings(Settings):
    """The codes by quantity; a quantity without codes is not judged."""

    quantities: dict[QuantityName, tuple[float, ...]] = Field(
        default_factory=dict, description="Codes by canonical quantity name, canonical unit."
    )


@register("check")
class Sentinel:
    """Fails values that equal one of the codes devices send when they have no measurement.

    A code must match exactly (within a millionth of itself, for units that were converted).

    Known failures: a true value may equal a code, 255 km/h on no street, but -1 Cel any winter;
    list only what the quantity cannot be.
    """

    name: ClassVar[str] = "sentinel"
    reasons: ClassVar[tuple[Reason, ...]] = (SENTINEL,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = False
    Settings: ClassVar[type[SentinelSettings]] = SentinelSettings

    def __init__(self, settings: SentinelSettings, series: SeriesTable) -> None:
        """Prepare the codes."""
        width = max((len(codes) for codes in settings.quantities.values()), default=0)
        self._listed = PerSeries(series, dict.fromkeys(settings.quantities, (1.0,)), width=1)
        padded = {
            name: (*codes, *[np.nan] * (width - len(codes)))
            for name, codes in settings.quantities.items()
        }
        self._codes = PerSeries(series, padded, width=width)

    def judge(self, rows: Rows) -> Verdict:
        """Compare every value with the codes of its quantity."""
        is_code = np.zeros(len(rows), np.bool_)
        for code in self._codes.of(rows.groups.series):
            # Without a code the tolerance is NaN, and nothing equals it.
            with np.errstate(invalid="ignore"):
                is_code |= np.abs(rows.value - code) <= np.abs(code) * 1e-6
        flag, reasons = answer(
            rows.value,
            evaluated=~np.isnan(self._listed.of(rows.groups.series)[0]),
            suspect=np.zeros(len(rows), np.bool_),
            fail=is_code,
            reason=SENTINEL,
        )
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return nothing: each value is judged by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""
