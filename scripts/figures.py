# SPDX-License-Identifier: EUPL-1.2
"""``python -m scripts.figures``: draws what each check flags of an example series.

The pictures are plain SVG in docs/images/checks and stand on the checks' pages. The same code gives
the same bytes; with ``--check`` nothing is written, and a picture that is out of date fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

import processors
from lamppost.batch import ReadingBatch
from lamppost.component import discover, find
from lamppost.flags import FAIL, GOOD, MISSING, NOT_EVALUATED, SUSPECT
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.times import SECOND_NS
from lamppost.wording import unit_of
from processors.quality.stage import QualityStage

from .figure_examples import EXAMPLES, Example, Floats, Line

FOLDER: Final = Path(__file__).parent.parent / "docs/images/checks"
_START_NS: Final = 1_767_225_600 * SECOND_NS  # the first hour of 2026
_WIDTH: Final = 800
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 44
_PANEL: Final = 150
_BETWEEN: Final = 22
_FOOT: Final = 30
_COLOURS: Final = {
    GOOD: ("good", "#2f7d5b"),
    NOT_EVALUATED: ("not evaluated", "#9aa3ad"),
    SUSPECT: ("suspect", "#d08a1e"),
    FAIL: ("fail", "#b3402e"),
    MISSING: ("missing", "#5b6470"),
}
_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw every picture; with --check only compare, and return 1 where one is out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.figures", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    only_check = parser.parse_args(arguments).check
    stale = [
        name
        for name, drawn in figures().items()
        if not (path := FOLDER / f"{name}.svg").is_file() or path.read_text("utf-8") != drawn
    ]
    if not only_check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (FOLDER / f"{name}.svg").write_text(figures_of(name), "utf-8")
        print(f"figures: {len(stale)} of {len(EXAMPLES)} drawn anew")
        return 0
    if stale:
        print(f"figures: out of date: {', '.join(stale)}; run scripts/docs", file=sys.stderr)
    return 1 if stale else 0


def figures() -> dict[str, str]:
    """Return every picture by the name of its check."""
    return {name: figures_of(name) for name in sorted(EXAMPLES)}


def figures_of(name: str) -> str:
    """Return the picture of one check."""
    example = EXAMPLES[name]()
    return _drawn(name, example, _flags(name, example))


def _flags(name: str, example: Example) -> list[np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    """Return the flags of each line in the end, amendments included."""
    discover(processors)
    series = SeriesTable(line.key for line in example.lines)
    component = find("check", name, "scripts.figures")
    around = (example.stations,) if component.cls.scope == "city" else ()
    check = component.cls(component.parse(example.settings, name), series, *around)
    stage = QualityStage([check], series)
    found = [np.zeros(len(line.time), np.uint8) for line in example.lines]
    for moment in np.unique(np.concatenate([line.time for line in example.lines])).tolist():
        batch, places = _at(example, moment)
        judgement = stage.judge(stage.without_codes(batch).readings, np.ones(len(batch), np.bool_))
        for part in (judgement.amended, judgement.readings):
            for code, time, flag in zip(part.series, part.time, part.flag, strict=True):
                at = (int(time) - _START_NS) / SECOND_NS
                place = places.get(int(code)) if at == moment else None
                times = example.lines[code].time
                found[code][int(np.searchsorted(times, at)) if place is None else place] = flag
    for line, flags in zip(example.lines, found, strict=True):
        flags[np.isnan(line.value)] = 0  # nothing is drawn there
    return found


def _at(example: Example, moment: float) -> tuple[ReadingBatch, dict[int, int]]:
    """Return the readings of one instant, and their places in their lines."""
    places = {
        code: int(place[0])
        for code, line in enumerate(example.lines)
        if len(place := np.flatnonzero(line.time == moment))
    }
    count = len(places)
    time = np.full(count, _START_NS + round(moment * SECOND_NS))
    batch = ReadingBatch(
        series=np.array(list(places), np.int32),
        time=time,
        received=time,
        value=np.array([example.lines[code].value[place] for code, place in places.items()]),
        flag=np.full(count, NOT_EVALUATED, np.uint8),
        reasons=np.zeros(count, np.uint32),
    )
    return batch, places


def _drawn(
    name: str,
    example: Example,
    flags: Sequence[np.ndarray[tuple[int], np.dtype[np.uint8]]],
) -> str:
    quantities = list(dict.fromkeys(line.key.quantity for line in example.lines))
    height = _TOP + len(quantities) * (_PANEL + _BETWEEN) - _BETWEEN + _FOOT
    end = max(float(line.time[-1]) for line in example.lines)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">'
        ),
        f"<title>{escape(name)}: {escape(example.caption)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" fill="#111827">{escape(example.caption)}</text>',
        *_legend(flags, example),
    ]
    for number, quantity in enumerate(quantities):
        top = _TOP + number * (_PANEL + _BETWEEN)
        shown = [
            (line, flag)
            for line, flag in zip(example.lines, flags, strict=True)
            if line.key.quantity == quantity
        ]
        parts += _panel(quantity, shown, top, end)
    parts += _hours(end, height - _FOOT)
    return "\n".join([*parts, "</svg>", ""])


def _legend(
    flags: Sequence[np.ndarray[tuple[int], np.dtype[np.uint8]]], example: Example
) -> list[str]:
    judged = [flag for flag, line in zip(flags, example.lines, strict=True) if line.judged]
    present = set(np.concatenate(judged).tolist())
    parts, x = [], _LEFT
    for flag, (word, colour) in _COLOURS.items():
        if flag in present:
            parts.append(f'<circle cx="{x + 4}" cy="32" r="4" fill="{colour}"/>')
            parts.append(f'<text x="{x + 13}" y="36" fill="#374151">{word}</text>')
            x += 32 + 7 * len(word)
    return parts


def _panel(
    quantity: str,
    shown: Sequence[tuple[Line, np.ndarray[tuple[int], np.dtype[np.uint8]]]],
    top: int,
    end: float,
) -> list[str]:
    values = np.concatenate([line.value for line, _ in shown])
    low, high, step = _scale(float(values.min()), float(values.max()))
    title = f"{QUANTITIES[quantity].label}, {unit_of(quantity)}"
    parts = [
        (
            f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_PANEL}"'
            ' fill="none" stroke="#d1d5db"/>'
        ),
        f'<text x="{_LEFT + 6}" y="{top + 15}" fill="#374151">{escape(title)}</text>',
    ]
    for tick in np.arange(low, high + step / 2, step).tolist():
        y = _y(np.array([tick]), low, high, top)[0]
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end" fill="#6b7280">'
            f"{tick:g}</text>"
        )
    for line, flag in sorted(shown, key=lambda one: one[0].judged):
        x = _LEFT + line.time / end * (_WIDTH - _LEFT - _RIGHT)
        y = _y(line.value, low, high, top)
        colour = "#6b7280" if line.judged else "#d1d5db"
        points = " ".join(f"{at:.1f},{up:.1f}" for at, up in zip(x, y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        if line.judged:
            parts += _dots(x, y, flag)
    return parts


def _dots(x: Floats, y: Floats, flags: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> list[str]:
    """Return points as one path for each flag: dots are strokes without length."""
    parts = []
    for flag, (_, colour) in _COLOURS.items():
        where = np.flatnonzero(flags == flag)
        if len(where):
            width = 5 if flag in {SUSPECT, FAIL, MISSING} else 3
            steps = "".join(f"M{x[at]:.1f} {y[at]:.1f}h0" for at in where.tolist())
            parts.append(
                f'<path d="{steps}" stroke="{colour}" stroke-width="{width}"'
                ' stroke-linecap="round"/>'
            )
    return parts


def _scale(lowest: float, highest: float) -> tuple[float, float, float]:
    """Return round ends of an axis, and the step of its ticks."""
    span = max(highest - lowest, 1e-9)
    rough = span / 4
    power = 10 ** np.floor(np.log10(rough))
    step = float(power * next(one for one in (1, 2, 2.5, 5, 10) if power * one >= rough))
    return float(np.floor(lowest / step) * step), float(np.ceil(highest / step) * step), step


def _y(value: Floats, low: float, high: float, top: int) -> Floats:
    up: Floats = top + _PANEL - (value - low) / (high - low) * _PANEL
    return up


def _hours(end: float, foot: int) -> list[str]:
    """Return the labels of time below the panels."""
    unit, word = next(one for one in _UNITS if end >= 2 * one[0])
    _, _, step = _scale(0.0, end / unit)
    parts = []
    for tick in np.arange(0, end / unit + 1e-9, step).tolist():
        x = _LEFT + tick * unit / end * (_WIDTH - _LEFT - _RIGHT)
        parts.append(
            f'<text x="{x:.0f}" y="{foot + 18}" text-anchor="middle" fill="#6b7280">'
            f"{tick:g} {word}</text>"
        )
    return parts


if __name__ == "__main__":
    sys.exit(main())
