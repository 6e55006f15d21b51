# SPDX-License-Identifier: EUPL-1.2
"""Barkjohn 2022: the US-wide correction extended to smoke, on the CF=1 channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost.wording import digits

from ._method import Correction, CorrectionSettings, Method
from ._numbers import sum_of
from .barkjohn_2021 import Barkjohn2021Settings


class Barkjohn2022Settings(Barkjohn2021Settings):
    """Where to correct, and how far to trust it."""

    valid: tuple[float, float] | None = Field(
        default=(0.0, 1500.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " No source states the end of it: a choice.",
    )
    quadratic: tuple[float, float, float] = Field(
        default=(4.21e-4, 0.392, 3.44),
        description="Numbers of the parabola in smoke: of x², of x, and the constant."
        " Widely quoted, but not confirmed in a source.",
    )
    bend: tuple[float, float] = Field(
        default=(570.0, 611.0),
        description="From where on the parabola is blended in, and from where on it stands alone,"
        " µg/m³. One source.",
    )
    blend: tuple[float, float] = Field(
        default=(0.0244, -13.9),
        description="Weight of the parabola between: the number of x, and the constant; from 0 to"
        " 1. One source.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        if not 0 < self.bend[0] <= self.bend[1]:
            yield "bend", "must run from low to high, above 0"


@register("derivation")
class Barkjohn2022(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors as Barkjohn 2021 does, and bends up in smoke.

    Below 570 µg/m³ ``0.524 x - 0.0862 RH + 5.75``; from 611 on ``0.000421 x² + 0.392 x + 3.44``;
    between them a blend with w = 0.0244 x - 13.9, at most 1. Below 0 the result is 0.

    Source: Barkjohn et al. 2022. The break points and the blend stand in one source; the parabola
    is widely quoted but was not confirmed, so all of them are settings.

    Known failures: as ``barkjohn_2021`` below the bend. Above it humidity does not count.
    """

    name: ClassVar[str] = "barkjohn_2022"
    Settings: ClassVar[type[Barkjohn2022Settings]] = Barkjohn2022Settings
    method: ClassVar[Method] = Method(
        version="barkjohn_2022/extended",
        formula="0.524 x - 0.0862 RH + 5.75, in smoke a parabola, blended between",
        source="Barkjohn et al. 2022, extended to smoke (parabola not confirmed)",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
    )

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return the parabola, and where it counts."""
        if not isinstance(settings, Barkjohn2022Settings):
            return ""
        parabola = sum_of(*zip(settings.quadratic, ("x^2", "x", ""), strict=True))
        share = sum_of(*zip(settings.blend, ("x", ""), strict=True))
        low, high = map(digits, settings.bend)
        return (
            f" (the parabola is {parabola} from {high} µg/m³ on, and weighs {share} from {low} on)"
        )

    def __init__(
        self, settings: Barkjohn2022Settings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Take the numbers of the parabola."""
        self._quadratic = settings.quadratic
        self._bend, self._blend = settings.bend, settings.blend
        super().__init__(settings, series, stations)

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        square, slope, constant = self._quadratic
        linear = 0.524 * x - 0.0862 * humidity + 5.75
        bent = square * x**2 + slope * x + constant
        of_x, more = self._blend
        blended = np.clip(of_x * x + more, 0.0, 1.0)
        share = np.where(x < self._bend[0], 0.0, np.where(x < self._bend[1], blended, 1.0))
        return share * bent + (1 - share) * linear
