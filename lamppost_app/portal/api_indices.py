# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over health indices, of pollutants and of whole stations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lamppost.times import HOUR_NS
from sinks.instant_texts import local_text

from . import queries_indices
from .api import codes
from .api_answers import BEFORE_ALL, Asked, Found, Key, zone_of
from .api_columns import (
    column,
    from_columns,
    instants,
    mapped,
    whole_numbers,
)
from .api_limits import period
from .api_models import IndexItem, Page, StationIndexItem
from .api_openapi import ANSWERS
from .api_queries import IndexQuery, StationIndexQuery
from .context import context_of
from .problem_types import wrong_parameter
from .rulebook import Rulebook

_CATEGORIES: Final = 256

router = APIRouter(prefix="/api/v1", responses=ANSWERS, tags=["aggregates"])


@router.get("/indices", response_model=Page[IndexItem])
def get_indices(request: Request, query: Annotated[IndexQuery, Query()]) -> Response:
    """Return health indices by the end of their averaging period; by default the last day."""
    context = context_of(request)
    between = period(query.first, query.until, context.clock.now_ns(), HOUR_NS)
    asked = Asked(request, query, (BEFORE_ALL, -1, -1), between)

    def read(key: Key, rules: Rulebook) -> Found:
        raw = queries_indices.index_page(
            context.reader,
            query.chosen,
            number=_number(query.index, rules),
            between=between,
            after=(int(key[0]), int(key[1]), int(key[2])),
            limit=asked.page_rows,
        )
        page, following = asked.page(raw, codes(raw, "end", "series", "index"))
        given = {
            **_named(page, rules),
            "unit": mapped(column(page, "quantity"), rules.unit),
        }
        return Found(from_columns(IndexItem, page, given), following)

    return asked.answer(read)


@router.get("/indices/stations", response_model=Page[StationIndexItem])
def get_station_indices(request: Request, query: Annotated[StationIndexQuery, Query()]) -> Response:
    """Return the indices of whole stations: the worst pollutant of each hour counts.

    Put together when asked, so that every correction of a pollutant is in it.
    """
    context = context_of(request)
    between = period(query.first, query.until, context.clock.now_ns(), HOUR_NS)
    asked = Asked(request, query, (BEFORE_ALL, "", -1), between)

    def read(key: Key, rules: Rulebook) -> Found:
        raw = queries_indices.station_page(
            context.reader,
            query.chosen,
            number=_number(query.index, rules),
            between=between,
            after=(int(key[0]), str(key[1]), int(key[2])),
            limit=asked.page_rows,
        )
        page, following = asked.page(raw, _key_of(raw))
        given = {**_named(page, rules), "advice": _advice(page, rules)}
        return Found(from_columns(StationIndexItem, page, given), following)

    return asked.answer(read)


def _key_of(raw: pa.Table) -> Callable[[int], Key]:
    return lambda row: tuple(raw.column(name)[row].as_py() for name in ("end", "station", "index"))


def _named(page: pa.Table, rules: Rulebook) -> dict[str, Any]:
    """Return the columns that both tables have: names, categories and instants."""
    end = whole_numbers(page, "end")

    def name_of(code: int) -> str | None:
        found = rules.category(*divmod(code, _CATEGORIES))
        return found.name if found else None

    return {
        "index": mapped(
            column(page, "index"), lambda number: rules.indices.get(number, str(number))
        ),
        "category_name": mapped(_categories(page), name_of).cast(pa.string()),
        "end": instants(end),
        "end_local": local_text(end, zone_of(rules)),
    }


def _advice(page: pa.Table, rules: Rulebook) -> Any:  # noqa: ANN401 - an Arrow array
    def text_of(code: int) -> str | None:
        index, category = divmod(code, _CATEGORIES)
        return rules.advice(rules.indices.get(index, ""), category) or None

    return mapped(_categories(page), text_of).cast(pa.string())


def _categories(page: pa.Table) -> Any:  # noqa: ANN401 - an Arrow array
    """Return a number for each row that says index and category."""
    index, category = whole_numbers(page, "index"), whole_numbers(page, "category")
    return pa.array(index * _CATEGORIES + category)


def _number(name: str, rules: Rulebook) -> int | None:
    """Return the number of an index, None for all.

    Raises:
        ApiProblem: there is none of that name.
    """
    if not name:
        return None
    known = {found: number for number, found in rules.indices.items()}
    if name not in known:
        raise wrong_parameter("index", f"there is no index {name!r}; known: {', '.join(known)}")
    return known[name]
