# SPDX-License-Identifier: EUPL-1.2
"""The programming interface over what a window said before it was corrected, and over CSV."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lamppost.periods import resolution_name
from lamppost.times import is_instant, parse_instant

from . import queries_api
from .api import codes, windows_table
from .api_answers import Asked, Found, Key
from .api_columns import kind_of, schema_of
from .api_fits import FitItem
from .api_limits import window_of
from .api_models import (
    AggregateItem,
    AlertItem,
    BalanceItem,
    ComplianceItem,
    IndexItem,
    Kind,
    LatestItem,
    LedgerItem,
    Page,
    QuarantineItem,
    RevisionItem,
    SeriesItem,
    StationIndexItem,
    StationItem,
)
from .api_openapi import ANSWERS, PROBLEM_ANSWERS
from .api_queries import HistoryQuery
from .context import context_of
from .problem_types import wrong_parameter
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1")

TABLES: Final[dict[str, type[BaseModel]]] = {
    "stations": StationItem,
    "series": SeriesItem,
    "latest": LatestItem,
    "fits": FitItem,
    "aggregates": AggregateItem,
    "aggregates/history": RevisionItem,
    "indices": IndexItem,
    "indices/stations": StationIndexItem,
    "compliance": ComplianceItem,
    "alerts": AlertItem,
    "ledger": LedgerItem,
    "ledger/sinks": BalanceItem,
    "quarantine": QuarantineItem,
}
_DATATYPES: Final = {
    Kind.TEXT: "string",
    Kind.WORDS: "string",
    Kind.INSTANT: "dateTimeStamp",
    Kind.LOCAL_INSTANT: "dateTimeStamp",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "boolean",
}


@router.get(
    "/aggregates/history",
    response_model=Page[RevisionItem],
    tags=["aggregates"],
    responses=ANSWERS,
)
def get_history(request: Request, query: Annotated[HistoryQuery, Query()]) -> Response:
    """Return what is kept of the revisions of one window, the oldest first."""
    context = context_of(request)
    window = window_of(query.window)
    start = parse_instant(query.start.replace(" ", "+"))
    if not is_instant(start):
        raise wrong_parameter("start", "the instant at which a window starts is needed, with zone")
    asked = Asked(request, query, (-1, -1))

    def read(key: Key, rules: Rulebook) -> Found:
        raw = queries_api.revisions(
            context.reader,
            (query.station, query.quantity, query.qualifiers),
            window=window,
            start=start,
            after=(int(key[0]), int(key[1])),
            limit=asked.page_rows,
        )
        page, following = asked.page(raw, codes(raw, "revision", "entry"))
        name = resolution_name(window[1], window[0])
        table = windows_table(page, rules, context.rulebook, name, RevisionItem)
        return Found(table, following)

    return asked.answer(read)


@router.get("/csvw/{table:path}", tags=["metadata"], responses=PROBLEM_ANSWERS)
def get_csv_metadata(
    request: Request, table: Annotated[str, Path(description="Path of the answer.")]
) -> JSONResponse:
    """Return what the columns of a CSV answer mean (CSV on the Web); same query as that answer."""
    if table not in TABLES:
        raise HTTPException(404)
    publication = context_of(request).rulebook().publication
    given = [item for item in request.url.query.split("&") if item]
    asked = "&".join([item for item in given if not item.startswith("format=")] + ["format=csv"])
    columns = [_csv_column(field) for field in schema_of(TABLES[table])]
    document = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": f"/api/v1/{table}?{asked}",
        "dc:title": publication.title,
        "dc:publisher": publication.publisher,
        "dc:license": {"@id": publication.licence_url},
        "dialect": {"header": True, "encoding": "utf-8", "lineTerminators": ["\r\n"]},
        "tableSchema": {"columns": columns},
    }
    return JSONResponse(document, media_type="application/csvm+json")


def _csv_column(field: Any) -> dict[str, Any]:  # noqa: ANN401 - an Arrow field of any type
    facts = {key.decode(): value.decode() for key, value in field.metadata.items()}
    kind = kind_of(field)
    described: dict[str, Any] = {
        "name": field.name,
        "titles": field.name,
        "datatype": _DATATYPES[kind],
        "dc:description": facts["description"],
    }
    if kind is Kind.WORDS:
        described["separator"] = ";"
    return described
