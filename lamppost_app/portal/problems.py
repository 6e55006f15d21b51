# SPDX-License-Identifier: EUPL-1.2
"""Errors as answers: problem documents for programs (RFC 9457), a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ingest.http_push import problem

from .rendering import render
from .security import NotAllowed
from .texts import text


def install(app: FastAPI) -> None:
    """Make an application answer errors the way its readers expect."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(ClientDisconnect, _gone)


def error_response(
    request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document below /api and for files, else a page."""
    if request.url.path.startswith(("/api/v1", "/downloads/files", "/events")):
        return problem(status, detail, dict(headers or {}), instance=request.url.path)
    return render(
        request, "error.html", status=status, headers=headers, title=status.phrase, detail=detail
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    status = HTTPStatus(error.status_code)
    detail = error.detail if error.detail != status.phrase else text(_sentence(status))
    return error_response(request, status, detail, error.headers)


def _sentence(status: HTTPStatus) -> str:
    return "error.not_found" if status == HTTPStatus.NOT_FOUND else "error.other"


def _bad_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    errors = [
        {"pointer": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]}
        for item in error.errors()
    ]
    detail = "; ".join(f"{item['pointer']}: {item['detail']}" for item in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _not_allowed(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAllowed)  # noqa: S101 - as above
    headers = (
        {"WWW-Authenticate": 'Basic realm="Lamppost operators", charset="UTF-8"'}
        if error.status == HTTPStatus.UNAUTHORIZED
        else {}
    )
    return error_response(request, error.status, text(error.text), headers)


def _gone(_request: Request, _error: Exception) -> Response:
    # Nobody is left to hear it; unhandled, the server would log a traceback.
    return Response(status_code=HTTPStatus.BAD_REQUEST)
