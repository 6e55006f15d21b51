# SPDX-License-Identifier: EUPL-1.2
"""A configuration is checked in full before anything runs, and announced once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lamppost import log
from lamppost.clock import ManualClock
from lamppost.errors import ConfigError
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost_app.bootstrap import announce, check_configuration
from lamppost_app.pipeline import Pipeline
from lamppost_app.settings import HttpSettings, MqttSettings, Settings, load
from lamppost_app.sqlite_log import SqliteLog

ROOT = Path(__file__).parents[3]
WINDOWS = "windows: {event_time: {}}\n"


def station(sensor: str) -> dict[str, Any]:
    """Return a station's feature."""
    return {"id": sensor, "geometry": {"coordinates": [8.4, 49.0]}, "properties": {"name": "Ö"}}


def make_settings(folder: Path, policy: str = WINDOWS, **given: Any) -> Settings:
    """Write policy and stations, and return settings that name them."""
    (folder / "policy").mkdir(exist_ok=True)
    (folder / "policy" / "p.yaml").write_text(policy, encoding="utf-8")
    stations = {"features": [station("a"), station("b")]}
    (folder / "s.geojson").write_text(json.dumps(stations), encoding="utf-8")
    return Settings(policy=folder / "policy", stations=folder / "s.geojson", **given)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[SqliteLog]:
    """An empty inbox."""
    opened = SqliteLog(tmp_path / "inbox.db")
    yield opened
    opened.close()


def refusal(settings: Settings) -> str:
    """Return the one line a wrong configuration is answered with."""
    with pytest.raises(ConfigError) as raised:
        check_configuration(settings)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    return line


def test_a_right_configuration_is_returned_whole(tmp_path: Path) -> None:
    """Policy and stations as the engine will use them."""
    checked = check_configuration(make_settings(tmp_path))

    assert checked.policy.windows == {"event_time": {}}
    assert [one.sensor for one in checked.stations] == ["a", "b"]


def test_the_policy_that_comes_with_lamppost_can_be_built() -> None:
    """Every component it names exists and takes the settings it gives."""
    checked = check_configuration(Settings(policy=ROOT / "policy"))

    assert checked.stations == []


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (f"{WINDOWS}routes: [{{match: a, format: morse}}]\n", "routes.0.format"),
        (f"{WINDOWS}quality: {{vibes: {{}}}}\n", "quality.vibes"),
        (f"{WINDOWS}detection: {{vibes: {{}}}}\n", "detection.vibes"),
        (f"{WINDOWS}indices: {{vibes: {{}}}}\n", "indices.vibes"),
        (f"{WINDOWS}indices: {{us_aqi: {{vibes: 1}}}}\n", "indices.us_aqi.vibes"),
        (f"{WINDOWS}quality: {{sentinel: {{vibes: 1}}}}\n", "quality.sentinel.vibes"),
        (f"{WINDOWS}alerts: {{a: {{use: vibes, title: x}}}}\n", "alerts.a.use"),
        (
            f"{WINDOWS}alerts: {{a: {{use: silence, title: x, settings: {{vibes: 1}}}}}}\n",
            "alerts.a.settings.vibes",
        ),
        ("windows: {event_time: {vibes: 1}}\n", "windows.event_time.vibes"),
        (
            "windows: {event_time: {default_period_s: .inf}}\n",
            "windows.event_time.default_period_s",
        ),
        (
            f"{WINDOWS}quality: {{spike: {{quantities: {{no2: {{suspect: .inf}}}}}}}}\n",
            "quality.spike.quantities.no2.suspect",
        ),
        (f"{WINDOWS}alerts: {{a: {{use: silence, title: x, for_s: .inf}}}}\n", "alerts.a.for_s"),
        ("windows: {}\n", "windows"),
        ("windows: {sliding: {}}\n", "windows"),
    ],
)
def test_a_component_or_setting_that_does_not_exist_is_named(
    policy: str, path: str, tmp_path: Path
) -> None:
    """The file it stands in, and the key path within it."""
    settings = make_settings(tmp_path, policy)

    assert refusal(settings).startswith(f"{settings.policy}/p.yaml: {path}: ")


PUBLIC = "use: public_threshold"
INDICES = "daqi, eaqi, eaqi_2017, nowcast, us_aqi, who"


def threshold(settings: str, rest: str = WINDOWS) -> str:
    """Return a policy with a threshold rule."""
    return (
        f"{rest}alerts: {{a: {{use: threshold, title: x, settings: {{above: 1, {settings}}}}}}}\n"
    )


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (
            threshold("quantity: no2, window: 2h"),
            "window: there is no window of 2h (known: 1min, 15min, 1h (windows.event_time))",
        ),
        (
            threshold("quantity: no2, window: 1h", "windows: {event_time: {lengths: [1min]}}\n"),
            "window: there is no window of 1h (known: 1min (windows.event_time))",
        ),
        (
            threshold("quantity: no2, window: day").replace("use: threshold", PUBLIC),
            "window: there is no window of day (known: 1min, 15min, 1h (windows.event_time))",
        ),
        (
            threshold("index: us_aqi"),
            "index: the index us_aqi is not switched on (name it under indices; on: none)",
        ),
        (
            threshold("index: moon"),
            f"index: there is no index called 'moon' (known: {INDICES})",
        ),
    ],
)
def test_a_rule_about_what_the_policy_does_not_make_is_refused(
    policy: str, problem: str, tmp_path: Path
) -> None:
    """It would be valid and silent for ever."""
    settings = make_settings(tmp_path, policy)

    assert refusal(settings) == f"{settings.policy}/p.yaml: alerts.a.settings.{problem}"


@pytest.mark.parametrize(
    "policy",
    [
        threshold("quantity: no2, window: 60min"),
        threshold("index: us_aqi", f"{WINDOWS}indices: {{us_aqi: {{}}}}\n"),
    ],
)
def test_a_rule_about_what_the_policy_makes_is_right(policy: str, tmp_path: Path) -> None:
    """Sixty minutes are an hour."""
    assert check_configuration(make_settings(tmp_path, policy)).policy.alerts


def test_a_missing_station_file_is_named(tmp_path: Path) -> None:
    """Before anything else starts."""
    settings = make_settings(tmp_path).model_copy(update={"stations": tmp_path / "no.geojson"})

    assert refusal(settings).startswith(f"{tmp_path}/no.geojson: ")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_push_beyond_this_machine_needs_a_token(host: str, tmp_path: Path) -> None:
    """Else anybody could write readings."""
    open_to_all = make_settings(tmp_path, http=HttpSettings(host=host))
    token = SecretStr("t")

    assert refusal(open_to_all).startswith("http.push_token: ")
    check_configuration(make_settings(tmp_path, http=HttpSettings(host=host, push_token=token)))
    check_configuration(make_settings(tmp_path, http=HttpSettings(host=host, push=False)))
    check_configuration(make_settings(tmp_path, http=HttpSettings(host=host, enabled=False)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_push_from_this_machine_needs_none(host: str, tmp_path: Path) -> None:
    """A laptop needs no secrets."""
    check_configuration(make_settings(tmp_path, http=HttpSettings(host=host)))


@pytest.mark.parametrize("http", [HttpSettings(enabled=False), HttpSettings(push=False)])
def test_an_installation_without_a_door_is_refused(http: HttpSettings, tmp_path: Path) -> None:
    """Nothing could ever come in."""
    settings = make_settings(tmp_path, mqtt=MqttSettings(enabled=False), http=http)

    assert refusal(settings).startswith("mqtt.enabled: ")


def test_policy_and_stations_are_entered_in_the_inbox(tmp_path: Path, inbox: SqliteLog) -> None:
    """They can change results, so they are entries like all else."""
    checked = check_configuration(make_settings(tmp_path))

    announce(checked, inbox, ManualClock(77))

    policy, registration = inbox.read(0, 9)
    assert (policy.kind, policy.at) == (log.POLICY, 77)
    assert Policy.model_validate_json(policy.body) == checked.policy
    assert (registration.kind, registration.at) == (log.REGISTRATION, 77)
    assert [one["sensor"] for one in json.loads(registration.body)] == ["a", "b"]
    assert "Ö".encode() in registration.body


def test_what_the_inbox_says_already_is_not_said_again(tmp_path: Path, inbox: SqliteLog) -> None:
    """However often Lamppost is started, and whatever came in between."""
    checked = check_configuration(make_settings(tmp_path))

    announce(checked, inbox, ManualClock(77))
    inbox.append([log.Record(log.TICK, 78, b"")])
    announce(checked, inbox, ManualClock(99))

    assert inbox.last() == 3


def test_only_what_changed_is_said_anew(tmp_path: Path, inbox: SqliteLog) -> None:
    """Back and forth, each change is an entry."""
    changed = f"{WINDOWS}time: {{max_ahead_s: 5}}\n"
    for policy in (WINDOWS, changed, WINDOWS):
        announce(check_configuration(make_settings(tmp_path, policy)), inbox, ManualClock(1))

    kinds = [entry.kind for entry in inbox.read(0, 9)]

    assert kinds == [log.POLICY, log.REGISTRATION, log.POLICY, log.POLICY]


def test_windows_are_still_found_by_their_former_name() -> None:
    """A policy of an earlier version may stand in an inbox."""
    policy = Policy.model_validate({"windows": {"tumbling": {"lengths": ["1min", "1h", "24h"]}}})

    assert len(Pipeline(policy, SeriesTable(), {}).advance(0).aggregates) == 0


NAMED = """
policy = "policy"
[mqtt]
enabled = true
[open_data]
windows = {windows}
"""


def load_with(folder: Path, settings: str) -> Settings:
    """Return settings read from a file beside a policy."""
    make_settings(folder)
    (folder / "lamppost.toml").write_text(settings, encoding="utf-8")
    return load(folder / "lamppost.toml")


def test_a_window_the_policy_does_not_make_is_refused(tmp_path: Path) -> None:
    """Naming the file, the key and the windows there are."""
    settings = load_with(tmp_path, NAMED.replace("{windows}", '["1h", "7h"]'))

    line = refusal(settings)

    assert f"{tmp_path / 'lamppost.toml'}: open_data.windows" in line
    assert "there is no window of 7h" in line
    assert "the policy makes 1min, 15min, 1h" in line


def test_windows_by_default_are_those_the_policy_makes(tmp_path: Path) -> None:
    """Who names none wants whichever of the usual ones there are."""
    settings = load_with(tmp_path, NAMED.replace("windows = {windows}", ""))

    assert check_configuration(settings).settings.open_data.windows[-1] == "year"


def test_windows_of_open_data_that_are_off_are_not_looked_at(tmp_path: Path) -> None:
    """Nobody would miss them."""
    switched = NAMED.replace("{windows}", '["7h"]') + "enabled = false\n"

    assert check_configuration(load_with(tmp_path, switched))


def test_the_settings_of_further_sinks_are_checked(tmp_path: Path) -> None:
    """Before the process that runs them starts."""
    settings = load_with(tmp_path, NAMED.partition("[open")[0] + '[sinks.mqtt_ou]\nhost = "h"\n')

    line = refusal(settings)

    assert "mqtt_ou" in line
    assert f"{tmp_path / 'lamppost.toml'}: sinks.mqtt_ou" in line
    assert "mqtt_out" in line
