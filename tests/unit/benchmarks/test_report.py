# SPDX-License-Identifier: EUPL-1.2
"""Verdicts, table, picture and page say what the rows say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as program
from benchmarks import decoding, scaling_plot
from benchmarks.plot import draw, goodness
from benchmarks.report import write_docs, write_results
from benchmarks.rows import Peer, Point, Row
from benchmarks.table import HEADINGS, as_markdown, as_text
from benchmarks.timing import Plan, Spread

FAST = Row("intake", "a & b", 1.5, 1.0, 2.0, "µs", "less", "By hand.", budget=2.0)
RATE = Row("engine", "rate", 900.0, 800.0, 950.0, "1/s", "more", "By hand.")


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (FAST, "met"),
        (replace(FAST, measured=2.5), "missed"),
        (RATE, ""),
        (replace(RATE, budget=1000.0), "missed"),
        (replace(RATE, peer=Peer("limit", 1000.0, 0.9)), ""),
        (replace(RATE, peer=Peer("limit", 1000.0, 0.9, 0.9)), "met"),
        (replace(RATE, budget=500.0, peer=Peer("limit", 1000.0, 0.8, 0.9)), "missed"),
        (replace(FAST, peer=Peer("loop", 1.0, 1.5, 1.0)), "missed"),
    ],
)
def test_a_row_is_met_only_when_budget_and_ratio_are(row: Row, verdict: str) -> None:
    """Less or more is better, as the row says; without anything to keep to it says nothing."""
    assert row.verdict == verdict


def test_the_table_has_a_line_for_each_row_and_aligned_columns() -> None:
    """In the terminal and on the page."""
    text, page = as_text([FAST, RATE]), as_markdown([FAST, RATE])

    assert text.splitlines()[0].split("  ")[0] == HEADINGS[0]
    assert [line.index("µs") for line in text.splitlines()[1:2]] == [text.index("unit")]
    assert "| a & b | 1.50 (1.00 – 2.00) | µs | ≤ 2.00 |  |  | met |" in page
    assert page.count("By hand.") == 2


def test_the_picture_is_drawn_towards_better_and_worse() -> None:
    """It is well-formed, whatever the words, and rows without comparison are left out."""
    worse = replace(RATE, peer=Peer("<limit>", 1000.0, 0.9))

    picture = ET.fromstring(draw([FAST, RATE, worse]))  # noqa: S314 - our own text

    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["a & b: 1.50 µs; budget 2.00", "rate: 900 1/s; <limit>: 1,000"]
    assert (goodness(FAST) or 0) > 1 > (goodness(worse) or 2)
    assert goodness(RATE) is None


def test_the_scaling_picture_draws_each_curve_through_its_sizes() -> None:
    """Higher is faster, and rows without a size are left out."""
    sizes = [
        replace(RATE, measured=9.0 / size, point=Point("a < b", size)) for size in (1000, 10**5)
    ]

    picture = ET.fromstring(scaling_plot.draw([FAST, *sizes]))  # noqa: S314 - our own text

    (curve,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    (x1, y1), (x2, y2) = (spot.split(",") for spot in curve.attrib["points"].split())
    assert float(x1) < float(x2)
    assert float(y1) < float(y2)
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert words[-1] == "a < b"
    assert "1,000 series" in words


def test_results_and_page_are_written(tmp_path: Path) -> None:
    """The page keeps what people wrote around the generated part."""
    (tmp_path / "docs/images").mkdir(parents=True)
    page = tmp_path / "docs/performance.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")

    path = write_results([FAST], {"cores": "2"}, tmp_path / "results")
    write_docs([FAST], {"cores": "2"}, tmp_path)

    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["machine"] == {"cores": "2"}
    assert stored["rows"][0]["verdict"] == "met"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- measured -->\n| machine | |")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert "| cores | 2 |" in text


@pytest.mark.parametrize(("asserting", "status"), [([], 0), (["--assert"], 1)])
def test_only_a_missed_ratio_fails_and_only_when_asked(
    asserting: list[str], status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missed budget is told, never asserted: it is an absolute number of a shared machine."""
    slow = replace(FAST, measured=9.0, budget=2.0)
    missed = replace(FAST, peer=Peer("loop", 1.0, 1.5, 1.0))
    monkeypatch.setattr(program, "calm_process", lambda: None)
    monkeypatch.setattr(program, "write_results", lambda *_: tmp_path)
    monkeypatch.setitem(program.MEASUREMENTS, "inbox", lambda _: [slow])
    monkeypatch.setitem(program.MEASUREMENTS, "store", lambda _: [missed])

    assert program.main(["inbox", *asserting]) == 0
    assert program.main(["inbox", "store", *asserting]) == status


def test_a_spread_compares_round_by_round() -> None:
    """A round that was slow for both sides does not move the ratio."""
    mine, theirs = Spread([2.0, 20.0, 2.0]), Spread([1.0, 10.0, 1.0])

    assert mine.over(theirs) == 2.0
    assert (mine.low, mine.median, mine.high) == (2.0, 2.0, 20.0)


def test_decoding_can_be_measured() -> None:
    """The quick form runs and gives rows that hold together; how fast it was is not looked at."""
    rows = decoding.measure(Plan(quick=True))

    assert [row.group for row in rows] == ["decode"] * 4
    for row in rows:
        assert 0 < row.low <= row.measured <= row.high
        assert row.peer is not None
        assert row.peer.value > 0
