# SPDX-License-Identifier: EUPL-1.2
"""The data dictionary: every published column, once. Schemas and documents are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

FieldType = Literal["string", "integer", "number", "datetime", "boolean"]

# Typed loosely: the Arrow stubs refuse lists of fields of different types.
_arrow: Any = pa
_ARROW_TYPES: Final[dict[str, Any]] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "boolean": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One published column.

    Attributes:
        name: header of the column.
        type: Table Schema type.
        description: what it means, in plain language.
        unit: unit of its numbers; "see unit" where a column of the row names it.
        constraints: Table Schema constraints.
    """

    name: str
    type: FieldType
    description: str
    unit: str = ""
    constraints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty_is_a_value(self) -> bool:
        """Whether an empty text says something (no qualifiers) and does not stand for a gap."""
        return self.type == "string"

    def table_schema(self) -> dict[str, Any]:
        """Return the column as a Table Schema field."""
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "description": self.description,
        }
        if self.unit:
            described["unit"] = self.unit
        if self.constraints:
            described["constraints"] = dict(self.constraints)
        if self.empty_is_a_value:
            described["missingValues"] = []
        return described


@dataclass(frozen=True, slots=True)
class Table:
    """One published table.

    Attributes:
        name: what its files are called.
        title: what people call it.
        description: what a row is.
        fields: its columns, in order.
        key: columns that identify a row; rows are sorted by them.
    """

    name: str
    title: str
    description: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    def arrow_schema(self) -> pa.Schema:
        """Return the schema of the Parquet files, with the dictionary in the field metadata."""
        schema: pa.Schema = _arrow.schema(
            [
                _arrow.field(
                    column.name,
                    _ARROW_TYPES[column.type],
                    metadata={"description": column.description, "unit": column.unit},
                )
                for column in self.fields
            ]
        )
        return schema

    def table_schema(self) -> dict[str, Any]:
        """Return the Table Schema of the files (Data Package version 2)."""
        return {
            "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
            "fields": [column.table_schema() for column in self.fields],
            "primaryKey": list(self.key),
            "missingValues": [""],
        }


_REQUIRED: Final = {"required": True}
_COUNT: Final = {"minimum": 0}
_SHARE: Final = {"minimum": 0, "maximum": 1}
_UNIT: Final = "see unit"

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
        "0 when first published; each correction by late or repaired data adds one.",
        constraints={**_REQUIRED, **_COUNT},
    ),
    Field("policy", "string", "Version (content hash) of the rules the row was made under."),
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
            "Part of the window the readings account for, 0 to 1.",
            "1",
            _SHARE,
        ),
        Field("mean", "number", "Arithmetic mean; empty when no reading entered.", _UNIT),
        Field("min", "number", "Smallest reading; empty when no reading entered.", _UNIT),
        Field("max", "number", "Largest reading; empty when no reading entered.", _UNIT),
        Field(
            "sd",
            "number",
            "Sample standard deviation (n - 1); empty below two readings.",
            _UNIT,
            _COUNT,
        ),
        Field("total", "number", "Sum of the readings; meaningful for counts.", _UNIT),
        Field("suspect", "integer", "Readings that entered though flagged suspect.", "1", _COUNT),
        Field("excluded", "integer", "Readings kept out because they failed a check.", "1", _COUNT),
        Field(
            "quality",
            "string",
            "good; suspect (coverage below what the rules ask for); missing (no reading entered).",
            constraints={**_REQUIRED, "enum": ["good", "suspect", "missing"]},
        ),
        *_PROVENANCE,
    ),
    ("station", "quantity", "qualifiers", "window_start"),
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
    ),
    ("station", "quantity", "qualifiers", "index", "period_end"),
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

TABLES: Final = (AGGREGATES, INDICES, STATIONS, COMPLIANCE)
