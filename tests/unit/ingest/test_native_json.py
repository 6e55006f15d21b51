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
        "time": st.sampled_from(["2026-11-21T21:00:00Z", "yesterday", "", 1_795_294_800, 0.5]),
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
@given(st.lists(MESSAGES, max_size=6), st.sampled_from([2, 1024]))
def test_a_frame_means_what_its_messages_mean_alone(messages: list[object], together: int) -> None:
    """In the same order, and again when every shape of message is known."""
    interned: dict[Key, int] = {}
    shapes: Shapes = {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_json, "_TOGETHER", together)
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


def poison(payload: bytes) -> list[tuple[str, str, str]]:
    """Decode a payload between two good ones; return code, detail and sensor of what is refused."""
    deliveries, out = Deliveries(), Decoded()
    good = b'{"sensor":"aq-1","time":"2026-11-21T21:00:00Z","values":{"pm10":1}}'
    for one in (good, payload, good):
        deliveries.add("v1/aq-1/readings", one, 0, source="mqtt")
    NativeJson().decode(deliveries, range(3), out)
    assert {0, 2} <= set(out.columns().delivery.tolist())
    assert all(refusal.delivery == 1 for refusal in out.refused)
    return [(refusal.code, refusal.detail, refusal.sensor) for refusal in out.refused]


@pytest.mark.parametrize("levels", [201, 1_000, 100_000])
@pytest.mark.parametrize(
    "shape", [(b'{"values":', b"[", b"]", b"}"), (b'{"a":', b'{"a":', b"}", b":1}}")]
)
def test_what_is_nested_too_deep_is_refused_by_its_own_code(
    levels: int, shape: tuple[bytes, bytes, bytes, bytes]
) -> None:
    """However deep; neighbours go on."""
    before, opening, closing, after = shape
    body = before + opening * levels + (b"1" if closing == b"}" else b"") + closing * levels

    ((code, detail, _),) = poison(body + after[:1] * (opening == b"[") + b"}" * (opening != b"["))

    assert code == "too_deep"
    assert "recursion limit" in detail


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b'{"sensor":"a","sensor":"b","values":{"pm10":1}}', "sensor"),
        (b'{"sensor":"a","values":{"pm10":1,"pm10":2}}', "pm10"),
        (b'{"sensor":"a","values":{"pm10":1},"values":{"no2":2}}', "values"),
        (b'{"sensor":"a","values":{"pm10":1},"units":{"pm10":"x","pm10":"ug/m3"}}', "pm10"),
        (b'{"sensor":"a","values":{"pm10":1},"qualifiers":{"l":"1","l":"2"}}', "l"),
        (
            b'{"sensor":"a","time":["2026"],"time":[1],"values":{"pm10":[1]}}',
            "time",
        ),
        (b'{"sensor":"a","values":{"pm10":1,"\\u0070m10":2}}', "pm10"),
    ],
)
def test_what_names_something_twice_is_refused(payload: bytes, name: str) -> None:
    """Nobody can know which of the two was meant."""
    ((code, detail, sensor),) = poison(payload)

    assert code == "duplicate_key"
    assert detail == f"{name!r} stands twice"
    assert sensor in {"a", "b"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sensor":"a\\"b","values":{"pm10":1}}',
        b'{"sensor":"a","values":{"pm10":1},"units":{"pm10":"ug/m3"},"qualifiers":{"l":"\\"1\\""}}',
        b'{"sensor":"a","time":["2026-11-21T21:00:00Z",1795294800],"values":{"pm10":[1,2]}}',
        b'{"sensor":"a\\"b","values":{"pm10":' + b"9" * 4000 + b"}}",
        b' { "sensor" : "a" , "values" : { "pm10" : 1 , "no2" : null } } ',
    ],
)
def test_escaped_quotation_marks_are_no_second_name(payload: bytes) -> None:
    """Only names count."""
    assert poison(payload) == []


def test_too_many_numbers_in_one_message_are_refused_whole() -> None:
    """A month of minutes fits, of two quantities not."""
    times = list(range(1_795_294_800, 1_795_294_800 + 60 * 43_200, 60))
    values = {"pm10": [1] * 43_200}
    fits = json.dumps({"sensor": "a", "time": times, "values": values}).encode()
    values["no2"] = values["pm10"]
    too_many = json.dumps({"sensor": "a", "time": times, "values": values}).encode()

    assert poison(fits) == []
    ((code, _, sensor),) = poison(too_many)
    assert (code, sensor) == ("too_many_values", "a")
