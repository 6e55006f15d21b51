# SPDX-License-Identifier: EUPL-1.2
"""APID: both branches, both sets of limits, persistence and waves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from processors.traffic._pair_rule import Frame
from processors.traffic.apid import (
    CONFIRMED,
    FREE,
    TENTATIVE,
    ApidSettings,
    heavy_fires,
    medium_fires,
)
from tests.processor_cases import START_NS, build
from tests.traffic_cases import PAIR, stages, traffic_table

OTC = pytest.mark.vector(
    "incidents",
    "APID as in the organic traffic control AID classes (limits of Deniz and of COMPASS)",
)


def fires(
    up: float, down: float, speeds: tuple[float, float] = (50, 50), before: float | None = None,
    **settings: Any,
) -> bool:  # fmt: skip
    """Return whether a free pair becomes tentative."""
    rule = build("alert", "apid", settings, traffic_table(PAIR), PAIR)
    rule.state.grow(1)
    seen = Frame(
        end=START_NS,
        occupancy_up=np.array([up]),
        occupancy_down=np.array([down]),
        occupancy_down_before=np.array([down if before is None else before]),
        speed_up=np.array([speeds[1]]),
        speed_down=np.array([50.0]),
        speed_up_before=np.array([speeds[0]]),
    )
    rule.step(seen)
    return int(rule.state["stage"][0]) == TENTATIVE


@OTC
@pytest.mark.parametrize(("slowing", "expected"), [(0.2, True), (0.05, False)])
def test_medium_branch_of_the_reference(slowing: float, expected: bool) -> None:  # noqa: FBT001
    """OCCRDF .5 fires with SPDTDF .2, and not with .05 (first limits)."""
    found = medium_fires(ApidSettings(), np.array([0.5]), np.array([slowing]))

    assert found.tolist() == [expected]
    assert fires(20.0, 10.0, (50, 50 * (1 - slowing))) is expected


@OTC
def test_heavy_branch_of_the_reference() -> None:
    """OCCDF 11, OCCRDF .1, DOCC 20 fire (first limits)."""
    features = np.array([11.0]), np.array([0.1]), np.array([20.0])

    assert heavy_fires(ApidSettings(), *features).tolist() == [True]
    assert heavy_fires(ApidSettings(limits="compass"), *features).tolist() == [False]
    assert fires(61.0, 20.0)


@OTC
@pytest.mark.parametrize(
    ("limits", "up", "down", "expected"),
    [
        ("deniz", 61.0, 20.7, True),
        ("deniz", 61.0, 20.8, False),
        ("compass", 61.0, 28.7, True),
        ("compass", 61.0, 28.8, False),
    ],
)
def test_heavy_traffic_has_two_sets_of_limits(
    limits: str,
    up: float,
    down: float,
    expected: bool,  # noqa: FBT001
) -> None:
    """DOCC below 20.8 (Deniz) or 28.8 (COMPASS); OCCRDF above 0 or .4."""
    assert fires(up, down, limits=limits) is expected


def test_a_wave_keeps_heavy_traffic_from_being_judged() -> None:
    """DOCCTD of -1.3 and below is a rise no incident makes."""
    assert not fires(61.0, 20.0, before=8.0)
    assert fires(61.0, 20.0, before=8.0, wave_heavy=None)
    assert fires(61.0, 20.0, before=9.0)


def course(down: Sequence[float], **settings: Any) -> list[int]:
    """Return the stages of a pair whose upstream station stays jammed after slowing down."""
    count = len(down)
    speeds = [50.0, 50.0, 20.0, *[15.0] * (count - 3)]
    return stages("apid", [20.0] * count, down, speeds, **settings)


def test_an_incident_is_confirmed_after_it_has_persisted() -> None:
    """OCCRDF above .1 for 300 s: tentative for five intervals of a minute."""
    found = course([10.0] * 10)

    assert found == [TENTATIVE] * 5 + [CONFIRMED] * 3


def test_an_incident_that_evens_out_is_free_again() -> None:
    """OCCRDF of .1 or less before the time is over refutes it."""
    assert course([10, 10, 10, 10, 18, 18])[:4] == [TENTATIVE, TENTATIVE, FREE, FREE]


def test_a_confirmed_incident_ends_when_downstream_is_fuller() -> None:
    """OCCRDF below -.4, and not merely above 0."""
    found = course([10.0] * 8 + [20.0, 27.0, 29.0])

    assert found[-4:] == [CONFIRMED, CONFIRMED, CONFIRMED, FREE]


def test_no_incident_lasts_for_ever() -> None:
    """It ends after longest_s, whatever the occupancies."""
    assert course([10.0] * 12, longest_s=120)[5:8] == [CONFIRMED, CONFIRMED, FREE]
