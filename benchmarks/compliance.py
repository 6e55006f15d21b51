# SPDX-License-Identifier: EUPL-1.2
"""What it costs to hold a year of stations against limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from lamppost.compliance import Compliance
from lamppost.policy import load_policy
from lamppost.times import HOUR_NS
from processors.compliance.assessment import Year, assess
from processors.compliance.daily import Needs, reduce
from processors.compliance.reckoning import Reckoning, year_days

from .rows import Row
from .timing import Plan, Spread, cpu_s

GROUP: Final = "compliance"
_STATIONS: Final = 500
_YEAR: Final = 2025
_LIMIT_S: Final = 1.0
_POLICY: Final = Path(__file__).parent.parent / "policy"


def measure(plan: Plan) -> list[Row]:
    """Measure a year of hourly means of one pollutant, from hours to verdicts of all its rules."""
    compliance = load_policy(_POLICY).compliance
    return [
        _row(
            quantity, Spread([cpu_s(_table(quantity, compliance)) for _ in range(plan.pick(7, 3))])
        )
        for quantity in ("pm10", "no2", "o3")
    ]


def _table(quantity: str, compliance: Compliance) -> Callable[[], object]:
    given = [
        rule
        for chosen in compliance.sets.values()
        for rule in chosen.rules.values()
        if rule.quantity == quantity and rule.window_ns == HOUR_NS
    ]
    needs = Needs.of(given)
    first, end = year_days(_YEAR)
    starts = Reckoning(compliance.day, "Europe/Berlin").starts(first, end)
    begin = int(starts[0]) - needs.lead * HOUR_NS
    random = np.random.default_rng(1)
    values = random.gamma(2, 20, (_STATIONS, (int(starts[-1]) - begin) // HOUR_NS))
    values[random.random(values.shape) < 0.02] = np.nan

    def work_out() -> None:
        days = reduce(values, begin, first, starts, needs, compliance)
        for rule in given:
            assess(rule, days, Year(_YEAR, end), compliance)

    return work_out


def _row(quantity: str, taken_s: Spread) -> Row:
    return Row(
        group=GROUP,
        what=f"a year of {_STATIONS} stations against limits, {quantity}",
        measured=taken_s.median,
        low=taken_s.low,
        high=taken_s.high,
        unit="s CPU",
        better="less",
        how=f"{_STATIONS * 8_760:,} hourly means to days, and every rule of the default policy on"
        " them; without reading the store.",
        budget=_LIMIT_S,
    )
