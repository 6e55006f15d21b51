# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over the ledger and quarantine."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lamppost.quarantine import CODES
from lamppost_app.cursors import Balance
from lamppost_app.ledger_reading import is_balanced
from sinks.store_reader import Row

from . import queries_data, queries_quarantine
from .api_answers import ANSWERS, BEFORE_ALL, answer, decoded_key, instant_text, time_range
from .api_models import BalanceItem, LedgerItem, Page, QuarantineItem
from .api_queries import LedgerQuery, QuarantineQuery
from .context import context_of
from .queries_quarantine import QuarantineFilter

router = APIRouter(prefix="/api/v1", responses=ANSWERS)


@router.get("/ledger", response_model=Page[LedgerItem], tags=["ledger"])
def get_ledger(request: Request, query: Annotated[LedgerQuery, Query()]) -> Response:
    """Return what arrived per door, sensor and hour, and what became of it."""
    hour, source, sensor = decoded_key(query.after, (BEFORE_ALL, "", ""))
    rows = queries_data.ledger_page(
        context_of(request).reader,
        query.station,
        between=time_range(request, query.first, query.until),
        after=(int(hour), str(source), str(sensor)),
        limit=query.limit + 1,
    )
    return answer(
        request,
        rows,
        lambda row: {**row, "hour": instant_text(row["hour"]), "balanced": is_balanced(row)},
        lambda row: (row["hour"], row["source"], row["station"]),
        query.limit,
    )


@router.get("/ledger/sinks", response_model=Page[BalanceItem], tags=["ledger"])
def get_balances(request: Request, query: Annotated[LedgerQuery, Query()]) -> Response:
    """Return per sensor and hour what each destination holds of what was accepted."""
    context = context_of(request)
    first, until = time_range(request, query.first, query.until)
    after = decoded_key(query.after, (BEFORE_ALL, "", ""))
    found = (
        []
        if context.cursors is None
        else context.cursors.balances(sensor=query.station, since=first, until=until)
    )
    rows = [item._asdict() for item in found if (item.hour, item.sensor, item.sink) > after]
    # The books move on their own, not with the store; so they take part in the tag.
    version = str(max((item.compared for item in found), default=0))
    return answer(
        request,
        rows[: query.limit + 1],
        _balance,
        lambda row: (row["hour"], row["sensor"], row["sink"]),
        query.limit,
        version=version,
    )


@router.get("/quarantine", response_model=Page[QuarantineItem], tags=["ledger"])
def get_quarantine(request: Request, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """Return what could not be used and why; never the bytes, which may hold private things."""
    received, entry, position = decoded_key(query.after, (BEFORE_ALL, -1, -1))
    rows = queries_quarantine.quarantine_page(
        context_of(request).reader,
        QuarantineFilter(query.station, query.code, query.state),
        between=time_range(request, query.first, query.until),
        after=(int(received), int(entry), int(position)),
        limit=query.limit + 1,
    )
    return answer(
        request,
        rows,
        _held,
        lambda row: (row["received_at"], row["entry"], row["position"]),
        query.limit,
    )


def _balance(row: Row) -> dict[str, Any]:
    balance = Balance(**row)
    return {
        "sink": balance.sink,
        "station": balance.sensor,
        "hour": instant_text(balance.hour),
        "accepted": balance.accepted if balance.compared else None,
        "stored": balance.stored,
        "refused": balance.refused,
        "balanced": not balance.missing if balance.compared else None,
    }


def _held(row: Row) -> dict[str, Any]:
    changed_at = row["changed_at"]
    return {
        "id": row["id"],
        "received_at": instant_text(row["received_at"]),
        "source": row["source"],
        "route": row["route"],
        "station": row["sensor"],
        "code": row["code"],
        "meaning": CODES.get(row["code"], ""),
        "detail": row["detail"],
        "bytes": row["bytes"],
        "state": row["state"],
        "changed_at": None if changed_at is None else instant_text(changed_at),
    }
