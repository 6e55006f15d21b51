# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over stations, readings, aggregates and alerts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lamppost.batch import STATISTICS
from lamppost.flags import FLAG_NAMES
from lamppost.periods import resolution_name
from sinks.store_reader import Row

from . import queries_alerts, queries_data, queries_stations
from .api_answers import (
    ANSWERS,
    BEFORE_ALL,
    answer,
    decoded_key,
    instant_text,
    time_range,
    window_length,
)
from .api_models import (
    AggregateItem,
    AlertItem,
    IndexItem,
    LatestItem,
    Page,
    StationItem,
)
from .api_queries import (
    AggregateQuery,
    AlertQuery,
    IndexQuery,
    LatestQuery,
    StationQuery,
)
from .context import context_of
from .queries_alerts import AlertFilter
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1", responses=ANSWERS)


@router.get("/stations", response_model=Page[StationItem], tags=["stations"])
def get_stations(request: Request, query: Annotated[StationQuery, Query()]) -> Response:
    """Return the stations, by sensor identity."""
    context = context_of(request)
    (start,) = decoded_key(query.after, ("",))
    now = context.clock.now_ns()
    found = queries_stations.stations(context.reader, now, area=query.area, kind=query.kind)
    rows = sorted(
        (row for row in found if row["sensor"] > str(start)), key=lambda row: str(row["sensor"])
    )
    limit = query.limit
    return answer(request, rows[: limit + 1], _station, lambda row: (row["sensor"],), limit)


@router.get("/latest", response_model=Page[LatestItem], tags=["readings"])
def get_latest(request: Request, query: Annotated[LatestQuery, Query()]) -> Response:
    """Return the newest reading of each series."""
    context = context_of(request)
    rules = context.rulebook()
    (start,) = decoded_key(query.after, (-1,))
    rows = queries_data.latest_page(context.reader, query.chosen, int(start), query.limit + 1)
    return answer(
        request, rows, lambda row: _latest(row, rules), lambda row: (row["series"],), query.limit
    )


@router.get("/aggregates", response_model=Page[AggregateItem], tags=["aggregates"])
def get_aggregates(request: Request, query: Annotated[AggregateQuery, Query()]) -> Response:
    """Return windows that start in a half-open range, the oldest first; by default the last day."""
    context = context_of(request)
    rules = context.rulebook()
    start, series = decoded_key(query.after, (BEFORE_ALL, -1))
    rows = queries_data.aggregate_page(
        context.reader,
        query.chosen,
        length=window_length(query.window),
        between=time_range(request, query.first, query.until),
        after=(int(start), int(series)),
        limit=query.limit + 1,
    )
    return answer(
        request,
        rows,
        lambda row: _aggregate(row, rules),
        lambda row: (row["start"], row["series"]),
        query.limit,
    )


@router.get("/indices", response_model=Page[IndexItem], tags=["aggregates"])
def get_indices(request: Request, query: Annotated[IndexQuery, Query()]) -> Response:
    """Return health indices by the end of their averaging period; by default the last day."""
    context = context_of(request)
    rules = context.rulebook()
    end, series, index = decoded_key(query.after, (BEFORE_ALL, -1, -1))
    rows = queries_data.index_page(
        context.reader,
        query.chosen,
        between=time_range(request, query.first, query.until),
        after=(int(end), int(series), int(index)),
        limit=query.limit + 1,
    )
    return answer(
        request,
        rows,
        lambda row: _index(row, rules),
        lambda row: (row["end"], row["series"], row["index"]),
        query.limit,
    )


@router.get("/alerts", response_model=Page[AlertItem], tags=["alerts"])
def get_alerts(request: Request, query: Annotated[AlertQuery, Query()]) -> Response:
    """Return alerts as they stand, in order of their last change. Never filtered by time."""
    context = context_of(request)
    changed_at, alert_id = decoded_key(query.after, (-1, ""))
    rows = queries_alerts.alert_page(
        context.reader,
        query.state,
        AlertFilter(severity=query.severity, area=query.area, sensor=query.station),
        (int(changed_at), str(alert_id)),
        query.limit + 1,
    )
    return answer(
        request, rows, _alert, lambda row: (row["changed_at"], row["alert_id"]), query.limit
    )


def _station(row: Row) -> dict[str, Any]:
    names = ("sensor", "name", "kind", "area", "owner", "licence", "latitude", "longitude",
             "period_s")  # fmt: skip
    return {
        **{name: row[name] for name in names},
        "last_received_at": _optional(row["received"]),
        "open_alerts": row["open_alerts"],
        "state": row["state"],
    }


def _series(row: Row, rules: Rulebook) -> dict[str, Any]:
    names = ("station", "quantity", "qualifiers", "area")
    return {**{name: row[name] for name in names}, "unit": rules.unit(row["quantity"])}


def _latest(row: Row, rules: Rulebook) -> dict[str, Any]:
    names = ("score", "expected", "band_low", "band_high", "revision", "policy")
    return {
        **_series(row, rules),
        "time": instant_text(row["time"]),
        "received_at": instant_text(row["received"]),
        "value": row["value"],
        "flag": FLAG_NAMES[row["flag"]],
        "reasons": [reason.name for reason in rules.reasons_in(row["reasons"])],
        **{name: row[name] for name in names},
    }


def _aggregate(row: Row, rules: Rulebook) -> dict[str, Any]:
    names = ("revision", "count", "expected", "coverage", "mean", "min", "max", "sd", "total",
             *STATISTICS, "suspect", "excluded")  # fmt: skip
    return {
        **_series(row, rules),
        "window": resolution_name(row["length"], row["calendar"]),
        "start": instant_text(row["start"]),
        "end": instant_text(row["start"] + row["length"]),
        **{name: row[name] for name in names},
        "flag": FLAG_NAMES[row["flag"]],
        "policy": row["policy"],
    }


def _index(row: Row, rules: Rulebook) -> dict[str, Any]:
    names = ("revision", "concentration", "value", "category", "coverage")
    return {
        **_series(row, rules),
        "index": rules.indices.get(row["index"], str(row["index"])),
        "end": instant_text(row["end"]),
        **{name: row[name] for name in names},
        "beyond": bool(row["beyond"]),
        "policy": row["policy"],
    }


def _alert(row: Row) -> dict[str, Any]:
    """Return an alert without the names and words of operators, which are not public."""
    names = ("alert_id", "state", "severity", "rule", "title", "policy", "sensor", "station",
             "area", "quantity", "qualifiers")  # fmt: skip
    evidence = ("observed", "expected", "band_low", "band_high", "unit", "sentence", "clears_when")
    return {
        **{name: row[name] for name in names},
        "since": instant_text(row["since"]),
        "changed_at": instant_text(row["changed_at"]),
        **{name: row[name] for name in evidence},
        "acknowledged_at": _optional(row["acknowledged_at"]),
    }


def _optional(time_ns: int | None) -> str | None:
    return None if time_ns is None else instant_text(time_ns)
