# SPDX-License-Identifier: EUPL-1.2
"""Limits of laws and guidelines as a policy writes them: averaged, compared, permitted."""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from .periods import parse_length
from .quantities import QUANTITIES, QuantityName
from .times import DAY_NS, HOUR_NS
from .units import CONDITIONS, Conditions, conversion, is_gas, to_conditions
from .wording import listed, printed_unit

Share = Annotated[float, Field(ge=0, le=1)]
Month = Annotated[int, Field(ge=1, le=12)]
Samples = Literal["hours", "days"]
Purpose = Literal["limit value", "target value", "long-term objective", "guideline", "statistic"]

_OFFSET: Final = re.compile(r"UTC(?:([+-])(\d{1,2})(?::(\d{2}))?)?")
_NAMED: Final = {
    "day": "mean of a day",
    "max_daily_8h": "highest running mean of 8 hours of a day",
    "year": "mean of the year",
    "peak_season": "mean of the daily highest 8-hour means over the six highest months in a row",
    "aot40": "sum of what hours of the day lie above a level (AOT40)",
}
_HANDED_DOWN: Final = ("capture", "purpose", "source", "gas_conditions", "rounding_remark")
_PER_WINDOW: Final = {"1h": "mean of an hour"}
_TINY: Final = 1e-6


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Basis(NamedTuple):
    """What rules are worked out from: those with the same one share their days.

    Attributes:
        quantity: what is measured.
        window_ns: length of the windows.
        samples: which of them count.
    """

    quantity: str
    window_ns: int
    samples: Samples


class CaptureRule(_Part):
    """How much of a year must be measured for a statement about it.

    Attributes:
        share: part that must be valid, of the values the rule is about.
        of: of all of them; of those in summer and of those in winter, each; or of the days of every
            summer month, of which ``months`` must have it.
        months: summer months that must have it.
        source: where the number is from.
    """

    share: Share
    of: Literal["all", "summer_and_winter", "summer_months"] = "all"
    months: int = Field(default=5, ge=1, le=6)
    source: str = ""


class Accumulation(_Part):
    """Which hours an accumulated exposure is about.

    Attributes:
        above: level that is subtracted, in the unit of the rule.
        from_hour, to_hour: hours of the day, in the reckoning of the days.
        months: months of the year.
    """

    above: float
    from_hour: int = Field(default=8, ge=0, le=23)
    to_hour: int = Field(default=20, ge=1, le=24)
    months: tuple[Month, ...] = (5, 6, 7)


class ComplianceRule(_Part):
    """One number of a law or guideline.

    Attributes:
        quantity: what is measured.
        averaging: day, max_daily_8h, year, peak_season, aot40, or a window such as 1h or 15min.
        limit: what may not be exceeded; a rule without one only reports a statistic.
        unit: of the limit; the canonical unit of the quantity if left out.
        permitted: how often in a year it may be exceeded all the same; left out where a mean or a
            sum of the year is compared.
        precision: to which values are rounded, half up, before they are compared: "greater" means
            greater after rounding.
        years: years in a row over which exceedances or values are averaged.
        years_needed: how many of them must be valid.
        capture: how much must have been measured.
        purpose: what kind of number it is.
        interim: steps on the way to a guideline, the weakest first.
        accumulate: what aot40 adds up.
        samples: of what the mean of a year is made; of its valid hours, or of days, each with any
            value being one that was measured, as a laboratory's filters are.
        gas_conditions: temperature and pressure at which the limit of a gas is written.
        source: where the numbers are from.
        remark: what is not certain about them.
        rounding_remark: what is not certain about rounding before comparing.
    """

    quantity: QuantityName
    averaging: str
    limit: float | None = Field(default=None, gt=0)
    unit: str | None = None
    permitted: int | None = Field(default=None, ge=0)
    precision: float = Field(default=1.0, gt=0)
    years: int = Field(default=1, ge=1, le=10)
    years_needed: int = Field(default=1, ge=1, le=10)
    capture: CaptureRule = CaptureRule(share=0.9)
    purpose: Purpose = "limit value"
    interim: tuple[float, ...] = ()
    accumulate: Accumulation | None = None
    samples: Samples = "hours"
    gas_conditions: Conditions = "eu_20c"
    source: str = Field(min_length=1)
    remark: str = ""
    rounding_remark: str = ""
    _measured_at: Conditions = PrivateAttr(default="eu_20c")

    @field_validator("averaging")
    @classmethod
    def _known_averaging(cls, value: str) -> str:
        if value in _NAMED:
            return value
        try:
            length = parse_length(value)
        except ValueError:
            message = f"{value!r} is none of {', '.join(_NAMED)}, and no window such as 1h"
            raise ValueError(message) from None
        if DAY_NS % length or length > HOUR_NS:
            raise ValueError(f"{value} does not divide an hour; longer means have names: day ...")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.scale:
            raise ValueError(f"{self.unit!r} is no unit of {self.quantity}")
        if self.counts != (self.permitted is not None) and self.limit is not None:
            raise ValueError(
                "permitted goes with the mean of an hour, a day or 8 hours, and with nothing else"
            )
        if (self.accumulate is None) == (self.averaging == "aot40"):
            raise ValueError("accumulate goes with averaging: aot40, and with nothing else")
        if self.samples == "days" and self.averaging != "year":
            raise ValueError("samples: days goes with averaging: year, and with nothing else")
        if self.years_needed > self.years:
            raise ValueError("years_needed must not exceed years")
        if self.limit is None and (self.counts or self.interim):
            raise ValueError("a rule without a limit reports the mean or sum of a year")
        if list(self.interim) != sorted(self.interim, reverse=True):
            raise ValueError("interim: the weakest target comes first")
        return self

    @model_validator(mode="after")
    def _limits_are_steps(self) -> Self:
        for limit in (self.limit or 0.0, *self.interim):
            steps = limit / self.precision
            if abs(steps - round(steps)) > _TINY:
                raise ValueError(
                    f"precision: {limit:g} is no multiple of {self.precision:g}, so that rounded"
                    f" values would be held against {round(steps) * self.precision:g}"
                )
        return self

    @property
    def counts(self) -> bool:
        """Whether values above the limit are counted; otherwise one value of the year is."""
        return self.averaging in {"day", "max_daily_8h"} or self.averaging not in _NAMED

    @property
    def basis(self) -> Basis:
        """What of the series it is worked out from."""
        return Basis(self.quantity, self.window_ns, self.samples)

    @property
    def window_ns(self) -> int:
        """Length of the windows it is worked out from, ns."""
        return HOUR_NS if self.averaging in _NAMED else parse_length(self.averaging)

    @property
    def scale(self) -> float:
        """What turns the rule's unit into the canonical one as it is measured; 0 if nothing does.

        The conditions of the limit become those at which gases are measured, in the same step.
        """
        found = conversion(self.quantity, self.unit, self.gas_conditions)
        if found is None or found.offset:
            return 0.0
        return found.scale * to_conditions(self.quantity, self.gas_conditions, self._measured_at)

    def measured_at(self, conditions: Conditions) -> Self:
        """Return the rule for values of gases that are kept at some conditions."""
        rule = self.model_copy()
        rule._measured_at = conditions  # noqa: SLF001 - of the same class
        return rule

    @property
    def conditions(self) -> str:
        """At which conditions a gas is compared, as people write them; empty for all else."""
        return CONDITIONS[self.gas_conditions] if is_gas(self.quantity) else ""

    @property
    def measured_conditions(self) -> str:
        """At which conditions a gas is measured, where they are others; empty otherwise."""
        differs = is_gas(self.quantity) and self._measured_at != self.gas_conditions
        return CONDITIONS[self._measured_at] if differs else ""

    @property
    def remarks(self) -> str:
        """Everything that is not certain about the rule; without a limit nothing is compared."""
        compared = self.rounding_remark if self.limit is not None else ""
        return " ".join(filter(None, (self.remark, compared)))

    @property
    def limit_unit(self) -> str:
        """The unit of the limit, as machines read it."""
        unit = self.unit or QUANTITIES[self.quantity].unit
        return f"({unit}).h" if self.averaging == "aot40" else unit


class RuleSet(_Part):
    """The rules of one law or guideline.

    Attributes:
        title: printed name.
        in_force_from: first day on which they apply.
        in_force_until: last day on which they apply.
        remark: what is not certain about that.
        capture, purpose, source, gas_conditions, rounding_remark: of the rules that say nothing
            else.
        rules: by name.
    """

    title: str
    in_force_from: date | None = None
    in_force_until: date | None = None
    remark: str = ""
    capture: CaptureRule | None = None
    purpose: Purpose | None = None
    source: str | None = None
    gas_conditions: Conditions | None = None
    rounding_remark: str | None = None
    rules: dict[str, ComplianceRule]

    @model_validator(mode="before")
    @classmethod
    def _hand_down(cls, raw: Any) -> Any:  # noqa: ANN401 - what stands in a file
        """Give the rules what they leave out."""
        if not isinstance(raw, dict) or not isinstance(raw.get("rules"), dict):
            return raw
        given = {name: raw[name] for name in _HANDED_DOWN if raw.get(name) is not None}
        rules = {
            name: {**given, **rule} if isinstance(rule, dict) else rule
            for name, rule in raw["rules"].items()
        }
        return {**raw, "rules": rules}

    def measured_at(self, conditions: Conditions) -> Self:
        """Return the rules for values of gases that are kept at some conditions."""
        rules = {name: rule.measured_at(conditions) for name, rule in self.rules.items()}
        return self.model_copy(update={"rules": rules})

    def in_force(self, first: date, last: date) -> bool:
        """Whether they apply on some day of a stretch."""
        begins = self.in_force_from or date.min
        return begins <= last and first <= (self.in_force_until or date.max)


class Compliance(_Part):
    """Against which limits the year is held, and what counts as measured.

    Attributes:
        day: when a day begins: UTC, UTC+1 and the like; "winter" for the standard time of the
            city's zone all year round; "local" for its clocks, with days of 23 and 25 hours.
        hour_coverage: part of an hour (or shorter window) that must be covered for it to be valid.
        day_hours: part of the hours of a day that must be valid for its mean.
        running_hours: part of the 8 hours that must be valid for a running mean.
        running_means: part of the running means of a day that must be valid for the highest one.
        summer_months: the summer; the other months are the winter.
        project_from_days: days that must be measured before anything is said about the rest of the
            year.
        sets: rule sets by name.
    """

    day: str = "winter"
    hour_coverage: Share = 0.75
    day_hours: Share = 0.75
    running_hours: Share = 0.75
    running_means: Share = 0.75
    summer_months: tuple[Month, ...] = (4, 5, 6, 7, 8, 9)
    project_from_days: int = Field(default=60, ge=1)
    sets: dict[str, RuleSet] = Field(default_factory=dict)

    @field_validator("day")
    @classmethod
    def _known_day(cls, value: str) -> str:
        if value not in {"winter", "local"}:
            offset_s(value)
        return value

    def measured_at(self, conditions: Conditions) -> Self:
        """Return the limits for values of gases that are kept at some conditions.

        What is read off the rules does not change; what they are compared with does.
        """
        sets = {name: given.measured_at(conditions) for name, given in self.sets.items()}
        return self.model_copy(update={"sets": sets})


def offset_s(text: str) -> int:
    """Return the offset of a fixed reckoning, seconds ahead of UTC.

    Raises:
        ValueError: it is none.

    >>> offset_s("UTC+1"), offset_s("UTC-03:30"), offset_s("UTC")
    (3600, -12600, 0)
    """
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is none of winter, local, UTC, UTC+1 and the like")
    sign = -1 if match[1] == "-" else 1
    return sign * (int(match[2] or 0) * 3600 + int(match[3] or 0) * 60)


def explained(rule: ComplianceRule) -> str:
    """Return what a rule asks for, in one sentence.

    >>> explained(ComplianceRule(quantity="pm10", averaging="day", limit=50, permitted=35,
    ...                          source="2008/50/EC, Annex XI"))
    'PM10: the mean of a day above 50 µg/m³ is permitted 35 times a year; 90 % must be measured'
    """
    label = QUANTITIES[rule.quantity].label
    what = _NAMED.get(rule.averaging) or _PER_WINDOW.get(rule.averaging, f"{rule.averaging} mean")
    if rule.accumulate is not None:
        what = _accumulated(rule, rule.accumulate)
    if rule.limit is None:
        return f"{label}: the {what} is reported; {_measured(rule)}"
    mean = f" as a mean over {rule.years} years" if rule.years > 1 else ""
    at = f" at {rule.conditions}" if rule.conditions else ""
    amount = f"{rule.limit:g} {printed_unit(rule.limit_unit)}{at}"
    if rule.permitted is None:
        return f"{label}: the {what} may not exceed {amount}{mean}; {_measured(rule)}"
    times = "never permitted" if not rule.permitted else f"permitted {rule.permitted} times"
    yearly = " a year" if rule.permitted else ""
    return f"{label}: the {what} above {amount} is {times}{yearly}{mean}; {_measured(rule)}"


def _accumulated(rule: ComplianceRule, added: Accumulation) -> str:
    months = listed([calendar.month_name[month] for month in added.months])
    unit = printed_unit(rule.unit or QUANTITIES[rule.quantity].unit)
    return (
        f"sum of what hours from {added.from_hour}:00 to {added.to_hour}:00 in {months} lie above"
        f" {added.above:g} {unit} (AOT40)"
    )


def _measured(rule: ComplianceRule) -> str:
    capture = rule.capture
    where = {
        "all": " of its days" if rule.samples == "days" else "",
        "summer_and_winter": " of summer and of winter",
        "summer_months": f" of {capture.months} summer months",
    }[capture.of]
    return f"{100 * capture.share:g} %{where} must be measured"
