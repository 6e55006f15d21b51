# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over the numbers behind the reasons of readings."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from lamppost.times import HOUR_NS
from sinks.store_reader import Row, StoreReader

from .api_answers import BEFORE_ALL, Asked, Found, Key
from .api_columns import from_rows
from .api_limits import period
from .api_models import Instant, Page
from .api_openapi import ANSWERS
from .api_queries import DetailQuery
from .context import context_of
from .queries_data import CHOSEN, JOINS, DataFilter
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1", responses=ANSWERS)

_KEY: Final = ("time", "series", "bit")


class DetailItem(BaseModel):
    """What is told of one reading beside its flag: the numbers behind one of its reasons."""

    station: str = Field(description="Identity of the sensor.")
    quantity: str = Field(description="What was measured, canonical name.")
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    time: Instant = Field(description="Instant of the measurement, UTC.")
    reason: str = Field(description="Name of the reason.")
    detail: str = Field(description="A sentence with the numbers.")


@router.get("/details", response_model=Page[DetailItem], tags=["readings"])
def get_details(request: Request, query: Annotated[DetailQuery, Query()]) -> Response:
    """Return the numbers behind reasons of readings, by time; by default of the last day."""
    context = context_of(request)
    between = period(query.first, query.until, context.clock.now_ns(), HOUR_NS)
    asked = Asked(request, query, (BEFORE_ALL, -1, -1), between)

    def read(key: Key, rules: Rulebook) -> Found:
        rows = details_page(context.reader, query.chosen, between, key, asked.page_rows)
        items = [{**row, "reason": rules.reason_name(row["bit"])} for row in rows[: query.limit]]
        last = rows[query.limit - 1] if len(rows) > query.limit else None
        following = None if last is None else tuple(last[name] for name in _KEY)
        return Found(from_rows(DetailItem, items), following)

    return asked.answer(read)


def details_page(
    reader: StoreReader, chosen: DataFilter, between: tuple[int, int], after: Key, limit: int
) -> list[Row]:
    """Return details by time, series and reason, behind a key."""
    behind = dict(zip(("time", "series", "reason"), map(int, after), strict=True))
    return reader.rows(
        "SELECT series.sensor AS station, quantity, qualifiers, time, series, reason AS bit, detail"  # noqa: S608 - fixed text
        f" FROM details {JOINS} WHERE {CHOSEN} AND time >= $first AND time < $last"
        " AND (time, series, reason) > ($time::BIGINT, $series::INTEGER, $reason::INTEGER)"
        " ORDER BY time, series, reason LIMIT $limit",
        {
            **chosen.values,
            **behind,
            "first": max(between[0], behind["time"]),
            "last": between[1],
            "limit": limit,
        },
    )


def details_of_series(
    reader: StoreReader, series: int, start: int, end: int
) -> dict[tuple[int, int], str]:
    """Return what is told of readings of a series in a half-open range, by instant and reason."""
    rows = reader.rows(
        "SELECT time, reason, detail FROM details WHERE series = ? AND time >= ? AND time < ?",
        [series, start, end],
    )
    return {(row["time"], row["reason"]): row["detail"] for row in rows}


def details_of_latest(reader: StoreReader, sensor: str) -> dict[tuple[int, int], str]:
    """Return what is told of the newest readings of a station, by series and reason."""
    rows = reader.rows(
        "SELECT series, reason, detail FROM details JOIN latest_readings USING (series, time)"
        " JOIN series USING (series) WHERE sensor = ?",
        [sensor],
    )
    return {(row["series"], row["reason"]): row["detail"] for row in rows}
