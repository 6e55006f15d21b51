# SPDX-License-Identifier: EUPL-1.2
"""Messages read together mean what each means alone, also the second time they are seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats import native_json
from ingest.formats.native_json import NativeJson
from lamppost.decoded import Decoded, Key, Measurement, Shapes
from lamppost.frames import Deliveries

NAMES = st.sampled_from(["pm10", "no2", "co"])
PAIRS = st.dictionaries(st.sampled_from(["lane", "channel"]), st.sampled_from("ab"), max_size=2)
MESSAGES = st.fixed_dictionaries(
    {
        "sensor": st.sampled_from(["aq-1", "aq-2"]),
        "values": st.dictionaries(NAMES, st.none() | st.integers(0, 9), min_size=1),
    },
    optional={
        "time": st.sampled_from(["2026-11-21T21:00:00Z", "yesterday", 1_795_294_800, 0.5]),
        "units": st.dictionaries(NAMES, st.sampled_from(["ppb", "ug/m3"]), max_size=2),
        "qualifiers": PAIRS,
    },
)
Reading = tuple[int, Measurement, int, str]


def decode(messages: list[object], out: Decoded) -> list[Reading]:
    """Return the readings of one frame."""
    frame = Deliveries()
    for message in messages:
        frame.add("v1/x/readings", json.dumps(message).encode(), 0, source="mqtt")
    NativeJson().decode(frame, range(len(frame)), out)
    meanings = out.measurements()
    columns = zip(*map(np.ndarray.tolist, out.columns()), strict=True)
    return [(row, meanings[number], time, repr(value)) for row, number, time, value in columns]


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=6))
def test_a_frame_means_what_its_messages_mean_alone(messages: list[object]) -> None:
    """In the same order, and again when every shape of message is known."""
    interned: dict[Key, int] = {}
    shapes: Shapes = {}

    first = decode(messages, Decoded(interned, shapes))
    second = decode(messages, Decoded(interned, shapes))

    alone = [
        (row, *reading[1:])
        for row, message in enumerate(messages)
        for reading in decode([message], Decoded())
    ]
    assert first == second == alone


def test_what_is_remembered_of_messages_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that invent names for ever cost no memory here, and are still read."""
    monkeypatch.setattr(native_json, "_SHAPES_KEPT", 3)
    out = Decoded()
    messages: list[object] = [
        {"sensor": f"aq-{number}", "values": {"pm10": number}} for number in range(20)
    ]

    readings = decode(messages, out)

    assert [meaning.sensor for _, meaning, _, _ in readings] == [f"aq-{n}" for n in range(20)]
    assert len(out.shapes) <= 3
