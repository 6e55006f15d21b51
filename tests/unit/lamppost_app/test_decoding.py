# SPDX-License-Identifier: EUPL-1.2
"""From a frame to a batch: routes, codes, units and time, each mistake costing only itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats.native_json import NativeJson
from lamppost.decoded import Decoded
from lamppost.flags import (
    MISSING,
    MISSING_VALUE,
    NOT_EVALUATED,
    SUSPECT,
    TIME_IMPLAUSIBLE,
    TIME_MISSING,
)
from lamppost.frames import Deliveries
from lamppost.policy import Policy, parse_policy
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import SECOND_NS, parse_instant
from lamppost_app.admission import Admission
from lamppost_app.decoding import TOO_LARGE_HEADER, DecodedFrame, Decoder

RECEIVED = parse_instant("2026-11-21T21:00:00Z")
TOPIC = "v1/aq-017/readings"


class Lines:
    """A format of the tests' own: ``sensor quantity value`` in plain text."""

    name: ClassVar[str] = "lines"

    def decode(self, deliveries: Deliveries, rows: Sequence[int], out: Decoded) -> None:
        """Read one reading a message."""
        for row in rows:
            sensor, quantity, value = deliveries.payloads[row].decode().split()
            out.add(row, out.number(sensor, quantity), float(value))


def make_decoder(
    series: SeriesTable | None = None, routes: Sequence[tuple[str, str]] = (), **rules: Any
) -> Decoder:
    """Return a decoder of two formats."""
    given_routes = [{"match": match, "format": name} for match, name in routes]
    plain = [{"match": "v1/+/readings", "format": "native_json"}]
    policy: Policy = parse_policy({"routes": given_routes or plain, **rules})
    formats = {"native_json": NativeJson(), "lines": Lines()}
    table = SeriesTable() if series is None else series
    return Decoder(policy, formats, Admission(table, ()))


def frame_of(*messages: Mapping[str, Any], received_at: int = RECEIVED) -> Deliveries:
    """Return native messages as they would have been received."""
    frame = Deliveries()
    for message in messages:
        payload = json.dumps({"sensor": "aq-017", **message}).encode()
        frame.add(TOPIC, payload, received_at, source="mqtt")
    return frame


def decode(*messages: Mapping[str, Any], **rules: Any) -> DecodedFrame:
    """Decode native messages under a policy."""
    return make_decoder(**rules).decode(frame_of(*messages))


def test_a_reading_gets_code_value_and_both_times() -> None:
    """It is not evaluated yet, and nothing is wrong with it."""
    series = SeriesTable([SeriesKey("other", "no2")])

    frame = make_decoder(series).decode(
        frame_of(
            {
                "time": "2026-11-21T20:59:30Z",
                "values": {"pm2_5": 12.5},
                "qualifiers": {"lane": "2", "class": "car"},
            }
        )
    )

    readings = frame.readings
    assert series[1] == SeriesKey("aq-017", "pm2_5", "class=car;lane=2")
    assert readings.series.tolist() == [1]
    assert readings.value.tolist() == [12.5]
    assert readings.time.tolist() == [RECEIVED - 30 * SECOND_NS]
    assert readings.received.tolist() == [RECEIVED]
    assert (readings.flag.tolist(), readings.reasons.tolist()) == ([NOT_EVALUATED], [0])
    assert (frame.delivery.tolist(), frame.refused) == ([0], [])


@pytest.mark.parametrize(
    ("time", "flag", "reasons"),
    [
        ("2026-11-21T21:01:00Z", NOT_EVALUATED, 0),
        ("2026-11-21T21:01:00.001Z", SUSPECT, TIME_IMPLAUSIBLE.mask),
        ("2027-01-01T00:00:00Z", SUSPECT, TIME_IMPLAUSIBLE.mask),
        ("2000-01-01T00:00:00Z", NOT_EVALUATED, 0),
        ("1999-12-31T23:59:59Z", SUSPECT, TIME_IMPLAUSIBLE.mask),
        ("1970-01-01T00:00:12Z", SUSPECT, TIME_IMPLAUSIBLE.mask),
        (0, SUSPECT, TIME_IMPLAUSIBLE.mask),
        ("2026-11-21T21:00:00", NOT_EVALUATED, TIME_MISSING.mask),
        ("yesterday", SUSPECT, TIME_IMPLAUSIBLE.mask),
        (1e300, SUSPECT, TIME_IMPLAUSIBLE.mask),
        (None, NOT_EVALUATED, TIME_MISSING.mask),
    ],
)
def test_a_time_that_is_not_believable_gives_way_to_the_time_of_receipt(
    time: str | float | None, flag: int, reasons: int
) -> None:
    """Future, 1970, 1999 and the unreadable are wrong; naive and absent are missing."""
    stamp = {} if time is None else {"time": time}

    frame = decode({**stamp, "values": {"pm2_5": 1.0}}, time={"max_ahead_s": 60})

    believed = frame.readings.time[0] != RECEIVED
    assert (frame.readings.flag[0], frame.readings.reasons[0]) == (flag, reasons)
    assert believed == (reasons == 0)
    assert frame.refused == []


def test_the_bounds_of_belief_are_the_policys() -> None:
    """Both of them."""
    rules = {"time": {"not_before": "2026-01-01T00:00:00Z", "max_ahead_s": 0}}

    frame = decode(
        {"time": "2025-12-31T23:59:59Z", "values": {"pm1": 1.0}},
        {"time": "2026-01-01T00:00:00Z", "values": {"pm1": 2.0}},
        {"time": "2026-11-21T21:00:00Z", "values": {"pm1": 3.0}},
        {"time": "2026-11-21T21:00:00.001Z", "values": {"pm1": 4.0}},
        **rules,
    )

    wrong = frame.readings.reasons == TIME_IMPLAUSIBLE.mask
    assert wrong.tolist() == [True, False, False, True]


def test_one_wrong_time_of_several_costs_only_its_reading() -> None:
    """The others of the message are believed."""
    times = ["2026-11-21T20:58:00Z", "2030-01-01T00:00:00Z", "2026-11-21T20:59:00Z"]

    frame = decode({"time": times, "values": {"pm1": [1, 2, 3]}})

    assert frame.readings.flag.tolist() == [NOT_EVALUATED, SUSPECT, NOT_EVALUATED]
    assert frame.readings.time.tolist() == [
        RECEIVED - 120 * SECOND_NS,
        RECEIVED,
        RECEIVED - 60 * SECOND_NS,
    ]


@pytest.mark.parametrize("value", ["null", "NaN", "1e999", "-Infinity"])
def test_a_value_that_is_no_number_is_missing(value: str) -> None:
    """It becomes NaN with a reason, whatever the device wrote."""
    frame = Deliveries()
    payload = b'{"sensor":"a","time":1795294800,"values":{"pm1":%s,"pm10":5}}' % value.encode()
    frame.add(TOPIC, payload, RECEIVED, source="mqtt")

    readings = make_decoder().decode(frame).readings

    assert np.isnan(readings.value).tolist() == [True, False]
    assert readings.flag.tolist() == [MISSING, NOT_EVALUATED]
    assert readings.reasons.tolist() == [MISSING_VALUE.mask, 0]


def test_a_number_too_large_for_its_unit_is_missing() -> None:
    """1e308 mg/m3 has no name in ug/m3; the rest of the frame is untouched."""
    frame = decode({"values": {"pm1": 1e308}, "units": {"pm1": "mg/m3"}}, {"values": {"pm1": 2.0}})

    assert frame.readings.flag.tolist() == [MISSING, NOT_EVALUATED]
    assert frame.readings.value[1] == 2.0


def test_units_are_converted_to_the_canonical_one() -> None:
    """The same series, whatever unit a message uses."""
    series = SeriesTable()

    frame = make_decoder(series).decode(
        frame_of(
            {"values": {"no2": 100.0}, "units": {"no2": "ppb"}},
            {"values": {"no2": 191.25}},
            {"values": {"temperature": 212}, "units": {"temperature": "°F"}},
        )
    )

    assert frame.readings.value.tolist() == pytest.approx([191.25, 191.25, 100.0], rel=1e-4)
    assert frame.readings.series.tolist() == [0, 0, 1]


def test_an_unknown_unit_or_quantity_costs_only_its_reading() -> None:
    """The rest of the message, and no number for the series that cannot be."""
    series = SeriesTable()

    frame = make_decoder(series).decode(
        frame_of(
            {
                "values": {"pm2_5": 1.0, "no2": 2.0, "happiness": 3.0, "pm10": 4.0},
                "units": {"no2": "furlong", "pm10": "ppb"},
            },
            {"values": {"no2": 5.0}},
        )
    )

    assert [series[code].quantity for code in frame.readings.series] == ["pm2_5", "no2"]
    assert frame.readings.value.tolist() == [1.0, 5.0]
    assert [(one.delivery, one.code, one.sensor) for one in frame.refused] == [
        (0, "unknown_unit", "aq-017"),
        (0, "unknown_quantity", "aq-017"),
        (0, "unknown_unit", "aq-017"),
    ]
    assert len(series) == 2


@pytest.mark.parametrize(
    ("qualifiers", "code"),
    [
        ({"corrected": "lrapa"}, "reserved_qualifier"),
        ({"channel": "a", "derived": "x"}, "reserved_qualifier"),
        ({"channel": "a;corrected=lrapa"}, "schema"),
    ],
)
def test_a_device_cannot_pass_for_a_result_of_ours(qualifiers: dict[str, str], code: str) -> None:
    """Its readings would be taken for corrected ones, and rated in place of measured ones."""
    series = SeriesTable()

    frame = make_decoder(series).decode(
        frame_of(
            {"values": {"pm2_5": 1.0}, "qualifiers": qualifiers},
            {"values": {"pm2_5": 2.0}, "qualifiers": {"channel": "a"}},
        )
    )

    assert frame.readings.value.tolist() == [2.0]
    assert [one.code for one in frame.refused] == [code]
    assert [key.qualifiers for key in series] == ["channel=a"]


def test_a_refused_meaning_is_refused_in_every_frame() -> None:
    """It is looked up once and never forgotten."""
    decoder = make_decoder()
    strange = frame_of({"values": {"happiness": 3.0}})

    first, second = decoder.decode(strange), decoder.decode(strange)

    assert [one.code for one in first.refused] == ["unknown_quantity"]
    assert second.refused == first.refused
    assert len(second.readings) == 0


def mixed_frame() -> Deliveries:
    """Return messages of two formats taking turns, one of them broken."""
    frame = Deliveries()
    for number in range(6):
        if number % 2:
            frame.add("raw/a", b"li-1 pm1 %d" % number, RECEIVED + number, source="mqtt")
        else:
            body = b'{"sensor":"aq-1","values":{"pm1":%d}}' % number if number != 2 else b"{"
            frame.add("v1/aq-1/readings", body, RECEIVED + number, source="http")
    return frame


def test_messages_of_several_formats_keep_the_order_of_receipt() -> None:
    """Though the formats run one after the other; each reading knows its message."""
    series = SeriesTable()
    decoder = make_decoder(series, [("v1/+/readings", "native_json"), ("raw/#", "lines")])

    frame = decoder.decode(mixed_frame())

    assert frame.delivery.tolist() == [0, 1, 3, 4, 5]
    assert frame.readings.value.tolist() == [0, 1, 3, 4, 5]
    assert frame.readings.received.tolist() == [RECEIVED + row for row in (0, 1, 3, 4, 5)]
    sensors = [series[code].sensor for code in frame.readings.series]
    assert sensors == ["aq-1", "li-1", "li-1", "aq-1", "li-1"]
    assert [(one.delivery, one.code) for one in frame.refused] == [(2, "malformed")]


def test_the_first_route_that_matches_wins() -> None:
    """Exceptions stand before the rule."""
    decoder = make_decoder(
        routes=[("v1/special/readings", "lines"), ("v1/+/readings", "native_json")]
    )
    frame = Deliveries()
    frame.add("v1/special/readings", b"sp pm1 7", RECEIVED, source="mqtt")
    frame.add("v1/a/readings", b'{"sensor":"a","values":{"pm1":8}}', RECEIVED, source="mqtt")

    decoded = decoder.decode(frame)

    assert decoded.readings.value.tolist() == [7.0, 8.0]
    assert decoded.refused == []


@pytest.mark.parametrize(
    ("match", "topic", "matches"),
    [
        ("v1/+/readings", "v1/a/readings", True),
        ("v1/+/readings", "v1//readings", True),
        ("v1/+/readings", "v1/a/b/readings", False),
        ("v1/+/readings", "v1/readings", False),
        ("v1/+/readings", "v1/a/readings/more", False),
        ("v1/+/readings", "xv1/a/readings", False),
        ("v1/+", "v1/", True),
        ("+/+", "/a", True),
        ("+", "/a", False),
        ("v1/#", "v1", True),
        ("v1/#", "v1/a/b", True),
        ("v1/#", "v1x", False),
        ("#", "anything/at/all", True),
        ("#", "", True),
        ("+/status/#", "a/status", True),
        ("v1/a.b", "v1/axb", False),
        ("v1/(a|b)*", "v1/(a|b)*", True),
        ("/api/v1/readings", "/api/v1/readings", True),
        ("/api/v1/readings", "/api/v1/readings/", False),
        ("v1/+/readings", "v1/a\nb/readings", True),
    ],
)
def test_topic_filters_match_as_mqtt_says(match: str, topic: str, *, matches: bool) -> None:
    """MQTT 5.0 section 4.7.1: + is one level, # is all that follow and the parent."""
    decoder = make_decoder(routes=[(match, "lines")])
    frame = Deliveries()
    frame.add(topic, b"a pm1 1", RECEIVED, source="mqtt")

    decoded = decoder.decode(frame)

    assert len(decoded.readings) == matches
    assert [one.code for one in decoded.refused] == ([] if matches else ["no_format"])


def test_a_message_whose_head_alone_was_kept_is_too_large() -> None:
    """Even where the head would make sense by itself."""
    frame = frame_of({"values": {"pm1": 1.0}})
    headers = json.dumps({TOO_LARGE_HEADER: 70_000})
    frame.add(TOPIC, frame.payloads[0], RECEIVED, source="mqtt", headers=headers)

    decoded = make_decoder().decode(frame)

    assert decoded.delivery.tolist() == [0]
    assert [(one.delivery, one.code) for one in decoded.refused] == [(1, "too_large")]


def test_a_frame_without_messages_is_decoded() -> None:
    """To nothing."""
    decoded = make_decoder().decode(Deliveries())

    assert (len(decoded.readings), len(decoded.delivery), decoded.refused) == (0, 0, [])


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["v1/a/readings", "raw/x", "nowhere"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["pm1", "no2", "happiness"]),
        st.floats(-1e3, 1e3),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(MESSAGES, st.integers(0, 8))
def test_where_frames_are_cut_does_not_matter(
    messages: list[tuple[str, str, str, float]], cut: int
) -> None:
    """Names, values, times and refusals are those of one frame."""

    def outcome(*parts: list[tuple[str, str, str, float]]) -> tuple[list[Any], list[Any]]:
        series = SeriesTable()
        routes = [("v1/+/readings", "native_json"), ("raw/#", "lines")]
        decoder = make_decoder(series, routes)
        readings, refused = [], []
        for part in parts:
            frame = Deliveries()
            for topic, sensor, quantity, value in part:
                lines = f"{sensor} {quantity} {value!r}"
                native = json.dumps({"sensor": sensor, "values": {quantity: value}})
                text = lines if topic == "raw/x" else native
                frame.add(topic, text.encode(), RECEIVED, source="mqtt")
            decoded = decoder.decode(frame)
            rows = zip(decoded.readings.series, decoded.readings.value, strict=True)
            readings += [(series[code], value) for code, value in rows]
            refused += [(one.code, one.sensor) for one in decoded.refused]
        return readings, sorted(refused)

    assert outcome(messages[:cut], messages[cut:]) == outcome(messages)


def test_the_bounds_of_the_policy_hold_for_every_decoder() -> None:
    """Not for that of the engine alone: a policy can be tried on a message."""
    frame = decode({"values": {"pm2_5": 1, "no2": 2}}, growth={"series_per_sensor": 1})

    assert len(frame.readings) == 1
    assert [one.code for one in frame.refused] == ["too_many_series"]


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (["1600-01-01T00:00:00Z", "2300-01-01T00:00:00Z"], "lies outside 1900 to 2200"),
        (["2026-11-21T20:00:00", "2026-11-21T20:01:00"], "there is none, or it names no zone"),
        (["1999-01-01T00:00:00Z", "1999-01-01T00:01:00Z"], "1999-01-01T00:01:00Z lies before the"),
    ],
)
def test_a_list_without_usable_times_is_refused_in_words(times: list[str], problem: str) -> None:
    """Naming the sensor and what is wrong with its times; the first number keeps its receipt."""
    frame = decode({"time": times, "values": {"pm2_5": [1.0, 2.0]}})

    (refusal,) = frame.refused
    assert (refusal.code, refusal.sensor) == ("time_unusable", "aq-017")
    assert refusal.detail.startswith("several numbers of pm2_5, ")
    assert problem in refusal.detail
