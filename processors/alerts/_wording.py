# SPDX-License-Identifier: EUPL-1.2
"""Numbers as people read them."""

from __future__ import annotations

import math

from lamppost.quantities import QUANTITIES
from lamppost.wording import printed_unit


def number(value: float) -> str:
    """Return a number with as many digits as a reader needs.

    >>> number(182.34), number(1204.9), number(0.0312), number(75)
    ('182.3', '1205', '0.0312', '75')
    """
    if not math.isfinite(value):
        return "no number"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    if abs(value) >= 1 or value == 0:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.3g}"


def amount(value: float, unit: str) -> str:
    """Return a number with its printed unit.

    >>> amount(75, "ug/m3"), amount(12, "1")
    ('75 µg/m³', '12')
    """
    return f"{number(value)} {printed_unit(unit)}".rstrip()


def label(quantity: str, qualifiers: str = "") -> str:
    """Return the printed name of a series' quantity.

    >>> label("pm2_5"), label("flow", "lane=2")
    ('PM2.5', 'Traffic flow (lane=2)')
    """
    printed = QUANTITIES[quantity].label if quantity in QUANTITIES else quantity
    return f"{printed} ({qualifiers})" if qualifiers else printed
