# SPDX-License-Identifier: EUPL-1.2
"""A policy change and the memory of the indices; what goes out with the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lamppost.batch import IndexBatch, ReadingBatch
from lamppost.component import registered
from lamppost.flags import NOT_EVALUATED
from lamppost.policy import Policy, load_policy
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost_app.pipeline import Pipeline

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policy")
START = 1_790_000_000 * SECOND_NS // HOUR_NS * HOUR_NS


def run(pipeline: Pipeline, hours: range) -> IndexBatch:
    """Feed a reading of PM2.5 and NO2 every five minutes, and return the indices of the hours."""
    parts = []
    for hour in hours:
        time = START + hour * HOUR_NS + np.arange(12) * 5 * MINUTE_NS
        readings = ReadingBatch(
            series=np.repeat(np.arange(2), 12),
            time=np.tile(time, 2),
            received=np.tile(time, 2),
            value=np.repeat([20.0, 50.0], 12) + np.tile([-0.2, -0.1, 0.1, 0.2], 6),
            flag=np.full(24, NOT_EVALUATED, np.uint8),
            reasons=np.zeros(24, np.uint32),
        )
        end = START + (hour + 1) * HOUR_NS
        pipeline.judge(readings, end)
        parts.append(pipeline.advance(end + MINUTE_NS).indices)
    return IndexBatch.concat(parts)


def pipeline(policy: Policy) -> Pipeline:
    """Return a pipeline for two series."""
    return Pipeline(policy, SeriesTable([SeriesKey("a", "pm2_5"), SeriesKey("a", "no2")]), {})


def test_an_index_remembers_its_hours_when_its_rules_change() -> None:
    """A value of 24 hours does not have to wait for another day."""
    changed = POLICY.model_copy(
        update={"indices": {**POLICY.indices, "us_aqi": {"valid_hours": 20}, "daqi": {}}}
    )
    former, later = pipeline(POLICY), pipeline(changed)
    run(former, range(24))

    later.inherit(former, START + 25 * HOUR_NS)
    found = run(later, range(24, 25))

    number = {name: item.cls.number for name, item in registered("index").items()}
    values = {
        name: found.value[(found.index == number[name]) & (found.series == 0)].tolist()
        for name in ("us_aqi", "nowcast", "eaqi", "who")
    }
    assert values == {"us_aqi": [71.0], "nowcast": [71.0], "eaqi": [3.0], "who": [2.0]}
    new = found.index == number["daqi"]
    np.testing.assert_array_equal(found.value[new], [np.nan, 1.0])


def test_the_default_policy_rates_the_first_hour_where_an_hour_is_enough() -> None:
    """The European index needs no day before it."""
    found = run(pipeline(POLICY), range(1))

    eaqi = found.index == 3
    assert found.value[eaqi].tolist() == [3.0, 3.0]
    assert found.category[eaqi].tolist() == [3, 3]
    assert np.isnan(found.value[(found.index == 1) & (found.series == 0)]).all()
