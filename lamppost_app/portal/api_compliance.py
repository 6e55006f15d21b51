# SPDX-License-Identifier: EUPL-1.2
"""The public programming interface over compliance with limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import pyarrow as pa
import pyarrow.compute
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sinks.store_reader import Row

from .api_answers import Asked, Found, Key, store_problems
from .api_columns import WORD_SEPARATOR, from_columns
from .api_models import ComplianceItem, Page
from .api_openapi import ANSWERS
from .api_queries import ComplianceQuery
from .compliance_book import YearTable
from .compliance_words import exceeded_on, sentence
from .context import context_of
from .problem_types import wrong_parameter
from .rulebook import Rulebook

router = APIRouter(prefix="/api/v1", responses=ANSWERS)
_kernels: Any = pyarrow.compute
_CHOICES: Final = ("station", "quantity", "area", "rule_set", "rule", "status")
_KEY: Final = ("station", "quantity", "qualifiers", "rule_set", "rule")


@router.get("/compliance", response_model=Page[ComplianceItem], tags=["compliance"])
def get_compliance(request: Request, query: Annotated[ComplianceQuery, Query()]) -> Response:
    """Return a year of each station held against laws and guidelines, by station and rule."""
    with store_problems():
        found = context_of(request).compliance_of(query.year)
    known = found.compliance.sets
    if query.rule_set and query.rule_set not in known:
        raise wrong_parameter("rule_set", f"one of {', '.join(known) or 'none'}")
    asked = Asked(request, query, ("",) * len(_KEY), state=found.version, only_state=True)

    def read(key: Key, rules: Rulebook) -> Found:
        rows = chosen(found, {name: getattr(query, name) for name in _CHOICES})
        if query.after and rows.num_rows:
            rows = rows.filter(_behind(rows, key))
        page, following = asked.page(
            rows.slice(0, asked.page_rows),
            lambda row: tuple(rows.column(name)[row].as_py() for name in _KEY),
        )
        return Found(published(found, page, rules), following)

    return asked.answer(read)


def chosen(found: YearTable, wanted: Mapping[str, str]) -> pa.Table:
    """Return the rows whose columns hold what is wanted; nothing wanted means any."""
    table = found.table
    for name, value in wanted.items():
        if value and table.num_rows:
            table = table.filter(_kernels.equal(table.column(name), value))
    return table


def published(found: YearTable, page: pa.Table, rules: Rulebook) -> pa.Table:
    """Return rows as they are published, with their days and in words."""
    rows: list[Row] = page.to_pylist()
    days = [WORD_SEPARATOR.join(exceeded_on(found.exceedances(row))) for row in rows]
    given = {
        "exceeded_on": pa.array(days, pa.string()),
        "sentence": pa.array([sentence(row, found.rule(row), rules) for row in rows], pa.string()),
        "policy": rules.policy,
    }
    return from_columns(ComplianceItem, page, given)


def _behind(rows: pa.Table, key: Key) -> Any:  # noqa: ANN401 - an Arrow mask
    """Return which rows come after a key, compared column by column."""
    after: Any = pa.scalar(False)
    for name, value in zip(reversed(_KEY), reversed(key), strict=True):
        column = rows.column(name)
        same = _kernels.and_(_kernels.equal(column, value), after)
        after = _kernels.or_(_kernels.greater(column, value), same)
    return after
