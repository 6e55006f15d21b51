# SPDX-License-Identifier: EUPL-1.2
"""What the programming interface can be asked; anything else in an address is refused."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .queries_data import DataFilter

MAX_LIMIT = 10_000


class Paged(BaseModel):
    """Some of the rows, in JSON or CSV."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=1000, ge=1, le=MAX_LIMIT, description="Rows of a page.")
    after: str = Field(default="", max_length=400, description="From the next link of a page.")
    format: Literal["json", "csv"] | None = Field(
        default=None, description="Or an Accept header of text/csv."
    )


class StationQuery(Paged):
    """Which stations."""

    limit: int = Field(default=MAX_LIMIT, ge=1, le=MAX_LIMIT, description="Rows of a page.")
    area: str = Field(default="", max_length=128, description="Part of the city.")
    kind: str = Field(default="", max_length=64, description="air_quality, traffic ...")


class SeriesQuery(Paged):
    """Which series; all when left out."""

    station: str = Field(default="", max_length=128, description="Sensor identity.")
    quantity: str = Field(default="", max_length=64, description="Canonical quantity name.")
    area: str = Field(default="", max_length=128, description="Part of the city.")

    @property
    def chosen(self) -> DataFilter:
        """The series, as the store is asked for them."""
        return DataFilter(self.station, self.quantity, self.area)


class LatestQuery(SeriesQuery):
    """Which newest readings."""

    limit: int = Field(default=MAX_LIMIT, ge=1, le=MAX_LIMIT, description="Rows of a page.")


class _Ranged(BaseModel):
    first: str = Field(default="", alias="from", max_length=64, description="RFC 3339, included.")
    until: str = Field(default="", alias="to", max_length=64, description="RFC 3339, not included.")


class IndexQuery(SeriesQuery, _Ranged):
    """Which index values, by the end of their averaging period; by default the last day."""


class AggregateQuery(IndexQuery):
    """Which windows, by their start; by default the last day."""

    window: str = Field(default="1h", max_length=16, description="Length: 1min, 15min, 1h, 24h.")


class LedgerQuery(Paged, _Ranged):
    """Which hours; by default the last day."""

    station: str = Field(default="", max_length=128, description="Sensor identity.")


class QuarantineQuery(LedgerQuery):
    """Which messages, by their receipt; by default the last day."""

    code: str = Field(default="", max_length=64, description="Reason code.")
    state: Literal["", "waiting", "replayed", "dropped"] = ""


class AlertQuery(Paged):
    """Which alerts; never filtered by time."""

    state: Literal["", "open", "acknowledged", "resolved"] = ""
    severity: Literal["", "critical", "warning", "info"] = ""
    area: str = Field(default="", max_length=128, description="Part of the city.")
    station: str = Field(default="", max_length=128, description="Sensor identity.")
