# SPDX-License-Identifier: EUPL-1.2
"""Gap: readings after a long silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.flags import (
    FAIL,
    GOOD,
    MISSING,
    MISSING_VALUE,
    NOT_EVALUATED,
    SUSPECT,
    Reason,
)
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from processors._per_series import PerSeries, QuantityName, optional

GAP: Final = Reason(
    15,
    "gap",
    "The series was silent for longer than usual just before this reading.",
    "QARTOD time gap test (ioos_qc time_gap_test)",
)


class GapLimits(Settings):
    """How long one quantity may be silent."""

    suspect_s: float = Field(
        gt=0, description="Silence above which the reading that ends it is suspect, seconds."
    )
    fail_s: float | None = Field(
        default=None, description="Silence above which it fails; never when left out."
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.fail_s is not None and self.fail_s < self.suspect_s:
            raise ValueError("fail_s must not be below suspect_s")
        return self

    def numbers(self) -> tuple[float, ...]:
        """Return both limits, nanoseconds."""
        return self.suspect_s * SECOND_NS, optional(self.fail_s) * SECOND_NS


class GapSettings(Settings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, GapLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    default: GapLimits | None = Field(
        default=None, description="Limits of every quantity not named; none when left out."
    )


@register("check")
class Gap:
    """Flags the reading that ends a silence.

    ``time - time of the reading before`` strictly above the limit. After a missing value nothing is
    evaluated. As in QARTOD the first reading of a series takes the verdict of the second, as an
    amendment when that arrives.

    Known failures: devices that send only changes are silent by nature; a reading after a silence
    is usually right, so think twice before ``fail_s`` keeps it out of aggregates.
    """

    name: ClassVar[str] = "gap"
    reasons: ClassVar[tuple[Reason, ...]] = (GAP,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[GapSettings]] = GapSettings

    def __init__(self, settings: GapSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries(
            series,
            {name: limits.numbers() for name, limits in settings.quantities.items()},
            settings.default.numbers() if settings.default else None,
            width=2,
        )
        self._series = series
        self._state = SeriesState(
            time=np.int64(NO_TIME), missing=np.bool_(False), alone=np.bool_(False)
        )

    def judge(self, rows: Rows) -> Verdict:
        """Compare every instant with the one before it."""
        self._state.grow(len(self._series))
        groups, missing = rows.groups, np.isnan(rows.value)
        starts, lasts, codes = groups.starts, groups.lasts, groups.codes
        before = groups.previous_int(rows.time, self._state["time"][codes])
        after_missing = np.empty_like(missing)
        after_missing[1:] = missing[:-1]
        after_missing[starts] = self._state["missing"][codes]
        known = before != NO_TIME
        silent = np.where(known, rows.time - np.where(known, before, rows.time), 0)
        suspect_ns, fail_ns = self._limits.of(groups.series)
        evaluated = ~after_missing & ~np.isnan(suspect_ns) & ~missing
        flag = np.where(evaluated, np.uint8(GOOD), np.uint8(NOT_EVALUATED))
        flag[evaluated & (silent > suspect_ns)] = SUSPECT
        flag[evaluated & (silent > fail_ns)] = FAIL
        # The first reading of a series takes the verdict of the second.
        alone = starts[~known[starts]]
        second = np.minimum(alone + 1, max(len(rows) - 1, 0))
        followed = ~groups.is_first[second]
        flag[alone] = np.where(followed, flag[second], np.uint8(NOT_EVALUATED))
        amended = self._state["alone"][codes] & ~self._state["missing"][codes]
        self._state["alone"][codes] = ~known[starts] & (starts == lasts)
        self._state["time"][codes], self._state["missing"][codes] = rows.time[lasts], missing[lasts]
        reasons = np.where(flag >= SUSPECT, GAP.mask, np.uint32(0))
        verdict = codes[amended], flag[starts][amended], reasons[starts][amended]
        flag[missing], reasons[missing] = MISSING, MISSING_VALUE.mask
        return Verdict(flag, reasons, *verdict)

    def snapshot(self) -> Snapshot:
        """Return the last instant of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last instant of each series."""
        self._state.restore(snapshot)
