# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over the ledger and quarantine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lamppost.refusal_codes import CODES
from lamppost_app.cursors import Balance
from lamppost_app.ledger_reading import is_balanced
from sinks.store_reader import Row

from . import queries_data, queries_quarantine
from .api_answers import BEFORE_ALL, Asked, Found, Key
from .api_columns import from_rows
from .api_limits import period
from .api_models import BalanceItem, LedgerItem, Page, QuarantineItem
from .api_openapi import ANSWERS
from .api_queries import LedgerQuery, QuarantineQuery
from .context import context_of
from .queries_quarantine import QuarantineFilter
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1", responses=ANSWERS)


@router.get("/ledger", response_model=Page[LedgerItem], tags=["ledger"])
def get_ledger(request: Request, query: Annotated[LedgerQuery, Query()]) -> Response:
    """Return what arrived per door, sensor and hour, and what became of it."""
    between = _hours(request, query)
    asked = Asked(request, query, (BEFORE_ALL, "", ""), between)

    def read(key: Key, _rules: Rulebook) -> Found:
        rows = queries_data.ledger_page(
            context_of(request).reader,
            query.station,
            between=between,
            after=(int(key[0]), str(key[1]), str(key[2])),
            limit=asked.page_rows,
        )
        items = [{**row, "balanced": is_balanced(row)} for row in rows[: query.limit]]
        following = _following(rows, query.limit, "hour", "source", "station")
        return Found(from_rows(LedgerItem, items), following)

    return asked.answer(read)


@router.get("/ledger/sinks", response_model=Page[BalanceItem], tags=["ledger"])
def get_balances(request: Request, query: Annotated[LedgerQuery, Query()]) -> Response:
    """Return per sensor and hour what each destination holds of what was accepted."""
    context = context_of(request)
    between = _hours(request, query)
    found = (
        []
        if context.cursors is None
        else context.cursors.balances(sensor=query.station, since=between[0], until=between[1])
    )
    # The books move on their own, not with the store; so they take part in the tag.
    books = hashlib.sha256(repr(found).encode()).hexdigest()

    def read(key: Key, _rules: Rulebook) -> Found:
        rows = [item._asdict() for item in found if (item.hour, item.sensor, item.sink) > key]
        items = [_balance(row) for row in rows[: query.limit]]
        following = _following(rows, query.limit, "hour", "sensor", "sink")
        return Found(from_rows(BalanceItem, items), following)

    return Asked(request, query, (BEFORE_ALL, "", ""), between, books).answer(read)


@router.get("/quarantine", response_model=Page[QuarantineItem], tags=["ledger"])
def get_quarantine(request: Request, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """Return what could not be used and why; never the bytes, which may hold private things."""
    between = _hours(request, query)
    asked = Asked(request, query, (BEFORE_ALL, -1, -1), between)

    def read(key: Key, _rules: Rulebook) -> Found:
        rows = queries_quarantine.quarantine_page(
            context_of(request).reader,
            QuarantineFilter(query.station, query.code, query.state),
            between=between,
            after=(int(key[0]), int(key[1]), int(key[2])),
            limit=asked.page_rows,
        )
        items = [_held(row) for row in rows[: query.limit]]
        following = _following(rows, query.limit, "received_at", "entry", "position")
        return Found(from_rows(QuarantineItem, items), following)

    return asked.answer(read)


def _hours(request: Request, query: LedgerQuery) -> tuple[int, int]:
    return period(query.first, query.until, context_of(request).clock.now_ns())


def _following(rows: Sequence[Row], limit: int, *names: str) -> Key | None:
    """Return the key of the last row of a page where others follow."""
    return tuple(rows[limit - 1][name] for name in names) if len(rows) > limit else None


def _balance(row: Row) -> dict[str, Any]:
    balance = Balance(**row)
    return {
        "sink": balance.sink,
        "station": balance.sensor,
        "hour": balance.hour,
        "accepted": balance.accepted if balance.compared else None,
        "stored": balance.stored,
        "refused": balance.refused,
        "balanced": not balance.missing if balance.compared else None,
    }


def _held(row: Row) -> dict[str, Any]:
    names = ("id", "received_at", "source", "route", "code", "detail", "bytes", "state",
             "changed_at")  # fmt: skip
    return {
        **{name: row[name] for name in names},
        "station": row["sensor"],
        "meaning": CODES.get(row["code"], ""),
    }
