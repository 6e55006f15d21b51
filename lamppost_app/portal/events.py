# SPDX-License-Identifier: EUPL-1.2
"""The address of the live channel, and what it tells."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse

from . import queries_alerts, queries_data
from .context import PortalContext, context_of
from .health import pipeline_health
from .live import MAX_CHANGES, Changes

router = APIRouter(include_in_schema=False)

_BUSY_S = "30"
_ALERT_FIELDS = ("alert_id", "state", "severity", "title", "sensor", "station", "sentence", "since")
_WINDOW_FIELDS = ("station", "quantity", "qualifiers", "start", "length", "mean", "flag")


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Stream what is new: alerts, aggregates, and the pipeline's health as heartbeat."""
    context = context_of(request)
    if context.live.closing:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
    if context.live.listeners >= context.settings.http.max_live_pages:
        busy = {"Retry-After": _BUSY_S}
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many live pages", busy)
    seen = request.headers.get("last-event-id", "")
    return StreamingResponse(
        context.live.stream(
            int(seen) if seen.isdecimal() and len(seen) < 19 else None,
            lambda entry: changes_after(context, entry),
            lambda: pipeline_health(context).model_dump(),
        ),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def changes_after(context: PortalContext, entry: int) -> Changes | None:
    """Return what came after a position, None when it is too much to list."""
    alerts = queries_alerts.alerts_changed_after(context.reader, entry, MAX_CHANGES + 1)
    windows = queries_data.windows_changed_after(context.reader, entry, MAX_CHANGES + 1)
    if max(len(alerts), len(windows)) > MAX_CHANGES:
        return None
    return {
        "alerts": [_picked(row, _ALERT_FIELDS) for row in alerts],
        "aggregates": [_picked(row, _WINDOW_FIELDS) for row in windows],
    }


def _picked(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names}
