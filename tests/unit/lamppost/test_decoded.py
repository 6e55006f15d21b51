# SPDX-License-Identifier: EUPL-1.2
"""The columns a format fills stay parallel, and meanings keep their numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamppost.decoded import Decoded, Key, Measurement
from lamppost.quarantine import Refusal
from lamppost.times import NO_TIME

from .strategies import LAW

MEANINGS = st.builds(
    Measurement,
    st.sampled_from("ab"),
    st.sampled_from(["pm10", "no2"]),
    st.sampled_from(["", "lane=1"]),
    st.sampled_from([None, "ppb"]),
)


@LAW
@given(st.lists(st.lists(MEANINGS, max_size=5), max_size=4))
def test_a_meaning_keeps_its_number_from_frame_to_frame(frames: list[list[Measurement]]) -> None:
    """Numbers are given in order of first use since start."""
    interned: dict[Key, int] = {}
    everything = [meaning for frame in frames for meaning in frame]

    numbers = [Decoded(interned).number(*meaning) for frame in frames for meaning in frame]

    known = list(Decoded(interned).measurements(0))
    assert known == list(dict.fromkeys(everything))
    assert [known[number] for number in numbers] == everything


@LAW
@given(st.lists(MEANINGS, max_size=6), st.lists(MEANINGS, max_size=6))
def test_only_new_meanings_need_to_be_looked_up(
    first: list[Measurement], second: list[Measurement]
) -> None:
    """Those from a number on, in the order of their numbers."""
    out = Decoded()
    for meaning in first:
        out.number(*meaning)
    known = list(out.measurements(0))

    for meaning in second:
        out.number(*meaning)

    assert known + list(out.measurements(len(known))) == list(out.measurements(0))


def test_readings_one_by_one_and_all_at_once_are_the_same() -> None:
    """``extend`` is ``add`` in a loop."""
    single, several = Decoded(), Decoded()

    for time, pm10, no2 in ((5, 1.0, 7.0), (6, 2.0, 8.0)):
        single.add(3, single.number("a", "pm10"), pm10, time)
        single.add(3, single.number("a", "no2"), no2, time)
    both = [several.number("a", "pm10"), several.number("a", "no2")]
    several.extend(3, both, [5, 6], [1.0, 7.0, 2.0, 8.0])

    columns = [[3] * 4, [0, 1, 0, 1], [5, 5, 6, 6], [1.0, 7.0, 2.0, 8.0]]
    for out in (single, several):
        assert [column.tolist() for column in out.columns()] == columns
        assert len(out) == 4


def test_a_reading_without_time_says_so() -> None:
    """The time of receipt takes its place later."""
    out = Decoded()

    out.add(0, out.number("a", "pm10"), 1.0)

    assert out.columns().time.tolist() == [NO_TIME]


def test_a_refusal_names_its_message() -> None:
    """It is no reading."""
    out = Decoded()

    out.refuse(4, "schema", "values: missing", "a")

    assert out.refused == [Refusal(4, "schema", "values: missing", "a")]
    assert len(out) == 0
