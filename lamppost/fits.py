# SPDX-License-Identifier: EUPL-1.2
"""What is published of a sensor that was compared with a reference beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["in_force", "too_few", "poor", "clock"]
"""Whether a line is used, or why not: too few hours, R² too low, or clocks that differ."""


class Fit(BaseModel):
    """A line from a sensor to its reference, as it was found at one instant.

    Attributes:
        sensor, quantity, qualifiers: the series that was compared.
        reference: sensor it was compared with.
        method: version of the way it was fitted.
        first_hour: start of the hours it was fitted to, ns UTC.
        end: end of those hours, ns UTC.
        start: instant from which on readings are corrected by it, ns UTC.
        until: instant from which on they are no longer, ns UTC; a newer line ends it earlier.
        n: hours in which both had enough readings.
        slope, offset: the line; None where there is none.
        r2: share of the reference's variance the line accounts for.
        rmse: root mean square distance of the reference's hours from the line, canonical unit.
        largest: largest hourly mean of the sensor it was fitted to, canonical unit.
        lag_h: hours by which the sensor's clock seems to be late; 0 where clocks agree.
        outcome: whether it is used, or why not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sensor: str
    quantity: str
    qualifiers: str
    reference: str
    method: str
    first_hour: int
    end: int
    start: int
    until: int
    n: int
    slope: float | None
    offset: float | None
    r2: float | None
    rmse: float | None
    largest: float | None
    lag_h: int
    outcome: Outcome
