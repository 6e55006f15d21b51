# SPDX-License-Identifier: EUPL-1.2
"""What a policy says about windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from lamppost.component import Settings
from lamppost.errors import ConfigError
from lamppost.flags import FLAG_NAMES
from lamppost.periods import CALENDAR_NAMES, CalendarPeriod, FixedPeriod, Period, parse_length
from lamppost.quantities import QUANTITIES
from lamppost.times import HOUR_NS, format_length
from lamppost.wording import digits, exactly, listed, percent
from lamppost.zones import CityCalendar
from processors._per_series import QuantityName

from ._sketch import QuantileRule

Share = Annotated[float, Field(ge=0, le=1)]
_CALENDARS: Final = tuple(CALENDAR_NAMES.values())
_LONGEST_S: Final = 1e9
"""More than thirty years; an instant is nanoseconds in 64 bits, and must not overflow."""


class Hopping(Settings):
    """Windows that overlap."""

    length: str = Field(description="Length of a window: 8h.")
    every: str = Field(description="How often one begins: 1h.")


class EventTimeSettings(Settings):
    """Which windows there are, and when they close."""

    empty_means: ClassVar[Mapping[str, str]] = {
        "counters_wrap_at": "running totals begin again with the device only",
        "valid_hours": "min_coverage holds for hours, too",
    }

    lengths: tuple[str, ...] = Field(
        default=("1min", "15min", "1h"),
        description="Window lengths from short to long, each a multiple of the one before, the "
        "first no longer than an hour; in UTC.",
    )
    hopping: tuple[Hopping, ...] = Field(
        default=(), description="Windows beyond an hour that overlap, as running means need them."
    )
    calendar: tuple[Literal["day", "month", "year"], ...] = Field(
        default=(), description="Periods of the city's calendar, in its time zone (`time.zone`)."
    )
    allowed_lateness_s: float = Field(
        default=30.0,
        ge=0,
        le=_LONGEST_S,
        description="How long a window waits for late readings, seconds.",
    )
    correction_horizon_s: float = Field(
        default=2_592_000.0,
        ge=0,
        le=_LONGEST_S,
        description="How far behind its series' newest reading a late one may lie, seconds.",
    )
    memory_mb: float = Field(
        default=16.0,
        gt=0,
        description="How much of the readings and statistics that can still be corrected stays in "
        "memory, megabytes; the rest lies in files.",
    )
    include: tuple[str, ...] = Field(
        default=("good", "not_evaluated", "suspect"),
        description="Flags of the readings that enter the statistics.",
    )
    min_coverage: Share = Field(
        default=0.75,
        description="Part of a window of up to an hour that must be covered, else its aggregate is "
        "suspect. It also makes an hour of a longer window valid.",
    )
    valid_hours: dict[str, Share] = Field(
        default={"8h": 0.75, "24h": 0.75, "day": 0.75, "month": 0.75, "year": 0.9},
        description="Part of the hours of a longer window that must be valid, by its resolution; "
        "min_coverage for those not named.",
    )
    default_period_s: float = Field(
        default=60.0,
        gt=0,
        description="Time a series' first reading accounts for, and the longest gap taken to be "
        "usual before three are known, seconds.",
    )
    quantiles_from: str | None = Field(
        default="1h", description="Shortest windows that have quantiles; none without a length."
    )
    quantile_rule: QuantileRule = Field(
        default="type 7",
        description="Which of the ranked readings a quantile is: type 7, in a straight line "
        "between two, or 97/101/EC, the one numbered round(q n).",
    )
    time_weighted: tuple[QuantityName, ...] = Field(
        default=(),
        description="Quantities that hold until the next reading, and have a time-weighted mean.",
    )
    between_readings: Literal["held", "linear"] = Field(
        default="held",
        description="What a time-weighted mean takes to lie between two readings: the former, "
        "held, or a straight line; across longer gaps always the former, as long as it may hold.",
    )
    calm_below: float = Field(
        default=0.5, ge=0, description="Wind speed below which a wind direction means nothing, m/s."
    )
    min_resultant: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Length of the mean vector below which directions have no mean.",
    )
    counters_wrap_at: tuple[float, ...] = Field(
        default=(65_536.0, 4_294_967_296.0),
        description="Numbers at which running totals may begin again from 0.",
    )

    @property
    def lengths_ns(self) -> tuple[int, ...]:
        """The window lengths of up to an hour, ns."""
        return tuple(length for length in map(parse_length, self.lengths) if length <= HOUR_NS)

    @property
    def quantiles_from_ns(self) -> int | None:
        """The shortest windows that have quantiles, ns."""
        return None if self.quantiles_from is None else parse_length(self.quantiles_from)

    def roll_ups(self, city: CityCalendar) -> tuple[Period, ...]:
        """Return the periods beyond an hour, those of the calendar last."""
        lengths = map(parse_length, self.lengths)
        fixed = {length: length for length in lengths if length > HOUR_NS}
        for hopping in self.hopping:
            fixed[parse_length(hopping.length)] = parse_length(hopping.every)
        number = {name: calendar for calendar, name in CALENDAR_NAMES.items()}
        return (
            *(FixedPeriod(length, fixed[length]) for length in sorted(fixed)),
            *(CalendarPeriod(number[name], city) for name in _CALENDARS if name in self.calendar),
        )

    def level_below(self, period: Period, city: CityCalendar) -> int:
        """Return the place, among the lengths, of the windows that a longer period is made from.

        Raises:
            ConfigError: days of the city cannot be made of any of them.
        """
        lengths = self.lengths_ns
        if not isinstance(period, CalendarPeriod):
            return len(lengths) - 1
        whole = [level for level, length in enumerate(lengths) if not city.grain_ns % length]
        if not whole:
            grain = format_length(city.grain_ns)
            problem = f"days of {city.name} begin every {grain}, and no length is a part of that"
            raise ConfigError(problem, where="windows.event_time.lengths", hint=f"add {grain}")
        return whole[-1]

    @field_validator("lengths")
    @classmethod
    def _nest(cls, lengths: tuple[str, ...]) -> tuple[str, ...]:
        values = [parse_length(text) for text in lengths]
        if not values or any(b % a or b <= a for a, b in itertools.pairwise(values)):
            raise ValueError("each length must be a multiple of the one before")
        if values[0] > HOUR_NS:
            raise ValueError("the first length must be no longer than an hour")
        return lengths

    @field_validator("time_weighted")
    @classmethod
    def _of_a_kind_that_holds(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            quantity = QUANTITIES[name]
            if quantity.unit == "deg" or quantity.kind == "counter" or name == "speed":
                message = f"{name} has a mean of its own and no time-weighted one"
                raise ValueError(message)
        return names

    @model_validator(mode="after")
    def _known_flags(self) -> Self:
        unknown = set(self.include) - set(FLAG_NAMES.values())
        if unknown:
            raise ValueError(f"unknown flags in include: {', '.join(sorted(unknown))}")
        return self

    @model_validator(mode="after")
    def _built_from_what_there_is(self) -> Self:
        source, lengths = self.lengths_ns[-1], set(map(parse_length, self.lengths))
        for hopping in self.hopping:
            length, step = parse_length(hopping.length), parse_length(hopping.every)
            if length in lengths:
                message = f"{hopping.length} stands twice in lengths and hopping"
                raise ValueError(message)
            if length <= HOUR_NS or step % source or length % step:
                message = (
                    f"{hopping.length} every {hopping.every} cannot be made: the step must be a "
                    f"multiple of {format_length(source)}, the length one of the step and longer "
                    "than an hour"
                )
                raise ValueError(message)
            lengths.add(length)
        if self.quantiles_from is not None:
            parse_length(self.quantiles_from)
        unknown = set(self.valid_hours) - {format_length(length) for length in lengths}
        unknown -= {*_CALENDARS, "8h", "24h"}
        if unknown:
            raise ValueError(f"valid_hours names no period: {', '.join(sorted(unknown))}")
        return self

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if any(wrap <= 0 for wrap in self.counters_wrap_at):
            yield (
                "counters_wrap_at",
                "must be above 0: a total that begins again at 0 counts nothing",
            )
        if "missing" in self.include:
            yield "include", "what is missing has no number that could enter"


class EventTimeWords:
    """What windows say of themselves."""

    unexplained: ClassVar[Mapping[str, str]] = {
        "memory_mb": "says where it is kept, not what it is"
    }

    @classmethod
    def describe(cls, settings: EventTimeSettings) -> str:
        """Say which windows there are, what enters them and when they are valid."""
        running = [f"{hopping.length} every {hopping.every}" for hopping in settings.hopping]
        windows = f"{listed([*settings.lengths, *running])} in UTC"
        calendar = (
            f" and {listed(settings.calendar)} of the city's calendar" if settings.calendar else ""
        )
        hours = ", ".join(f"{name} {percent(part)}" for name, part in settings.valid_hours.items())
        since = f"from {settings.quantiles_from} on" if settings.quantiles_from else "never"
        quantiles = f"{since} (by {settings.quantile_rule})"
        between = "held" if settings.between_readings == "held" else "in a straight line"
        weighted = (
            f"means by time of {listed(settings.time_weighted)} (between readings {between}), "
            if settings.time_weighted
            else ""
        )
        wraps = listed([digits(wrap) for wrap in settings.counters_wrap_at], "or") or "no number"
        return (
            f"Statistics of windows of {windows}{calendar}, from readings flagged"
            f" {listed(settings.include, 'or')}: each waits {exactly(settings.allowed_lateness_s)}"
            f" for late readings, is corrected for {exactly(settings.correction_horizon_s)}, and"
            f" is suspect with less than {percent(settings.min_coverage)} covered (of longer ones,"
            f" so many of their hours must be valid: {hours or 'as many'}), where a first reading"
            f" stands for {exactly(settings.default_period_s)}; there are quantiles {quantiles},"
            f" {weighted}wind directions from {digits(settings.calm_below)} m/s and a resultant of"
            f" {digits(settings.min_resultant)} on, and running totals that begin again at"
            f" {wraps}."
        )
