# SPDX-License-Identifier: EUPL-1.2
"""AirNow Fire and Smoke Map: the piecewise correction of October 2021, on the ATM channel."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost.wording import listed

from ._method import Correction, CorrectionSettings, Method


class FireAndSmokeSettings(CorrectionSettings):
    """Where to correct, and how far to trust it."""

    where: ClassVar[frozenset[str]] = CorrectionSettings.where | {"atm_sensors"}

    atm_sensors: tuple[str, ...] = Field(
        default=(),
        description="Sensors whose PM2.5 is known to be the ATM channel of a Plantower sensor,"
        " though they send no CF=1 beside it: names or patterns.",
    )
    valid: tuple[float, float] | None = Field(
        default=(0.0, 1000.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " No source states the end of it: a choice.",
    )
    uncertainty: float = Field(
        default=3.0,
        ge=0,
        description="Standard uncertainty (k = 1), the part that is constant, µg/m³. No source"
        " states one: that of barkjohn_2021, which it equals below 30 µg/m³.",
    )
    relative_uncertainty: float = Field(
        default=0.1,
        ge=0,
        description="Standard uncertainty (k = 1), the part in proportion to the result. No source"
        " states one: a choice.",
    )


@register("derivation")
class FireAndSmoke(Correction):
    """Corrects PM2.5 (ATM) of Plantower sensors as the AirNow Fire and Smoke Map does.

    With x the ATM channel (mean of both where the device has two) and RH in %:
    ``0.524 x - 0.0862 RH + 5.75`` below 30; from 30 to 50 the slope goes from 0.524 to 0.786 with
    w = x/20 - 1.5; ``0.786 x - 0.0862 RH + 5.75`` up to 210; from 210 to 260 it blends with
    w = x/50 - 4.2 into ``0.69 x + 0.000884 x² + 2.966``, which holds beyond. Below 0 it is 0.

    Source: form of October 2021; MazamaScience/AirSensor2 pat_applyCorrection.R and SJVAir epa.py,
    which agree.

    Known failures: fed with CF=1 it is wrong by a wide margin. So it corrects only PM2.5 of
    sensors that send CF=1 beside it, which says that theirs is the ATM channel, or that the policy
    names in ``atm_sensors``.
    """

    name: ClassVar[str] = "fire_and_smoke"
    Settings: ClassVar[type[FireAndSmokeSettings]] = FireAndSmokeSettings
    method: ClassVar[Method] = Method(
        version="fire_and_smoke/2021-10",
        formula="0.524 x - 0.0862 RH + 5.75 below 30, 0.786 x - 0.0862 RH + 5.75 from 50 to 210,"
        " 0.69 x + 0.000884 x^2 + 2.966 from 260, blended between",
        source="AirNow Fire and Smoke Map, October 2021 (AirSensor2 pat_applyCorrection.R)",
        inputs=("pm2_5",),
        proof="pm2_5_cf1",
    )

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return how it is known which channel a sensor sends."""
        known = settings.atm_sensors if isinstance(settings, FireAndSmokeSettings) else ()
        named = f" or are {listed(known, 'or')}" if known else ""
        return f" where sensors send {cls.method.proof} beside it{named}"

    def __init__(
        self, settings: FireAndSmokeSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Note of which sensors the policy knows the channel."""
        self._known = settings.atm_sensors
        super().__init__(settings, series, stations)

    def proof_of(self, sensor: str) -> str:
        """Return what says that a sensor's PM2.5 is the ATM channel."""
        known = any(fnmatchcase(sensor, pattern) for pattern in self._known)
        return "" if known else self.method.proof

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        slope_share = np.clip(x / 20 - 1.5, 0.0, 1.0)
        blend = np.clip(x / 50 - 4.2, 0.0, 1.0)
        linear = (0.786 * slope_share + 0.524 * (1 - slope_share)) * x - 0.0862 * humidity + 5.75
        bent = 0.69 * x + 8.84e-4 * x**2 + 2.966
        return blend * bent + (1 - blend) * linear
