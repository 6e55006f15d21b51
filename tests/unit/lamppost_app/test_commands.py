# SPDX-License-Identifier: EUPL-1.2
"""The command line: results on standard output, mistakes as one line on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lamppost import log
from lamppost.log import Entry
from lamppost.policy import Policy
from lamppost_app.engine import Engine
from lamppost_app.explanation import STAGES
from tests.unit.lamppost_app.command_line import (
    ROUTES,
    WINDOWS,
    CommandLine,
    Ran,
    assert_refused,
    lamppost,
)

__all__ = ["lamppost"]

ROOT = Path(__file__).parents[3]
TOPIC = "v1/aq-017/readings"


# ---- check


def test_check_explains_the_policy_that_comes_with_lamppost(lamppost: CommandLine) -> None:
    """Where it is, its version, and each rule in a sentence with its numbers, stage by stage."""
    ran = lamppost("check")

    assert (ran.code, ran.err) == (0, "")
    assert str(ROOT / "policy") in ran.out
    told = " ".join(ran.out.split())
    order = [
        "v1/+/readings: Messages to this topic or path are read as native_json.",
        "else the time of receipt is used; days are those of Europe/Berlin.",
        "saturation: A reading of an instrument that stays at the end of its scale (humidity",
        "spike: A reading that stands apart from the one before and the one after it is",
        "temperature more than 12 °C; humidity more than 35 %; pressure more than 20 hPa)",
        "barkjohn_2021: pm2_5_cf1 of every sensor becomes pm2_5 by 0.524 x - 0.0862 RH",
        "us_aqi: US AQI, table of 2024-05, from the means of pm2_5 and pm10 over 24h;",
        "pm2_5_smoke: Smoke near the ground (critical): it holds while the mean of pm2_5",
        "eu_2008_50.pm10_day: PM10: the mean of a day above 50",
        "stations: 0",
    ]
    places = [told.find(part) for part in order]
    assert places == sorted(places)
    assert -1 not in places
    assert max(map(len, ran.out.splitlines())) <= 110


def test_check_explains_the_policy_with_everything_on(lamppost: CommandLine) -> None:
    """What it adds, and what it stands upon."""
    ran = lamppost("check", "--policy", ROOT / "policy" / "everything")

    told = {line.split(": ")[0].strip() for line in ran.out.splitlines() if ": " in line}
    assert (ran.code, ran.err) == (0, "")
    assert f"everything, upon {ROOT / 'policy'}: right" in ran.out
    assert {"spike", "climatology", "percentile_range", "attenuated_signal", "gap"} <= told
    assert {"barkjohn_2021", "fire_and_smoke", "kappa_koehler_volume", "local_fit"} <= told
    assert {"delay", "headway_from_flow", "density_from_occupancy"} <= told
    assert {"who", "daqi", "eaqi_2017"} <= told
    assert {"traffic_incident", "incident_california_8", "incident_apid"} <= told


def test_check_tells_programs_the_same(lamppost: CommandLine) -> None:
    """As one JSON object: every rule with its stage, name and sentence."""
    ran = lamppost("check", "--json")

    told = json.loads(ran.out)
    rules = {(rule["stage"], rule["name"]): rule["sentence"] for rule in told["rules"]}
    assert (ran.code, told["stations"]) == (0, 0)
    assert "18 of 24 h" in rules["indices", "us_aqi"]
    assert {stage for stage, _ in rules} == set(STAGES)
    assert all(sentence.endswith(".") for sentence in rules.values())


def test_check_reads_the_settings_beside_it(lamppost: CommandLine) -> None:
    """Without being told; another policy may be tried out."""
    lamppost.write("lamppost.toml", 'policy = "policy"\nstations = "s.geojson"\n')
    station = {"id": "a", "geometry": {"coordinates": [8, 49]}}
    lamppost.write("s.geojson", json.dumps({"features": [station]}))
    lamppost.policy(WINDOWS)
    other = lamppost.write(
        "other/p.yaml", WINDOWS + "quality: {sentinel: {quantities: {o3: [-1]}}}\n"
    )

    own, tried = lamppost("check"), lamppost("check", "--policy", other.parent)

    assert own.code == tried.code == 0
    assert "stations: 1" in own.out
    assert "sentinel: " not in own.out
    assert "sentinel: A reading that is a code counts as missing (o3 -1 µg/m³);" in tried.out


def test_check_names_what_a_policy_extends(lamppost: CommandLine) -> None:
    """Each rule is told, wherever it stands; a component's refusal names the file it is in."""
    check = "quality: {sentinel: {quantities: {o3: [-1]}}}\n"
    base = lamppost.write("base/b.yaml", WINDOWS + check).parent
    city = lamppost.policy("extends: ../base\n")

    ran, told = lamppost("check", "--policy", city), lamppost("check", "--policy", city, "--json")
    lamppost.write("base/b.yaml", WINDOWS + check.replace("quantities", "vibes"))

    assert f" in {city}, upon {base}: right" in ran.out
    assert "sentinel: A reading that is a code" in ran.out
    assert json.loads(told.out)["extends"] == [str(base)]
    wrong = f"{base}/b.yaml: quality.sentinel.vibes: "
    assert_refused(lamppost("check", "--policy", city), wrong)


@pytest.mark.parametrize(
    ("settings", "key"),
    [("[mqtt]\nport = 'many'\n", "mqtt.port"), ("polic = 'x'\n", "polic"), ("a = \n", "TOML")],
)
def test_wrong_settings_are_one_line_with_file_and_key(
    settings: str, key: str, lamppost: CommandLine
) -> None:
    """Exit code 2: starting again would not help."""
    config = lamppost.write("mine.toml", settings)

    assert_refused(lamppost("check", "--config", config), f"{config}: ", key)


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("qualitty: {}\n", ("p.yaml: qualitty: ",)),
        ("routes: [\n", ("p.yaml: not readable as YAML",)),
        ("time: {max_ahead_s: -1}\n", ("p.yaml: time.max_ahead_s: ",)),
        (WINDOWS + "quality: {vibes: {}}\n", ("quality.vibes: ", "known: ")),
        (WINDOWS + "indices: {us_aqi: {vibes: 1}}\n", ("indices.us_aqi.vibes: ",)),
    ],
)
def test_a_wrong_policy_is_one_line_with_file_and_key(
    policy: str, parts: tuple[str, ...], lamppost: CommandLine
) -> None:
    """Whether the loader or a component finds the mistake."""
    folder = lamppost.policy(policy)

    assert_refused(lamppost("check", "--policy", folder), str(folder), *parts)


@pytest.mark.parametrize(
    ("policy", "where", "problem"),
    [
        ("windows: {event_time: {include: []}}", "windows.event_time.include", "at least one"),
        (
            "windows: {event_time: {counters_wrap_at: [0]}}",
            "windows.event_time.counters_wrap_at",
            "must be above 0",
        ),
        (WINDOWS + "quality: {spike: {}}", "quality.spike.quantities", "nothing would be judged"),
        (
            WINDOWS + "quality: {detector_health: {period_s: {flow: 0}, no_hits: {}}}",
            "quality.detector_health.period_s.flow",
            "must be above 0",
        ),
        (
            WINDOWS + "quality: {sentinel: {quantities: {o3: [-1, -1]}}}",
            "quality.sentinel.quantities.o3",
            "names -1.0 twice",
        ),
        (WINDOWS + "corrections: {lrapa: {sensors: []}}", "corrections.lrapa.sensors", "at least"),
        (
            WINDOWS + "alerts: {a: {use: silence, title: ' '}}",
            "alerts.a.title",
            "must not be blank",
        ),
        (
            WINDOWS
            + "alerts: {a: {use: anomaly, title: x, settings: {minimum_deviation: {o3: -1}}}}",
            "alerts.a.settings.minimum_deviation.o3",
            "must not be below 0",
        ),
        (
            WINDOWS + ROUTES.replace("]", ", {match: v1/+/readings, format: archive_columns}]"),
            "routes.1.match",
            "the first is used",
        ),
    ],
)
def test_a_policy_that_cannot_be_meant_is_one_line_with_file_and_key(
    policy: str, where: str, problem: str, lamppost: CommandLine
) -> None:
    """It could be read, and would do nothing, or not what it says."""
    folder = lamppost.policy(policy + "\n")

    assert_refused(lamppost("check", "--policy", folder), f"p.yaml: {where}: ", problem)


def test_a_policy_that_cannot_be_meant_goes_on_where_it_is_in_force() -> None:
    """What was once accepted stands in inboxes and snapshots: only a new one is refused."""
    policy = Policy.model_validate({"windows": {"event_time": {}}, "quality": {"spike": {}}})

    said = Engine().apply(Entry(1, log.POLICY, 0, policy.canonical().encode()))

    assert [record.kind for record in said][:1] == [log.RULES]


def test_a_missing_settings_file_is_one_line(lamppost: CommandLine) -> None:
    """With what to do."""
    assert_refused(lamppost("check", "--config", "no.toml"), "no.toml: ", "--config")


def test_a_wrong_role_is_one_line(lamppost: CommandLine) -> None:
    """The roles there are stand in it."""
    assert_refused(lamppost("run", "--role", "janitor"), "janitor", "intake, engine, deliver")


def test_the_module_is_the_command_line(tmp_path: Path) -> None:
    """``python -m lamppost_app``, as the supervisor starts it, ends with the same code."""
    command = [sys.executable, "-m", "lamppost_app", "check", "--config", str(tmp_path / "no")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert_refused(Ran(ran.returncode, ran.stdout, ran.stderr), "there is no such settings file")


# ---- decode


def test_decode_prints_one_json_object_a_reading(lamppost: CommandLine) -> None:
    """In canonical units, with time and qualifiers as they will be stored."""
    payload = lamppost.write(
        "m.json",
        '{"sensor":"aq-017","time":"2026-11-21T22:00:00+01:00","values":{"no2":100,"pm1":null},'
        '"units":{"no2":"ppb"},"qualifiers":{"channel":"a"}}',
    )

    ran = lamppost("decode", "--topic", TOPIC, payload)

    gas, dust = (json.loads(line) for line in ran.out.splitlines())
    assert (ran.code, ran.err) == (0, "")
    assert gas.pop("value") == pytest.approx(191.25, rel=1e-4)
    assert gas == {
        "sensor_id": "aq-017",
        "quantity": "no2",
        "unit": "ug/m3",
        "timestamp": "2026-11-21T21:00:00Z",
        "qualifiers": {"channel": "a"},
        "reasons": [],
    }
    assert (dust["value"], dust["reasons"]) == (None, ["missing_value"])


def test_decode_shows_no_time_where_the_devices_is_not_believed(lamppost: CommandLine) -> None:
    """It depends on when the message was received."""
    future = '{"sensor":"a","time":"2026-11-21T22:00:00Z","values":{"pm1":1}}'
    payload = lamppost.write("m.json", future)
    naive = lamppost.write("n.json", future.replace("Z", ""))

    wrong = lamppost("decode", "--topic", TOPIC, "--received", "2026-11-21T21:00:00Z", payload)
    missing = lamppost("decode", "--topic", TOPIC, naive)

    assert json.loads(wrong.out)["timestamp"] is None
    assert json.loads(wrong.out)["reasons"] == ["time_implausible"]
    assert json.loads(missing.out)["reasons"] == ["time_missing"]


def test_decode_says_what_it_refuses_and_goes_on(lamppost: CommandLine) -> None:
    """Exit code 1, the reason on standard error, and every good reading on standard output."""
    bad = lamppost.write("bad.json", "{")
    half = lamppost.write("half.json", '{"sensor":"a","values":{"pm1":1,"happiness":2}}')

    ran = lamppost("decode", "--topic", TOPIC, bad, half)

    assert ran.code == 1
    assert [json.loads(line)["quantity"] for line in ran.out.splitlines()] == ["pm1"]
    first, second = ran.err.splitlines()
    assert first.startswith(f"{bad}: malformed: ")
    assert second.startswith(f"{half}: unknown_quantity: ")


def test_decode_knows_the_http_door_and_topics_without_format(lamppost: CommandLine) -> None:
    """The route decides which format reads a message."""
    payload = lamppost.write("m.json", '{"sensor":"a","values":{"pm1":1}}')

    pushed = lamppost("decode", "--topic", "/api/v1/readings", payload)
    nowhere = lamppost("decode", "--topic", "somewhere/else", payload)

    assert pushed.code == 0
    assert nowhere.code == 1
    assert "no_format" in nowhere.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--received", "yesterday"), "--received: "),
        (("--received", "2026-11-21T21:00:00"), "--received: "),
        (("--header", "no colon"), "--header: "),
        (("--before", "no equals sign"), "--before: "),
        (("--before", "topic=missing.json"), "missing.json: "),
        (("--policy", "nowhere"), "nowhere: "),
        (("gone.json",), "gone.json: "),
    ],
)
def test_decode_names_a_wrong_argument(
    arguments: tuple[str, ...], part: str, lamppost: CommandLine
) -> None:
    """One line, exit code 2."""
    payload = lamppost.write("m.json", '{"sensor":"a","values":{"pm1":1}}')

    ran = lamppost("decode", "--topic", TOPIC, *arguments, payload)

    assert ran.code == 2
    assert ran.out == ""
    assert f"lamppost: {part}" in ran.err
    assert len(ran.err.splitlines()) == 1


# ---- replay


@pytest.mark.parametrize("policy", ["policy", "policy/everything"])
def test_replay_writes_what_the_engine_says_about_a_recording(
    policy: str, lamppost: CommandLine
) -> None:
    """Three hours of minutes, by the policies that come with Lamppost."""
    rows = "".join(f"2026-01-31T{m // 60:02d}:{m % 60:02d}:00Z,{m % 7}\n" for m in range(180))
    recording = lamppost.write("r.csv", "when,dust\n" + rows)

    ran = lamppost(
        "replay",
        "--input",
        recording,
        "--out",
        "out",
        "--policy",
        ROOT / policy,
        "--sensor",
        "aq-1",
        "--time-column",
        "when",
        "--column",
        "dust=pm2_5",
    )

    out = lamppost.folder / "out"
    hours = [
        row
        for row in pq.read_table(out / "aggregates.parquet").to_pylist()
        if row["window"] == "1h"
    ]
    assert ran.code == 0
    assert "180 received, 180 accepted, 0 duplicate, 0 quarantined, 0 refused" in ran.out
    assert pq.read_table(out / "readings.parquet").num_rows == 180
    assert [row["count"] for row in hours] == [60, 60, 60]
    assert json.loads((out / "ledger.json").read_text())["total"]["received"] == 180
    assert (out / "alerts.ndjson").is_file()


def replay_of(recording: object) -> tuple[object, ...]:
    """Return what replays a recording of one sensor, but for its columns."""
    where = ("--input", recording, "--out", "out")
    return ("replay", *where, "--sensor", "a", "--time-column", "when")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--column", "dust"), "--column: "),
        (("--column", "dust=happiness"), "--column dust=happiness: "),
        (("--column", "soot=pm10"), "soot"),
        (("--column", "dust=pm10", "--zone", "Mars/Olympus"), "Mars/Olympus"),
    ],
)
def test_replay_names_a_wrong_argument(
    arguments: tuple[str, ...], part: str, lamppost: CommandLine
) -> None:
    """One line, exit code 2."""
    recording = lamppost.write("r.csv", "when,dust\n2026-01-31T00:00:00Z,1\n")

    ran = lamppost(*replay_of(recording), *arguments)

    assert_refused(ran, part)


@pytest.mark.parametrize("content", [None, "when,dust\n", "when,dust\n2026-01-31T00:00:00Z,much\n"])
def test_replay_names_a_recording_it_cannot_read(
    content: str | None, lamppost: CommandLine
) -> None:
    """Missing, without rows, or with a cell that is no number."""
    recording = lamppost.folder / "r.csv"
    if content is not None:
        lamppost.write("r.csv", content)

    ran = lamppost(*replay_of(recording), "--column", "dust=pm10")

    assert_refused(ran, str(recording))
