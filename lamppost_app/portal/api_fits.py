# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over lines between sensors and the references beside them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from sinks.store_reader import Row, StoreReader

from .api_answers import BEFORE_ALL, Asked, Found, Key
from .api_columns import from_rows
from .api_models import Instant, Page
from .api_openapi import ANSWERS
from .api_queries import Paged
from .context import context_of
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1", responses=ANSWERS)

_COLUMNS = (
    'sensor AS station, quantity, qualifiers, reference, method, first_hour, "end", start, until,'
    ' n, slope, "offset", r2, rmse, largest, lag_h, outcome'
)


class FitItem(BaseModel):
    """A line from a sensor to the reference beside it, as it was found at one instant."""

    station: str = Field(description="Identity of the sensor that was compared.")
    quantity: str = Field(description="What it measures, canonical name.")
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    reference: str = Field(description="Identity of the reference.")
    unit: str = Field(description="UCUM code of the unit of the numbers.")
    method: str = Field(description="Version of the way it was fitted.")
    first_hour: Instant = Field(description="Start of the hours it was fitted to.")
    end: Instant = Field(description="End of those hours.")
    start: Instant = Field(description="From when on readings are corrected by it.")
    until: Instant = Field(description="Until when, unless a newer line ends it earlier.")
    n: int = Field(description="Hours in which both had readings.")
    slope: float | None = Field(description="Of the line; null where there is none.")
    offset: float | None = Field(description="Of the line.")
    r2: float | None = Field(description="Share of the reference's variance it accounts for.")
    rmse: float | None = Field(description="Root mean square distance of the hours from it.")
    largest: float | None = Field(description="Largest hour of the sensor it was fitted to.")
    lag_h: int = Field(description="Hours the sensor's clock seems to be late by.")
    outcome: str = Field(description="in_force, or not used: too_few, poor (R2), clock.")


class FitQuery(Paged):
    """Which sensors; all when left out."""

    station: str = Field(default="", max_length=128, description="Sensor identity.")


@router.get("/fits", response_model=Page[FitItem], tags=["readings"])
def get_fits(request: Request, query: Annotated[FitQuery, Query()]) -> Response:
    """Return the lines sensors are corrected by, and those that were not believed."""
    asked = Asked(request, query, (BEFORE_ALL, "", "", ""))

    def read(key: Key, rules: Rulebook) -> Found:
        rows = fits_page(context_of(request).reader, query.station, key, asked.page_rows)
        items = [{**row, "unit": rules.unit(row["quantity"])} for row in rows[: query.limit]]
        last = rows[query.limit - 1] if len(rows) > query.limit else None
        names = ("start", "station", "quantity", "qualifiers")
        following = None if last is None else tuple(last[name] for name in names)
        return Found(from_rows(FitItem, items), following)

    return asked.answer(read)


def fits_page(reader: StoreReader, station: str, after: Key, limit: int) -> list[Row]:
    """Return lines by start, sensor, quantity and qualifiers."""
    behind = dict(zip(("start", "sensor", "quantity", "qualifiers"), after, strict=True))
    parameters: dict[str, Any] = {"station": station, "limit": limit, **behind}
    return reader.rows(
        f"SELECT {_COLUMNS} FROM fits WHERE ($station = '' OR sensor = $station)"  # noqa: S608 - fixed text
        " AND (start, sensor, quantity, qualifiers)"
        " > ($start::BIGINT, $sensor, $quantity, $qualifiers)"
        " ORDER BY start, sensor, quantity, qualifiers LIMIT $limit",
        parameters,
    )


def fits_of_sensor(reader: StoreReader, sensor: str) -> list[Row]:
    """Return the newest line of each series of a sensor, used or not, and the newest in use."""
    return reader.rows(
        f"SELECT {_COLUMNS} FROM fits WHERE sensor = ? QUALIFY row_number() OVER"  # noqa: S608 - fixed text
        " (PARTITION BY quantity, qualifiers, outcome = 'in_force' ORDER BY start DESC) = 1"
        " ORDER BY quantity, qualifiers, start DESC",
        [sensor],
    )
