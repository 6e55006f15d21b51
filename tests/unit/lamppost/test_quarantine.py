# SPDX-License-Identifier: EUPL-1.2
"""Quarantine keeps the bytes and says why."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.quarantine import QUARANTINE_SCHEMA, Refusal
from lamppost.refusal_codes import CODES


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_in_a_sentence(code: str) -> None:
    """Owners of devices read the sentence, programs the code."""
    assert re.fullmatch(r"[a-z][a-z_]*", code)
    assert re.fullmatch(r"[A-Z].*\.", CODES[code])


def test_hostile_bytes_come_back_as_they_were() -> None:
    """A payload is kept byte for byte."""
    row = {
        "received_at": 1,
        "source": "mqtt",
        "route": "a/\x00b",
        "headers": None,
        "payload": bytes(range(256)),
        "sensor": "",
        "code": "malformed",
        "detail": "not JSON",
    }

    batch = pa.RecordBatch.from_pylist([row], schema=QUARANTINE_SCHEMA)

    assert arrow_batch(arrow_bytes(batch)).to_pylist() == [row]


def test_a_refusal_needs_no_sensor() -> None:
    """Often it cannot be read."""
    assert Refusal(3, "malformed", "not JSON").sensor == ""
