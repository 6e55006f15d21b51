# SPDX-License-Identifier: EUPL-1.2
"""What the programming interface can be asked; anything else in an address is refused."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .api_limits import MAX_ROWS
from .queries_data import DataFilter

_FORMATS: Final[dict[str, Any]] = {"enum": ["json", "csv", "parquet"]}


class Paged(BaseModel):
    """Some of the rows, in a format."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")
    after: str = Field(default="", max_length=400, description="From the next link of a page.")
    format: str | None = Field(
        default=None,
        max_length=16,
        description="Or an Accept header: application/json, text/csv,"
        " application/vnd.apache.parquet.",
        json_schema_extra=_FORMATS,
    )


class StationQuery(Paged):
    """Which stations."""

    limit: int = Field(default=MAX_ROWS, ge=1, le=MAX_ROWS, description="Rows of a page.")
    area: str = Field(default="", max_length=128, description="Part of the city.")
    kind: str = Field(default="", max_length=64, description="air_quality, traffic ...")


class SeriesQuery(Paged):
    """Which series; all when left out."""

    limit: int = Field(default=MAX_ROWS, ge=1, le=MAX_ROWS, description="Rows of a page.")
    station: str = Field(default="", max_length=128, description="Sensor identity.")
    quantity: str = Field(
        default="", max_length=64, description="Canonical quantity name.", examples=["pm2_5"]
    )
    area: str = Field(default="", max_length=128, description="Part of the city.")

    @property
    def chosen(self) -> DataFilter:
        """The series, as the store is asked for them."""
        return DataFilter(self.station, self.quantity, self.area)


class _Ranged(BaseModel):
    first: str = Field(
        default="",
        alias="from",
        max_length=64,
        description="RFC 3339, included.",
        examples=["2026-11-21T00:00:00Z"],
    )
    until: str = Field(
        default="",
        alias="to",
        max_length=64,
        description="RFC 3339, not included.",
        examples=["2026-11-22T00:00:00Z"],
    )


class IndexQuery(SeriesQuery, _Ranged):
    """Which index values, by the end of their averaging period; by default the last day."""

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")
    index: str = Field(
        default="", max_length=64, description="Name of the index.", examples=["us_aqi"]
    )


class DetailQuery(SeriesQuery, _Ranged):
    """Which readings, by their time; by default the last day."""

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")


class StationIndexQuery(Paged, _Ranged):
    """Which stations' indices, by the end of their hour; by default the last day."""

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")
    station: str = Field(default="", max_length=128, description="Sensor identity.")
    area: str = Field(default="", max_length=128, description="Part of the city.")
    index: str = Field(
        default="", max_length=64, description="Name of the index.", examples=["us_aqi"]
    )

    @property
    def chosen(self) -> DataFilter:
        """The stations, as the store is asked for them."""
        return DataFilter(self.station, "", self.area)


_WINDOW: Final = "1min, 15min, 1h, 8h, 24h in UTC; day, month, year in the city's time zone."


class AggregateQuery(SeriesQuery, _Ranged):
    """Which windows, by their start; by default the last day, or the last 31 longer windows."""

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")
    window: str = Field(default="1h", max_length=16, description=_WINDOW, examples=["1h", "day"])


class HistoryQuery(Paged):
    """Which window of which series."""

    station: str = Field(min_length=1, max_length=128, description="Sensor identity.")
    quantity: str = Field(
        min_length=1, max_length=64, description="Canonical quantity name.", examples=["pm2_5"]
    )
    qualifiers: str = Field(
        default="", max_length=256, description="As in the series: key=value;key=value."
    )
    window: str = Field(default="1h", max_length=16, description=_WINDOW, examples=["1h", "day"])
    start: str = Field(
        min_length=1,
        max_length=64,
        description="First instant of the window, RFC 3339.",
        examples=["2026-11-21T21:00:00Z"],
    )


class ComplianceQuery(SeriesQuery):
    """Which stations, rules and year; by default all rules and the year under way."""

    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows of a page.")
    year: int | None = Field(default=None, ge=1970, le=2200, description="Calendar year.")
    rule_set: str = Field(
        default="", max_length=64, description="Law or guideline.", examples=["eu_2008_50"]
    )
    rule: str = Field(default="", max_length=64, description="Rule.", examples=["pm10_day"])
    status: Literal["", "met", "at_risk", "exceeded", "not_enough_data", "reported"] = Field(
        default="", description="How they stand."
    )


class LedgerQuery(Paged, _Ranged):
    """Which hours; by default the last day."""

    station: str = Field(default="", max_length=128, description="Sensor identity.")


class QuarantineQuery(LedgerQuery):
    """Which messages, by their receipt; by default the last day."""

    code: str = Field(default="", max_length=64, description="Reason code.")
    state: Literal["", "waiting", "replayed", "dropped"] = Field(
        default="", description="What became of them."
    )


class AlertQuery(Paged):
    """Which alerts; never filtered by time."""

    state: Literal["", "open", "acknowledged", "resolved"] = Field(
        default="", description="How they stand."
    )
    severity: Literal["", "critical", "warning", "info"] = Field(
        default="", description="How serious."
    )
    area: str = Field(default="", max_length=128, description="Part of the city.")
    station: str = Field(default="", max_length=128, description="Sensor identity.")
