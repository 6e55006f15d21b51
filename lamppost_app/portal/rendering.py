# SPDX-License-Identifier: EUPL-1.2
"""From a template and values to a page."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lamppost.times import format_length
from lamppost.wording import printed_unit

from . import formatting
from .context import context_of
from .texts import text
from .vendor import libraries


def _cleaned(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return formatting.clean(value)
    return value


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_cleaned,
    )
    environment.globals["t"] = text
    environment.filters |= {
        "age": formatting.printed_age,
        "bytes": formatting.printed_bytes,
        "duration": formatting.printed_duration,
        "setting": formatting.printed_setting,
        "flag": formatting.printed_flag,
        "instant": formatting.instant_markup,
        "instant_text": formatting.printed_instant,
        "length_name": format_length,
        "limit": "{:g}".format,
        "number": formatting.printed_number,
        "unit": printed_unit,
    }
    return environment


_ENVIRONMENT: Final = _environment()


def render(
    request: Request,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Return a page or a part of one."""
    context = context_of(request)
    shared = {
        "now": context.clock.now_ns(),
        "rulebook": context.rulebook(),
        "libraries": libraries(),
        "path": request.url.path,
        "query": lambda **changes: query_text(request, changes),
    }
    html = _ENVIRONMENT.get_template(template).render({**shared, **values})
    fresh = {"Cache-Control": "no-store", **(headers or {})}
    return HTMLResponse(html, status_code=status, headers=fresh)


def query_text(request: Request, changes: Mapping[str, object]) -> str:
    """Return the request's query with some values changed; None or "" takes a key out."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in changes]
    new = [(key, str(value)) for key, value in changes.items() if value not in {None, ""}]
    return urlencode([*kept, *new])
