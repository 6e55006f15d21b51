# SPDX-License-Identifier: EUPL-1.2
"""Whatever the OpenAPI document allows, and much that it does not, gets an answer it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost_app.portal.api_history import TABLES
from lamppost_app.portal.problem_types import PROBLEMS
from tests.unit.portal.conftest import Portal

ROOT = Path(__file__).resolve().parents[3]
# Values the seeded city knows, so that not every question comes to nothing.
KNOWN = ["aq-001", "tr-001", "pm2_5", "vehicle_count", "Centre", "air_quality", "lane=1", "1h",
         "1min", "day", "2026-11-21T20:00:00Z", "2026-11-22T00:00:00+01:00"]  # fmt: skip
ACCEPT = ["*/*", "text/csv", "application/vnd.apache.parquet", "image/png", "text/csv;q=x", ";,"]


def values_of(parameter: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return values a parameter may have, and some it may not."""
    schema = parameter["schema"]
    kinds = [schema, *schema.get("anyOf", ())]
    named = [value for kind in kinds for value in kind.get("enum", ())]
    named += [*schema.get("examples", ()), *KNOWN]
    if any(kind.get("type") == "integer" for kind in kinds):
        return st.one_of(st.integers(1, 50), st.integers()).map(str)
    return st.one_of(st.sampled_from(named), st.text(max_size=20))


def questions(operation: dict[str, Any]) -> st.SearchStrategy[dict[str, str]]:
    """Return what an operation may be asked, now and then with a name it does not know."""
    given_names = {
        item["name"]: values_of(item)
        for item in operation.get("parameters", ())
        if item["in"] == "query"
    }
    return st.fixed_dictionaries(
        {}, optional={**given_names, "unknown": st.just("1") if given_names else st.nothing()}
    )


def check(document: dict[str, Any], operation: dict[str, Any], answer: httpx.Response) -> None:
    """Hold an answer to what the document says about its status and media type."""
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{answer.request.url} answered {answer.status_code}"
    assert answer.status_code < 500
    if answer.status_code == 304:
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in described["content"]
    if kind.endswith("json"):
        schema = {**described["content"][kind]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.parametrize("path", [f"/api/v1/{table}" for table in TABLES])
def test_every_answer_is_one_the_document_describes(portal: Portal, path: str) -> None:
    """Against the real application over a real store: no 5xx, and every body fits its schema."""
    document = portal.get("/api/v1/openapi.json").json()
    operation = document["paths"][path]["get"]

    @settings(
        max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(questions(operation), st.sampled_from(ACCEPT))
    def ask(query: dict[str, str], accept: str) -> None:
        address = f"{path}?{urlencode(query, quote_via=quote, errors='replace')}"
        check(document, operation, portal.get(address, headers={"Accept": accept}))

    ask()


@pytest.mark.parametrize("table", TABLES)
def test_examples_fit_their_schemas(portal: Portal, table: str) -> None:
    """Those people copy from."""
    document = portal.get("/api/v1/openapi.json").json()
    content = document["paths"][f"/api/v1/{table}"]["get"]["responses"]["200"]["content"]

    schema = {**content["application/json"]["schema"], "components": document["components"]}
    example = content["application/json"].get("example", None)
    if example is not None:
        jsonschema.Draft202012Validator(schema).validate(example)
    assert set(content) >= {"application/json", "text/csv", "application/vnd.apache.parquet"}


def test_the_documentation_lists_every_problem_and_address(portal: Portal) -> None:
    """With the same words as the portal."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

    for name, kind in PROBLEMS.items():
        row = f"| `/api/problems#{name}` | {kind.status.value} | {kind.title}. {kind.remedy} |"
        assert row in page
    assert [table for table in TABLES if f"`/api/v1/{table}`" not in page] == []
