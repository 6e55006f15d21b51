# SPDX-License-Identifier: EUPL-1.2
"""Rules about limits: what a policy may say, and how it is explained."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lamppost.compliance import Compliance, ComplianceRule, RuleSet, explained
from lamppost.errors import ConfigError
from lamppost.policy import load_policy, parse_policy
from lamppost_app.explanation import rules
from tests.processor_conformance import POLICY

EU = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC; Directive (EU) 2024/2881 (jobonaf/aq-framework-snpa docs/en/tables)",
)
WHO = pytest.mark.vector("WHO guidelines", "WHO global air quality guidelines 2021 (airclim.org)")

PM10: dict[str, Any] = {
    "quantity": "pm10", "averaging": "day", "limit": 50, "permitted": 35, "source": "2008/50/EC",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"quantity": "pm11"}, "is not a quantity; did you mean pm1"),
        ({"averaging": "week"}, "none of day, max_daily_8h"),
        ({"averaging": "7min"}, "does not divide an hour"),
        ({"averaging": "8h"}, "does not divide an hour"),
        ({"averaging": "year"}, "permitted goes with"),
        ({"permitted": None}, "permitted goes with"),
        ({"unit": "km/h"}, "is no unit of pm10"),
        ({"unit": "furlong"}, "is no unit of pm10"),
        ({"limit": None}, "without a limit"),
        ({"limit": 0}, "greater than 0"),
        ({"interim": [50, 75]}, "the weakest target comes first"),
        ({"limit": 0.5}, "precision: 0.5 is no multiple of 1, so that rounded values"),
        ({"interim": [75, 37.5]}, "precision: 37.5 is no multiple of 1"),
        ({"years": 2, "years_needed": 3}, "years_needed must not exceed years"),
        ({"accumulate": {"above": 80}}, "accumulate goes with averaging: aot40"),
        ({"averaging": "aot40", "permitted": None}, "accumulate goes with averaging: aot40"),
        ({"capture": {"share": 1.1}}, "less than or equal to 1"),
        ({"source": ""}, "at least 1 character"),
        ({"colour": "red"}, "there is no such key"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(changes: dict[str, Any], problem: str) -> None:
    """A mistake is one line with the key path."""
    rule = {**PM10, **changes}
    raw = {"compliance": {"sets": {"ours": {"title": "Ours", "rules": {"pm10_day": rule}}}}}

    with pytest.raises(ConfigError) as caught:
        parse_policy(raw)

    assert problem in str(caught.value)
    assert "compliance.sets.ours.rules.pm10_day" in caught.value.where


@pytest.mark.parametrize("day", ["summer", "UTC+", "CET", ""])
def test_a_day_begins_at_a_known_time(day: str) -> None:
    """Winter, local, or an offset."""
    with pytest.raises(ConfigError, match="none of winter, local, UTC"):
        parse_policy({"compliance": {"day": day}})


def test_a_set_hands_down_what_its_rules_leave_out() -> None:
    """Capture, purpose and source; a rule's own word goes before."""
    own = {**PM10, "capture": {"share": 0.5}}
    found = RuleSet.model_validate(
        {
            "title": "Ours",
            "capture": {"share": 0.8},
            "purpose": "guideline",
            "source": "ours",
            "rules": {"a": {k: PM10[k] for k in PM10 if k != "source"}, "b": own},
        }
    )

    assert (found.rules["a"].capture.share, found.rules["b"].capture.share) == (0.8, 0.5)
    assert (found.rules["a"].source, found.rules["b"].source) == ("ours", "2008/50/EC")
    assert found.rules["a"].purpose == "guideline"


def test_the_canonical_text_stands_for_the_rules() -> None:
    """The outbox tells the rules in this form."""
    told = POLICY.compliance.model_dump(mode="json")

    assert Compliance.model_validate(told) == POLICY.compliance


@EU
@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2009, 12, 31), []),
        (date(2026, 11, 22), ["eu_2008_50", "who_2021"]),
        (date(2029, 12, 31), ["eu_2008_50", "who_2021"]),
        (date(2030, 1, 1), ["eu_2024_2881", "who_2021"]),
    ],
)
def test_the_policy_says_which_set_is_in_force_when(day: date, expected: list[str]) -> None:
    """2008/50/EC until 2030, 2024/2881 from 1 January 2030."""
    sets = POLICY.compliance.sets

    assert [name for name, given in sets.items() if given.in_force(day, day)] == expected


NUMBERS = [
    # 2008/50/EC.
    ("eu_2008_50.pm2_5_year", "pm2_5", "year", 25, None),
    ("eu_2008_50.pm10_day", "pm10", "day", 50, 35),
    ("eu_2008_50.pm10_year", "pm10", "year", 40, None),
    ("eu_2008_50.no2_hour", "no2", "1h", 200, 18),
    ("eu_2008_50.no2_year", "no2", "year", 40, None),
    ("eu_2008_50.so2_hour", "so2", "1h", 350, 24),
    ("eu_2008_50.so2_day", "so2", "day", 125, 3),
    ("eu_2008_50.co_8h", "co", "max_daily_8h", 10, 0),
    ("eu_2008_50.benzene_year", "benzene", "year", 5, None),
    ("eu_2008_50.lead_year", "lead", "year", 0.5, None),
    # 2004/107/EC, Annex I: target values in ng/m3.
    ("eu_2008_50.arsenic_year", "arsenic", "year", 6, None),
    ("eu_2008_50.cadmium_year", "cadmium", "year", 5, None),
    ("eu_2008_50.nickel_year", "nickel", "year", 20, None),
    ("eu_2008_50.benzo_a_pyrene_year", "benzo_a_pyrene", "year", 1, None),
    ("eu_2008_50.o3_8h", "o3", "max_daily_8h", 120, 25),
    # 2024/2881.
    ("eu_2024_2881.pm2_5_day", "pm2_5", "day", 25, 18),
    ("eu_2024_2881.pm2_5_year", "pm2_5", "year", 10, None),
    ("eu_2024_2881.pm10_day", "pm10", "day", 45, 18),
    ("eu_2024_2881.pm10_year", "pm10", "year", 20, None),
    ("eu_2024_2881.no2_hour", "no2", "1h", 200, 3),
    ("eu_2024_2881.no2_day", "no2", "day", 50, 18),
    ("eu_2024_2881.no2_year", "no2", "year", 20, None),
    ("eu_2024_2881.so2_hour", "so2", "1h", 350, 3),
    ("eu_2024_2881.so2_day", "so2", "day", 50, 18),
    ("eu_2024_2881.so2_year", "so2", "year", 20, None),
    ("eu_2024_2881.co_8h", "co", "max_daily_8h", 10, 0),
    ("eu_2024_2881.co_day", "co", "day", 4, 18),
    ("eu_2024_2881.benzene_year", "benzene", "year", 3.4, None),
    ("eu_2024_2881.lead_year", "lead", "year", 0.5, None),
    ("eu_2024_2881.arsenic_year", "arsenic", "year", 6, None),
    ("eu_2024_2881.cadmium_year", "cadmium", "year", 5, None),
    ("eu_2024_2881.nickel_year", "nickel", "year", 20, None),
    ("eu_2024_2881.benzo_a_pyrene_year", "benzo_a_pyrene", "year", 1, None),
    ("eu_2024_2881.o3_8h", "o3", "max_daily_8h", 120, 18),
    ("eu_2024_2881.o3_8h_long_term", "o3", "max_daily_8h", 100, 3),
    # WHO 2021.
    ("who_2021.pm2_5_year", "pm2_5", "year", 5, None),
    ("who_2021.pm2_5_day", "pm2_5", "day", 15, 3),
    ("who_2021.pm10_year", "pm10", "year", 15, None),
    ("who_2021.pm10_day", "pm10", "day", 45, 3),
    ("who_2021.o3_8h", "o3", "max_daily_8h", 100, 3),
    ("who_2021.o3_peak_season", "o3", "peak_season", 60, None),
    ("who_2021.no2_year", "no2", "year", 10, None),
    ("who_2021.no2_day", "no2", "day", 25, 3),
    ("who_2021.no2_hour", "no2", "1h", 200, 0),
    ("who_2021.so2_day", "so2", "day", 40, 3),
    ("who_2021.so2_10min", "so2", "10min", 500, 0),
    ("who_2021.co_day", "co", "day", 4, 3),
    ("who_2021.co_8h", "co", "max_daily_8h", 10, 0),
    ("who_2021.co_hour", "co", "1h", 35, 0),
    ("who_2021.co_15min", "co", "15min", 100, 0),
]


@pytest.mark.parametrize(
    ("name", "quantity", "averaging", "limit", "permitted"),
    [pytest.param(*row, marks=WHO if row[0].startswith("who") else EU) for row in NUMBERS],
)
def test_the_numbers_are_those_of_the_law(
    name: str, quantity: str, averaging: str, limit: float, permitted: int | None
) -> None:
    """The tables of both directives and of the guidelines, row by row."""
    chosen, _, rule_name = name.partition(".")
    rule = POLICY.compliance.sets[chosen].rules[rule_name]

    assert (rule.quantity, rule.averaging, rule.limit, rule.permitted) == (
        quantity,
        averaging,
        limit,
        permitted,
    )
    assert rule.unit == ("mg/m3" if quantity == "co" else None)


@WHO
@pytest.mark.parametrize(
    ("name", "interim"),
    [
        ("pm2_5_year", (35, 25, 15, 10)),
        ("pm2_5_day", (75, 50, 37.5, 25)),
        ("pm10_year", (70, 50, 30, 20)),
        ("pm10_day", (150, 100, 75, 50)),
        ("o3_8h", (160, 120)),
        ("o3_peak_season", (100, 70)),
        ("no2_year", (40, 30, 20)),
        ("no2_day", (120, 50)),
        ("so2_day", (125, 50)),
        ("co_day", (7,)),
    ],
)
def test_interim_targets_are_those_of_the_guidelines(name: str, interim: tuple[float, ...]) -> None:
    """Those of NO2 and 24 h without the 75 that one source inserts."""
    assert POLICY.compliance.sets["who_2021"].rules[name].interim == interim


def test_what_is_not_verified_says_so() -> None:
    """A number by one source, or by none, carries a remark, with the rule or with its set."""
    for chosen in POLICY.compliance.sets.values():
        assert chosen.remark
    for chosen in POLICY.compliance.sets.values():
        for rule in chosen.rules.values():
            assert ("Rounding before comparing" in rule.remarks) == (rule.limit is not None)
    assert "One source" in POLICY.compliance.sets["eu_2024_2881"].rules["so2_day"].remark


def test_check_explains_every_rule_in_a_sentence() -> None:
    """And says which cannot be worked out."""
    told = rules(load_policy(Path(__file__).parents[3] / "policy"))
    limits = {rule.name: rule.sentence for rule in told if "." in rule.name}

    found = POLICY.compliance.sets.items()
    assert {f"{chosen}.{name}" for chosen, own in found for name in own.rules} <= limits.keys()
    assert limits["eu_2008_50.no2_hour"] == (
        "NO₂: the mean of an hour above 200 µg/m³ at 20 °C and 101.325 kPa (EU) is permitted 18"
        " times a year; 90 % must be measured; 2008/50/EC, Annex XI."
    )
    lacking = [name for name, sentence in limits.items() if "NO WINDOWS" in sentence]
    assert lacking == ["who_2021.so2_10min"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"averaging": "year", "permitted": None, "limit": 40},
            "PM10: the mean of the year may not exceed 40 µg/m³; 90 % must be measured",
        ),
        (
            {"permitted": 0, "unit": "mg/m3", "limit": 1},
            "PM10: the mean of a day above 1 mg/m³ is never permitted; 90 % must be measured",
        ),
        (
            {"years": 3, "capture": {"share": 0.9, "of": "summer_months"}},
            (
                "PM10: the mean of a day above 50 µg/m³ is permitted 35 times a year as a mean over"
                " 3 years; 90 % of 5 summer months must be measured"
            ),
        ),
        (
            {"averaging": "year", "permitted": None, "limit": None, "capture": {"share": 0.75,
             "of": "summer_and_winter"}},
            "PM10: the mean of the year is reported; 75 % of summer and of winter must be measured",
        ),
        (
            {"quantity": "o3", "averaging": "aot40", "permitted": None, "limit": 18000, "years": 5,
             "accumulate": {"above": 80, "months": [5, 6, 7]}},
            (
                "O₃: the sum of what hours from 8:00 to 20:00 in May, June and July lie above 80"
                " µg/m³ (AOT40) may not exceed 18000 µg/m³·h at 20 °C and 101.325 kPa (EU) as a"
                " mean over 5 years; 90 % must be measured"
            ),
        ),
    ],
)  # fmt: skip
def test_sentences(rule: dict[str, Any], expected: str) -> None:
    """Limit, permission, years and capture."""
    assert explained(ComplianceRule.model_validate({**PM10, **rule})) == expected
