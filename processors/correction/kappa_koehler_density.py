# SPDX-License-Identifier: EUPL-1.2
"""Kappa-Köhler with density: water taken out of particles of density 1.65 g/cm³."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register

from ._kappa import PARTICLES, Kappa, KappaSettings
from ._method import Method

_DENSITY: Final = 1.65


class KappaKoehlerDensitySettings(KappaSettings):
    """Where to correct, with which hygroscopicity, and how far to trust it."""

    kappa: dict[str, float] = Field(
        default={"pm2_5": 0.4},
        description="Hygroscopicity by quantity; others are not corrected. 0.4 is usual, 0.15 to"
        " 0.29 fits PM2.5, 0.05 to 0.13 coarse particles (AMT 17:6073).",
    )


@register("derivation")
class KappaKoehlerDensity(Kappa):
    """Takes the water out of particles: x / (1 + (κ/1.65) / (1/aw − 1)), aw = RH/100.

    The convention of Di Antonio and of Crilley: κ counts for particles of density 1.65 g/cm³, so
    it is 1.65 times that of ``kappa_koehler_volume`` for the same result.

    Source: Di Antonio et al. 2018, Crilley et al. 2018; hygroscopicities from AMT 17:6073.

    Known failures: in a cold maritime climate it made SDS011 readings worse than raw, even with
    healthy humidity, and much worse with a stuck one. The result hangs on κ, which differs from
    place to place and from day to day. Not switched on by default.
    """

    name: ClassVar[str] = "kappa_koehler_density"
    Settings: ClassVar[type[KappaKoehlerDensitySettings]] = KappaKoehlerDensitySettings
    method: ClassVar[Method] = Method(
        version="kappa_koehler_density/1.65",
        formula="x / (1 + (kappa / 1.65) / (1 / aw - 1)), aw = RH / 100",
        source="Di Antonio et al. 2018; Crilley et al. 2018",
        inputs=PARTICLES,
    )

    def growth(self, humidity: FloatArray, kappa: FloatArray) -> FloatArray:
        """Return how many times as much a particle weighs with its water."""
        return 1 + (kappa / _DENSITY) / (100 / humidity - 1)
