# SPDX-License-Identifier: EUPL-1.2
"""The public table of limits in the open-data release."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from pathlib import Path

import numpy as np

from lamppost_app.portal.compliance_release import ComplianceRelease
from sinks.open_data import fields
from sinks.open_data.handed_over import FOLDER
from sinks.open_data.sink import OpenDataSettings, OpenDataSink
from tests.unit.portal.conftest import MakePortal, Portal
from tests.unit.portal.limits_city import (
    KEYS,
    NOW,
    YEAR_BEGAN,
    write,
)
from tests.unit.portal.measured_years import (
    hours_entry,
    rules_entry,
    series_entry,
)


# ---- the release
def test_the_table_is_left_for_the_release_and_taken_in(city: Portal, tmp_path: Path) -> None:
    """The portal leaves it, the open-data sink publishes it with its hash; once for each change."""
    context = city.context
    release = ComplianceRelease(context, threading.Event())
    release.look()
    left = context.settings.data.dir / FOLDER
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)
    path = tmp_path / "open" / "compliance" / "year=2026" / "compliance.csv"
    first = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    write(city, hours_entry(5, {0: np.full(24, 20.0)}, YEAR_BEGAN, revision=1))
    release.look()
    sink.write([rules_entry(2)], 2)
    second = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))

    def count(rows: list[dict[str, str]]) -> list[str]:
        key = ("aq-1", "eu_2008_50", "pm10_day")
        return [r["exceedances"] for r in rows if (r["station"], r["rule_set"], r["rule"]) == key]

    assert (count(first), count(second)) == (["23"], ["22"])
    assert first[0].keys() == {field.name for field in fields.COMPLIANCE.fields}
    descriptor = json.loads((tmp_path / "open" / "datapackage.json").read_text(encoding="utf-8"))
    described = {found["path"]: found for found in descriptor["resources"]}
    resource = described["compliance/year=2026/compliance.csv"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (resource["hash"], resource["bytes"]) == (f"sha256:{digest}", path.stat().st_size)


def test_a_table_without_dates_and_days_is_published_too(
    make_portal: MakePortal, tmp_path: Path
) -> None:
    """In January there is nothing to project and nothing above."""
    portal = make_portal(seeded=False, now=NOW)
    write(portal, rules_entry(1), series_entry(2, KEYS[:1]))
    write(portal, hours_entry(3, {0: np.full(24 * 40, 20.0)}, YEAR_BEGAN))
    ComplianceRelease(portal.context, threading.Event()).look()
    left = portal.context.settings.data.dir / FOLDER
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)

    path = tmp_path / "open" / "compliance" / "year=2026" / "compliance.csv"
    found = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert {(row["projected"], row["exceeded_on"], row["status"]) for row in found} == {
        ("", "", "not_enough_data")
    }


def test_what_was_left_broken_costs_only_itself(tmp_path: Path) -> None:
    """The release goes on without it."""
    left = tmp_path / "left"
    left.mkdir()
    (left / "compliance-2026.parquet").write_bytes(b"no table")
    (left / "something-else.txt").write_text("no")
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)

    assert not (tmp_path / "open" / "compliance").exists()
    assert (tmp_path / "open" / "datapackage.json").is_file()


def test_a_portal_that_stops_does_not_wait_for_the_table(city: Portal) -> None:
    """Reading years takes long, stopping must not."""
    city.context.compliance.stop()

    page, answer = city.get("/compliance"), city.get("/api/v1/compliance")

    assert (page.status_code, answer.status_code) == (503, 503)
    assert "being worked out" in page.text
    assert answer.headers["retry-after"] == "5"
