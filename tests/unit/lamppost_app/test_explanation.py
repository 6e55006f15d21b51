# SPDX-License-Identifier: EUPL-1.2
"""Every rule of a policy in a sentence, and what is published of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lamppost import log
from lamppost.component import all_reasons
from lamppost.log import Entry
from lamppost.policy import Policy, load_policy
from lamppost_app.engine import Engine
from lamppost_app.explanation import STAGES, Rule, published, rules

POLICY = load_policy(Path(__file__).parents[3] / "policy")
RULES = rules(POLICY)


def test_the_stages_stand_in_the_order_of_the_data() -> None:
    """And none of the default policy's is empty."""
    stages = [rule.stage for rule in RULES]

    assert list(dict.fromkeys(stages)) == list(STAGES)
    assert stages == sorted(stages, key=list(STAGES).index)


def test_every_key_of_the_policy_is_explained() -> None:
    """By the name it has there."""
    told = {(rule.stage, rule.name) for rule in RULES}

    for stage in ("quality", "corrections", "derivations", "detection", "windows", "indices"):
        assert {name for where, name in told if where == stage} == set(getattr(POLICY, stage))
    assert {name for where, name in told if where == "alerts"} == set(POLICY.alerts)
    limits = {
        f"{name}.{rule}" for name, known in POLICY.compliance.sets.items() for rule in known.rules
    }
    assert limits <= {name for where, name in told if where == "compliance"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.stage}-{rule.name}")
def test_a_rule_is_one_sentence(rule: Rule) -> None:
    """With a full stop at its end and none before."""
    assert rule.sentence.endswith(".")
    assert ". " not in rule.sentence.replace("al. ", "")


def test_an_alert_says_when_it_fires_and_when_it_resolves() -> None:
    """Beside its severity, title and condition."""
    (smoke,) = [rule.sentence for rule in RULES if rule.name == "pm2_5_smoke"]

    assert smoke.startswith("Smoke near the ground (critical): it holds while the mean of pm2_5")
    assert smoke.endswith("it fires once that lasted 15 min; it resolves 15 min after its end.")


def test_a_limit_without_its_windows_says_so() -> None:
    """Nothing would ever be held against it."""
    (limit,) = [rule.sentence for rule in RULES if rule.name == "who_2021.so2_10min"]

    assert limit.endswith("NO WINDOWS of 10min are made.")


def test_a_reason_is_published_with_the_numbers_in_force() -> None:
    """By the rule that gives it; of each quantity by itself."""
    told = published(POLICY)

    spike = told["spike"]["quality.spike"]
    assert "pm10 and no2 more than 120 µg/m³" in spike["sentence"]
    assert (
        "(temperature more than 4 °C) or fails (temperature more than 12 °C)"
        in (spike["quantities"]["temperature"])
    )
    assert "pm10" not in spike["quantities"]["temperature"]
    assert "up to 1 min ahead of receipt" in told["time_implausible"]["time"]["sentence"]
    assert told.keys() <= {reason.name for reason in all_reasons()}
    assert "gap" not in told


def test_the_engine_publishes_them_with_the_reasons() -> None:
    """In the entry with which a policy takes effect."""
    engine = Engine()

    said = engine.apply(Entry(1, log.POLICY, 0, POLICY.canonical().encode()))

    (entry,) = [record for record in said if record.kind == log.RULES]

    reasons = {reason["name"]: reason["rules"] for reason in json.loads(entry.body)["reasons"]}
    spike = reasons["spike"]["quality.spike"]["quantities"]
    assert spike == published(POLICY)["spike"]["quality.spike"]["quantities"]
    assert reasons["gap"] == {}


def test_a_policy_of_an_earlier_version_is_explained() -> None:
    """By the name it uses."""
    policy = Policy(windows={"tumbling": {"lengths": ["1h"]}})

    told = {rule.name: rule.sentence for rule in rules(policy)}

    assert told["tumbling"].startswith("Statistics of windows of 1h in UTC, from readings")
    assert published(policy).keys() == {"time_implausible"}


def test_a_policy_without_rules_says_what_holds_all_the_same() -> None:
    """Time, units and growth have defaults."""
    told = {rule.name for rule in rules(Policy())}

    assert told == {"time", "units", "growth", "rating", "publication"}
