# SPDX-License-Identifier: EUPL-1.2
"""The programming interface explained: its operations and its problems."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from ingest.http_push import PROBLEMS_PAGE

from .api_limits import MAX_ROWS, MAX_WINDOWS
from .context import context_of
from .problem_types import PROBLEMS
from .rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/api", response_class=HTMLResponse)
def interface(request: Request) -> HTMLResponse:
    """List the operations with their parameters."""
    document: dict[str, Any] = request.app.openapi()
    operations = [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    limits = {"rows": MAX_ROWS, "windows": MAX_WINDOWS, "http": context_of(request).settings.http}
    return render(request, "interface.html", operations=operations, limits=limits)


@router.get(PROBLEMS_PAGE, response_class=HTMLResponse)
def problems(request: Request) -> HTMLResponse:
    """Explain the kinds of problem; their type leads here."""
    return render(request, "problems.html", problems=PROBLEMS)
