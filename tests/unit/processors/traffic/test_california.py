# SPDX-License-Identifier: EUPL-1.2
"""California algorithms #7 and #8 go through the states their sources give."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from processors.traffic._pair_rule import Frame
from processors.traffic.california_8 import CONFIRMED, CONTINUING, TENTATIVE
from tests.processor_cases import NAN
from tests.traffic_cases import stages

OTC = pytest.mark.vector(
    "incidents",
    "California algorithms as in the organic traffic control AID classes (citing Smith 2002)",
)

# Columns t = 0..10, stages t = 2..10.
INCIDENT: Final = (
    [12, 12, 13, 14, 30, 38, 42, 41, 40, 16, 12],
    [12, 12, 12, 12, 8, 5, 5, 6, 6, 11, 12],
)
WAVE: Final = (
    [12, 14, 20, 33, 36, 30, 18, 14, 13, 12, 12],
    [12, 12, 18, 32, 38, 34, 20, 14, 12, 12, 12],
)
SEVEN: Final = dict(enumerate("fTCK"))
EIGHT: Final = dict(enumerate("f12345TCK"))


def letters(found: list[int], names: dict[int, str]) -> str:
    """Return stages as letters: free, tentative, confirmed, continuing, 1 to 5 of a wave."""
    return "".join(names[stage] for stage in found)


def frame(up: list[float], down: list[float], number: int) -> Frame:
    """Return what a pair measured in one interval."""
    nothing = np.array([NAN])
    return Frame(
        end=0,
        occupancy_up=np.array([up[number]], float),
        occupancy_down=np.array([down[number]], float),
        occupancy_down_before=np.array([down[number - 2]], float),
        speed_up=nothing,
        speed_down=nothing,
        speed_up_before=nothing,
    )


@OTC
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (4, (22, 0.7333, 0.3333, 8)),
        (5, (33, 0.8684, 0.5833, 5)),
        (9, (5, 0.3125, -0.8333, 11)),
    ],
)
def test_features_are_those_of_the_reference(
    number: int, expected: tuple[float, float, float, float]
) -> None:
    """OCCDF, OCCRDF, DOCCTD and DOCC of the incident series."""
    seen = frame(*INCIDENT, number)

    found = (
        seen.difference[0],
        seen.relative_difference[0],
        seen.downstream_drop[0],
        seen.occupancy_down[0],
    )

    assert found == pytest.approx(expected, abs=5e-5)


@OTC
def test_a_denominator_of_0_gives_0() -> None:
    """An empty road has no relative difference."""
    seen = frame([0, 0, 0], [0, 0, 4], 2)

    assert (seen.relative_difference[0], seen.downstream_drop[0]) == (0.0, 0.0)


@OTC
def test_california_7_finds_the_incident_of_the_reference() -> None:
    """Free, tentative, confirmed, continuing, free."""
    assert letters(stages("california_7", *INCIDENT), SEVEN) == "ffTCKKKff"


@OTC
def test_california_7_stays_free_in_a_wave() -> None:
    """Nine times free."""
    assert letters(stages("california_7", *WAVE), SEVEN) == "fffffffff"


@OTC
def test_california_8_counts_the_wave_of_the_reference() -> None:
    """Free, wave 1, 1, 2, 3, 4, 5, free, free."""
    assert letters(stages("california_8", *WAVE), EIGHT) == "f112345ff"


@OTC
def test_california_8_finds_the_incident_of_the_reference() -> None:
    """No wave passes, so it goes through the same states as #7."""
    assert letters(stages("california_8", *INCIDENT), EIGHT) == "ffTCKKKff"


@OTC
def test_a_plain_threshold_would_have_alarmed_in_the_wave() -> None:
    """The series tells the algorithms from a plain limit on occupancy."""
    assert max(WAVE[0]) > 30


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        # A tentative incident whose downstream station fills at once was a wave ...
        ((36, 34), "T1"),
        # ... or nothing, where it does not rise so fast, or stays thin.
        ((12, 9), "Tf"),
        ((30, 29), "Tf"),
    ],
)
def test_california_8_tells_what_a_tentative_incident_was(
    last: tuple[float, float], expected: str
) -> None:
    """OCCRDF below T3: wave 1 with DOCCTD below T2 and DOCC from T5 on, else free."""
    up, down = [12, 12, 30, last[0]], [12, 12, 8, last[1]]

    assert letters(stages("california_8", up, down), EIGHT) == expected


def test_california_8_lets_a_confirmed_incident_end_without_a_wave() -> None:
    """The same rise after a confirmed incident leads to free (OTC: CaliforniaAlgorithm8)."""
    up, down = [12, 12, 30, 38, 36], [12, 12, 8, 6, 34]

    assert letters(stages("california_8", up, down), EIGHT) == "TCf"


def test_california_8_begins_a_wave_anew_when_it_rises_again() -> None:
    """DOCC at T5 and DOCCTD below T2 always means the first interval of a wave."""
    up, down = [12] * 7, [12, 12, 32, 32, 20, 20, 40]

    assert letters(stages("california_8", up, down), EIGHT) == "11231"


def test_california_8_begins_nothing_while_downstream_is_dense() -> None:
    """From T5 on there is no incident, however large the difference."""
    up, down = [95, 95, 95], [60, 45, 40]

    assert letters(stages("california_8", up, down), EIGHT) == "f"


def test_stages_that_hold_are_confirmed_ones() -> None:
    """A tentative incident tells nobody anything."""
    assert TENTATIVE < CONFIRMED < CONTINUING


@pytest.mark.parametrize("rule", ["california_7", "california_8"])
def test_an_interval_without_readings_is_bridged_once(rule: str) -> None:
    """One lost message does not end an incident; two do, as nothing is known any more."""
    up, down = list(INCIDENT[0][:8]), list(INCIDENT[1][:8])
    up[6] = NAN

    assert letters(stages(rule, up, down), SEVEN if rule[-1] == "7" else EIGHT)[-2:] == "KK"

    up[7] = NAN
    assert letters(stages(rule, up, down), SEVEN if rule[-1] == "7" else EIGHT)[-2:] == "Kf"
