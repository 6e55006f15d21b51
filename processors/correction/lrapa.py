# SPDX-License-Identifier: EUPL-1.2
"""LRAPA: the linear correction of the Lane Regional Air Protection Agency, Oregon."""

from __future__ import annotations

from typing import ClassVar

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register

from ._linear import LinearSettings
from ._method import Correction, Method


@register("derivation")
class Lrapa(Correction):
    """Corrects PM2.5 (CF=1) of Plantower sensors by 0.5 x − 0.66.

    x is the mean of both channels where the device has two. Below 0 the result is 0.

    Source: LRAPA, from co-locations in wood smoke in Oregon; the formula in two programs or more.

    Known failures: made in winter smoke of one valley. Elsewhere its errors are larger than those
    of ``barkjohn_2021``, which knows the humidity.
    """

    name: ClassVar[str] = "lrapa"
    Settings: ClassVar[type[LinearSettings]] = LinearSettings
    method: ClassVar[Method] = Method(
        version="lrapa/1",
        formula="0.5 x - 0.66",
        source="Lane Regional Air Protection Agency, Oregon",
        inputs=("pm2_5_cf1",),
        result="pm2_5",
        humidity=False,
    )

    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values."""
        del humidity, unit
        return 0.5 * x - 0.66
