# SPDX-License-Identifier: EUPL-1.2
"""Robust baseline: what each series usually shows, and how far a reading is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Evidence, Rows, Settings, register
from lamppost.explained import QuantitySettings
from lamppost.flags import FAIL, MISSING
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import DAY_NS, NO_TIME, SECOND_NS
from lamppost.wording import by_quantity, counted, digits, exactly, in_common, percent, with_unit
from processors._lanes import Lanes
from processors._per_series import PerSeries, QuantityName, optional

from ._hourly_profile import SLOTS, HourlyProfile

_LN2: Final = float(np.log(2.0))
# The standard deviation of a normal distribution over its mean absolute deviation.
_SD_PER_DEVIATION: Final = 1.2533
_CLIP: Final = 3.0
# A peak that comes every day is far off at first, and the hourly profile is to learn it.
_WIDE: Final = 10.0
# No sensor measures more, and its square is still a number.
_LARGEST: Final = 1e100
# A spread of exactly zero would make every later change infinitely unusual.
_LEAST_SD: Final = 1e-9


class BaselineSettings(Settings):
    """How one quantity's usual course is learnt. Numbers are in its canonical unit."""

    half_life_s: float | None = Field(
        default=3600.0, gt=0, description="Age at which a reading counts half, seconds."
    )
    half_life_readings: float | None = Field(
        default=None, gt=0, description="The same in readings, in place of half_life_s."
    )
    warm_up: int = Field(
        default=60, ge=2, description="Readings to learn from before anything is said."
    )
    band: float = Field(
        default=4.0, gt=0, description="Half width of the usual band, standard deviations."
    )
    freeze: float = Field(
        default=5.0, gt=0, description="Score beyond which a reading is hardly learnt from."
    )
    frozen_rate: float = Field(
        default=0.1, ge=0, le=1, description="Share of the normal learning rate while frozen."
    )
    relearn_s: float = Field(
        default=43_200.0,
        gt=0,
        description="After being unusual, or silent, for this long the baseline starts anew.",
    )
    noise: float = Field(
        default=0.0, ge=0, description="Smallest standard deviation believed: the noise floor."
    )
    noise_share: float = Field(
        default=0.0, ge=0, description="Noise that grows with the expected value, as a share of it."
    )
    noise_counts: float = Field(
        default=0.0,
        ge=0,
        description="Counting noise: variance per unit of the expected value (1 for counts).",
    )
    lowest: float | None = Field(
        default=None, description="The band never reaches below this: 0 for concentrations."
    )
    hourly_profile: bool = Field(
        default=False, description="Also learn what is usual at each hour of the day (UTC)."
    )
    profile_half_life_days: float = Field(
        default=4.0, gt=0, description="Days after which a day counts half in the hourly profile."
    )

    @model_validator(mode="after")
    def _one_half_life(self) -> Self:
        given = self.model_fields_set & {"half_life_s", "half_life_readings"}
        if len(given) == 2 and None not in {self.half_life_s, self.half_life_readings}:
            raise ValueError("give half_life_s or half_life_readings, not both")
        if self.half_life_s is None and self.half_life_readings is None:
            raise ValueError("give half_life_s or half_life_readings")
        return self

    def half_life(self) -> str:
        """Return in words when a reading counts half."""
        if self.half_life_readings is not None:
            return counted(self.half_life_readings, "reading")
        return exactly(self.half_life_s or 0)

    def profile(self) -> str:
        """Return in words whether the hours of the day are told apart."""
        if not self.hourly_profile:
            return "hours of the day are not told apart"
        return f"each hour of the day is learnt over {counted(self.profile_half_life_days, 'day')}"

    def reach(self) -> str:
        """Return in words how far down the usual band may reach."""
        return "however low" if self.lowest is None else f"never below {digits(self.lowest)}"

    def floor(self, unit: str) -> str:
        """Return the smallest standard deviation believed, in words."""
        share = f" and {percent(self.noise_share)} of the usual value" if self.noise_share else ""
        counts = (
            f" and the root of {digits(self.noise_counts)} times it" if self.noise_counts else ""
        )
        return f"{with_unit(self.noise, unit)}{share}{counts}"

    def numbers(self) -> tuple[float, ...]:
        """Return the settings in the order of :class:`_Numbers`."""
        by_readings = self.half_life_readings is not None
        half_life_s = np.inf if by_readings else optional(self.half_life_s)
        return (
            half_life_s * SECOND_NS / _LN2,
            (self.half_life_readings or 0.0) / _LN2 if by_readings else np.nan,
            float(self.warm_up),
            self.band,
            self.freeze,
            self.frozen_rate,
            self.relearn_s * SECOND_NS,
            self.noise**2,
            self.noise_share**2,
            self.noise_counts,
            -np.inf if self.lowest is None else self.lowest,
            self.profile_half_life_days * DAY_NS / _LN2 if self.hourly_profile else np.inf,
        )


class RobustBaselineSettings(QuantitySettings):
    """Baselines by quantity; a quantity without one is not scored."""

    quantities: dict[QuantityName, BaselineSettings] = Field(
        default_factory=dict, description="Baselines by canonical quantity name."
    )
    default: BaselineSettings | None = Field(
        default=None, description="Baseline of every quantity not named; none when left out."
    )


class _Numbers(NamedTuple):
    """The settings of each row, one array each; ``tau`` are time constants."""

    tau_ns: FloatArray
    tau_readings: FloatArray
    warm_up: FloatArray
    band: FloatArray
    freeze: FloatArray
    frozen_rate: FloatArray
    relearn_ns: FloatArray
    variance: FloatArray
    variance_share: FloatArray
    variance_counts: FloatArray
    lowest: FloatArray
    profile_tau_ns: FloatArray


class _Given(NamedTuple):
    """All about rows that does not depend on what is learnt on the way, one array each."""

    value: FloatArray
    time: Int64Array
    usable: BoolArray
    forgotten: BoolArray
    rate: FloatArray
    mean_rate: FloatArray
    profile_rate: FloatArray


@dataclass(slots=True)
class _Learnt:
    """What is known of each lane's series; changes from round to round."""

    level: FloatArray
    deviation: FloatArray
    mean: FloatArray
    readings: FloatArray
    unusual_since: Int64Array


@register("detector")
class RobustBaseline:
    """Scores readings against a level and a spread learnt from the series itself.

    Level and mean absolute deviation are exponentially weighted, with every step limited to three
    standard deviations (Huber), so that single outliers move little. The learning rate over a gap
    ``dt`` is ``dt / (dt + half_life / ln 2)``, which needs no even cadence. Readings beyond
    ``freeze`` are hardly learnt from, so an event does not become the baseline. An optional
    profile of 24 hourly offsets from the mean of about a day lets it expect the rush hour.

    ``score = (x - expected) / sd``, signed; the band is ``expected - band * sd`` and
    ``expected + band * sd``.

    Source: exponentially weighted mean and deviation with Huber's limited influence (Huber 1981,
    Robust Statistics), an hourly profile beside them; Lamppost's own combination.

    Known failures: what comes every day at another hour, holidays and weekends surprise it; a slow
    drift is learnt, not reported; after ``relearn_s`` a change that stays is the new normal.
    """

    name: ClassVar[str] = "robust_baseline"
    Settings: ClassVar[type[RobustBaselineSettings]] = RobustBaselineSettings

    @classmethod
    def describe(cls, settings: RobustBaselineSettings) -> str:
        """Say how the usual course is learnt, and what is unusual."""
        given = settings.given()
        noise = by_quantity(given, lambda one, unit: one.floor(unit))
        half = in_common(given, lambda one, _: one.half_life())
        profile = in_common(given, lambda one, _: one.profile())
        lowest = in_common(given, lambda one, _: one.reach())
        return (
            "Scores how far a reading lies from what its series usually shows, in standard"
            f" deviations of no less than noise ({noise}); a reading counts half after {half},"
            f" {profile}, the first {in_common(given, lambda one, _: str(one.warm_up))} are only"
            f" learnt from, the usual band is {in_common(given, lambda one, _: digits(one.band))}"
            f" standard deviations to either side, {lowest}, a score beyond"
            f" {in_common(given, lambda one, _: digits(one.freeze))} is learnt from at"
            f" {in_common(given, lambda one, _: percent(one.frozen_rate))}, and all is learnt anew"
            f" after {in_common(given, lambda one, _: exactly(one.relearn_s))} of being unusual or"
            " silent."
        )

    def __init__(self, settings: RobustBaselineSettings, series: SeriesTable) -> None:
        """Prepare the baselines."""
        self._numbers = PerSeries.given_by(
            series, settings.quantities, settings.default, width=len(_Numbers._fields)
        )
        self._series = series
        self._state = SeriesState(
            level=np.float64(0.0),
            deviation=np.float64(0.0),
            mean=np.float64(0.0),
            readings=np.float64(0.0),
            unusual_since=np.int64(NO_TIME),
            profile=np.zeros(SLOTS),
            born=np.int64(NO_TIME),
            time=np.int64(NO_TIME),
        )

    def score(self, rows: Rows) -> Evidence:
        """Score every row, learning on the way."""
        self._state.grow(len(self._series))
        given_numbers = self._numbers.of(rows.groups.series)
        where = np.flatnonzero(~np.isnan(given_numbers[0]))
        if not len(where):
            return Evidence(*(np.full(len(rows), np.nan) for _ in range(4)))
        groups = Groups(where, rows.groups.series[where])
        lanes = Lanes.of(groups)
        codes = groups.codes[lanes.groups].astype(np.intp)
        if len(where) < len(rows):
            given_numbers = given_numbers.take(where, axis=1)
        numbers = _Numbers(*lanes.laid(given_numbers))
        given = self._given(rows, groups, lanes, numbers)
        learnt = _Learnt(*(self._state[field].take(codes) for field in _Learnt.__slots__))
        profile = None
        if np.isfinite(numbers.profile_tau_ns).any():
            laid_codes = lanes.laid(groups.series)
            profile = HourlyProfile(
                self._state["profile"], laid_codes, given.time, given.profile_rate
            )
        spoken = _follow(lanes, given, numbers, learnt, profile)
        for field in _Learnt.__slots__:
            self._state[field][codes] = getattr(learnt, field)
        return Evidence(*(_placed(column, lanes, where, len(rows)) for column in spoken))

    def snapshot(self) -> Snapshot:
        """Return what was learnt of each series."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was learnt of each series."""
        self._state.restore(snapshot)

    def _given(self, rows: Rows, groups: Groups, lanes: Lanes, numbers: _Numbers) -> _Given:
        """Lay out the rows, and work out at what rates each may be learnt from."""
        codes, starts = groups.codes.astype(np.intp), groups.starts
        time = rows.time.take(groups.order)
        fresh = self._state["born"][codes] == NO_TIME
        born = np.where(fresh, time[starts], self._state["born"][codes])
        before = np.where(fresh, born, self._state["time"][codes])
        gap = np.maximum(time - groups.previous_int(time, before), 0).astype(np.float64)
        self._state["born"][codes], self._state["time"][codes] = born, time[groups.lasts]
        chosen = lanes.laid(groups.order)
        value, flag, laid_time = rows.value.take(chosen), rows.flag.take(chosen), lanes.laid(time)
        usable = (np.abs(value) < _LARGEST) & (flag != FAIL) & (flag != MISSING)
        dt = lanes.laid(gap)
        age = (laid_time - born.take(lanes.laid(groups.group))).astype(np.float64)
        by_readings = 1.0 / (1.0 + numbers.tau_readings)
        by_time = dt / (dt + numbers.tau_ns)
        # At first the mean and the profile are plain averages: a day is soon better than nothing.
        day = np.minimum(age, DAY_NS) + (age == 0)
        daily = usable & np.isfinite(numbers.profile_tau_ns)
        span = np.minimum(age, numbers.profile_tau_ns) + SLOTS * dt + 1.0
        return _Given(
            value=np.where(usable, value, 0.0),
            time=laid_time,
            usable=usable,
            forgotten=dt > numbers.relearn_ns,
            rate=np.where(np.isnan(by_readings), by_time, by_readings),
            mean_rate=np.where(age == 0, 1.0, np.minimum(dt / day, 1.0)) * daily,
            profile_rate=SLOTS * dt / span * daily,
        )


def _placed(laid: FloatArray, lanes: Lanes, where: Int64Array, count: int) -> FloatArray:
    """Return what was laid out in order of the rows, NaN for those of other series."""
    if lanes.order is lanes.groups and len(where) == count:
        return laid
    column = np.full(count, np.nan)
    column[where[lanes.order]] = laid
    return column


def _follow(
    lanes: Lanes,
    given: _Given,
    numbers: _Numbers,
    learnt: _Learnt,
    profile: HourlyProfile | None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Score and learn round by round; return score, expected, band_low, band_high as laid out."""
    score, expected, sd = (np.empty(len(given.value)) for _ in range(3))
    speaks = np.zeros(len(given.value), np.bool_)
    for rows, lane in lanes.rounds():
        now = _Given._make(column[rows] for column in given)
        rule = _Numbers._make(column[rows] for column in numbers)
        known = _Learnt(*(getattr(learnt, field)[lane] for field in _Learnt.__slots__))
        offset = 0.0 if profile is None else profile.offset(rows)
        score[rows], expected[rows], sd[rows] = _judge(now, rule, known, offset)
        speaks[rows] = now.usable & (known.readings >= rule.warm_up)
        judged = (score[rows], expected[rows], sd[rows], speaks[rows])
        robust = _learn(now, rule, known, judged)
        if profile is not None:
            known.mean += now.mean_rate * (robust - known.mean)
            profile.learn(rows, robust - known.mean)
    silent = ~speaks
    score[silent] = expected[silent] = np.nan
    half_width = numbers.band * sd
    low = np.maximum(expected - half_width, numbers.lowest)
    # What was learnt may itself lie below the lowest value there can be.
    return score, expected, low, np.maximum(expected + half_width, low)


def _judge(
    now: _Given, rule: _Numbers, known: _Learnt, offset: FloatArray | float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return score, expected value and standard deviation of one reading per series."""
    since = known.unusual_since
    lasting = (since != NO_TIME) & (now.time - since > rule.relearn_ns)
    known.readings[now.forgotten | lasting] = 0.0
    since[now.forgotten | lasting] = NO_TIME
    expected = known.level + offset
    floor = rule.variance + rule.variance_share * expected**2
    floor += rule.variance_counts * np.abs(expected)
    sd = np.maximum(_SD_PER_DEVIATION * known.deviation, np.sqrt(floor))
    sd = np.maximum(sd, _LEAST_SD * (1.0 + np.abs(expected)))
    return (now.value - expected) / sd, expected, sd


def _learn(
    now: _Given,
    rule: _Numbers,
    known: _Learnt,
    judged: tuple[FloatArray, FloatArray, FloatArray, BoolArray],
) -> FloatArray:
    """Move what is known towards one reading per series, in place.

    Returns:
        The readings, those very far from what was expected moved to a limit.
    """
    score, expected, sd, speaks = judged
    unusual = speaks & (np.abs(score) > rule.freeze)
    unlimited = known.readings < rule.warm_up
    step = np.where(unlimited, score, np.clip(score, -_CLIP, _CLIP)) * sd
    slowed = np.where(unusual, now.rate * rule.frozen_rate, now.rate)
    # While few readings are known, the plain average moves faster than the exponential one.
    rate = np.where(unusual, slowed, np.maximum(slowed, 1.0 / (known.readings + 1.0)))
    known.level += np.where(now.usable, rate * step, 0.0)
    first = known.readings == 0
    rate = np.where(unusual, slowed, np.maximum(slowed, 1.0 / np.maximum(known.readings, 1.0)))
    distance = np.where(first, 0.0, np.abs(step))
    known.deviation += np.where(now.usable, rate * (distance - known.deviation), 0.0)
    known.deviation[first] = 0.0
    known.readings += now.usable
    starts = unusual & (known.unusual_since == NO_TIME)
    known.unusual_since[starts] = now.time[starts]
    known.unusual_since[now.usable & ~unusual] = NO_TIME
    robust: FloatArray = expected + np.where(unlimited, step, np.clip(score, -_WIDE, _WIDE) * sd)
    return robust
