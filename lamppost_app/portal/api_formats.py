# SPDX-License-Identifier: EUPL-1.2
"""The formats of an answer, and which one a request asks for."""

from __future__ import annotations

from enum import Enum

from .problem_types import ApiProblem


class Form(Enum):
    """A format, by its name in addresses."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """The name of the format in Accept."""
        return _MEDIA_TYPES[self]

    @property
    def content_type(self) -> str:
        """What the answer says of itself."""
        extra = "; charset=utf-8; header=present" if self is Form.CSV else ""
        return self.media_type + extra


_MEDIA_TYPES = {
    Form.JSON: "application/json",
    Form.CSV: "text/csv",
    Form.PARQUET: "application/vnd.apache.parquet",
}


def negotiated(chosen: str | None, accept: str) -> Form:
    """Return the format a request asks for; an address wins over a header.

    Raises:
        ApiProblem: 406, there is none of those asked for.

    >>> negotiated(None, "text/html, */*;q=0.1")
    <Form.JSON: 'json'>
    """
    if chosen is not None:
        found = next((form for form in Form if form.value == chosen), None)
    else:
        ranks = {form: _quality(form, accept or "*/*") for form in Form}
        found = max(Form, key=lambda form: ranks[form])
        found = found if ranks[found] > 0 else None
    if found is None:
        offered = ", ".join(f"{form.media_type} (format={form.value})" for form in Form)
        raise ApiProblem("not-acceptable", f"the formats are {offered}", headers={"Vary": "Accept"})
    return found


def _quality(form: Form, accept: str) -> float:
    """Return how welcome a format is, 0 where it is not; the most specific range counts."""
    family = form.media_type.partition("/")[0]
    specific = {"*/*": 0, f"{family}/*": 1, form.media_type: 2}
    best = (-1, 0.0)
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in specific:
            best = max(best, (specific[kind], _weight(parameters)))
    return best[1]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
