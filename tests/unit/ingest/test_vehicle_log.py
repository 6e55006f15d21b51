# SPDX-License-Identifier: EUPL-1.2
"""Logs of single vehicles: their times, and what 30 seconds of them make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.archives.vehicle_log import BIN_S, Bins, bins_of, lengths_of, read_log

VLOG = pytest.mark.vector(
    "traffic flow", "mnit-rtmc/iris docs/vehicle_detection.md: example .vlog data of 11 vehicles"
)
EXAMPLE = """\
296,9930,17:49:36
231,14069
240,453,,45
296,23510,,53
259,1321
?,?
249,?
323,4638,17:50:28
258,5967
111,1542
304,12029
"""


def printed(at_ms: int | None) -> str:
    """Return a time as the document prints it, cut to the second."""
    if at_ms is None:
        return "?"
    seconds = at_ms // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def bins(text: str) -> Bins:
    """Return the bins of a log that is one stretch."""
    (stretch,) = read_log(text).stretches
    return bins_of(stretch)


@VLOG
def test_times_are_those_of_the_document() -> None:
    """Milliseconds add up, an unknown headway breaks the chain, and a stamp tells backwards."""
    (stretch,) = read_log(EXAMPLE).stretches

    assert [printed(vehicle.at_ms) for vehicle in stretch] == [
        "17:49:36", "17:49:50", "17:49:50", "17:50:14", "17:50:15", "?", "17:50:24", "17:50:28",
        "17:50:33", "17:50:35", "17:50:47",
    ]  # fmt: skip
    assert [vehicle.speed_mph for vehicle in stretch[:4]] == [None, None, 45, 53]
    assert [vehicle.duration_ms for vehicle in stretch[4:7]] == [259, None, 249]


@VLOG
def test_a_bin_between_the_first_and_the_last_vehicle_is_whole() -> None:
    """17:50:00 to 17:50:30 of the document: five vehicles, one of unknown duration and time."""
    found = bins(EXAMPLE)

    assert found.start_ms.tolist() == [(17 * 3600 + 50 * 60) * 1000]
    assert found.vehicles.tolist() == [5.0]
    assert np.isnan(found.occupancy).all()
    assert found.speed_mph.tolist() == [53.0]
    assert found.headway_s == pytest.approx([(23.510 + 1.321 + 4.638) / 3])


def test_occupancy_is_the_time_on_the_detector_in_each_bin() -> None:
    """A lorry that stands over the bound belongs to both; an empty bin has neither speed."""
    found = bins("100,?,08:00:00\n9000,?,08:00:55,20\n100,?,08:02:31\n")

    assert found.start_ms.tolist() == [28_830_000, 28_860_000, 28_890_000, 28_920_000]
    assert found.vehicles.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert found.occupancy == pytest.approx([5 / 30 * 100, 4 / 30 * 100, 0.0, 0.0])
    assert np.isnan(found.speed_mph[1:]).all()


@pytest.mark.parametrize(
    ("between", "told"),
    [
        pytest.param("?,?", [0, 30], id="somebody passed, nobody knows when"),
        pytest.param("*", [0, 30], id="nobody looked"),
        pytest.param("who knows", [0, 30], id="a line that is none"),
        pytest.param("80,?,08:01:40", [0, 30, 60, 90, 120], id="all is known"),
    ],
)
def test_nothing_is_said_of_bins_somebody_may_have_been_overlooked_in(
    between: str, told: list[int]
) -> None:
    """Neither a count that is too low, nor a zero."""
    lines = ["80,?,07:59:59", "80,?,08:00:40", "80,?,08:01:20", between, "80,?,08:02:10"]
    log = read_log("\n".join([*lines, "80,?,08:02:50"]))

    starts = [start for stretch in log.stretches for start in bins_of(stretch).start_ms.tolist()]

    expected = [28_800_000 + 1000 * second for second in told]
    assert starts == expected


def test_a_clock_that_is_put_back_begins_a_new_stretch() -> None:
    """The hour comes twice in autumn; a stamp of the same second is none of that."""
    log = read_log("80,?,02:59:50\n80,900\n80,200,02:59:50\n80,?,02:00:10\n80,?,02:01:10\n")

    assert [[printed(one.at_ms) for one in stretch] for stretch in log.stretches] == [
        ["02:59:50", "02:59:50", "02:59:50"],
        ["02:00:10", "02:01:10"],
    ]


def test_lengths_are_those_of_vehicles_whose_time_is_known() -> None:
    """The fifth column, in feet."""
    (stretch,) = read_log("80,?,08:00:00,,19\n80,500,,55,62\n?,?,,,30\n").stretches

    assert list(lengths_of(stretch)) == [(1, 28_800_000, 19), (2, 28_800_500, 62)]


@pytest.mark.parametrize(
    "line", ["", "1", "?,", ",?", "?,?,?", "10,?,24:59:59", "15,?,23:60:59", "25,50,,-5", "1,2,,,X"]
)
def test_lines_that_are_none_are_named(line: str) -> None:
    """An empty one is nothing at all."""
    bad = read_log(f"80,?,08:00:00\n{line}\n").bad

    assert [(one.line, one.text) for one in bad] == ([(2, line)] if line else [])


_VEHICLE = st.tuples(
    st.sampled_from(["?", "80", "400", "45000"]),
    st.one_of(st.just("?"), st.integers(1, 90_000).map(str)),
    st.one_of(st.just(""), st.integers(0, 86_399).map(lambda second: printed(second * 1000))),
    st.sampled_from(["", "45"]),
)


@given(st.lists(st.one_of(_VEHICLE.map(",".join), st.sampled_from(["*", "", "x"])), max_size=30))
def test_of_any_log_bins_are_whole_and_times_ascend(lines: list[str]) -> None:
    """Whatever stands in it: no vehicle counts twice, and no bin is more than full."""
    log = read_log("\n".join(lines))

    for stretch in log.stretches:
        at = [vehicle.at_ms for vehicle in stretch if vehicle.at_ms is not None]
        found = bins_of(stretch)
        assert at == sorted(at)
        assert found.vehicles.sum() <= len(stretch)
        assert (np.diff(found.start_ms) > 0).all()
        assert not (found.start_ms % (1000 * BIN_S)).any()
        busy = found.occupancy[~np.isnan(found.occupancy)]
        assert ((busy >= 0) & (busy <= 100)).all()
