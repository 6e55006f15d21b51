# SPDX-License-Identifier: EUPL-1.2
"""The data dictionary: every published column, once. Schemas and documents are made from it."""

from __future__ import annotations

from typing import Final

from .schema import Field, Table

_REQUIRED: Final = {"required": True}
_COUNT: Final = {"minimum": 0}
_SHARE: Final = {"minimum": 0, "maximum": 1}
_UNIT: Final = "see unit"
_RESOLUTION: Final = {**_REQUIRED, "pattern": "([1-9][0-9]*(s|min|h)|day|month|year)"}
_EMPTY_FOR: Final = "empty for directions, counters and windows shorter than an hour"

_SERIES: Final = (
    Field("station", "string", "Identity of the sensor.", constraints=_REQUIRED),
    Field("quantity", "string", "What was measured, canonical name.", constraints=_REQUIRED),
    Field(
        "qualifiers",
        "string",
        "Channel, lane, direction or class as key=value;key=value, sorted by key; "
        "empty when the sensor has only one.",
    ),
)
_UNIT_FIELD: Final = Field("unit", "string", "Unit of the numbers of this row, UCUM spelling.")
_PROVENANCE: Final = (
    Field(
        "revision",
        "integer",
        "0 when first published, or more where a window of a former time zone began at the same "
        "instant; each correction by late or repaired data is higher.",
        constraints={**_REQUIRED, **_COUNT},
    ),
    Field("policy", "string", "Version (content hash) of the rules the row was made under."),
)


def _quantile(percent: int) -> Field:
    return Field(
        f"q{percent:02d}",
        "number",
        f"{percent} % quantile: in a straight line between the readings of the ranks around "
        f"{percent / 100:g} (n - 1), counted from 0 in ascending order, to within 1 % of the "
        f"larger, or as quantile_rule of the rules says; {_EMPTY_FOR}.",
        _UNIT,
        since=2,
    )


_STATISTICS: Final = (
    Field("first", "number", "Earliest of the readings that entered.", _UNIT, since=2),
    Field("last", "number", "Latest of the readings that entered.", _UNIT, since=2),
    *(_quantile(percent) for percent in (5, 25, 50, 75, 95)),
    Field(
        "time_weighted",
        "number",
        "Mean in which each reading (or, as between_readings of the rules says, a straight line) "
        "counts until the next, or the end of the window, and at most twice the usual gap; only "
        "for quantities the rules name for it.",
        _UNIT,
        since=2,
    ),
    Field(
        "harmonic",
        "number",
        "Space-mean speed, sum(w) / sum(w/x) of the speeds x above 0 and the vehicles w that had "
        "them, 1 where nobody counted; only for speeds.",
        _UNIT,
        since=2,
    ),
    Field(
        "volume_weighted",
        "number",
        "Mean of the speeds above 0, each weighted with the vehicles the same sensor counted at "
        "the same instant; only for speeds.",
        _UNIT,
        since=2,
    ),
    Field(
        "resultant",
        "number",
        "Length of the mean vector of directions: 1 when all are the same, near 0 when they cancel "
        "each other out; only for directions.",
        "1",
        _SHARE,
        since=2,
    ),
    Field(
        "rate",
        "number",
        "Increase per hour from the first to the last reading of a counter, resets and wraps "
        "allowed for; only for counters.",
        "see unit, per h",
        since=2,
    ),
)

_REPORTED: Final = (
    Field(
        "validity",
        "integer",
        "Validity code of the EEA's reporting (dd.eionet.europa.eu, observationvalidity): 1 valid, "
        "-1 not valid (coverage below what the rules ask for); empty where nothing is reported.",
        constraints={"minimum": -99, "maximum": 4},
        since=3,
    ),
    Field(
        "verification",
        "integer",
        "Verification code of the EEA's reporting (observationverification): 3, not verified; "
        "verifying is an authority's act.",
        constraints={**_REQUIRED, "minimum": 1, "maximum": 3},
        since=3,
    ),
)

AGGREGATES: Final = Table(
    "aggregates",
    "Aggregates",
    "Statistics of one series over one half-open time window [window_start, window_end).",
    (
        *_SERIES,
        _UNIT_FIELD,
        Field(
            "window_start",
            "datetime",
            "First instant of the window, RFC 3339, UTC.",
            constraints=_REQUIRED,
        ),
        Field(
            "window_end",
            "datetime",
            "First instant after the window, RFC 3339, UTC.",
            constraints=_REQUIRED,
        ),
        Field("count", "integer", "Readings that entered.", "1", {**_REQUIRED, **_COUNT}),
        Field(
            "expected",
            "number",
            "Readings a complete window would hold at the sensor's own cadence.",
            "1",
            _COUNT,
        ),
        Field(
            "coverage",
            "number",
            "Part of the window the readings account for; beyond an hour, part of its hours that "
            "are valid; 0 to 1.",
            "1",
            _SHARE,
        ),
        Field(
            "mean",
            "number",
            "Arithmetic mean; of directions the direction of their mean vector, 0 up to but not "
            "including 360. Empty when no reading entered, or directions cancel each other out.",
            _UNIT,
        ),
        Field(
            "min",
            "number",
            "Smallest reading; empty when no reading entered, and for directions.",
            _UNIT,
        ),
        Field(
            "max",
            "number",
            "Largest reading; empty when no reading entered, and for directions.",
            _UNIT,
        ),
        Field(
            "sd",
            "number",
            "Sample standard deviation (n - 1), of directions Yamartino's estimate; empty below "
            "two readings.",
            _UNIT,
            _COUNT,
        ),
        Field(
            "total",
            "number",
            "Sum of the readings; meaningful for counts. Empty for directions and counters.",
            _UNIT,
        ),
        Field("suspect", "integer", "Readings that entered though flagged suspect.", "1", _COUNT),
        Field("excluded", "integer", "Readings kept out because they failed a check.", "1", _COUNT),
        Field(
            "quality",
            "string",
            "good; suspect (coverage below what the rules ask for); missing (no reading entered).",
            constraints={**_REQUIRED, "enum": ["good", "suspect", "missing"]},
        ),
        *_PROVENANCE,
        Field(
            "window",
            "string",
            "Resolution of the window: a length such as 15min, 1h, 8h or 24h, in UTC; or day, "
            "month or year of the city's calendar.",
            constraints=_RESOLUTION,
            since=2,
        ),
        Field(
            "window_start_local",
            "local datetime",
            "window_start in the city's time zone, RFC 3339 with its offset. There a day, month or "
            "year begins with its date; a day in which clocks change has 23 or 25 hours.",
            constraints=_REQUIRED,
            since=2,
        ),
        Field(
            "window_end_local",
            "local datetime",
            "window_end in the city's time zone, RFC 3339 with its offset.",
            constraints=_REQUIRED,
            since=2,
        ),
        *_STATISTICS,
        Field(
            "method",
            "string",
            "Version of the formulas of the statistics; empty where none was told.",
            since=2,
        ),
        *_REPORTED,
    ),
    ("station", "quantity", "qualifiers", "window", "window_start"),
)

_TABLE: Final = (
    Field(
        "averaging",
        "string",
        "Period the concentration behind the value is averaged over: 1h, 8h, 24h, 15min (the "
        "highest quarter of the hour), nowcast; empty where none was told.",
        since=3,
    ),
    Field(
        "table_version",
        "string",
        "Version of the index's table that made the value, with what the rules choose about it; "
        "empty where none was told.",
        since=3,
    ),
)

INDICES: Final = Table(
    "indices",
    "Health indices",
    "A health index of one series for one averaging period.",
    (
        *_SERIES,
        Field("index", "string", "Name of the index.", constraints=_REQUIRED),
        Field(
            "period_end",
            "datetime",
            "First instant after the averaging period, RFC 3339, UTC.",
            constraints=_REQUIRED,
        ),
        Field("value", "number", "Index value; empty when coverage does not allow one.", "1"),
        Field(
            "category",
            "integer",
            "1 (best) upwards, as the index defines; empty without a value.",
            "1",
            {"minimum": 1},
        ),
        Field("concentration", "number", "Averaged and truncated concentration.", _UNIT),
        _UNIT_FIELD,
        Field("coverage", "number", "Valid hours over all hours of the period.", "1", _SHARE),
        Field("beyond", "boolean", "Whether the value lies beyond the index's published table."),
        *_PROVENANCE,
        *_TABLE,
    ),
    ("station", "quantity", "qualifiers", "index", "period_end"),
)

STATION_INDICES: Final = Table(
    "station_indices",
    "Health indices of stations",
    "A health index of a whole station for the averaging periods that end with an hour: its worst "
    "pollutant counts. Where a pollutant has corrected series, the raw ones do not count.",
    (
        Field("station", "string", "Identity of the sensor.", constraints=_REQUIRED),
        Field("index", "string", "Name of the index.", constraints=_REQUIRED),
        Field(
            "period_end",
            "datetime",
            "First instant after the averaging periods, RFC 3339, UTC.",
            constraints=_REQUIRED,
        ),
        Field("value", "number", "Highest of the pollutants; empty without any.", "1"),
        Field(
            "category",
            "integer",
            "1 (best) upwards, as the index defines; empty without a value.",
            "1",
            {"minimum": 1},
        ),
        Field("responsible", "string", "Pollutants that have that value, divided by semicolons."),
        Field("pollutants", "string", "Pollutants that have a value, divided by semicolons."),
        Field("beyond", "boolean", "Whether the value lies beyond the index's published table."),
        Field(
            "revision",
            "integer",
            "Highest revision among the pollutants.",
            constraints={**_REQUIRED, **_COUNT},
        ),
        Field("policy", "string", "Version (content hash) of the rules the worst was made under."),
        *_TABLE,
    ),
    ("station", "index", "period_end"),
)

STATIONS: Final = Table(
    "stations",
    "Stations",
    "A registered sensor.",
    (
        Field("station", "string", "Identity of the sensor.", constraints=_REQUIRED),
        Field("name", "string", "Printed name."),
        Field("kind", "string", "What the sensor is for."),
        Field("latitude", "number", "WGS 84 latitude.", "deg", {"minimum": -90, "maximum": 90}),
        Field("longitude", "number", "WGS 84 longitude.", "deg", {"minimum": -180, "maximum": 180}),
        Field("period_s", "number", "Nominal time between two readings.", "s", _COUNT),
        Field("owner", "string", "Who answers for the sensor."),
        Field("licence", "string", "SPDX id of the licence of its data, where it has its own."),
        Field("area", "string", "Part of the city."),
    ),
    ("station",),
)

COMPLIANCE: Final = Table(
    "compliance",
    "Limits and guidelines",
    "The year of one series held against one limit of a law or guideline.",
    (
        Field("station", "string", "Identity of the sensor.", constraints=_REQUIRED),
        Field("quantity", "string", "What was measured, canonical name.", constraints=_REQUIRED),
        Field("qualifiers", "string", "As in the aggregates."),
        Field("rule_set", "string", "Law or guideline, by its name in the policy."),
        Field("rule", "string", "Rule, by its name in the policy."),
        Field("year", "integer", "Calendar year.", constraints=_REQUIRED),
        Field("purpose", "string", "Limit value, target value, long-term objective, guideline ..."),
        Field("in_force", "boolean", "Whether it applies to that year."),
        Field("averaging", "string", "1h, day, max_daily_8h, year, peak_season, aot40 ..."),
        Field("limit", "number", "What may not be exceeded; empty: only reported.", _UNIT),
        Field("unit", "string", "Unit of limit, value and highest, UCUM spelling."),
        Field("gas_conditions", "string", "Temperature and pressure of them, for gases."),
        Field("permitted", "integer", "How often in a year it may be exceeded.", "1", _COUNT),
        Field("exceedances", "integer", "How often it was exceeded, so far.", "1", _COUNT),
        Field("exceeded_on", "string", "On which days: 2026-01-17;2026-01-18 (3), with how often."),
        Field("remaining", "integer", "How many more the year may have.", "1", _COUNT),
        Field(
            "value",
            "number",
            "What is compared: a mean or sum; where exceedances are counted, their number.",
            _UNIT,
        ),
        Field("highest", "number", "Highest of the values that are counted.", _UNIT),
        Field("years", "integer", "Years that entered.", "1", _COUNT),
        Field("interim", "integer", "How many of the interim targets are met.", "1", _COUNT),
        Field("capture", "number", "Part that was measured, so far.", "1", _SHARE),
        Field("capture_required", "number", "Part that must be.", "1", _SHARE),
        Field("valid", "boolean", "Whether enough was measured."),
        Field(
            "status",
            "string",
            "How it stands; of a year under way, so far.",
            constraints={
                **_REQUIRED,
                "enum": ["met", "at_risk", "exceeded", "not_enough_data", "reported"],
            },
        ),
        Field("projected", "string", "Day on which the permitted number is passed at this rate."),
        Field("final", "boolean", "Whether the year is over."),
        Field("as_of", "string", "Last day that entered."),
        Field("policy", "string", "Version (content hash) of the rules."),
    ),
    ("station", "quantity", "qualifiers", "rule_set", "rule"),
)

TABLES: Final = (AGGREGATES, INDICES, STATION_INDICES, STATIONS, COMPLIANCE)
