# SPDX-License-Identifier: EUPL-1.2
"""What the programming interface returns."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    WORDS = "words"
    INSTANT = "instant"
    LOCAL_INSTANT = "local instant"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


Item = TypeVar("Item", bound=BaseModel)
_DATE_TIME: Final[dict[str, Any]] = {"format": "date-time"}
_IN_UNIT: Final[dict[str, Any]] = {"x-unit": "see unit"}

Instant = Annotated[str, Field(json_schema_extra=_DATE_TIME), Kind.INSTANT]
"""RFC 3339 in UTC; nanoseconds while it is a column."""
LocalInstant = Annotated[str, Field(json_schema_extra=_DATE_TIME), Kind.LOCAL_INSTANT]
"""RFC 3339 in the city's time zone, with its offset."""


def _number(description: str) -> Any:  # noqa: ANN401 - as pydantic's own Field
    return Field(description=description, json_schema_extra=_IN_UNIT)


class Limits(BaseModel):
    """How much one question and one client may ask for."""

    rows: int = Field(description="Most rows of a page.")
    windows: int = Field(description="Longest period of a question, in lengths of its window.")
    timeout_s: float = Field(description="Seconds after which a question is given up.")
    requests_per_s: float = Field(description="Requests of a client in the long run; 0: any.")
    requests_at_once: int = Field(description="Requests of a client in a burst.")


class Page(BaseModel, Generic[Item]):
    """Some of the items, and the way to the following ones."""

    items: list[Item] = Field(description="In the order of the key, see the documentation.")
    next: str | None = Field(None, description="Address of the following page; none on the last.")
    licence: str = Field(description="Address of the licence of the data.")
    publisher: str = Field(description="Who publishes the data.")
    time_zone: str = Field(description="IANA name of the zone of the local times.")
    gas_conditions: str = Field(description="Temperature and pressure of µg/m³ made from ppb.")
    policy: str = Field(description="Version of the rules in force.")
    limits: Limits


_AVERAGING: Final = (
    "Period the concentration behind the value is averaged over: 1h, 8h, 24h, 15min"
    " (the highest quarter of the hour) or nowcast; null where it was not told."
)
_TABLE_VERSION: Final = (
    "Version of the index's table that made the value, with what the rules choose"
    " about it; null where it was not told."
)
_VERIFICATION: Final = "EEA code: always 3, not verified; verifying is an authority's act."


class StationItem(BaseModel):
    """A station of the registry, or one that was only heard."""

    sensor: str = Field(description="Identity of the sensor.")
    name: str = Field(description="Printed name.")
    kind: str = Field(description="air_quality, traffic ...")
    area: str = Field(description="Part of the city.")
    owner: str = Field(description="Who answers for the sensor.")
    licence: str = Field(description="SPDX id of the licence of its data.")
    latitude: float | None = Field(description="WGS 84 latitude.")
    longitude: float | None = Field(description="WGS 84 longitude.")
    period_s: float | None = Field(description="Nominal seconds between its readings.")
    last_received_at: Instant | None = Field(description="When it was last heard.")
    open_alerts: int = Field(description="Alerts that are not resolved.")
    state: str = Field(description="ok, info, warning, critical, silent or never.")


class _SeriesItem(BaseModel):
    station: str = Field(description="Identity of the sensor.")
    quantity: str = Field(description="What was measured, canonical name.")
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    area: str = Field(description="Part of the city.")
    unit: str = Field(description="UCUM code of the unit of the numbers.")


class SeriesItem(_SeriesItem):
    """One quantity of one station, and from when to when there is something of it."""

    first_at: Instant | None = Field(description="Earliest reading or window that is kept.")
    last_at: Instant | None = Field(description="Newest reading.")
    windows: list[str] = Field(description="Resolutions there are, as in window=.")
    clock: str | None = Field(
        description="right, ahead, behind (or its readings take that long), delayed (late by"
        " varying times) or unset; null where it is not known or no time is sent."
    )
    clock_skew_s: float | None = Field(
        description="Seconds receipt lies behind the time sent, at the quickest; below 0: ahead."
    )
    clock_spread_s: float | None = Field(description="How far that varies, seconds.")
    clock_readings: int | None = Field(description="Readings the estimate rests on.")
    clock_until: Instant | None = Field(description="Until when the clock was looked at.")


class LatestItem(_SeriesItem):
    """The newest reading of a series."""

    time: Instant = Field(description="Instant of the measurement, UTC.")
    time_local: LocalInstant = Field(description="The same in the city's time zone.")
    received_at: Instant = Field(description="Instant of receipt, UTC.")
    value: float | None = _number("What was measured; null where no number was sent.")
    flag: str = Field(description="good, not_evaluated, suspect, fail or missing.")
    reasons: list[str] = Field(description="Why it is not good.")
    score: float | None = Field(description="How unusual, in robust standard deviations.")
    expected: float | None = _number("What was expected.")
    band_low: float | None = _number("Lower edge of the usual band.")
    band_high: float | None = _number("Upper edge of the usual band.")
    revision: int = Field(
        description="0 first verdict, 1 later verdict, 2 corrected by device, 3 derived, 4 again."
    )
    uncertainty: float | None = _number("Standard uncertainty (k = 1); null: none is stated.")
    method: str | None = Field(description="Version of the method a derived value was made by.")
    policy: str = Field(description="Version of the policy that judged it.")
    validity: int | None = Field(
        description="EEA code: 1 valid, -1 not valid; null: no number, nothing to report."
    )
    verification: int = Field(description=_VERIFICATION)


class AggregateItem(_SeriesItem):
    """The statistics of a window, the newest revision. Null where one does not apply."""

    window: str = Field(description="1min, 15min, 1h, 8h, 24h in UTC; local day, month, year.")
    start: Instant = Field(description="First instant of the window, UTC.")
    end: Instant = Field(description="First instant after the window, UTC.")
    start_local: LocalInstant = Field(description="start in the city's time zone.")
    end_local: LocalInstant = Field(description="end in the city's time zone.")
    revision: int = Field(
        description="0 when first published, or more where a window of a former time zone began at "
        "the same instant; each correction adds one."
    )
    count: int = Field(description="Readings that entered.")
    expected: float = Field(description="Readings of a complete window at the sensor's cadence.")
    coverage: float = Field(description="Part of the window the readings account for, 0 to 1.")
    mean: float | None = _number("Arithmetic mean; of directions, that of their mean vector.")
    min: float | None = _number("Smallest reading.")
    max: float | None = _number("Largest reading.")
    sd: float | None = _number("Sample standard deviation (n - 1).")
    total: float | None = _number("Sum of the readings; meaningful for counts.")
    first: float | None = _number("Earliest reading of the window.")
    last: float | None = _number("Newest reading of the window.")
    q05: float | None = _number("5 % quantile.")
    q25: float | None = _number("25 % quantile.")
    q50: float | None = _number("Median.")
    q75: float | None = _number("75 % quantile.")
    q95: float | None = _number("95 % quantile.")
    time_weighted: float | None = _number("Mean in which readings count as long as they held.")
    harmonic: float | None = _number("Space-mean speed: harmonic mean by vehicles.")
    volume_weighted: float | None = _number("Mean weighted with the vehicles counted.")
    resultant: float | None = Field(description="Length of the mean vector of directions, 0 to 1.")
    rate: float | None = _number("Increase of a counter per hour.")
    suspect: int = Field(description="Readings that entered flagged suspect.")
    excluded: int = Field(description="Readings kept out because they failed a check.")
    flag: str = Field(description="good; suspect: coverage too low; missing: no reading entered.")
    method: str = Field(description="Version of the method of the statistics.")
    policy: str = Field(description="Version of the rules it was made under.")
    validity: int | None = Field(
        description="EEA code: 1 valid, -1 not valid (coverage too low); null: nothing to report."
    )
    verification: int = Field(description=_VERIFICATION)


class RevisionItem(AggregateItem):
    """One of the revisions of a window."""

    published_at: Instant | None = Field(None, description="When it was published; null: not kept.")
    replaced_at: Instant | None = Field(None, description="When a newer one replaced it.")


class IndexItem(_SeriesItem):
    """A health index of one pollutant."""

    index: str = Field(description="Name of the index.")
    end: Instant = Field(description="End of the averaging period, UTC.")
    end_local: LocalInstant = Field(description="The same in the city's time zone.")
    revision: int = Field(description="0 when first published; each correction is higher.")
    concentration: float | None = _number("Averaged and truncated concentration.")
    value: float | None = Field(description="Value of the index; null where coverage is too low.")
    category: int = Field(description="1 (best) upwards; 0 without a value.")
    category_name: str | None = Field(description="As the authors of the index call it.")
    coverage: float = Field(description="Valid hours over all hours of the period, 0 to 1.")
    beyond: bool = Field(description="Whether the value lies beyond the index's published table.")
    averaging: str | None = Field(description=_AVERAGING)
    table_version: str | None = Field(description=_TABLE_VERSION)
    policy: str = Field(description="Version of the rules it was made under.")


class ComplianceItem(BaseModel):
    """The year of a station held against one limit of a law or guideline."""

    station: str = Field(description="Identity of the sensor.")
    name: str = Field(description="Printed name of the station.")
    area: str = Field(description="Part of the city.")
    quantity: str = Field(description="What was measured, canonical name.")
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    year: int = Field(description="Calendar year.")
    rule_set: str = Field(description="Law or guideline, by its name in the policy.")
    rule: str = Field(description="Rule, by its name in the policy.")
    purpose: str = Field(
        description="limit value, target value, long-term objective, guideline or statistic."
    )
    in_force: bool = Field(description="Whether it applies to that year.")
    averaging: str = Field(description="1h, day, max_daily_8h, year, peak_season, aot40 ...")
    limit: float | None = Field(description="What may not be exceeded; null: only reported.")
    unit: str = Field(description="UCUM code of the unit of limit, value and highest.")
    gas_conditions: str = Field(
        description="Temperature and pressure of limit, value and highest of gases; else empty."
    )
    permitted: int | None = Field(description="How often in a year it may be exceeded.")
    exceedances: int | None = Field(description="How often it was exceeded, so far.")
    exceeded_on: list[str] = Field(description="On which days: 2026-01-17, or 2026-01-17 (3).")
    remaining: int | None = Field(description="How many more the year may have.")
    value: float | None = Field(
        description="What is compared: mean or sum; where exceedances are counted, their number;"
        " over several years the mean of both."
    )
    highest: float | None = Field(description="Highest of the values that are counted.")
    years: int = Field(description="Years that entered.")
    interim: int | None = Field(description="How many of the interim targets are met.")
    capture: float | None = Field(description="Part that was measured, so far; 0 to 1.")
    capture_required: float = Field(description="Part that must be.")
    valid: bool = Field(description="Whether enough was measured.")
    status: str = Field(description="met, at_risk, exceeded, not_enough_data or reported.")
    projected: str | None = Field(
        description="Day of this year on which the permitted number is passed at the rate so far;"
        " null: not this year, or too little to go by."
    )
    final: bool = Field(description="Whether the year is over.")
    as_of: str = Field(description="Last day that entered.")
    sentence: str = Field(description="The same in words.")
    policy: str = Field(description="Version of the rules.")


class StationIndexItem(BaseModel):
    """A health index of a whole station: its worst pollutant counts."""

    station: str = Field(description="Identity of the sensor.")
    area: str = Field(description="Part of the city.")
    index: str = Field(description="Name of the index.")
    end: Instant = Field(description="End of the hour and of the averaging periods, UTC.")
    end_local: LocalInstant = Field(description="The same in the city's time zone.")
    value: float | None = Field(description="The highest of the pollutants; null without any.")
    category: int = Field(description="1 (best) upwards; 0 without a value.")
    category_name: str | None = Field(description="As the authors of the index call it.")
    advice: str | None = Field(
        description="What the newest rules tell people to do in this category, in English where"
        " they say it in English; null without a value or a text."
    )
    responsible: list[str] = Field(description="Pollutants that have that value.")
    pollutants: list[str] = Field(description="Pollutants that have a value.")
    measured: list[str] = Field(description="Pollutants of the index that are measured here.")
    beyond: bool = Field(description="Whether the value lies beyond the index's published table.")
    revision: int = Field(description="Highest revision among its pollutants.")
    averaging: str | None = Field(description=_AVERAGING)
    table_version: str | None = Field(description=_TABLE_VERSION)
    policy: str = Field(description="Version of the rules the newest of them was made under.")


class AlertItem(BaseModel):
    """An alert as it stands."""

    alert_id: str = Field(description="Stable identity.")
    state: str = Field(description="open, acknowledged or resolved.")
    severity: str = Field(description="critical, warning or info.")
    rule: str = Field(description="Identity of the rule.")
    title: str = Field(description="Name of the rule.")
    policy: str = Field(description="Version of the rules it fired under.")
    sensor: str = Field(description="Identity of the sensor.")
    station: str = Field(description="Printed name of the station.")
    area: str = Field(description="Part of the city.")
    quantity: str = Field(description="What was measured, canonical name.")
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    since: Instant = Field(description="Since when the condition held.")
    changed_at: Instant = Field(description="Last change of the alert.")
    observed: float | None = Field(description="What was observed.")
    expected: float | None = Field(description="What was expected.")
    band_low: float | None = Field(description="Lower edge of the usual band.")
    band_high: float | None = Field(description="Upper edge of the usual band.")
    unit: str = Field(description="Unit of the observed value.")
    sentence: str = Field(description="Why, in plain language.")
    clears_when: str = Field(description="What ends it.")
    acknowledged_at: Instant | None = Field(description="When somebody took it on.")


class LedgerItem(BaseModel):
    """What arrived from a sensor in an hour, and what became of it."""

    source: str = Field(description="Door: mqtt, http ...")
    station: str = Field(description="Identity of the sensor.")
    hour: Instant = Field(description="First instant of the hour.")
    received: int = Field(description="Messages received.")
    accepted: int = Field(description="Readings accepted.")
    duplicate: int = Field(description="Readings already known.")
    quarantined: int = Field(description="What could not be used, and is kept.")
    refused: int = Field(description="What was refused.")
    balanced: bool = Field(description="Whether everything received is accounted for.")


class BalanceItem(BaseModel):
    """What a destination holds of what was accepted from a sensor in an hour."""

    sink: str = Field(description="The destination.")
    station: str = Field(description="Identity of the sensor.")
    hour: Instant = Field(description="First instant of the hour.")
    accepted: int | None = Field(description="None where it was not compared yet.")
    stored: int = Field(description="Readings the destination holds.")
    refused: int = Field(description="Readings the destination would not take.")
    balanced: bool | None = Field(description="Whether both agree; none: not compared yet.")


class QuarantineItem(BaseModel):
    """A message that could not be used; its bytes are not published."""

    id: str = Field(description="Identity of the message.")
    received_at: Instant = Field(description="Instant of receipt.")
    source: str = Field(description="Door: mqtt, http ...")
    route: str = Field(description="Topic or path.")
    station: str = Field(description="Sensor identity, as far as it could be read.")
    code: str = Field(description="Reason code.")
    meaning: str = Field(description="What the code means.")
    detail: str = Field(description="What exactly is wrong.")
    bytes: int = Field(description="Size of the message.")
    state: str = Field(description="waiting, replayed or dropped.")
    changed_at: Instant | None = Field(description="When the state changed.")
