# SPDX-License-Identifier: EUPL-1.2
"""Barkjohn 2021: the US-wide correction of PurpleAir sensors."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register

from ._method import Correction, CorrectionSettings, Method


class Barkjohn2021Settings(CorrectionSettings):
    """Where to correct, and how far to trust it."""

    valid: tuple[float, float] | None = Field(
        default=(0.0, 250.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " The span is widely quoted, but was not verified in the paper.",
    )
    uncertainty: float = Field(
        default=3.0,
        ge=0,
        description="Standard uncertainty (k = 1), the part that is constant, µg/m³. From the root"
        " mean square error quoted for daily means; not verified, and larger for single readings.",
    )
    relative_uncertainty: float = Field(
        default=0.1,
        ge=0,
        description="Standard uncertainty (k = 1), the part in proportion to the result. No source"
        " states one: a choice.",
    )


@register("derivation")
class Barkjohn2021(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors by 0.524 x − 0.0862 RH + 5.75.

    x is the mean of both channels where the device has two, RH the device's own humidity in %.
    Below 0 the result is 0.

    Source: Barkjohn, Gantt and Clements 2021, Atmospheric Measurement Techniques 14:4617. Other
    programs hold 0.0852 and 5.72, the preprint 0.52, 0.085 and 5.71; these are the article's.

    Known failures: fed with the ATM channel it is wrong by a wide margin, so it is only given
    CF=1. In smoke beyond the range it was made for it shows too little; ``barkjohn_2022`` bends
    upwards there. A stuck humidity sensor shifts the result by up to 8.6 µg/m³, so without a
    humidity that passed its checks there is no result.
    """

    name: ClassVar[str] = "barkjohn_2021"
    Settings: ClassVar[type[Barkjohn2021Settings]] = Barkjohn2021Settings
    method: ClassVar[Method] = Method(
        version="barkjohn_2021/amt-14-4617",
        formula="0.524 x - 0.0862 RH + 5.75",
        source="Barkjohn et al. 2021, AMT 14:4617",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
    )

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del unit
        return 0.524 * x - 0.0862 * humidity + 5.75
