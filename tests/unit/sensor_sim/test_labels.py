# SPDX-License-Identifier: EUPL-1.2
"""Labels survive the way through NDJSON."""

from __future__ import annotations

import json

from sensor_sim.events import EventKind
from sensor_sim.faults import FaultKind, FaultLabel
from sensor_sim.labels import from_ndjson, to_ndjson

LABELS = [
    FaultLabel("aq-001", "pm2_5", FaultKind.STUCK, 1, 2, "in der Mühlgasse"),
    FaultLabel("tr-001", None, EventKind.TRAFFIC_INCIDENT, 3, 4),
]


def test_labels_read_back_as_they_were_written() -> None:
    """Every field is equal after the round trip."""
    assert from_ndjson(to_ndjson(LABELS)) == LABELS


def test_each_label_is_one_line_of_json() -> None:
    """A line alone is a whole object."""
    lines = to_ndjson(LABELS).decode().splitlines()

    assert [json.loads(line)["kind"] for line in lines] == ["stuck", "traffic_incident"]


def test_events_are_no_faults() -> None:
    """Only the first label names something broken."""
    assert [label.is_fault for label in LABELS] == [True, False]
