# SPDX-License-Identifier: EUPL-1.2
"""What a reading costs in each check, beside ioos_qc where both have the same test."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

import processors
from lamppost.component import Rows, discover, find
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import MINUTE_NS

from .rows import Peer, Row
from .timing import Plan, Spread, Work, in_turns

GROUP: Final = "checks"
_ORACLE: Final = "ioos_qc"
_START_NS: Final = 1_790_000_000_000_000_000
# How many times the oracle's rate; 1 for all others.
_AT_LEAST: Final = {"flat_line": 50.0, "flat_line within 5": 50.0}
_LIMITS: Final[dict[str, Any]] = {
    "gross_range": {"fail_span": [-5, 5], "suspect_span": [-3, 3]},
    "climatology": [
        {"period": "month", "span": [1, 12], "suspect_span": [-3, 3], "fail_span": [-5, 5]}
    ],
    "spike": {"suspect": 2, "fail": 4},
    "rate_of_change": {"suspect_per_s": 0.01},
    "flat_line": {"suspect_s": 3_600, "fail_s": 14_400},  # as the default policy for particles
    "flat_line within 5": {"suspect_s": 3_600, "fail_s": 14_400, "tolerance": 5},
    "attenuated_signal": {"window_s": 600, "suspect": 1, "fail": 0.5, "activity": "sd"},
    "saturation": {"high": 4, "suspect_s": 600},
    "gap": {"suspect_s": 600},
    "percentile_range": {"span": [-5, 5]},
}
_HOW: Final = (
    "One series of readings a minute apart, in one batch, sorted beforehand as for all checks;"
    " ioos_qc gets the same numbers as one array. CPU of one process."
)
_HOW_WIDE: Final = "Many series, one reading of each in a batch, minute after minute; CPU."


def measure(plan: Plan) -> list[Row]:
    """Measure each check on one long series and on many short ones."""
    discover(processors)
    readings = plan.pick(1_000_000, 100_000)
    rounds = plan.pick(5, 3)
    value = np.round(np.random.default_rng(1).normal(0, 2, readings), 1)
    time = _START_NS + np.arange(readings, dtype=np.int64) * MINUTE_NS
    oracle = _oracle(value, time)
    rows: list[Row] = []
    for name in _LIMITS:
        works: dict[str, Work] = {"ours": _one_series(name, value, time)}
        if name in oracle:
            works[_ORACLE] = oracle[name]
        taken = in_turns(works, rounds)
        rates = {who: spread.rates(readings) for who, spread in taken.items()}
        rows.append(_row(f"{name}, one series", _HOW, rates, _AT_LEAST.get(name, 1.0)))
        wide = in_turns({"ours": _many_series(name, value)}, rounds)["ours"]
        rows.append(_row(f"{name}, 10,000 series", _HOW_WIDE, {"ours": wide.rates(readings)}, 1.0))
    return rows


def _row(what: str, how: str, rates: dict[str, Spread], at_least: float) -> Row:
    ours, peer = rates["ours"], None
    if _ORACLE in rates:
        theirs = rates[_ORACLE]
        peer = Peer(_ORACLE, theirs.median, ours.over(theirs), at_least)
    return Row(
        group=GROUP,
        what=what,
        measured=ours.median,
        low=ours.low,
        high=ours.high,
        unit="readings/s",
        better="more",
        how=how,
        peer=peer,
    )


def _one_series(name: str, value: np.ndarray[Any, Any], time: np.ndarray[Any, Any]) -> Work:
    groups = _grouped(np.zeros(len(value), np.int32))
    rows = Rows(groups, time, value, np.ones(len(value), np.uint8))
    return lambda: _check(name, 1).judge(rows)


def _many_series(name: str, value: np.ndarray[Any, Any]) -> Work:
    series = min(10_000, len(value))
    groups, flag = _grouped(np.arange(series, dtype=np.int32)), np.ones(series, np.uint8)
    batches = [
        Rows(groups, np.full(series, _START_NS + minute * MINUTE_NS), part, flag)
        for minute, part in enumerate(np.split(value, len(value) // series))
    ]

    def work() -> None:
        check = _check(name, series)
        for rows in batches:
            check.judge(rows)

    return work


def _grouped(series: np.ndarray[Any, np.dtype[np.int32]]) -> Groups:
    """Sort rows as the quality stage does, once for all checks."""
    groups = Groups.by_series(series)
    for name in ("is_first", "starts", "lasts", "group", "codes"):
        getattr(groups, name)
    return groups


def _check(name: str, series: int) -> Any:  # noqa: ANN401 - the registry knows classes only
    table = SeriesTable(SeriesKey(f"aq-{number}", "o3") for number in range(series))
    component = find("check", name.split(maxsplit=1)[0], "benchmarks")
    return component.cls(component.parse({"quantities": {"o3": _LIMITS[name]}}, name), table)


def _oracle(
    value: np.ndarray[Any, Any], time: np.ndarray[Any, Any]
) -> dict[str, Callable[[], object]]:
    """Return the same tests of ioos_qc; none where it is not installed."""
    if find_spec(_ORACLE) is None:
        return {}
    qartod: Any = import_module(f"{_ORACLE}.qartod")
    stamps = time.astype("datetime64[ns]")
    month = {"tspan": (1, 12), "vspan": (-3, 3), "fspan": (-5, 5), "period": "month"}
    depth = np.full(len(value), np.nan)
    return {
        "gross_range": lambda: qartod.gross_range_test(value, (-5, 5), (-3, 3)),
        "climatology": lambda: qartod.climatology_test([month], value, stamps, depth),
        "spike": lambda: qartod.spike_test(value, 2, 4),
        "rate_of_change": lambda: qartod.rate_of_change_test(value, stamps, 0.01),
        "flat_line": lambda: qartod.flat_line_test(value, stamps, 3_600, 14_400, 1e-6),
        "flat_line within 5": lambda: qartod.flat_line_test(value, stamps, 3_600, 14_400, 5),
        "attenuated_signal": lambda: qartod.attenuated_signal_test(
            value, stamps, 1, 0.5, 600, min_obs=10
        ),
        "gap": lambda: qartod.time_gap_test(stamps, 1 / 6),
        "percentile_range": lambda: qartod.percentile_range_test(value, 5, 95),
    }
