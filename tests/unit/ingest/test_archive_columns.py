# SPDX-License-Identifier: EUPL-1.2
"""Messages of imported rows: what was put in comes out, and bytes that lie are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.archive_columns import ArchiveColumns, archive_bytes
from lamppost.decoded import Decoded, Measurement
from lamppost.frames import Deliveries
from lamppost.imports import IMPORT_ROUTE
from lamppost.times import BAD_TIME, NO_TIME

MEANINGS = [
    Measurement("aq-1", "pm10"),
    Measurement("aq-2", "no2", "channel=a;lane=ü", "ppb"),
    Measurement("aq-3", "co2"),
]
GOOD = archive_bytes(MEANINGS, np.array([1, 1, 0]), np.array([10, 20, 30]), np.array([1.0, 2, 3]))


def decode(*payloads: bytes) -> Decoded:
    """Return what messages say."""
    frame = Deliveries()
    for payload in payloads:
        frame.add(IMPORT_ROUTE, payload, 0, source="import")
    out = Decoded()
    ArchiveColumns().decode(frame, range(len(frame)), out)
    return out


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 4 * 10**18), st.floats(width=64, allow_nan=True)
        ),
        min_size=1,
        max_size=50,
    )
)
@settings(deadline=None)
def test_readings_come_out_as_they_were_put_in(rows: list[tuple[int, int, float]]) -> None:
    """To the last bit."""
    meaning, time, value = (np.array(column) for column in zip(*rows, strict=True))

    out = decode(archive_bytes(MEANINGS, meaning, time, value.astype(np.float64)))

    named = out.measurements()
    columns = out.columns()
    assert [named[number] for number in columns.meaning] == [MEANINGS[row[0]] for row in rows]
    assert columns.time.tolist() == [row[1] for row in rows]
    assert columns.value.tobytes() == value.astype(np.float64).tobytes()
    assert not out.refused


def test_rows_that_are_no_readings_are_refused_one_by_one() -> None:
    """With their line, beside the readings of the same message."""
    nothing = np.empty(0, np.int64)
    refused = [(7, "malformed", "x is not a number", "1;x"), (9, "time_implausible", "when", "")]

    out = decode(archive_bytes([], nothing, nothing, np.empty(0), refused))

    assert [(one.code, one.detail) for one in out.refused] == [
        ("malformed", "line 7: x is not a number: 1;x"),
        ("time_implausible", "when"),
    ]


def head_of(**changed: object) -> bytes:
    """Return the good message with another head."""
    head, _, body = GOOD.partition(b"\n")
    return json.dumps({**json.loads(head), **changed}).encode() + b"\n" + body


@pytest.mark.parametrize(
    "payload",
    [
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.partition(b"\n")[0],
        head_of(rows=2),
        head_of(rows=-1),
        head_of(rows=1e9),
        head_of(meanings=[]),
        head_of(meanings=[["..", "pm10", "", None], ["aq-2", "no2", "", None]]),
        head_of(meanings=[["aq-1", "pm10", "a", None], ["aq-2", "no2", "", None]]),
        head_of(refused=[[1, "engine_error", "", ""]]),
        head_of(more=1),
    ],
)
def test_bytes_that_lie_about_themselves_are_refused(payload: bytes) -> None:
    """Whole, without a reading, and no neighbour is harmed."""
    out = decode(GOOD, payload, GOOD)

    assert [one.delivery for one in out.refused] == [1]
    assert out.columns().delivery.tolist() == [0, 0, 0, 2, 2, 2]


def test_instants_beyond_all_centuries_are_no_times() -> None:
    """They are left to the decoder to refuse; none wraps around."""
    time = np.array([2**63 - 1, -(2**62), NO_TIME])

    out = decode(archive_bytes(MEANINGS, np.array([0, 0, 0]), time, np.array([1.0, 1, 1])))

    assert out.columns().time.tolist() == [BAD_TIME, BAD_TIME, NO_TIME]
