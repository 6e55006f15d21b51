# SPDX-License-Identifier: EUPL-1.2
"""The portal's application: routes, errors, headers and the life of the live channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ingest.http_push import PushLimits, push_router
from lamppost_app.limits import limiter_of

from . import (
    api,
    api_compliance,
    api_details,
    api_fits,
    api_history,
    api_indices,
    api_ledger,
    api_openapi,
    api_page,
    events,
    health,
    operator_actions,
    pages_compliance,
    pages_console,
    pages_downloads,
    pages_stations,
    problems,
)
from .api_door import ApiDoor
from .api_limits import ReadingLimiter
from .context import PortalContext
from .pages_downloads import OpenDataFiles
from .security import SecurityHeaders
from .vendor import STATIC

_TITLE = "Lamppost"
_DESCRIPTION = "What a city's sensors measured, judged and aggregated, with coverage and quality."


def create_app(context: PortalContext) -> FastAPI:
    """Return the application over a store and the logs around it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(
            context.live.run(
                context.store.cursor, lambda entry: events.changes_after(context, entry)
            )
        )
        yield
        context.live.close()
        await following

    app = FastAPI(
        title=_TITLE,
        description=_DESCRIPTION,
        version=_version(),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        license_info={
            "name": context.rulebook().publication.licence,
            "url": context.rulebook().publication.licence_url,
        },
    )
    app.state.context = context
    http = context.settings.http
    app.add_middleware(ApiDoor, limiter=ReadingLimiter(http.reads_per_s, http.reads_at_once))
    app.add_middleware(SecurityHeaders)
    problems.install(app)
    if http.push:
        limits = PushLimits(body_bytes=http.max_body_bytes)
        token = http.push_token.get_secret_value()
        push = push_router(
            context.inbox,
            clock=context.clock,
            token=token,
            limits=limits,
            limiter=limiter_of(context.settings.limits, "http"),
        )
        app.include_router(push)
    # Acknowledging ends in a fixed word after a free path, so it has to be asked before the page.
    for module in (
        api, api_compliance, api_details, api_fits, api_history, api_indices, api_ledger, api_page,
        events, health, operator_actions, pages_console, pages_stations, pages_compliance,
        pages_downloads,
    ):  # fmt: skip
        app.include_router(module.router)
    _mount_files(app, context)
    _complete_openapi(app)
    return app


def _complete_openapi(app: FastAPI) -> None:
    """Let the document say what FastAPI does not know of."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = api_openapi.completed(plain())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the way FastAPI documents


def _mount_files(app: FastAPI, context: PortalContext) -> None:
    open_data = context.settings.open_data_path
    open_data.mkdir(parents=True, exist_ok=True)
    app.mount("/downloads/files", OpenDataFiles(directory=open_data), name="open-data")
    app.mount("/static", _OwnFiles(directory=STATIC), name="static")


class _OwnFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        # The folder of a browser library carries its version, so its files never change.
        lasting = path.startswith("vendor/") and path.count("/") > 1
        age = "public, max-age=31536000, immutable" if lasting else "no-cache"
        response.headers.setdefault("Cache-Control", age)
        return response


def _version() -> str:
    try:
        return version("lamppost")
    except PackageNotFoundError:
        return "0"
