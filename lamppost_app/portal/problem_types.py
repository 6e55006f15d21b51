# SPDX-License-Identifier: EUPL-1.2
"""The kinds of problem the programming interface answers with; each has its place in the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from ingest.http_push import PROBLEMS_PAGE


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem.

    Attributes:
        status: of the answer.
        title: the same in every answer of the kind.
        remedy: what to do, in the documentation.
    """

    status: HTTPStatus
    title: str
    remedy: str


PROBLEMS: Final[dict[str, ProblemType]] = {
    "invalid-parameters": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Parameters cannot be used",
        "errors names each parameter, what is wrong with it, and for unknown names the known ones.",
    ),
    "span-too-long": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The period is too long for this resolution",
        "Ask for a shorter period, or for longer windows; errors says how long it may be.",
    ),
    "invalid-page-token": ProblemType(
        HTTPStatus.BAD_REQUEST,
        "The page token is not one of this question",
        "Follow the next link as it is. Parameters other than limit and format stay the same from"
        " page to page.",
    ),
    "not-acceptable": ProblemType(
        HTTPStatus.NOT_ACCEPTABLE,
        "There is no such format",
        "Ask for one of those listed, with Accept or format=.",
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND, "Nothing is here", "The documentation lists all addresses."
    ),
    "method-not-allowed": ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here", "See the header Allow."
    ),
    "too-many-requests": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests",
        "Wait as many seconds as Retry-After says. Ask with If-None-Match, and for larger pages.",
    ),
    "query-timed-out": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The question took too long",
        "Ask for a shorter period, fewer series or a smaller page.",
    ),
    "unavailable": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The store cannot answer now",
        "Ask again later, as Retry-After says.",
    ),
    "internal-error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something is wrong on our side",
        "Tell the operator the time and the address; the log says more.",
    ),
    "request-refused": ProblemType(
        HTTPStatus.BAD_REQUEST, "The request was refused", "detail says why."
    ),
}
BY_STATUS: Final = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal-error",
}


class ApiProblem(Exception):
    """A request of the programming interface cannot be answered.

    Attributes:
        name: of the kind, in :data:`PROBLEMS`.
        detail: what exactly is wrong.
        errors: by parameter.
        headers: of the answer.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep all."""
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def type_uri(name: str) -> str:
    """Return the address of a kind of problem.

    >>> type_uri("not-found")
    '/api/problems#not-found'
    """
    return f"{PROBLEMS_PAGE}#{name}"


def wrong_parameter(parameter: str, detail: str, name: str = "invalid-parameters") -> ApiProblem:
    """Return the problem of one parameter."""
    error = {"parameter": parameter, "code": "invalid", "detail": detail}
    return ApiProblem(name, f"{parameter}: {detail}", errors=[error])
