# SPDX-License-Identifier: EUPL-1.2
"""``lamppost index``: numbers with their working, and errors people understand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamppost.errors import ConfigError
from lamppost_app.cli import command_line

POLICY = str(Path(__file__).resolve().parents[3] / "policy")


def ask(*arguments: str) -> str:
    """Return what the command prints.

    Raises:
        ConfigError: the question was wrong.
    """
    ran = CliRunner().invoke(command_line(["index"]), ["index", *arguments, "--policy", POLICY])
    if isinstance(ran.exception, ConfigError):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_the_working_is_shown_with_its_numbers() -> None:
    """Averaging, truncation, band, formula, result, category, advice, version and source."""
    told = ask("us-aqi", "--pm2_5", "35.45")

    assert "US AQI, table 2024-05: 40 CFR 58 Appendix G" in told
    assert "taken for the mean of 24h" in told
    assert "truncated to 0.1: 35.4 µg/m³" in told
    assert "band 9.1 to 35.4 µg/m³: index 51 to 100" in told
    assert "(100 - 51) / (35.4 - 9.1) * (35.4 - 9.1) + 51 = 100.0000" in told
    assert "US AQI 100, Moderate, PM2.5 responsible" in told
    assert "Advice: Unusually sensitive people" in told


def test_several_pollutants_make_one_value() -> None:
    """The highest counts, and is named; ppb are converted and that is said."""
    told = ask("us-aqi", "--pm2_5", "20", "--no2", "101ppb", "--o3", "0.13ppm@1h")

    assert "1 ppb is 1.91251 µg/m³ at 20 °C and 101.325 kPa" in told
    assert "O₃, 1h" in told
    assert "US AQI 107, Unhealthy for sensitive groups, O₃ responsible" in told


def test_equal_pollutants_are_responsible_together() -> None:
    """Levels are often equal."""
    assert "PM2.5 and NO₂ responsible" in ask("eaqi", "--pm2_5", "10", "--no2", "20")


def test_hours_are_averaged_as_the_index_does() -> None:
    """Newest first; the EPA's example of NowCast, and too few hours of eight."""
    hours = "21,-,35,49.2,48.6,53.7,66.2,69.2,64.9,50,43,34.9"

    assert "mean 28.4098 µg/m³" in ask("nowcast", "--pm2_5", hours)
    assert "US AQI NowCast 87, Moderate" in ask("nowcast", "--pm2_5", hours)
    told = ask("daqi", "--o3", "60,60,-,60,60,-,60,60")
    assert "6 of the newest 8 hours count, 6 are needed" in told
    assert "mean 60 µg/m³" in told
    assert "UK DAQI: no value" in ask("daqi", "--o3", "60,60,-,60,-,-,60,60")


def test_a_nowcast_needs_two_of_three_hours() -> None:
    """And says so."""
    told = ask("nowcast", "--pm2_5", "21")

    assert "1 of the 3 newest hours count, 2 are needed" in told
    assert "no value" in told


def test_json_has_everything() -> None:
    """For scripts."""
    answer = json.loads(ask("who", "--no2", "26", "--pm2_5", "12@year", "--json"))

    assert answer["value"] == 4
    assert answer["category"] == "Meets interim target 2"
    assert answer["responsible"] == ["no2"]
    assert answer["table"] == "2021"
    assert [found["period"] for found in answer["pollutants"]] == ["year", "24h"]
    assert answer["pollutants"][0]["working"][0] == "given: 12 µg/m³"
    assert answer["advice"]


def test_beyond_the_table_is_said() -> None:
    """Above 500 the last band goes on."""
    told = ask("us-aqi", "--pm2_5", "400")

    assert "above the table, whose last band goes on" in told
    assert "US AQI 649, Hazardous, PM2.5 responsible; beyond the published table" in told


def test_the_end_of_a_table_points_to_the_other_average() -> None:
    """SO2 of an hour never says more than 200: from 305 ppb it is for 24 hours (table 6)."""
    told = ask("us-aqi", "--so2", "310ppb@1h")

    assert "above this table, which ends at 200: more is for another averaging to say" in told
    assert "US AQI 200, Unhealthy, SO₂ responsible" in told


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("moon", "--pm2_5", "5"), "there is no index called 'moon' (known: daqi, eaqi"),
        (("eaqi",), "no concentration is given (one of --pm2_5 --pm10 --no2 --o3 --so2)"),
        (("eaqi", "--co", "5"), "eaqi says nothing about co; it knows pm2_5, pm10"),
        (("eaqi", "--pm2_5", "5furlongs"), "--pm2_5: 'furlongs' is not a unit Lamppost knows"),
        (("eaqi", "--pm2_5", "5ppb"), "--pm2_5: 'ppb' does not measure pm2_5"),
        (("eaqi", "--no2", "5ppb,5ppm"), "--no2: the numbers have different units"),
        (("eaqi", "--no2", "much"), "--no2: 'much' is not a number (as in 35.4 or 53ppb)"),
        (("eaqi", "--no2", "5@24h"), "eaqi has no no2 over 24h; it has 1h"),
    ],
)
def test_wrong_questions_are_answered_with_what_would_be_right(
    arguments: tuple[str, ...], problem: str
) -> None:
    """Pollutant, unit, number, period, index."""
    with pytest.raises(ConfigError) as raised:
        ask(*arguments)

    assert problem in str(raised.value)


def test_advice_must_be_about_every_category() -> None:
    """A policy that forgets one is refused where it stands."""
    from lamppost.policy import Policy
    from lamppost_app.components import discover_processing
    from lamppost_app.pipeline import check_advice

    discover_processing()
    for advice, where in (
        ({"eaqi": {"en": ("Stay.",)}}, "advice.eaqi.en: has 1 texts, and the index 6 categories"),
        ({"eaqi": {"english": ()}}, "advice.eaqi.english: a language has two letters"),
        ({"moon": {"en": ()}}, "advice.moon: there is no index called 'moon'"),
    ):
        with pytest.raises(ConfigError) as raised:
            check_advice(Policy(advice=advice))
        assert where in str(raised.value)
