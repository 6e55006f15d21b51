# SPDX-License-Identifier: EUPL-1.2
"""Barkjohn 2022: the US-wide correction extended to smoke, on the CF=1 channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost.wording import digits

from ._method import Correction, CorrectionSettings, Method
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
        description="Numbers of the parabola from 611 µg/m³ on: of x², of x, and the constant."
        " Widely quoted, but not confirmed in a source.",
    )


@register("derivation")
class Barkjohn2022(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors as Barkjohn 2021 does, and bends up in smoke.

    Below 570 µg/m³ ``0.524 x - 0.0862 RH + 5.75``; from 611 on ``0.000421 x² + 0.392 x + 3.44``;
    between them a blend with w = 0.0244 x - 13.9, at most 1. Below 0 the result is 0.

    Source: Barkjohn et al. 2022. The break points stand in one source; the parabola is widely
    quoted but was not confirmed, so its numbers are settings.

    Known failures: as ``barkjohn_2021`` below the bend. Above it humidity does not count.
    """

    name: ClassVar[str] = "barkjohn_2022"
    Settings: ClassVar[type[Barkjohn2022Settings]] = Barkjohn2022Settings
    method: ClassVar[Method] = Method(
        version="barkjohn_2022/extended",
        formula="0.524 x - 0.0862 RH + 5.75 below 570, parabola from 611, blended between",
        source="Barkjohn et al. 2022, extended to smoke (parabola not confirmed)",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
    )

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return the parabola."""
        if not isinstance(settings, Barkjohn2022Settings):
            return ""
        square, slope, constant = map(digits, settings.quadratic)
        return f" (which is {square} x^2 + {slope} x + {constant})"

    def __init__(
        self, settings: Barkjohn2022Settings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Take the numbers of the parabola."""
        self._quadratic = settings.quadratic
        super().__init__(settings, series, stations)

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        square, slope, constant = self._quadratic
        linear = 0.524 * x - 0.0862 * humidity + 5.75
        bent = square * x**2 + slope * x + constant
        share = np.where(x < 570, 0.0, np.where(x < 611, np.minimum(0.0244 * x - 13.9, 1.0), 1.0))
        return share * bent + (1 - share) * linear
