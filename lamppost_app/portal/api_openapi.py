# SPDX-License-Identifier: EUPL-1.2
"""What the OpenAPI document says beyond routes and models: formats, headers, problems, examples."""

from __future__ import annotations

from typing import Any, Final

from .api_formats import Form
from .api_limits import MAX_ROWS, MAX_WINDOWS
from .problem_types import PROBLEMS, type_uri

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_HEADERS: Final[dict[str, Any]] = {
    "ETag": {
        "description": "Strong; for If-None-Match.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "RFC 8288: license, service-desc, service-doc, next where rows follow, and"
        " of CSV describedby (CSVW).",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "Requests left to this client.",
        "schema": {"type": "string"},
    },
}


def _problem_answer(*names: str) -> dict[str, Any]:
    examples = {
        name: {
            "value": {
                "type": type_uri(name),
                "title": PROBLEMS[name].title,
                "status": PROBLEMS[name].status.value,
                "detail": PROBLEMS[name].remedy,
                "instance": "/api/v1/aggregates",
            }
        }
        for name in names
    }
    content = {"application/problem+json": {"schema": _PROBLEM, "examples": examples}}
    return {"description": "; ".join(PROBLEMS[name].title for name in names), "content": content}


PROBLEM_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem_answer("invalid-page-token"),
    406: _problem_answer("not-acceptable"),
    422: _problem_answer("invalid-parameters", "span-too-long"),
    429: _problem_answer("too-many-requests"),
    503: _problem_answer("query-timed-out", "unavailable"),
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": _HEADERS,
        "content": {
            Form.CSV.media_type: {"schema": {"type": "string"}},
            Form.PARQUET.media_type: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    304: {"description": "Nothing changed since the ETag.", "headers": _HEADERS},
    **PROBLEM_ANSWERS,
}
_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["parameter", "code", "detail"],
                "properties": {
                    "parameter": {"type": "string"},
                    "code": {"enum": ["unknown", "invalid", "repeated"]},
                    "detail": {"type": "string"},
                    "known": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}

_SERIES: Final = {
    "station": "aq-017",
    "quantity": "pm2_5",
    "qualifiers": "",
    "area": "Centre",
    "unit": "ug/m3",
}
_WINDOW: Final = {
    **_SERIES,
    "window": "1h",
    "start": "2026-11-21T20:00:00Z",
    "end": "2026-11-21T21:00:00Z",
    "start_local": "2026-11-21T21:00:00+01:00",
    "end_local": "2026-11-21T22:00:00+01:00",
    "revision": 1,
    "count": 59,
    "expected": 60.0,
    "coverage": 0.98,
    "mean": 12.4,
    "min": 9.8,
    "max": 17.1,
    "sd": 1.7,
    "total": 731.6,
    "first": 11.9,
    "last": 12.8,
    "q05": 10.1,
    "q25": 11.2,
    "q50": 12.3,
    "q75": 13.4,
    "q95": 15.9,
    "time_weighted": 12.4,
    "harmonic": None,
    "volume_weighted": None,
    "resultant": None,
    "rate": None,
    "suspect": 2,
    "excluded": 1,
    "flag": "good",
    "method": "2",
    "policy": "0123456789ab",
    "validity": 1,
    "verification": 3,
}
_LATEST: Final[dict[str, Any]] = {
    **_SERIES,
    "time": "2026-11-21T20:59:00Z",
    "time_local": "2026-11-21T21:59:00+01:00",
    "received_at": "2026-11-21T20:59:00.412Z",
    "value": 12.8,
    "flag": "good",
    "reasons": [],
    "score": 0.4,
    "expected": 12.1,
    "band_low": 6.0,
    "band_high": 18.0,
    "revision": 0,
    "uncertainty": None,
    "method": None,
    "policy": "0123456789ab",
    "validity": 1,
    "verification": 3,
}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "series": {
        **_SERIES,
        "first_at": "2026-01-01T00:00:00Z",
        "last_at": "2026-11-21T20:59:00Z",
        "windows": ["1min", "1h", "day"],
        "clock": "behind",
        "clock_skew_s": 7.2,
        "clock_spread_s": 0.4,
        "clock_readings": 5,
        "clock_until": "2026-11-21T20:50:00Z",
    },
    "latest": _LATEST,
    "aggregates": _WINDOW,
    "aggregates/history": _WINDOW,
}


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add the problem's schema, limits and examples to a document."""
    document["components"]["schemas"]["Problem"] = _SCHEMA
    document["info"]["description"] += (
        f"\n\nA page has at most {MAX_ROWS:,} rows; a question covers at most {MAX_WINDOWS:,}"
        " lengths of its window. How long a question may take and how often a client may ask"
        " stands in `limits` of every JSON answer. Every GET answers HEAD as well."
    )
    document["externalDocs"] = {"description": "Explained for people", "url": "/api"}
    for name, item in _EXAMPLES.items():
        content = document["paths"][f"/api/v1/{name}"]["get"]["responses"]["200"]["content"]
        example = {
            "items": [item],
            "next": None,
            "licence": "https://creativecommons.org/licenses/by/4.0/",
            "publisher": "Lampenfeld city administration",
            "time_zone": "Europe/Berlin",
            "gas_conditions": "20 °C and 101.325 kPa (EU)",
            "policy": "0123456789ab",
            "limits": {
                "rows": MAX_ROWS,
                "windows": MAX_WINDOWS,
                "timeout_s": 10.0,
                "requests_per_s": 20.0,
                "requests_at_once": 200,
            },
        }
        content["application/json"]["example"] = example
    return document
