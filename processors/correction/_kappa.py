# SPDX-License-Identifier: EUPL-1.2
"""Growth of particles in humid air, in both conventions that are called kappa."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int64Array
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.wording import digits, listed

from ._method import Correction, CorrectionSettings

PARTICLES: Final = ("pm1", "pm2_5", "pm4", "pm10")


class KappaSettings(CorrectionSettings):
    """Where to correct, with which hygroscopicity, and how far to trust it."""

    kappa: dict[str, float] = Field(
        default={"pm2_5": 0.4}, description="Hygroscopicity by quantity; others are not corrected."
    )
    humidity_above: float = Field(
        default=0.0, ge=0, lt=100, description="Up to this humidity, %, values stay as they are."
    )
    humidity_below: float = Field(
        default=99.5,
        gt=0,
        le=100,
        description="From this humidity on, %, nothing is corrected: the formula grows beyond all"
        " bounds. No source states where to stop with the density: a choice.",
    )
    uncertainty: float = Field(
        default=3.0,
        ge=0,
        description="Standard uncertainty (k = 1), the part that is constant, µg/m³. No source"
        " states one: a choice.",
    )
    relative_uncertainty: float = Field(
        default=0.3,
        ge=0,
        description="Standard uncertainty (k = 1), the part in proportion to the result. No source"
        " states one: a choice, after how much kappa differs between places.",
    )

    @model_validator(mode="after")
    def _span(self) -> Self:
        if self.humidity_above >= self.humidity_below:
            raise ValueError("humidity_above must lie below humidity_below")
        return self

    @model_validator(mode="after")
    def _particles_only(self) -> Self:
        for quantity, kappa in self.kappa.items():
            if quantity not in PARTICLES:
                message = f"kappa: {quantity!r} is none of {', '.join(PARTICLES)}"
                raise ValueError(message)
            if kappa <= 0:
                message = f"kappa.{quantity}: must be above 0"
                raise ValueError(message)
        return self


class Kappa(Correction):
    """Divides particles by how much the water in them weighs."""

    @classmethod
    def inputs_under(cls, settings: CorrectionSettings) -> Sequence[str]:
        """Return the quantities that have a hygroscopicity."""
        return list(settings.kappa) if isinstance(settings, KappaSettings) else PARTICLES

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return the hygroscopicities, and between which humidities they are used."""
        if not isinstance(settings, KappaSettings):
            return ""
        kappa = listed([f"{digits(value)} for {name}" for name, value in settings.kappa.items()])
        low, high = digits(settings.humidity_above), digits(settings.humidity_below)
        return f" with kappa {kappa}, unchanged up to {low} % and not at all from {high} % RH on"

    def __init__(
        self, settings: KappaSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Take the hygroscopicity of each quantity."""
        self._kappa = settings.kappa
        self._above, self._below = settings.humidity_above, settings.humidity_below
        self._kappa_of_unit: FloatArray = np.empty(0)
        super().__init__(settings, series, stations)

    def is_input(self, key: SeriesKey) -> bool:
        """Return whether the policy gives a hygroscopicity for the quantity."""
        return key.quantity in self._kappa

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values, each with the hygroscopicity of its quantity."""
        known = len(self._kappa_of_unit)
        if known < len(self._links):
            codes = self._links.codes[known:].tolist()
            added = [self._kappa[self._series[code].quantity] for code in codes]
            self._kappa_of_unit = np.append(self._kappa_of_unit, added)
        return np.where(
            humidity > self._above, x / self.growth(humidity, self._kappa_of_unit[unit]), x
        )

    def humidity_beyond(self, humidity: FloatArray) -> BoolArray:
        """Return which humidities are too high for the formula."""
        return super().humidity_beyond(humidity) | (humidity >= self._below)

    @abstractmethod
    def growth(self, humidity: FloatArray, kappa: FloatArray) -> FloatArray:
        """Return how many times as much a particle weighs with its water."""
