# SPDX-License-Identifier: EUPL-1.2
"""Barkjohn 2020: the older correction in two pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost.wording import with_unit

from ._method import Correction, CorrectionSettings, Method
from ._numbers import sum_of
from .barkjohn_2021 import Barkjohn2021Settings


class Barkjohn2020Settings(Barkjohn2021Settings):
    """Where to correct, and how far to trust it."""

    valid: tuple[float, float] | None = Field(
        default=(0.0, 1000.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " No source states the end of it: a choice.",
    )
    linear: tuple[float, float, float] = Field(
        default=(0.52, -0.086, 5.75),
        description="Numbers of the line: of x, of RH, and the constant. One source.",
    )
    quadratic: tuple[float, float, float] = Field(
        default=(3.93e-4, 0.46, 2.97),
        description="Numbers of the parabola in smoke: of x², of x, and the constant. One source.",
    )
    bend: float = Field(
        default=343.0, gt=0, description="Up to where the line holds, µg/m³. One source."
    )


@register("derivation")
class Barkjohn2020(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors by 0.52 x − 0.086 RH + 5.75, bent above 343.

    Above 343 µg/m³ it is ``0.46 x + 0.000393 x² + 2.97``, without humidity. Below 0 it is 0.

    Source: one program only; none of its numbers was confirmed elsewhere, so all are settings.

    Known failures: it jumps at 343 µg/m³, at 50 % from 179.8 to 207.0 µg/m³. For comparison with
    older data only; ``barkjohn_2021`` and ``barkjohn_2022`` replace it.
    """

    name: ClassVar[str] = "barkjohn_2020"
    Settings: ClassVar[type[Barkjohn2020Settings]] = Barkjohn2020Settings
    method: ClassVar[Method] = Method(
        version="barkjohn_2020/two-piece",
        formula="a line in x and RH, and in smoke a parabola in x",
        source="Two-piece form of 2020 (one source)",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
    )

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return the line, the parabola, and where one ends."""
        if not isinstance(settings, Barkjohn2020Settings):
            return ""
        line = sum_of(*zip(settings.linear, ("x", "RH", ""), strict=True))
        parabola = sum_of(*zip(settings.quadratic, ("x^2", "x", ""), strict=True))
        return f" ({line} up to {with_unit(settings.bend, 'µg/m³')}, {parabola} above)"

    def __init__(
        self, settings: Barkjohn2020Settings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Take the numbers of both pieces."""
        self._linear, self._quadratic = settings.linear, settings.quadratic
        self._bend = settings.bend
        super().__init__(settings, series, stations)

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        of_x, of_humidity, constant = self._linear
        square, slope, start = self._quadratic
        linear = of_x * x + of_humidity * humidity + constant
        return np.where(x <= self._bend, linear, square * x**2 + slope * x + start)
