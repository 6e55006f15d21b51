# SPDX-License-Identifier: EUPL-1.2
"""The console and the page of one alert."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from lamppost.times import HOUR_NS, MINUTE_NS
from sinks.store_reader import Row

from . import charts, queries_alerts, queries_data, queries_stations
from .alert_evidence import evidence
from .context import PortalContext, context_of
from .formatting import printed_flag
from .health import configuration_problem, pipeline_health
from .queries_alerts import SEVERITIES, STATES, AlertFilter
from .rendering import render
from .texts import text

router = APIRouter(include_in_schema=False)

_PAGE: Final = 100
_LATEST_ROWS: Final = 60
_AROUND_NS: Final = 2 * HOUR_NS


@router.get("/", response_class=HTMLResponse)
def console(request: Request) -> HTMLResponse:
    """Show what is wrong now."""
    return render(request, "console.html", **_console(request))


@router.get("/fragments/console", response_class=HTMLResponse)
def console_fragment(request: Request) -> HTMLResponse:
    """Return the part of the console that changes."""
    return render(request, "_console_live.html", **_console(request))


@router.get("/alerts/{alert_id:path}", response_class=HTMLResponse)
def alert(request: Request, alert_id: str) -> HTMLResponse:
    """Show why an alert fired."""
    sent = request.query_params.get("sent") == "1"
    return alert_page(request, alert_id, sent=sent)


def alert_page(
    request: Request,
    alert_id: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    sent: bool = False,
    form: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> HTMLResponse:
    """Return the page of an alert, with the form as it was sent where it has problems.

    Raises:
        HTTPException: 404, there is no such alert.
    """
    context = context_of(request)
    found = queries_alerts.alert_by_id(context.reader, alert_id)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, text("alert.unknown"))
    rule = context.rulebook(found["policy"]).rule(found["rule"])
    return render(
        request,
        "alert.html",
        status=status,
        alert=found,
        history=queries_alerts.alert_history(context.reader, alert_id),
        rule=rule,
        evidence=evidence(context, found, rule),
        chart=_chart(context, found),
        waiting=sent and found["state"] == "open",
        form=form or {},
        problems=problems or {},
    )


def _console(request: Request) -> dict[str, Any]:
    context = context_of(request)
    chosen = _chosen(request)
    state = request.query_params.get("state", "")
    page = page_number(request)
    reader, now = context.reader, context.clock.now_ns()
    by_state = {
        name: _alerts(context, name, chosen, page)
        for name in STATES
        if state in {"", name} or state not in STATES
    }
    areas, kinds = queries_stations.areas_and_kinds(reader)
    lengths = queries_data.window_lengths(reader)
    return {
        "health": pipeline_health(context),
        "configuration_problem": configuration_problem(context),
        "alerts": by_state,
        "counts": queries_alerts.alert_counts(reader, chosen),
        "stations": queries_stations.states(reader, now),
        "chosen": {"severity": chosen.severity, "area": chosen.area, "kind": chosen.kind,
                   "state": state},
        "choices": {"severity": SEVERITIES, "area": areas, "kind": kinds, "state": STATES},
        "page": page,
        "page_size": _PAGE,
        "window": max((length for length in lengths if length <= HOUR_NS), default=None),
        "windows": _latest_windows(context, chosen, lengths),
        "position": context.store.cursor(),
    }  # fmt: skip


def _chosen(request: Request) -> AlertFilter:
    query = request.query_params
    return AlertFilter(
        severity=query.get("severity", ""), area=query.get("area", ""), kind=query.get("kind", "")
    )


def page_number(request: Request) -> int:
    """Return the page a request asks for, from 1."""
    number = request.query_params.get("page", "1")
    return max(1, int(number)) if number.isdecimal() and len(number) < 7 else 1


def _alerts(context: PortalContext, state: str, chosen: AlertFilter, page: int) -> list[Row]:
    if state == "resolved":
        now = context.clock.now_ns()
        return queries_alerts.resolved_since(context.reader, chosen, now, limit=20)
    offset = (page - 1) * _PAGE
    return queries_alerts.alerts_in_state(context.reader, state, chosen, limit=_PAGE, offset=offset)


def _latest_windows(context: PortalContext, chosen: AlertFilter, lengths: list[int]) -> list[Row]:
    length = max((length for length in lengths if length <= HOUR_NS), default=None)
    if length is None:
        return []
    series = queries_data.DataFilter(area=chosen.area)
    return queries_data.latest_windows(
        context.reader, length, series, chosen.kind, limit=_LATEST_ROWS
    )


def _chart(context: PortalContext, found: Row) -> charts.Chart | None:
    reader = context.reader
    series = queries_stations.series_of(
        reader, found["sensor"], found["quantity"], found["qualifiers"]
    )
    if series is None:
        return None
    now = context.clock.now_ns()
    ended = found["changed_at"] if found["state"] == "resolved" else now
    start = found["since"] - _AROUND_NS
    end = min(now, ended + _AROUND_NS // 4) + MINUTE_NS
    rules = context.rulebook()
    unit = rules.printed_unit(found["quantity"])
    frame = charts.ChartFrame(
        title=f"{rules.label(found['quantity'])} {unit}".strip(),
        start=start,
        end=end,
        threshold=found["expected"] if found["band_high"] is None else None,
        alert=(found["since"], ended),
    )
    points = queries_stations.readings_between(reader, series, start, end)
    return charts.draw(points, frame, flag_words())


def flag_words() -> dict[int, str]:
    """Return the printed name of every flag."""
    return {flag: printed_flag(flag) for flag in (1, 2, 3, 4, 9)}
