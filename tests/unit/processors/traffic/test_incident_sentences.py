# SPDX-License-Identifier: EUPL-1.2
"""What the policy check says of incident rules is what they do."""

from __future__ import annotations

from processors.traffic.california_7 import California7, California7Settings
from processors.traffic.california_8 import California8, California8Settings
from processors.traffic.standard_normal_deviate import (
    StandardNormalDeviate,
    StandardNormalDeviateSettings,
)


def test_california_holds_an_interval_after_its_features() -> None:
    """Tentative is no incident yet; confirmed is (domain reference 5.3, columns T and C)."""
    sentences = (
        California7.describe(California7Settings()),
        California8.describe(California8Settings()),
    )
    assert all(sentence.startswith("It holds from the interval after") for sentence in sentences)


def test_a_wave_of_california_8_is_a_rise_by_more_than_its_limit() -> None:
    """DOCCTD below T2, not at it, with DOCC from T5 on (domain reference 5.3)."""
    sentence = California8.describe(California8Settings(wave_drop=-0.4, dense=30))
    assert "a rise downstream by more than 40 % to 30 % or more" in sentence


def test_the_deviate_is_smoothed_and_not_the_usual_difference() -> None:
    """The newest interval weighs 30 % in the deviate, and 1/20 in what is usual."""
    sentence = StandardNormalDeviate.describe(StandardNormalDeviateSettings())
    assert "smoothed with 30 % for the newest interval, is above 4.5 times its own" in sentence
    assert "the usual is learnt over 20 intervals, and nothing is said before" in sentence
