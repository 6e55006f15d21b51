# SPDX-License-Identifier: EUPL-1.2
"""What derivations from the readings of one road share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, JudgedBatch
from lamppost.component import Settings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station

from ._together import Road, Together

KM_PER_MILE: Final = 1.609344
M_PER_FOOT: Final = 0.3048

FLOW: Final = {"flow": 0, "vehicle_count": 0}
"""Flow, or the vehicles counted in an interval of known length."""
FLOW_AND_SPEED: Final = {**FLOW, "speed": 1}


NOTHING: Final = JudgedBatch.empty()


class RoadSettings(Settings):
    """How long one input waits for the others."""

    wait_s: float = Field(
        default=900.0,
        ge=0,
        le=86_400,
        description="Longest time between the receipts of readings of one instant that are used "
        "together.",
    )


S = TypeVar("S", bound=Settings)


class RoadDerivation(Generic[S]):
    """Base of the derivations: brings inputs together, and leaves the formula to the class."""

    name: ClassVar[str]
    reasons: ClassVar[tuple[Reason, ...]] = ()
    inputs: ClassVar[Mapping[str, int]]
    """Place of each quantity among the values of a road."""
    quantity: ClassVar[str]
    """The quantity of the result."""

    def __init__(self, settings: S, series: SeriesTable, stations: Mapping[str, Station]) -> None:
        """Prepare what belongs together."""
        self.settings = settings
        self.stations = stations
        self._together = Together(
            series,
            stations,
            self.inputs,
            self.facts,
            quantity=self.quantity,
            method=self.name,
            wait_s=getattr(settings, "wait_s", 0.0),
        )

    def facts(self, key: SeriesKey, station: Station | None) -> Sequence[float] | None:
        """Return the numbers the formula needs of a road; None where it does not apply."""
        raise NotImplementedError

    def value(self, road: Road) -> FloatArray:
        """Return the result for each row, NaN where there is none."""
        raise NotImplementedError

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Return what follows from a batch."""
        road = self._together.of(judged)
        if road is None:
            return NOTHING
        with np.errstate(over="ignore", invalid="ignore"):  # no number is made of absurd ones
            return road.readings(self.value(road))

    def snapshot(self) -> Snapshot:
        """Return the inputs that wait for others."""
        return self._together.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the inputs that wait for others."""
        self._together.restore(snapshot)
