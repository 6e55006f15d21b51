# SPDX-License-Identifier: EUPL-1.2
"""Gap: readings after a long silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.batch import FlagArray, Int64Array, ReasonArray
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import MISSING, MISSING_VALUE, NOT_EVALUATED, SUSPECT, Reason
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, exactly
from processors._per_series import PerSeries, QuantityName, optional

from ._runs import shifted
from ._verdicts import answer

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


class GapSettings(QuantitySettings):
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

    @classmethod
    def describe(cls, settings: GapSettings) -> str:
        """Say how long a series may be silent."""
        given = settings.given()
        suspect = by_quantity(given, lambda one, _: f"more than {exactly(one.suspect_s)}")
        fail = by_quantity(
            given, lambda one, _: "" if one.fail_s is None else f"more than {exactly(one.fail_s)}"
        )
        fails = f" or fails ({fail})" if fail else ""
        return (
            f"The first reading after a silence is suspect ({suspect}){fails}"
            " (QARTOD time gap test)."
        )

    def __init__(self, settings: GapSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, settings.default, width=2)
        self._series = series
        self._state = SeriesState(
            time=np.int64(NO_TIME), missing=np.bool_(False), alone=np.bool_(False)
        )

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Compare every instant with the one before it."""
        self._state.grow(len(self._series))
        groups, places = rows.groups, rows.groups.places
        was = {name: self._state[name][places] for name in ("time", "missing", "alone")}
        before = groups.previous_int(rows.time, was["time"])
        known = before != NO_TIME
        silent = np.where(known, rows.time - before, 0)
        suspect_ns, fail_ns = self._limits.of_rows(groups)
        usable = ~(shifted(rows.groups, rows.missing, was["missing"]) | rows.missing)
        present = np.zeros(len(rows), np.bool_)
        flag, reasons = answer(
            present,
            reason=GAP,
            evaluated=usable & ~np.isnan(suspect_ns),
            suspect=usable & (silent > suspect_ns),
            fail=usable & (silent > fail_ns),
        )
        alone = np.flatnonzero(~known)
        self._follow_second(groups, alone, flag, reasons)
        amended = np.flatnonzero(was["alone"] & ~was["missing"])
        opening = groups.starts[amended]
        verdict = groups.codes[amended], flag[opening], reasons[opening]
        self._remember(rows, was, known)
        absent = np.flatnonzero(rows.missing)
        flag[absent], reasons[absent] = MISSING, MISSING_VALUE.mask
        return Verdict(flag, reasons, *verdict)

    def _follow_second(
        self, groups: Groups, alone: Int64Array, flag: FlagArray, reasons: ReasonArray
    ) -> None:
        """Give the first reading of a series the verdict of the second, if that is here."""
        second = np.minimum(alone + 1, max(len(flag) - 1, 0))
        followed = ~groups.is_first[second]
        flag[alone] = np.where(followed, flag[second], np.uint8(NOT_EVALUATED))
        reasons[alone] = np.where(flag[alone] >= SUSPECT, GAP.mask, np.uint32(0))

    def _remember(self, rows: Rows, was: Mapping[str, npt.NDArray[Any]], known: BoolArray) -> None:
        """Keep the newest instant of each series, and of the rest what has changed."""
        groups = rows.groups
        newest = slice(None) if groups.once else groups.lasts
        self._state["time"][groups.places] = rows.time[newest]
        now = {
            "missing": rows.missing[newest],
            "alone": ~known[groups.starts] & (groups.starts == groups.lasts),
        }
        for name, column in now.items():
            changed = np.flatnonzero(column != was[name])
            self._state[name][groups.places[changed]] = column[changed]

    def snapshot(self) -> Snapshot:
        """Return the last instant of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last instant of each series."""
        self._state.restore(snapshot)
