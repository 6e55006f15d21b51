# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over stations, readings, aggregates and alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lamppost import eea
from lamppost.flags import FLAG_NAMES
from lamppost.periods import resolution_name
from lamppost.times import MINUTE_NS
from sinks.instant_texts import local_text
from sinks.store_reader import Row

from . import queries_alerts, queries_api, queries_stations
from .api_answers import BEFORE_ALL, Asked, Found, Key, zone_of
from .api_columns import (
    WORD_SEPARATOR,
    clock_columns,
    column,
    from_columns,
    from_rows,
    instants,
    mapped,
    whole_numbers,
)
from .api_limits import period, window_of
from .api_models import (
    AggregateItem,
    AlertItem,
    LatestItem,
    Page,
    SeriesItem,
    StationItem,
)
from .api_openapi import ANSWERS
from .api_queries import (
    AggregateQuery,
    AlertQuery,
    SeriesQuery,
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
    # A station falls silent without anything being stored; a minute is soon enough to say so.
    minute = context.clock.now_ns() // MINUTE_NS * MINUTE_NS

    def read(key: Key, _rules: Rulebook) -> Found:
        found = queries_stations.stations(context.reader, minute, area=query.area, kind=query.kind)
        rows = sorted((row for row in found if row["sensor"] > key[0]), key=_sensor)
        more = len(rows) > query.limit
        page = [_station(row) for row in rows[: query.limit]]
        return Found(from_rows(StationItem, page), (page[-1]["sensor"],) if more else None)

    return Asked(request, query, ("",), state=str(minute)).answer(read)


@router.get("/series", response_model=Page[SeriesItem], tags=["stations"])
def get_series(request: Request, query: Annotated[SeriesQuery, Query()]) -> Response:
    """Return what each station measures, and from when to when there is something of it."""
    asked = Asked(request, query, (-1,))

    def read(key: Key, rules: Rulebook) -> Found:
        reader = context_of(request).reader
        raw = queries_api.series_page(reader, query.chosen, int(key[0]), asked.page_rows)
        page, following = asked.page(raw, codes(raw, "series"))
        given = {
            "unit": _units(page, rules),
            "windows": _window_names(page),
            **clock_columns(page),
        }
        return Found(from_columns(SeriesItem, page, given), following)

    return asked.answer(read)


@router.get("/latest", response_model=Page[LatestItem], tags=["readings"])
def get_latest(request: Request, query: Annotated[SeriesQuery, Query()]) -> Response:
    """Return the newest reading of each series."""
    asked = Asked(request, query, (-1,))

    def read(key: Key, rules: Rulebook) -> Found:
        reader = context_of(request).reader
        raw = queries_api.latest_page(reader, query.chosen, int(key[0]), asked.page_rows)
        page, following = asked.page(raw, codes(raw, "series"))
        time = whole_numbers(page, "time")
        given = {
            "unit": _units(page, rules),
            "time": instants(time),
            "time_local": local_text(time, zone_of(rules)),
            "received_at": instants(whole_numbers(page, "received")),
            "flag": mapped(column(page, "flag"), FLAG_NAMES.__getitem__),
            "reasons": mapped(column(page, "reasons"), _reasons_of(rules)),
            "method": _derived_by(page, context_of(request).rulebook),
            **_reported(page, eea.VALIDITY),
        }
        return Found(from_columns(LatestItem, page, given), following)

    return asked.answer(read)


@router.get("/aggregates", response_model=Page[AggregateItem], tags=["aggregates"])
def get_aggregates(request: Request, query: Annotated[AggregateQuery, Query()]) -> Response:
    """Return windows that start in a half-open period, the oldest first."""
    context = context_of(request)
    window = window_of(query.window)
    between = period(query.first, query.until, context.clock.now_ns(), window[1])
    asked = Asked(request, query, (BEFORE_ALL, -1), between)

    def read(key: Key, rules: Rulebook) -> Found:
        raw = queries_api.aggregate_page(
            context.reader,
            query.chosen,
            window=window,
            between=between,
            after=(int(key[0]), int(key[1])),
            limit=asked.page_rows,
        )
        page, following = asked.page(raw, codes(raw, "start", "series"))
        name = resolution_name(window[1], window[0])
        return Found(windows_table(page, rules, context.rulebook, name), following)

    return asked.answer(read)


@router.get("/alerts", response_model=Page[AlertItem], tags=["alerts"])
def get_alerts(request: Request, query: Annotated[AlertQuery, Query()]) -> Response:
    """Return alerts as they stand, in order of their beginning. Never filtered by time."""
    asked = Asked(request, query, (BEFORE_ALL, ""))

    def read(key: Key, _rules: Rulebook) -> Found:
        rows = queries_alerts.alert_page(
            context_of(request).reader,
            query.state,
            AlertFilter(severity=query.severity, area=query.area, sensor=query.station),
            (int(key[0]), str(key[1])),
            asked.page_rows,
        )
        last = rows[query.limit - 1] if len(rows) > query.limit else None
        following = (last["since"], last["alert_id"]) if last else None
        return Found(from_rows(AlertItem, [_alert(row) for row in rows[: query.limit]]), following)

    return asked.answer(read)


def windows_table(
    page: pa.Table,
    rules: Rulebook,
    rules_of: Callable[[str], Rulebook],
    name: str,
    model: type[AggregateItem] = AggregateItem,
) -> pa.Table:
    """Return windows of one name as they are published.

    Args:
        page: columns of the store, with those of their series.
        rules: in force, for units and time zone.
        rules_of: gives those a window was made under.
        name: resolution of the windows.
        model: what is published of them.
    """
    start = whole_numbers(page, "start")
    end = start + whole_numbers(page, "length")
    zone = zone_of(rules)
    given = {
        "unit": _units(page, rules),
        "window": name,
        "start": instants(start),
        "end": instants(end),
        "start_local": local_text(start, zone),
        "end_local": local_text(end, zone),
        "flag": mapped(column(page, "flag"), FLAG_NAMES.__getitem__),
        "method": mapped(column(page, "policy"), lambda policy: rules_of(policy).method),
        **_reported(page, eea.WINDOW_VALIDITY),
    }
    return from_columns(model, page, given)


def codes(raw: pa.Table, *names: str) -> Callable[[int], Key]:
    """Return what tells the key of a row, which is made of columns of whole numbers."""
    return lambda row: tuple(int(raw.column(name)[row].as_py()) for name in names)


def _units(page: pa.Table, rules: Rulebook) -> Any:  # noqa: ANN401 - an Arrow array
    return mapped(column(page, "quantity"), rules.unit)


def _derived_by(page: pa.Table, rules_of: Callable[[str], Rulebook]) -> Any:  # noqa: ANN401
    """Return the method of each row as its own policy had it."""
    version = cache(lambda policy, qualifiers: rules_of(policy).method_version(qualifiers))
    names = (column(page, name).to_pylist() for name in ("policy", "qualifiers"))
    return pa.array([version(*pair) for pair in zip(*names, strict=True)], pa.string())


def _reported(page: pa.Table, codes: Mapping[int, int]) -> dict[str, object]:
    """Return what the EEA's reporting calls the quality of rows."""
    validity = mapped(column(page, "flag"), lambda flag: eea.reported(codes, flag))
    return {"validity": validity, "verification": eea.NOT_VERIFIED}


def _reasons_of(rules: Rulebook) -> Callable[[int], str]:
    return lambda mask: WORD_SEPARATOR.join(reason.name for reason in rules.reasons_in(mask))


def _window_names(page: pa.Table) -> Any:  # noqa: ANN401 - an Arrow array
    codes = column(page, "windows").to_pylist()
    names = [map(resolution_name, sorted(found or ())) for found in codes]
    return pa.array([WORD_SEPARATOR.join(found) for found in names], pa.string())


def _sensor(row: Row) -> str:
    return str(row["sensor"])


def _station(row: Row) -> dict[str, Any]:
    names = ("sensor", "name", "kind", "area", "owner", "licence", "latitude", "longitude",
             "period_s", "open_alerts", "state")  # fmt: skip
    return {**{name: row[name] for name in names}, "last_received_at": row["received"]}


def _alert(row: Row) -> dict[str, Any]:
    """Return an alert without the names and words of operators, which are not public."""
    return {name: row[name] for name in AlertItem.model_fields}
