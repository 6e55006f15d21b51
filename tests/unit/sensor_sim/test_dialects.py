# SPDX-License-Identifier: EUPL-1.2
"""What is encoded can be read back."""

from __future__ import annotations

import json
import math
from datetime import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.dialects import Report, encode, in_own_unit, iso_texts, value_list


def test_one_time_gives_bare_values() -> None:
    """A single reading has no lists."""
    report = Report("aq-1", np.array([1_700_000_000 * 10**9]), {"pm2_5": [12.1]}, {"pm2_5": "x"})

    assert json.loads(encode(report)) == {
        "sensor": "aq-1",
        "time": "2023-11-14T22:13:20Z",
        "values": {"pm2_5": 12.1},
        "units": {"pm2_5": "x"},
    }


def test_several_times_give_lists_of_the_same_length() -> None:
    """A batch has as many values as times, null where there is none."""
    time_ns = np.array([0, 10**9], dtype=np.int64)

    body = json.loads(encode(Report("a", time_ns, {"speed": [None, 4.5]}, epoch_time=True)))

    assert body == {"sensor": "a", "time": [0, 1], "values": {"speed": [None, 4.5]}}


@given(st.integers(0, 4 * 10**18))
def test_times_read_back_exactly_to_the_second(instant_ns: int) -> None:
    """RFC 3339 text names the same second in UTC."""
    seconds = instant_ns // 10**9

    (text,) = iso_texts(np.array([seconds * 10**9], dtype=np.int64))

    assert datetime.fromisoformat(text).timestamp() == seconds


def test_fractions_of_a_second_are_kept() -> None:
    """A time off the second has a fraction."""
    time_ns = np.array([1_500_000_000])

    assert json.loads(encode(Report("a", time_ns, {"pm10": [1.0]}, epoch_time=True)))["time"] == 1.5
    assert iso_texts(time_ns) == ["1970-01-01T00:00:01.500000000Z"]


def test_own_units_convert_and_sentinels_stay() -> None:
    """Fahrenheit and ppb are converted; the number that means no value is not."""
    fahrenheit = in_own_unit("temperature", np.array([100.0, -200.0]), "degF")
    ppb = in_own_unit("no2", np.array([191.25, -200.0]), "ppb")

    assert fahrenheit.tolist() == [212.0, -200.0]
    assert ppb.tolist() == [100.0, -200.0]


def test_counts_are_whole_numbers() -> None:
    """A detector sends 5 and not 5.0, and null for what it has not."""
    assert json.dumps(value_list("vehicle_count", np.array([5.0]))) == "[5]"
    assert value_list("speed", np.array([math.nan, 50.5])) == [None, 50.5]
