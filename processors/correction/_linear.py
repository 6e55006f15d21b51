# SPDX-License-Identifier: EUPL-1.2
"""Settings of corrections that are a straight line: no source says how far to trust them."""

from __future__ import annotations

from pydantic import Field

from ._method import CorrectionSettings


class LinearSettings(CorrectionSettings):
    """Where to correct, and how far to trust it."""

    valid: tuple[float, float] | None = Field(
        default=(0.0, 65.0),
        description="Input the correction was made for, µg/m³; a result from beyond it is suspect."
        " The span is widely quoted, but was not verified.",
    )
    uncertainty: float = Field(
        default=5.0,
        ge=0,
        description="Standard uncertainty (k = 1), the part that is constant, µg/m³. No source"
        " states one: a choice.",
    )
    relative_uncertainty: float = Field(
        default=0.2,
        ge=0,
        description="Standard uncertainty (k = 1), the part in proportion to the result. No source"
        " states one: a choice.",
    )
