# SPDX-License-Identifier: EUPL-1.2
"""Gross range: values a quantity or its instrument cannot have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import FAIL, SUSPECT, Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.wording import by_quantity, span
from processors._per_series import PerSeries, QuantityName

from ._verdicts import answer

GROSS_RANGE: Final = Reason(
    8,
    "gross_range",
    "The value lies outside the span this quantity can have or its instrument can measure.",
    "QARTOD gross range test (ioos_qc gross_range_test)",
)


class GrossRangeSpans(Settings):
    """What one quantity can be. Both bounds of a span belong to it."""

    fail_span: tuple[float, float] = Field(
        description="Lowest and highest possible value, canonical unit; beyond it a value fails."
    )
    suspect_span: tuple[float, float] | None = Field(
        default=None,
        description="Lowest and highest usual value; beyond it a value is suspect.",
    )

    @model_validator(mode="after")
    def _nest(self) -> Self:
        low, high = self.fail_span
        inner_low, inner_high = self.suspect_span or self.fail_span
        if not low <= inner_low <= inner_high <= high:
            raise ValueError("spans must run from low to high, and suspect_span inside fail_span")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return the four bounds in a row."""
        return (*self.fail_span, *(self.suspect_span or self.fail_span))


class GrossRangeSettings(QuantitySettings):
    """Spans by quantity; a quantity without one is not judged."""

    quantities: dict[QuantityName, GrossRangeSpans] = Field(
        default_factory=dict, description="Spans by canonical quantity name."
    )
    default: GrossRangeSpans | None = Field(
        default=None, description="Spans of every quantity not named; none when left out."
    )


@register("check")
class GrossRange:
    """Flags values outside the span a quantity can have.

    A bound itself is good. Outside ``fail_span`` a value fails, outside ``suspect_span`` it is
    suspect, and without a number it is missing.

    Known failures: bounds tight enough to find a drifting instrument delete wildfire smoke and heat
    waves; leave ``fail_span`` to what is impossible.

    >>> import numpy as np
    >>> from lamppost.grouping import Groups
    >>> from lamppost.series import SeriesKey
    >>> settings = {"quantities": {"pm2_5": {"fail_span": [0, 1000], "suspect_span": [0, 500]}}}
    >>> table = SeriesTable([SeriesKey("aq-1", "pm2_5")])
    >>> check = GrossRange(GrossRangeSettings.model_validate(settings), table)
    >>> groups = Groups.by_series(np.zeros(4, np.int32))
    >>> values = np.array([500.0, 501.0, -1.0, np.nan])
    >>> check.judge(Rows(groups, np.arange(4), values, np.zeros(4, np.uint8))).flag.tolist()
    [1, 3, 4, 9]
    """

    name: ClassVar[str] = "gross_range"
    reasons: ClassVar[tuple[Reason, ...]] = (GROSS_RANGE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = False
    Settings: ClassVar[type[GrossRangeSettings]] = GrossRangeSettings

    @classmethod
    def describe(cls, settings: GrossRangeSettings) -> str:
        """Say what is possible and what is usual."""
        given = settings.given()
        possible = by_quantity(given, lambda one, unit: span(one.fail_span, unit))
        usual = by_quantity(
            given, lambda one, unit: span(one.suspect_span, unit) if one.suspect_span else ""
        )
        suspect = f", and one outside what is usual is suspect ({usual})" if usual else ""
        return (
            f"A reading outside what is possible fails ({possible}){suspect}"
            " (QARTOD gross range test)."
        )

    def __init__(self, settings: GrossRangeSettings, series: SeriesTable) -> None:
        """Prepare the spans."""
        self._spans = PerSeries.given_by(series, settings.quantities, settings.default, width=4)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._spans.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Hold every value against its spans."""
        usual_low, usual_high = self._spans.of_rows(rows.groups, slice(2, 4))
        flag, reasons = answer(
            rows.missing,
            evaluated=~np.isnan(usual_low),
            suspect=(rows.value < usual_low) | (rows.value > usual_high),
            reason=GROSS_RANGE,
        )
        # What is impossible is unusual, too, and only that little is looked at again.
        unusual = np.flatnonzero(flag == SUSPECT)
        low, high, _, _ = self._spans.of(rows.groups.series[unusual])
        value = rows.value[unusual]
        flag[unusual[(value < low) | (value > high)]] = FAIL
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return nothing: each value is judged by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""
