# SPDX-License-Identifier: EUPL-1.2
"""The pages about stations: table, map, and one station with its charts."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse

from lamppost.quarantine import excerpt
from lamppost.rating import Rating
from lamppost.refusal_codes import CODES
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, NO_TIME, format_instant, is_instant, parse_instant
from sinks.store_reader import Row

from . import (
    charts,
    locator,
    queries_alerts,
    queries_indices,
    queries_quarantine,
    queries_stations,
)
from .api_details import details_of_latest, details_of_series
from .api_fits import fits_of_sensor
from .context import PortalContext, context_of
from .formatting import printed_age, printed_number
from .pages_console import flag_words, page_number
from .queries_alerts import AlertFilter
from .rendering import render
from .station_clock import clock_views
from .texts import text

router = APIRouter(include_in_schema=False)

RANGES: Final = {"1h": HOUR_NS, "6h": 6 * HOUR_NS, "24h": DAY_NS, "7d": 7 * DAY_NS}
_RAW_UP_TO: Final = DAY_NS
_TABLE_ROWS: Final = 60
_HELD_ROWS: Final = 20
_PAGE: Final = 200
_INDEX: Final = "index:"


@router.get("/stations", response_class=HTMLResponse)
def stations(request: Request) -> HTMLResponse:
    """List the stations."""
    return render(request, "stations.html", **_paged(request, _station_list(request)))


@router.get("/map", response_class=HTMLResponse)
def station_map(request: Request) -> HTMLResponse:
    """Show where the stations are, and list them beside it."""
    listed = _station_list(request)
    shown = _map(request, listed["stations"])
    return render(request, "map.html", **_paged(request, listed), **shown)


@router.get("/map/markers")
def map_markers(request: Request) -> JSONResponse:
    """Return the markers for the map in the browser."""
    context = context_of(request)
    shown = _map(request, _station_list(request)["stations"])
    now = context.clock.now_ns()
    markers = [
        {
            "sensor": marker.sensor,
            "name": marker.name,
            "state": text(f"state.{marker.state}"),
            "latitude": marker.latitude,
            "longitude": marker.longitude,
            "shape": marker.shape,
            "class": marker.colour_class,
            "colour": marker.colour,
            "value": _words(marker, shown["unit"]),
            "age": printed_age(marker.time, now),
        }
        for marker in sorted(shown["markers"], key=lambda marker: marker.shape != "hollow")
    ]
    return JSONResponse(markers, headers={"Cache-Control": "no-store"})


def _words(marker: locator.Marker, unit: str) -> str:
    if marker.category:
        return f"{marker.value:g} {marker.category}"
    return f"{printed_number(marker.value)} {unit}".strip()


@router.get("/stations/{sensor:path}", response_class=HTMLResponse)
def station(request: Request, sensor: str) -> HTMLResponse:
    """Show one station."""
    context = context_of(request)
    now = context.clock.now_ns()
    held = queries_quarantine.held_of_sensor(context.reader, sensor, _HELD_ROWS)
    found = queries_stations.station(context.reader, now, sensor)
    if found is None and held:
        # Nothing it sent could be used: its owner has to find out here why.
        found = queries_stations.unheard(sensor)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, text("station.unknown"))
    view = _view(request, now)
    latest = queries_stations.latest_of_sensor(context.reader, sensor)
    alerts = [
        alert
        for state in ("open", "acknowledged")
        for alert in queries_alerts.alerts_in_state(
            context.reader, state, AlertFilter(sensor=sensor), limit=50
        )
    ]
    _mark_unrated(latest, context.rulebook().rating)
    shown = [row for row in latest if view.quantity in {"", row["quantity"]}]
    return render(
        request,
        "station.html",
        station=found,
        latest=latest,
        judged_by={row["policy"]: context.rulebook(row["policy"]) for row in latest},
        details=details_of_latest(context.reader, sensor),
        alerts=alerts,
        clocks=clock_views(
            queries_stations.clocks_of_sensor(context.reader, sensor), latest, context.rulebook()
        ),
        fits=fits_of_sensor(context.reader, sensor),
        plots=[_plot(context, row, view, alerts) for row in shown],
        view=view,
        ranges=list(RANGES),
        indices=_indices(context, sensor, view.end),
        held=[_held(row) for row in held],
        earlier=format_instant(view.start),
        later=None if view.end >= now else format_instant(min(now, view.end + view.length)),
    )


def _mark_unrated(latest: list[Row], rating: Rating) -> None:
    """Say of each series whether another one is rated in its place."""
    keys = [SeriesKey("", row["quantity"], row["qualifiers"]) for row in latest]
    unrated = {
        place for classes in rating.choices(keys) for places in classes[1:] for place in places
    }
    for place, row in enumerate(latest):
        row["gives_way"] = place in unrated


def _held(row: Row) -> dict[str, Any]:
    meaning = CODES.get(row["code"], row["code"])
    return {**row, "meaning": meaning, "excerpt": excerpt(bytes(row["payload"]))}


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks to see: a stretch of time, and one quantity or all."""

    quantity: str
    range: str
    start: int
    end: int

    @property
    def length(self) -> int:
        """Length of the stretch, ns."""
        return self.end - self.start


def _view(request: Request, now: int) -> View:
    query = request.query_params
    name = query.get("range", "6h")
    length = RANGES.get(name, RANGES["6h"])
    until = parse_instant(query["until"]) if "until" in query else NO_TIME
    end = min(until, now) if is_instant(until) else now
    return View(query.get("quantity", ""), name if name in RANGES else "6h", end - length, end)


def _plot(context: PortalContext, row: Row, view: View, alerts: list[Row]) -> dict[str, Any]:
    rules = context.rulebook()
    if view.length <= _RAW_UP_TO:
        points = queries_stations.readings_between(
            context.reader, row["series"], view.start, view.end
        )
    else:
        points = queries_stations.windows_between(
            context.reader, row["series"], HOUR_NS, view.start, view.end
        )
    own = [
        alert
        for alert in alerts
        if (alert["quantity"], alert["qualifiers"]) == (row["quantity"], row["qualifiers"])
    ]
    unit = rules.printed_unit(row["quantity"])
    frame = charts.ChartFrame(
        title=f"{rules.label(row['quantity'])} {row['qualifiers']} {unit}".replace("  ", " "),
        start=view.start,
        end=view.end,
        alert=(own[0]["since"], view.end) if own and own[0]["since"] < view.end else None,
        threshold=own[0]["expected"] if own and own[0]["band_high"] is None else None,
    )
    return {
        "latest": row,
        "label": rules.label(row["quantity"]),
        "unit": unit,
        "chart": charts.draw(points, frame, flag_words()),
        "points": points[: -_TABLE_ROWS - 1 : -1],
        "details": details_of_series(context.reader, row["series"], view.start, view.end),
        "total": len(points),
        "hourly": view.length > _RAW_UP_TO,
    }


def _indices(context: PortalContext, sensor: str, at: int) -> list[dict[str, Any]]:
    """Return what each index says of a station at an instant, and of its pollutants.

    In the order of the policy; what was published under another one comes last.
    """
    rules = context.rulebook()
    whole = queries_indices.station_values(context.reader, sensor, at)
    rows = queries_indices.index_values(context.reader, sensor, at)
    ordered = [number for number, _ in rules.switched_on() if number in whole]
    return [
        {
            "name": rules.indices.get(number, str(number)),
            "whole": whole[number],
            "category": rules.category(number, whole[number]["category"]),
            "is_outdated": whole[number]["end"] <= at - queries_indices.CURRENT_NS,
            "rows": [row for row in rows if row["index"] == number],
        }
        for number in [*ordered, *sorted(set(whole) - set(ordered))]
    ]


def _headline(context: PortalContext, now: int) -> dict[str, Any]:
    """Return the first index of the policy, and what it says of each station now."""
    rules = context.rulebook()
    number, name = next(iter(rules.switched_on()), (0, ""))
    values = queries_indices.current_values(context.reader, number, now) if name else {}
    return {"number": number, "name": name, "values": values}


def _station_list(request: Request) -> dict[str, Any]:
    context = context_of(request)
    query = request.query_params
    chosen = {name: query.get(name, "") for name in ("search", "area", "kind")}
    areas, kinds = queries_stations.areas_and_kinds(context.reader)
    now = context.clock.now_ns()
    found = queries_stations.stations(context.reader, now, **chosen)
    return {
        "headline": _headline(context, now),
        "stations": found,
        "chosen": chosen,
        "choices": {"area": areas, "kind": kinds},
    }


def _paged(request: Request, listed: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the table; five thousand rows are no help to anybody."""
    total = len(listed["stations"])
    page = min(page_number(request), -(-total // _PAGE) or 1)
    rows = listed["stations"][(page - 1) * _PAGE : page * _PAGE]
    return {**listed, "stations": rows, "total": total, "page": page, "pages": -(-total // _PAGE)}


def _map(request: Request, listed: list[Row]) -> dict[str, Any]:
    context = context_of(request)
    rules = context.rulebook()
    quantities = queries_stations.quantities(context.reader)
    choices = {name: rules.label(name) for name in quantities}
    choices |= {f"{_INDEX}{name}": rules.index_title(name) for _, name in rules.switched_on()}
    wanted = request.query_params.get("quantity", "")
    default = "pm2_5" if "pm2_5" in quantities else next(iter(quantities), "")
    shown = wanted if wanted in choices else default
    index = shown.removeprefix(_INDEX) if shown.startswith(_INDEX) else ""
    latest = (
        _index_values(context, index)
        if index
        else queries_stations.latest_of_quantity(context.reader, shown)
    )
    values = [row["value"] for row in latest.values() if row["value"] is not None]
    limits = [] if index else locator.class_limits(values)
    markers = locator.markers(listed, latest, limits)
    return {
        "quantity": shown,
        "choices_shown": choices,
        "unit": "" if index else rules.printed_unit(shown),
        "scale": rules.scales.get(index),
        "limits": limits,
        "markers": markers,
        "locator": locator.locate(markers),
    }


def _index_values(context: PortalContext, name: str) -> dict[str, Row]:
    """Return what an index says of each station now, in the shape of readings."""
    rules = context.rulebook()
    number = {known: number for number, known in rules.switched_on()}[name]
    found = queries_indices.current_values(context.reader, number, context.clock.now_ns())
    rows: dict[str, Row] = {}
    for sensor, whole in found.items():
        category = rules.category(number, whole["category"])
        responsible = ", ".join(map(rules.label, filter(None, whole["responsible"].split(";"))))
        words = ", ".join(filter(None, [category.name if category else "", responsible]))
        colour = category.colour if category else ""
        rows[sensor] = {
            "value": whole["value"], "time": whole["end"], "colour": colour, "category": words,
        }  # fmt: skip
    return rows
