# SPDX-License-Identifier: EUPL-1.2
"""Flat line: an instrument that repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.batch import FlagArray, FloatArray, Int64Array, ReasonArray
from lamppost.component import Rows, Scope, Settings, Verdict, register, restore_each, snapshot_of
from lamppost.explained import QuantitySettings
from lamppost.flags import FAIL, SUSPECT, Reason
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import SECOND_NS
from lamppost.wording import by_quantity, counted, exactly, in_common, listed, with_unit
from processors._per_series import PerSeries, QuantityName, optional

from ._chosen import NOT_CHOSEN, Chosen
from ._look_back import Limits, each
from ._verdicts import answer
from ._within import Stay, Within

FLAT_LINE: Final = Reason(
    9,
    "flat_line",
    "The instrument has shown the same value for longer than this quantity stays constant.",
    "QARTOD flat line test (ioos_qc flat_line_test), by time in place of readings",
)


class FlatLineLimits(Settings):
    """How long one quantity may stay the same."""

    suspect_s: float = Field(gt=0, description="Length of a run that makes it suspect, seconds.")
    fail_s: float | None = Field(
        default=None, description="Length of a run that makes it fail, seconds; never when unset."
    )
    tolerance: float = Field(
        default=0.0,
        ge=0,
        description="A run lasts while max - min is less; with 0 while all values are equal.",
    )
    min_readings: int = Field(
        default=5, ge=2, description="Readings a run must have before it is judged."
    )
    ignore_up_to: float | None = Field(
        default=None,
        description="Values up to this are not judged: 0 for counts, which stay 0 all night.",
    )
    ignore_from: float | None = Field(
        default=None,
        description="Values from this on are not judged: 99.5 for humidity, which fog keeps there.",
    )

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if self.fail_s is not None and self.fail_s < self.suspect_s:
            raise ValueError("fail_s must not be below suspect_s")
        return self

    def spared(self, unit: str) -> str:
        """Return in words which values are not judged."""
        low, high = self.ignore_up_to, self.ignore_from
        told = [] if low is None else [f"up to {with_unit(low, unit)}"]
        told += [] if high is None else [f"from {with_unit(high, unit)} on"]
        return listed(told) if told else ""

    def numbers(self) -> tuple[float, ...]:
        """Return the limits in a row, durations in nanoseconds."""
        return (
            self.suspect_s * SECOND_NS,
            optional(self.fail_s) * SECOND_NS,
            self.tolerance,
            float(self.min_readings),
            -np.inf if self.ignore_up_to is None else self.ignore_up_to,
            optional(self.ignore_from),
        )


class FlatLineSettings(QuantitySettings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, FlatLineLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    default: FlatLineLimits | None = Field(
        default=None, description="Limits of every quantity not named; none when left out."
    )


_EQUAL: Final = "equal"
_NEAR: Final = "near"
_Follow = Callable[[Rows], Stay]


@register("check")
class FlatLine:
    """Flags values that have stayed the same for too long.

    The run of a reading is the longest time up to it in which ``max - min < tolerance``, or with a
    tolerance of 0 ``max = min``. The reading is suspect or fails when its run has lasted
    ``suspect_s`` or ``fail_s`` and has ``min_readings``. A missing value neither ends nor prolongs
    a run. QARTOD counts readings by their median step in place of time, which is the same where
    they are evenly spaced; its test with a tolerance of 0 never fires.

    Known failures: whole numbers in clean air, counts at night and pressure in a calm high repeat
    by right; an instrument that is stuck but noisy is left to ``attenuated_signal``.
    """

    name: ClassVar[str] = "flat_line"
    reasons: ClassVar[tuple[Reason, ...]] = (FLAT_LINE,)
    scope: ClassVar[Scope] = "series"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[FlatLineSettings]] = FlatLineSettings

    @classmethod
    def describe(cls, settings: FlatLineSettings) -> str:
        """Say how long a value may stay the same, and what that means."""
        given = settings.given()
        suspect = by_quantity(given, lambda one, _: f"after {exactly(one.suspect_s)}")
        fail = by_quantity(
            given, lambda one, _: "" if one.fail_s is None else f"after {exactly(one.fail_s)}"
        )
        same = in_common(
            given,
            lambda one, unit: (
                f"less than {with_unit(one.tolerance, unit)} apart" if one.tolerance else "equal"
            ),
        )
        needed = in_common(given, lambda one, _: counted(one.min_readings, "reading"))
        spared = by_quantity(given, FlatLineLimits.spared)
        fails = f" and then fails ({fail})" if fail else ""
        unjudged = f"; not judged are values that repeat by right ({spared})" if spared else ""
        return (
            f"A reading whose value has stayed the same for too long is suspect ({suspect}){fails},"
            f" where the same is {same}, in at least {needed}{unjudged}"
            " (QARTOD flat line test)."
        )

    def __init__(self, settings: FlatLineSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._limits = PerSeries.given_by(series, settings.quantities, settings.default, width=6)
        given = (settings.default, *settings.quantities.values())
        self._any_tolerance = any(one and one.tolerance > 0 for one in given)
        self._series = series
        self._state = SeriesState(first=np.float64(np.nan), began=np.int64(0), readings=np.int64(0))
        self._drifting = Chosen(series, _Tolerant(settings))
        self._within = Within()

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Find the run every reading belongs to, and look at the long ones."""
        self._state.grow(len(self._series))
        (suspect_ns,) = self._limits.of_rows(rows.groups, slice(1))
        flag, reasons = answer(rows.missing, reason=FLAT_LINE, evaluated=~np.isnan(suspect_ns))
        tolerant = np.zeros(1, np.bool_)
        if self._any_tolerance:
            tolerant = self._limits.of(rows.groups.places)[2] > 0
        if not tolerant.any():
            self._mark(self._follow_exact, rows, ~rows.missing, (flag, reasons))
        else:
            apart = tolerant[rows.groups.group] & ~rows.missing
            self._mark(self._follow_within, rows, apart, (flag, reasons))
            self._mark(self._follow_exact, rows, ~(apart | rows.missing), (flag, reasons))
        return Verdict(flag, reasons)

    def _mark(
        self,
        follow: _Follow,
        rows: Rows,
        chosen: BoolArray,
        verdict: tuple[FlagArray, ReasonArray],
    ) -> None:
        """Follow the runs of some rows, and flag the readings of long ones."""
        where = None
        if not chosen.all():
            where = np.flatnonzero(chosen)
            rows = rows.take(where)
        if not len(rows):
            return
        found = follow(rows)
        limits = self._limits.of(rows.groups.places)
        suspect_ns, fail_ns, _, least, *spared = (
            each(column, rows.groups, found.rows) for column in limits
        )
        lasted = rows.time[found.rows] - found.began
        long = np.flatnonzero((lasted >= suspect_ns) & (found.readings >= least))
        if len(long):
            value = rows.value[found.rows[long]]
            low, high = (one if len(one) == 1 else one[long] for one in spared)
            long = long[~((value <= low) | (value >= high))]
        flag, reasons = verdict
        back = found.rows if where is None else where.take(found.rows)
        flag[back.take(long)] = SUSPECT
        reasons[back.take(long)] |= FLAT_LINE.mask
        fails = lasted[long] >= (fail_ns if len(fail_ns) == 1 else fail_ns[long])
        flag[back.take(long[fails])] = FAIL

    def _follow_exact(self, rows: Rows) -> Stay:
        """Follow runs of equal values; single readings, the usual case, cost next to nothing."""
        groups, time, value = rows.groups, rows.time, rows.value
        if groups.once:
            return self._follow_one_each(groups, time, value)
        codes, starts = groups.codes, groups.starts
        opens = np.empty(len(value), np.bool_)
        np.not_equal(value[1:], value[:-1], out=opens[1:])
        opens[starts] = value[starts] != self._state["first"][codes]
        # Where a run goes on from the batch before, its first row here continues the count.
        goes_on = starts[~opens[starts]]
        opens[starts] = True
        first_row = np.flatnonzero(opens)
        length = np.diff(first_row, append=len(value))
        carried = np.zeros(len(first_row), np.int64)
        began = time[first_row]
        place = np.searchsorted(first_row, goes_on)
        carried[place] = self._state["readings"][groups.series[goes_on]]
        began[place] = self._state["began"][groups.series[goes_on]]
        last_run = np.append(np.searchsorted(first_row, starts[1:]), len(first_row)) - 1
        self._keep(codes, value[groups.lasts], began[last_run], (carried + length)[last_run])
        repeated = np.flatnonzero(carried + length > 1)
        size = length[repeated]
        turn = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return Stay(
            np.repeat(first_row[repeated], size) + turn,
            np.repeat(began[repeated], size),
            np.repeat(carried[repeated], size) + turn + 1,
        )

    def _follow_one_each(self, groups: Groups, time: Int64Array, value: FloatArray) -> Stay:
        """Do the same where every series has one reading."""
        places = groups.places
        repeated = np.flatnonzero(value == self._state["first"][places])
        goes_on = places[repeated]
        began, readings = time.copy(), np.ones(len(value), np.int64)
        began[repeated] = self._state["began"][goes_on]
        readings[repeated] += self._state["readings"][goes_on]
        self._keep(places, value, began, readings)
        return Stay(repeated, began[repeated], readings[repeated])

    def _follow_within(self, rows: Rows) -> Stay:
        """Follow runs of values near each other."""
        self._within.grow(len(self._drifting))
        suspect_ns, fail_ns, tolerance, least, *_ = self._limits.of(rows.groups.places)
        longest_ns = np.fmax(suspect_ns, fail_ns)
        asked = (column.astype(np.int64) for column in (suspect_ns, longest_ns, least))
        _, numbered = self._drifting.rows(rows)
        return self._within.follow(numbered, Limits(tolerance, *asked))

    def _keep(
        self,
        codes: npt.NDArray[np.integer[Any]],
        first: FloatArray,
        began: Int64Array,
        readings: Int64Array,
    ) -> None:
        self._state["first"][codes] = first
        self._state["began"][codes] = began
        self._state["readings"][codes] = readings

    def snapshot(self) -> Snapshot:
        """Return the run each series is in."""
        return snapshot_of({_EQUAL: self._state, _NEAR: self._within})

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the run each series is in; formerly a run was held against its first value."""
        if "first" not in snapshot:
            restore_each({_EQUAL: self._state, _NEAR: self._within}, snapshot)
            return
        self._state.restore(snapshot)
        number = self._drifting.of(np.arange(len(self._state)))
        known = np.flatnonzero(number != NOT_CHOSEN)
        self._within = Within()
        self._within.begin(*(self._state[name][known] for name in ("first", "began", "readings")))


class _Tolerant:
    """The quantities whose runs have a tolerance."""

    def __init__(self, settings: FlatLineSettings) -> None:
        self._settings = settings

    def __contains__(self, quantity: object) -> bool:
        settings = self._settings
        given = settings.quantities.get(str(quantity), settings.default)
        return given is not None and given.tolerance > 0
