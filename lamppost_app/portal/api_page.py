# SPDX-License-Identifier: EUPL-1.2
"""The programming interface explained, made from its own OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

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
    return render(request, "interface.html", operations=operations)
