# SPDX-License-Identifier: EUPL-1.2
"""Charts and maps draw what the numbers say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.flags import FAIL, GOOD, SUSPECT
from lamppost.times import HOUR_NS, MINUTE_NS
from lamppost_app.portal import charts, locator

WORDS = {1: "good", 2: "-", 3: "suspect", 4: "failed", 9: "missing"}


def point(minute: int, value: float | None, flag: int = GOOD, band: float = 1.0) -> dict:
    """Return a reading."""
    low, high = (None, None) if value is None else (value - band, value + band)
    return {"time": minute * MINUTE_NS, "value": value, "flag": flag, "reasons": 0, "score": None,
            "expected": value, "band_low": low, "band_high": high, "revision": 0}  # fmt: skip


FRAME = charts.ChartFrame("PM2.5", 0, HOUR_NS)


def test_a_gap_breaks_the_line_and_is_shaded() -> None:
    """No line is drawn where nothing was measured."""
    points = [point(m, 5.0) for m in range(60) if not 20 < m < 40]

    chart = charts.draw(points, FRAME, WORDS)

    assert chart.line.count("M") == 2
    assert len(chart.gaps) == 1


def test_flagged_readings_have_shapes() -> None:
    """Colour is never the only sign."""
    points = [point(1, 5.0), point(2, 9.0, SUSPECT), point(3, 99.0, FAIL), point(4, 5.0)]

    chart = charts.draw(points, FRAME, WORDS)

    assert [mark.shape for mark in chart.marks] == ["suspect", "fail"]


def test_the_axis_includes_the_limit() -> None:
    """What an alert was held against is always in view."""
    frame = charts.ChartFrame("PM2.5", 0, HOUR_NS, threshold=500.0)

    chart = charts.draw([point(m, 5.0) for m in range(9)], frame, WORDS)

    assert chart.threshold is not None
    assert chart.top <= chart.threshold <= chart.bottom


def test_thinning_keeps_every_flagged_reading() -> None:
    """A spike must not fall between two points."""
    points = [point(m, 5.0, FAIL if m == 7777 else GOOD) for m in range(10_000)]

    kept = charts.thinned(points)

    assert len(kept) < 1700
    assert any(row["flag"] == FAIL for row in kept)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-1e6, 1e6), st.floats()),
            st.sampled_from([GOOD, SUSPECT, FAIL, 9]),
        ),
        max_size=60,
    )
)
def test_any_readings_stay_inside_the_frame(rows: list[tuple[float | None, int]]) -> None:
    """Whatever the values, every mark lies in the drawing."""
    points = [point(minute, value, flag) for minute, (value, flag) in enumerate(rows)]

    chart = charts.draw(points, FRAME, WORDS)

    for mark in chart.marks:
        assert chart.left <= mark.x <= chart.right
        assert chart.top - 0.2 <= mark.y <= chart.bottom + 0.2
    assert all(earlier.at > later.at for earlier, later in pairwise(chart.y_ticks))


@pytest.mark.parametrize("value", [1e300, -1.7e308, 1.7e308, float("inf"), float("nan")])
def test_an_absurd_value_does_not_flatten_the_others(value: float) -> None:
    """The axis is made for what can be a measurement."""
    points = [point(1, 4.0), point(2, 6.0), point(3, value, band=0.0)]

    chart = charts.draw(points, FRAME, WORDS)

    assert [tick.label for tick in chart.y_ticks] == ["0", "2", "4", "6", "8"]


@pytest.mark.parametrize("value", [1e300, 5e-324, 1e15, 0.0, float("inf"), float("nan")])
def test_a_single_value_of_any_size_is_drawn(value: float) -> None:
    """A chart with nothing else to go by still has an axis."""
    chart = charts.draw([point(1, value, band=0.0)], FRAME, WORDS)

    assert len(chart.y_ticks) > 1
    assert len(chart.dots) == 1


@pytest.mark.parametrize("odd", [1e300, -1.7e308, float("inf"), float("nan")])
def test_class_limits_leave_absurd_values_out(odd: float) -> None:
    """One broken station must not paint the whole map in one colour."""
    assert locator.class_limits([3.0, 58.0, odd]) == [10.0, 20.0, 30.0, 40.0, 50.0]


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=50))
def test_class_limits_rise_and_hold_every_value(values: list[float]) -> None:
    """Six classes, in order."""
    limits = locator.class_limits(values)

    assert all(low < high for low, high in pairwise(limits))
    assert {locator.colour_class(value, limits) for value in values} <= set(range(1, 7))


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _tokens() -> list[dict[str, str]]:
    path = Path(charts.__file__).parent / "static" / "css" / "tokens.css"
    light, dark = path.read_text().split("@media (prefers-color-scheme: dark)")
    themes = []
    for text in (light, dark):
        lines = [line.strip().rstrip(";") for line in text.splitlines() if ": #" in line]
        themes.append(dict(line.split(": ") for line in lines))
    return [themes[0], {**themes[0], **themes[1]}]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_people_need(theme: int) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the edges of controls and graphics."""
    tokens = _tokens()[theme]
    texts = [(ink, paper) for ink in ("--ink", "--soft", "--link", "--warning", "--critical")
             for paper in ("--paper", "--card")]  # fmt: skip
    texts += [(f"--{name}", f"--{name}-paper") for name in ("critical", "warning", "info", "ok")]
    texts += [("--button-ink", "--button")]
    edges = [(edge, paper) for edge in ("--control", "--focus", "--line", "--expected",
             "--marker-edge") for paper in ("--paper", "--card")]  # fmt: skip

    poor = [
        (one, other, round(_contrast(tokens[one], tokens[other]), 2))
        for pairs, least in ((texts, 4.5), (edges, 3.0))
        for one, other in pairs
        if _contrast(tokens[one], tokens[other]) < least
    ]

    assert poor == []
