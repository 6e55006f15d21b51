# SPDX-License-Identifier: EUPL-1.2
"""AQandU: the linear correction of the University of Utah."""

from __future__ import annotations

from typing import ClassVar

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register

from ._linear import LinearSettings
from ._method import Correction, Method


@register("derivation")
class Aqandu(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors by 0.778 x + 2.65.

    x is the mean of both channels where the device has two. Below 0 the result is 0.

    Source: AQandU, from co-locations in Salt Lake City; the formula in two programs or more.

    Known failures: made for the winters of one valley. Elsewhere its errors are larger than those
    of ``barkjohn_2021``, which knows the humidity.
    """

    name: ClassVar[str] = "aqandu"
    Settings: ClassVar[type[LinearSettings]] = LinearSettings
    method: ClassVar[Method] = Method(
        version="aqandu/1",
        formula="0.778 x + 2.65",
        source="AQandU, University of Utah",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
        humidity=False,
    )

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del humidity, unit
        return 0.778 * x + 2.65
