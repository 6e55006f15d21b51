# SPDX-License-Identifier: EUPL-1.2
"""Barkjohn 2020: the older correction in two pieces."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register

from ._method import Correction, Method
from .barkjohn_2021 import Barkjohn2021Settings


class Barkjohn2020Settings(Barkjohn2021Settings):
    """Where to correct, and how far to trust it."""

    valid: tuple[float, float] | None = Field(
        default=(0.0, 1000.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " No source states the end of it: a choice.",
    )


@register("derivation")
class Barkjohn2020(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors by 0.52 x − 0.086 RH + 5.75, bent above 343.

    Above 343 µg/m³ it is ``0.46 x + 0.000393 x² + 2.97``, without humidity. Below 0 it is 0.

    Source: one program only; the break and the quadratic were not confirmed elsewhere.

    Known failures: it jumps at 343 µg/m³, at 50 % from 179.8 to 207.0 µg/m³. For comparison with
    older data only; ``barkjohn_2021`` and ``barkjohn_2022`` replace it.
    """

    name: ClassVar[str] = "barkjohn_2020"
    Settings: ClassVar[type[Barkjohn2020Settings]] = Barkjohn2020Settings
    method: ClassVar[Method] = Method(
        version="barkjohn_2020/two-piece",
        formula="0.52 x - 0.086 RH + 5.75 up to 343, 0.46 x + 0.000393 x^2 + 2.97 above",
        source="Two-piece form of 2020 (one source)",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
    )

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        linear = 0.52 * x - 0.086 * humidity + 5.75
        return np.where(x <= 343, linear, 0.46 * x + 3.93e-4 * x**2 + 2.97)
