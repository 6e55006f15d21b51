# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered format obeys; a new one is picked up by itself."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ingest.formats
from lamppost.component import Component, Example, Format, discover, registered
from lamppost.decoded import Decoded, Measurement
from lamppost.frames import Deliveries
from lamppost.quantities import QUANTITIES
from lamppost.refusal_codes import CODES
from lamppost.times import is_instant, parse_instant
from lamppost.units import conversion

discover(ingest.formats)
FORMATS = registered("format")
RECEIVED = 1_795_294_800_000_000_000
EARLIEST, LATEST = parse_instant("1900-01-01T00:00:00Z"), parse_instant("2200-01-01T00:00:00Z")

every_format = pytest.mark.parametrize("component", FORMATS.values(), ids=lambda found: found.name)
law = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

Reading = tuple[int, Measurement, int, str]
Message = tuple[str, bytes]

GOOD = b'{"sensor":"aq-1","time":1795294800,"values":{"pm10":%d}}'
HOSTILE: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\xfd",
    b"null",
    b"0",
    b"[]",
    b"{}",
    b"}{",
    b'"',
    b"{",
    b"}",
    b",",
    b'{"sensor":"aq-1","values":{"pm10":1}',
    b'{"sensor":"aq-1","values":{"pm10":1}}{"sensor":"aq-2","values":{"pm10":2}}',
    b'{"sensor":"aq-1","values":{"pm10":1}},{"sensor":"aq-2","values":{"pm10":2}}',
    b'{"sensor":"aq-1","values":{"pm10":1}}\n{"sensor":"aq-2","values":{"pm10":2}}',
    b'[{"sensor":"aq-1","values":{"pm10":1}}]',
    b'{"sensor":"aq-1","values":{"pm10":NaN}}',
    b'{"sensor":"aq-1","values":{"pm10":-Infinity}}',
    b'{"sensor":"aq-1","values":{"pm10":1e999}}',
    b'{"sensor":"aq-1","time":1e999,"values":{"pm10":1}}',
    b'{"sensor":"aq-1","time":NaN,"values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"pm10":' + b"9" * 5000 + b"}}",
    b'{"sensor":"aq-1","time":' + b"9" * 5000 + b',"values":{"pm10":1}}',
    b'{"sensor":"\\ud800","values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"\\udfff":1}}',
    b'{"sensor":"aq-1","values":{"pm10":"1"}}',
    b'{"sensor":"aq-1","values":{"pm10":true}}',
    b'{"sensor":"aq-1","values":{"pm10":{}}}',
    b'{"sensor":"aq-1","values":{"pm10":[]}}',
    b'{"sensor":"aq-1","time":[],"values":{"pm10":[]}}',
    b'{"sensor":"aq-1","time":[1,2],"values":{"pm10":[1]}}',
    b'{"sensor":"aq-1","time":[1],"values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"pm10":[1,2]}}',
    b'{"sensor":"aq-1","values":[]}',
    b'{"sensor":"aq-1","values":{}}',
    b'{"sensor":"","values":{"pm10":1}}',
    b'{"sensor":7,"values":{"pm10":1}}',
    b'{"sensor":null,"values":{"pm10":1}}',
    b'{"sensor":"a\\u0000b","values":{"pm10":1}}',
    b'{"sensor":"' + b"a" * 5000 + b'","values":{"pm10":1}}',
    b'{"values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"pm10":1},"extra":1}',
    b'{"sensor":"aq-1","values":{"pm10":1},"qualifiers":{"a=b":"c"}}',
    b'{"sensor":"aq-1","values":{"pm10":1},"qualifiers":{"a":";"}}',
    b'{"sensor":"aq-1","values":{"pm10":1},"units":{"pm10":5}}',
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"[" * 100_000,
    b'{"sensor":"aq-1","values":{"pm10":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    # What makes sense only together with the neighbour before or after.
    b'{"sensor":"aq-1","values":{"pm10":1},"qualifiers":{"k":"}',
    b'{"}}',
    b'{"sensor":"aq-1","values":[{}',
    b'{}],"values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"pm10":1},"time":[{}',
    b'{}],"time":1795294800}',
    b'{}]},{"sensor":"aq-1","values":{"pm10":1}}',
    b'{"sensor":"aq-1","values":{"pm10":1}}],[{}',
)


@st.composite
def native(draw: st.DrawFn) -> bytes:
    """Draw something shaped like a message, right or wrong in any of its parts."""
    scalar = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=4),
        st.sampled_from(["2026-11-21T21:00:00Z", "2026-11-21T21:00:00", "pm10"]),
    )
    anything = scalar | st.lists(scalar, max_size=3)
    name = st.sampled_from(["pm10", "no2", "happiness", "", "}", "{", "]", ","])
    table = st.dictionaries(name, anything, max_size=3)
    fields = {
        "sensor": st.sampled_from(["aq-1", "aq-2", "},{", ""]) | scalar,
        "time": anything,
        "values": table | anything,
        "units": table | scalar,
        "qualifiers": table | scalar,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(fields))) | st.just(set(fields)))
    document = {key: draw(fields[key]) for key in sorted(chosen)}
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    whole = text.encode("utf-8", "surrogatepass")
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 3)) == 0 else whole


def payloads() -> st.SearchStrategy[bytes]:
    """Draw good and hostile payloads."""
    good = st.integers(0, 9).map(lambda number: GOOD % number)
    return st.one_of(good, st.sampled_from(HOSTILE), native(), st.binary(max_size=20))


def frame_of(messages: Sequence[Message]) -> Deliveries:
    """Return messages as a frame."""
    frame = Deliveries()
    for topic, payload in messages:
        frame.add(topic, payload, RECEIVED, source="mqtt")
    return frame


def plain(out: Decoded) -> list[Reading]:
    """Return readings as they compare: by message, meaning, time and exact value."""
    meanings = out.measurements()
    columns = zip(*map(np.ndarray.tolist, out.columns()), strict=True)
    return [
        (row, meanings[number], time, repr(float(value))) for row, number, time, value in columns
    ]


def decode(
    found: Format, messages: Sequence[Message], rows: Sequence[int] | None = None
) -> tuple[list[Reading], list[tuple[int, str, str]]]:
    """Return readings and refusals of a frame."""
    out = Decoded()
    found.decode(frame_of(messages), range(len(messages)) if rows is None else rows, out)
    return plain(out), sorted((one.delivery, one.code, one.sensor) for one in out.refused)


def one_by_one(
    found: Format, messages: Sequence[Message]
) -> tuple[list[Reading], list[tuple[int, str, str]]]:
    """Decode every message in a frame of its own."""
    readings: list[Reading] = []
    refused: list[tuple[int, str, str]] = []
    for row, message in enumerate(messages):
        found_readings, found_refused = decode(found, [message])
        readings += [(row, *reading[1:]) for reading in found_readings]
        refused += [(row, *refusal[1:]) for refusal in found_refused]
    return readings, refused


def examples_of(component: Component) -> list[Message]:
    """Return the messages a format says it must read."""
    shown: Sequence[Example] = component.cls.examples
    return [(one.route, one.payload) for one in shown]


def topic_of(component: Component) -> str:
    """Return a topic the format's messages come by."""
    return examples_of(component)[0][0]


def with_topic(component: Component, drawn: Sequence[bytes]) -> list[Message]:
    """Return payloads as messages of a format."""
    return [(topic_of(component), payload) for payload in drawn]


def mixtures(component: Component) -> st.SearchStrategy[list[Message]]:
    """Draw frames of the format's own examples between hostile payloads."""
    hostile = payloads().map(lambda payload: (topic_of(component), payload))
    return st.lists(st.sampled_from(examples_of(component)) | hostile, max_size=8)


def test_there_are_formats() -> None:
    """Else every law below would hold for want of one."""
    assert "native_json" in FORMATS


@every_format
def test_a_format_is_called_like_its_module_and_describes_itself(component: Component) -> None:
    """The command line and the documentation show the first sentence."""
    module = inspect.getmodule(component.cls)

    assert component.name == component.cls.__module__.rpartition(".")[2]
    assert component.summary.endswith(".")
    assert inspect.getdoc(module)


@every_format
def test_a_format_reads_its_own_examples(component: Component) -> None:
    """Each of them, to the stated readings, of known quantities in known units."""
    assert component.cls.examples
    for shown in component.cls.examples:
        out = Decoded()
        component.cls().decode(frame_of([(shown.route, shown.payload)]), [0], out)

        meanings = [out.measurements()[number] for number in out.columns().meaning]
        found = [
            (meaning.sensor, meaning.quantity, value)
            for meaning, value in zip(meanings, out.columns().value.tolist(), strict=True)
        ]
        assert tuple(found) == shown.readings
        assert out.refused == []
        for meaning in meanings:
            assert meaning.quantity in QUANTITIES
            assert conversion(meaning.quantity, meaning.unit) is not None


@every_format
@law
@given(data=st.data())
def test_a_frame_decodes_as_its_messages_one_by_one(
    component: Component, data: st.DataObject
) -> None:
    """No message leans on its neighbour, helps it or harms it."""
    messages = data.draw(mixtures(component))

    together = decode(component.cls(), messages)

    assert together == one_by_one(component.cls(), messages)


@every_format
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda payload: repr(payload[:40]))
@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_bad_message_costs_only_itself(
    component: Component, hostile: bytes, position: int
) -> None:
    """First, last or between two good ones."""
    good = [examples_of(component)[0]] * 2
    messages = [*good[:position], (topic_of(component), hostile), *good[position:]]
    rows = [row for row in range(3) if row != position]

    readings, refused = decode(component.cls(), messages)

    of_good, _ = decode(component.cls(), messages, rows)
    assert [reading for reading in readings if reading[0] != position] == of_good
    assert of_good
    assert {row for row, _, _ in refused} <= {position}


@every_format
@law
@given(data=st.data())
def test_no_message_goes_without_a_word(component: Component, data: st.DataObject) -> None:
    """Each leads to readings or to a refusal with a published code, whatever its bytes."""
    messages = with_topic(component, data.draw(st.lists(payloads(), max_size=8)))

    readings, refused = decode(component.cls(), messages)

    spoken_of = {row for row, *_ in readings} | {row for row, *_ in refused}
    assert spoken_of == set(range(len(messages)))
    assert {code for _, code, _ in refused} <= set(CODES)


@every_format
@law
@given(data=st.data())
def test_only_the_messages_asked_for_are_read(component: Component, data: st.DataObject) -> None:
    """The others of a frame belong to another format."""
    messages = data.draw(mixtures(component))
    rows = sorted(data.draw(st.sets(st.integers(0, len(messages) - 1)))) if messages else []

    readings, refused = decode(component.cls(), messages, rows)

    expected, expected_refused = decode(component.cls(), [messages[row] for row in rows])
    assert readings == [(rows[row], *rest) for row, *rest in expected]
    assert refused == [(rows[row], *rest) for row, *rest in expected_refused]


@every_format
@law
@given(data=st.data())
def test_restoring_a_snapshot_and_going_on_equals_never_having_stopped(
    component: Component, data: st.DataObject
) -> None:
    """Formats that remember earlier messages survive a restart."""
    before, after = data.draw(mixtures(component)), data.draw(mixtures(component))
    whole, restored = component.cls(), component.cls()

    decode(whole, before)
    snapshot = whole.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    went_on = decode(whole, after)
    restored.restore(snapshot)

    assert decode(restored, after) == went_on
    assert all((kept[name] == snapshot[name]).all() for name in kept)


@every_format
@law
@given(data=st.data())
def test_times_are_believable_instants_or_none(component: Component, data: st.DataObject) -> None:
    """Never a number outside the centuries in which int64 nanoseconds are safe."""
    messages = with_topic(component, data.draw(st.lists(payloads(), max_size=4)))

    readings, _ = decode(component.cls(), messages)

    for _, _, time, _ in readings:
        assert not is_instant(time) or EARLIEST <= time <= LATEST


TWO_IN_ONE = b'{"sensor":"aq-8","values":{"pm10":8}},{"sensor":"aq-9","values":{"pm10":9}}'
LEANING = (
    (b'{"sensor":"aq-1","values":{"pm10":1},"qualifiers":{"k":"}', b'{"}}'),
    (b'{"sensor":"aq-1","values":[{}', b'{}],"values":{"pm10":1}}'),
    (b'{"sensor":"aq-1","time":[{}', b'{}],"time":0,"values":{"pm10":1}}'),
)


@pytest.mark.parametrize(("first", "second"), LEANING)
@pytest.mark.parametrize("good_at", [0, 1, 2, 3])
def test_native_json_never_makes_one_message_of_two(
    first: bytes, second: bytes, good_at: int
) -> None:
    """Not even where another payload holds two, so that their number comes out right."""
    component = FORMATS["native_json"]
    drawn = [first, second, TWO_IN_ONE]
    drawn.insert(good_at, GOOD % 5)
    messages = with_topic(component, drawn)

    readings, refused = decode(component.cls(), messages)

    assert [(row, meaning.sensor, value) for row, meaning, _, value in readings] == [
        (good_at, "aq-1", "5.0")
    ]
    assert {code for _, code, _ in refused} == {"malformed"}
    assert [row for row, _, _ in refused] == [row for row in range(4) if row != good_at]


@law
@given(drawn=st.lists(st.sampled_from(HOSTILE[-9:]) | payloads(), min_size=2, max_size=6))
def test_native_json_books_readings_on_the_message_they_stand_in(drawn: list[bytes]) -> None:
    """Their sensor's name is in it."""
    component = FORMATS["native_json"]
    messages = with_topic(component, drawn)

    readings, _ = decode(component.cls(), messages)

    for row, meaning, _, _ in readings:
        assert json.loads(messages[row][1])["sensor"] == meaning.sensor
