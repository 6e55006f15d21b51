# SPDX-License-Identifier: EUPL-1.2
"""Kappa-Köhler without density: water taken out of particles by volume."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register

from ._kappa import PARTICLES, Kappa, KappaSettings
from ._method import Method


class KappaKoehlerVolumeSettings(KappaSettings):
    """Where to correct, with which hygroscopicity, and how far to trust it."""

    kappa: dict[str, float] = Field(
        default={"pm2_5": 0.27},
        description="Hygroscopicity by quantity; others are not corrected. One source.",
    )
    humidity_above: float = Field(
        default=70.0,
        ge=0,
        lt=100,
        description="Up to this humidity, %, values stay as they are. One source.",
    )
    humidity_below: float = Field(
        default=98.0,
        gt=0,
        le=100,
        description="From this humidity on, %, nothing is corrected. One source.",
    )


@register("derivation")
class KappaKoehlerVolume(Kappa):
    """Takes the water out of particles: x / (1 + κ aw / (1 − aw)), aw = RH/100, above 70 %.

    The convention without density. Up to 70 % values stay as they are; from 98 % on there is no
    result.

    Source: sensors.community.downloader, one program.

    Known failures: as ``kappa_koehler_density``. It jumps at 70 %, by a factor of 1.63 with κ 0.27.
    """

    name: ClassVar[str] = "kappa_koehler_volume"
    Settings: ClassVar[type[KappaKoehlerVolumeSettings]] = KappaKoehlerVolumeSettings
    method: ClassVar[Method] = Method(
        version="kappa_koehler_volume/70-98",
        formula="x / (1 + kappa aw / (1 - aw)), aw = RH / 100, above 70 % and below 98 %",
        source="sensors.community.downloader (one source)",
        inputs=PARTICLES,
    )

    def growth(self, humidity: FloatArray, kappa: FloatArray) -> FloatArray:
        """Return how many times as much a particle weighs with its water."""
        return 1 + kappa * humidity / (100 - humidity)
