# SPDX-License-Identifier: EUPL-1.2
"""Errors as answers: problem documents for programs (RFC 9457), a page for people."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_type_hints

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ingest.http_push import problem

from .problem_types import BY_STATUS, PROBLEMS, ApiProblem, type_uri
from .rendering import render
from .security import NotAllowed
from .texts import text

_FOR_PROGRAMS = ("/api/v1", "/downloads/files", "/events")


def install(app: FastAPI) -> None:
    """Make an application answer errors the way its readers expect."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(ApiProblem, _api_problem)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def error_response(
    request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document below /api and for files, else a page."""
    if request.url.path.startswith(_FOR_PROGRAMS):
        name = BY_STATUS.get(status, "request-refused")
        return _document(request, name, detail, headers, status=status)
    return render(
        request, "error.html", status=status, headers=headers, title=status.phrase, detail=detail
    )


def _document(
    request: Request,
    name: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    status: HTTPStatus | None = None,
    **facts: Any,
) -> Response:
    kind = PROBLEMS[name]
    told = {"Cache-Control": "no-store", **(headers or {})}
    facts = {"type": type_uri(name), "instance": request.url.path, **facts}
    if status is None or status == kind.status:
        facts["title"] = kind.title
    return problem(status or kind.status, detail, told, **facts)


def _api_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblem)  # noqa: S101 - what the handler is registered for
    facts: dict[str, Any] = {"errors": error.errors} if error.errors else {}
    return _document(request, error.name, error.detail, error.headers, **facts)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    status = HTTPStatus(error.status_code)
    detail = error.detail if error.detail != status.phrase else text(_sentence(status))
    return error_response(request, status, detail, error.headers)


def _sentence(status: HTTPStatus) -> str:
    return "error.not_found" if status == HTTPStatus.NOT_FOUND else "error.other"


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    known = _known_parameters(request)
    errors = [_parameter_error(item, known) for item in error.errors()]
    detail = "; ".join(f"{item['parameter']}: {item['detail']}" for item in errors)
    return _document(request, "invalid-parameters", detail, errors=errors)


def _parameter_error(item: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Return what is wrong with one parameter, and of an unknown name which was likely meant."""
    name = ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0])
    if item["type"] != "extra_forbidden":
        return {"parameter": name, "code": "invalid", "detail": item["msg"]}
    meant = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {meant[0]}?" if meant else f"the known ones are {', '.join(known)}"
    detail = f"there is no such parameter; {hint}"
    return {"parameter": name, "code": "unknown", "detail": detail, "known": known}


def _known_parameters(request: Request) -> list[str]:
    """Return what the operation of a request can be asked."""
    endpoint = request.scope.get("endpoint")
    model = get_type_hints(endpoint).get("query") if endpoint is not None else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return sorted(field.alias or name for name, field in model.model_fields.items())


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


def _unexpected(request: Request, _error: Exception) -> Response:
    """Say that something failed, and no more; the server logs the rest."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if request.url.path.startswith(_FOR_PROGRAMS):
        return _document(request, "internal-error", text("error.other"))
    return PlainTextResponse(text("error.other"), status)
