# SPDX-License-Identifier: EUPL-1.2
"""Vehicles are told apart by length as IRIS does."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.series import SeriesTable
from processors.traffic import vehicle_classes
from tests.processor_cases import build
from tests.road_cases import STATIONS, batch

CLASSES = pytest.mark.vector("traffic flow", "mnit-rtmc/iris: classes by length")


@CLASSES
@pytest.mark.parametrize(
    ("feet", "expected"),
    [(7.0, "motorcycle"), (7.1, "short"), (19.9, "short"), (20.0, "medium"), (42.9, "medium"),
     (43.0, "long")],
)  # fmt: skip
def test_classes_of_iris(feet: float, expected: str) -> None:
    """Up to 7 ft, to 20, to 43, and above."""
    (found,) = vehicle_classes.class_of(np.array([feet * 0.3048]))

    assert vehicle_classes.CLASSES[found] == expected


def test_each_vehicle_counts_in_its_class() -> None:
    """1 for its own, 0 for the others: totals are counts, means are shares."""
    series = SeriesTable()
    derivation = build("derivation", "vehicle_classes", {}, series, STATIONS)

    made = derivation.derive(
        batch(series, [("vehicle_length", 0.0, 4.5), ("vehicle_length", 9.0, 16.0)])
    )

    assert made.value.tolist() == [0, 1, 0, 0, 0, 0, 0, 1]
    assert series[int(made.series[1])].qualifiers == "class=short;derived=vehicle_classes"
