# SPDX-License-Identifier: EUPL-1.2
"""Labels as NDJSON, one fault or event to a line, for scoring detectors against the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from .faults import FaultLabel


def to_ndjson(labels: Iterable[FaultLabel]) -> bytes:
    """Return labels as newline-delimited JSON."""
    lines = [json.dumps(asdict(label), ensure_ascii=False) + "\n" for label in labels]
    return "".join(lines).encode()


def from_ndjson(text: bytes) -> list[FaultLabel]:
    """Read labels back from newline-delimited JSON."""
    return [FaultLabel(**json.loads(line)) for line in text.splitlines() if line.strip()]
