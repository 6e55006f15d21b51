# SPDX-License-Identifier: EUPL-1.2
"""Rate of change: values that move faster than the air or the road can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, exactly, in_common, with_unit
from processors._per_series import PerSeries, QuantityName

from ._verdicts import answer, without_failed

RATE_OF_CHANGE: Final = Reason(
    11,
    "rate_of_change",
    "The value changed faster since the reading before than this quantity usually can.",
    "QARTOD rate of change test (ioos_qc rate_of_change_test)",
)


class RateOfChangeLimits(Settings):
    """How fast one quantity may move."""

    suspect_per_s: float = Field(
        gt=0, description="Change per second, up or down, above which a value is suspect."
    )
    max_gap_s: float | None = Field(
        default=None,
        gt=0,
        description="After a longer gap the test is not made, seconds; no limit if unset.",
    )

    @property
    def per_minute(self) -> float:
        """The threshold as people say it: a third written with six digits is a third."""
        return float(f"{60 * self.suspect_per_s:.5g}")

    def numbers(self) -> tuple[float, ...]:
        """Return the threshold and the longest gap, seconds."""
        return self.suspect_per_s, np.inf if self.max_gap_s is None else self.max_gap_s


class RateOfChangeSettings(QuantitySettings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, RateOfChangeLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    default: RateOfChangeLimits | None = Field(
        default=None, description="Limits of every quantity not named; none when left out."
    )


@register("check")
class RateOfChange:
    """Flags values that changed faster than the threshold since the reading before.

    ``|x - before| / seconds`` strictly above the threshold is suspect; the test never fails a
    value. As in QARTOD, the first reading of a series and the first after a missing one are good,
    and so is the first after one that an earlier check has failed.

    Known failures: of a step down from a wrong value that no check has failed it flags the right
    one after it; readings a second apart exceed any limit for noise alone.
    """

    name: ClassVar[str] = "rate_of_change"
    reasons: ClassVar[tuple[Reason, ...]] = (RATE_OF_CHANGE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[RateOfChangeSettings]] = RateOfChangeSettings

    @classmethod
    def describe(cls, settings: RateOfChangeSettings) -> str:
        """Say how fast a value may change."""
        given = settings.given()
        suspect = by_quantity(
            given, lambda one, unit: f"more than {with_unit(one.per_minute, unit)} a minute"
        )
        near = in_common(
            given, lambda one, _: "any time" if one.max_gap_s is None else exactly(one.max_gap_s)
        )
        return (
            f"A reading that has changed too fast since the one before is suspect ({suspect}); that"
            f" one may not lie further back than {near} (QARTOD rate of change test)."
        )

    def __init__(self, settings: RateOfChangeSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, settings.default, width=2)
        self._series = series
        self._state = SeriesState(last=np.float64(np.nan), time=np.int64(NO_TIME))

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Compare every reading with the one before it."""
        self._state.grow(len(self._series))
        groups, value, places = rows.groups, without_failed(rows), rows.groups.places
        limit, max_gap_s = self._limits.of_rows(groups)
        before = groups.previous(value, self._state["last"][places])
        before_time = groups.previous_int(rows.time, self._state["time"][places])
        gap_s = (rows.time - before_time) / SECOND_NS
        judgeable = (gap_s > 0) & (gap_s <= max_gap_s)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            # Without a reading before there is no rate, whatever the gap.
            rate = np.abs(value - before) / gap_s
        flag, reasons = answer(
            rows.missing,
            reason=RATE_OF_CHANGE,
            evaluated=(judgeable | np.isnan(before)) & ~np.isnan(limit),
            suspect=judgeable & (rate > limit),
        )
        newest = slice(None) if groups.once else groups.lasts
        self._state["last"][places] = value[newest]
        self._state["time"][places] = rows.time[newest]
        return Verdict(flag, reasons)

    def snapshot(self) -> Snapshot:
        """Return the last reading of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last reading of each series."""
        self._state.restore(snapshot)
