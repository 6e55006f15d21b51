# SPDX-License-Identifier: EUPL-1.2
"""The default policy: valid, commented, and kind to real extremes."""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.component import Kind, find
from lamppost.flags import FAIL
from lamppost.series import SeriesTable
from processors.quality.stage import QualityStage
from tests.processor_cases import build, readings, table
from tests.processor_conformance import POLICY, components
from tests.strategies import KEYS

SECTIONS: list[tuple[Kind, str]] = [
    *(("check", name) for name in POLICY.quality),
    *(("detector", name) for name in POLICY.detection),
    *(("aggregator", name) for name in POLICY.windows),
    *(("index", name) for name in POLICY.indices),
]


@pytest.mark.parametrize(("kind", "name"), SECTIONS)
def test_every_component_it_names_exists_and_takes_its_settings(kind: Kind, name: str) -> None:
    """A fresh installation starts."""
    sections = {
        "check": POLICY.quality,
        "detector": POLICY.detection,
        "aggregator": POLICY.windows,
        "index": POLICY.indices,
    }

    assert build(kind, name, sections[kind][name], SeriesTable(KEYS)).name == name


@pytest.mark.parametrize("rule_id", POLICY.alerts)
def test_every_alert_rule_is_valid_and_has_a_title(rule_id: str) -> None:
    """Operations staff read the title first."""
    components("alert")
    rule = POLICY.alerts[rule_id]

    assert rule.title
    assert find("alert", rule.use, rule_id).parse(rule.settings, rule_id)


def test_wildfire_smoke_is_never_failed() -> None:
    """Hours of PM2.5 beyond the index stay in the data, at most suspect."""
    series = table("pm2_5")
    checks = [build("check", name, raw, series) for name, raw in POLICY.quality.items()]
    smoke = (
        300 + 900 * np.sin(np.linspace(0, 3.1, 600)) + np.random.default_rng(1).normal(0, 5, 600)
    )

    found = QualityStage(checks, series).judge(readings(smoke.tolist()), np.ones(600, bool))

    assert smoke.max() > 1100
    assert (found.readings.flag != FAIL).all()
    assert (found.readings.flag == 1).mean() > 0.5
