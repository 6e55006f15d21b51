# SPDX-License-Identifier: EUPL-1.2
"""What a laboratory finds on filters: from its table through the engine to the public one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.files import FileWishes, archives
from ingest.formats.archive_columns import archive_bytes
from lamppost import log
from lamppost.frames import Deliveries
from lamppost.imports import IMPORT_ROUTE, IMPORT_SOURCE
from lamppost.log import Entry, Record
from lamppost.times import DAY_NS, format_instant, parse_instant
from lamppost_app.engine import Engine
from tests.unit.portal.conftest import MakePortal
from tests.unit.portal.measured_years import POLICY

BEGAN = parse_instant("2025-01-01T00:00:00+01:00")
NOW = parse_instant("2026-02-01T09:00:00Z")


def table(folder: Path) -> Path:
    """Write a year of a laboratory: arsenic every second day, benzo(a)pyrene every third, lead."""
    lines = ["station,time,quantity,value,unit"]
    for day in range(365):
        time = format_instant(BEGAN + day * DAY_NS)
        if day % 2 == 0:
            lines.append(f"market,{time},As,7.2,ng/m³")
        if day % 3 == 0:
            lines.append(f"market,{time},BaP,0.0004,µg/m³")
        lines.append(f"market,{time},lead,6,ng/m3")
    path = folder / "laboratory.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def imported(path: Path) -> list[Entry]:
    """Return what the engine says of a table."""
    engine, said = Engine(), []
    records = [Record(log.POLICY, NOW, POLICY.canonical().encode())]
    for archive in archives([str(path)], FileWishes()):
        for part in archive.parts():
            assert part.said is not None
            assert not part.said.refused
            rows = part.said
            payload = archive_bytes(rows.meanings, rows.meaning, rows.time, rows.value)
            frame = Deliveries()
            frame.add(IMPORT_ROUTE, payload, NOW, source=IMPORT_SOURCE, headers='{"file":"f"}')
            records.append(Record(log.FRAME, NOW, frame.to_bytes()))
    records.append(Record(log.TICK, NOW, b""))
    for number, record in enumerate(records, start=1):
        said += engine.apply(Entry(number, *record))
    return [Entry(number, *record) for number, record in enumerate(said, start=1)]


def test_filters_of_a_year_are_held_against_the_limits_of_their_substances(
    make_portal: MakePortal, tmp_path: Path
) -> None:
    """Annual means of days, in ng/m3 for all but lead, with the capture of 2004/107/EC."""
    portal = make_portal(seeded=False, now=NOW)
    said = imported(table(tmp_path))
    portal.context.store.write(said, said[-1].seq)

    answer = portal.get("/api/v1/compliance?year=2025&rule_set=eu_2008_50&limit=10000").json()

    found = {row["rule"]: row for row in answer["items"]}
    assert set(found) == {"arsenic_year", "benzo_a_pyrene_year", "lead_year"}
    assert {name: row["status"] for name, row in found.items()} == {
        "arsenic_year": "exceeded", "benzo_a_pyrene_year": "met", "lead_year": "met",
    }  # fmt: skip
    assert found["arsenic_year"]["value"] == pytest.approx(7.2)
    assert found["arsenic_year"]["capture"] == pytest.approx(183 / 365)
    assert found["benzo_a_pyrene_year"]["value"] == pytest.approx(0.4)
    assert found["lead_year"]["value"] == pytest.approx(0.006)
    assert found["arsenic_year"]["sentence"] == (
        "Arsenic: mean of the year 7.2 ng/m³; the limit is 6 ng/m³."
    )
