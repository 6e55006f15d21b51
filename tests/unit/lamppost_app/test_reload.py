# SPDX-License-Identifier: EUPL-1.2
"""A configuration read again is taken as a whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamppost import log
from lamppost.clock import ManualClock
from lamppost.errors import ConfigError
from lamppost_app.cli import app
from lamppost_app.commands.run import prepare
from lamppost_app.reload import read_state, reload, reload_while_running
from lamppost_app.roles import sole
from lamppost_app.settings import handed_over, load, taken_over
from lamppost_app.sqlite_log import SqliteLog

POLICY = "windows: {event_time: {}}\n"
CHANGED = "windows: {event_time: {lengths: [5min]}}\n"
STATION = {
    "type": "Feature",
    "id": "aq-1",
    "geometry": {"type": "Point", "coordinates": [13.4, 52.5]},
    "properties": {"name": "One", "kind": "air_quality", "period_s": 60},
}


class Place:
    """A folder with a configuration that was started once."""

    def __init__(self, folder: Path) -> None:
        """Write it and start."""
        self.folder = folder
        self.toml = folder / "lamppost.toml"
        self.settings()
        (folder / "policy").mkdir()
        self.policy(POLICY)
        self.stations()
        prepare(load(self.toml))
        self.inbox = SqliteLog(folder / "data" / "inbox.db")

    def settings(self, further: str = "") -> None:
        """Write the settings."""
        self.toml.write_text(f'policy = "policy"\nstations = "s.geojson"\n{further}')

    def policy(self, text: str) -> None:
        """Write the policy."""
        (self.folder / "policy" / "p.yaml").write_text(text)

    def stations(self, *features: object) -> None:
        """Write the stations."""
        content = {"type": "FeatureCollection", "features": features}
        (self.folder / "s.geojson").write_text(json.dumps(content))

    def kinds(self) -> list[str]:
        """Return what the inbox holds."""
        return [entry.kind for entry in self.inbox.read(0, 99)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a started place."""
    made = Place(tmp_path)
    yield made
    made.inbox.close()


def test_what_has_changed_enters_the_inbox_and_nothing_else(place: Place) -> None:
    """Nothing, the policy, the stations, both."""
    begun = [log.POLICY, log.REGISTRATION]
    assert reload(place.toml) == []
    place.policy(CHANGED)
    assert reload(place.toml) == [log.POLICY]
    place.stations(STATION)
    assert reload(place.toml) == [log.REGISTRATION]
    place.policy(POLICY)
    place.stations()
    assert reload(place.toml, clock=ManualClock(77)) == begun
    assert place.kinds() == [*begun, *begun, *begun]
    state = read_state(place.folder / "data")
    assert state is not None
    assert (state.at, state.accepted, state.entered) == (77, True, begun)


def test_a_change_of_what_the_policy_extends_enters_the_inbox(place: Place) -> None:
    """The folder of the policy itself stays as it was; a mistake below is named there."""
    base = place.folder / "base"
    base.mkdir()
    (base / "p.yaml").write_text(POLICY)
    place.policy("extends: ../base\n")
    assert reload(place.toml) == []
    (base / "p.yaml").write_text(CHANGED)
    assert reload(place.toml) == [log.POLICY]
    (base / "p.yaml").write_text("windows: {event_time: {lengths: [5 parsecs]}}\n")
    with pytest.raises(ConfigError, match=rf"^{base}/p\.yaml: windows\.event_time\.lengths"):
        reload(place.toml)


@pytest.mark.parametrize("wrong", ["policy", "stations", "settings", "toml"])
def test_a_wrong_file_changes_nothing_and_is_named(wrong: str, place: Place) -> None:
    """Even where other files have changed and are right."""
    before = read_state(place.folder / "data")
    place.policy(CHANGED)
    place.stations(STATION)
    match wrong:
        case "policy":
            place.policy("windows: {event_time: {lengths: [5 parsecs]}}\n")
        case "stations":
            place.stations({**STATION, "geometry": None})
        case "settings":
            place.settings("[mqtt]\nport = 99999999\n")
        case "toml":
            place.settings("[[[\n")
    with pytest.raises(ConfigError) as caught:
        reload(place.toml, place.folder / "data")

    assert place.kinds() == [log.POLICY, log.REGISTRATION]
    state = read_state(place.folder / "data")
    assert state is not None
    assert before is not None
    assert not state.accepted
    assert state.problem == str(caught.value)
    assert str(place.folder) in state.problem
    assert state.policy == before.policy
    place.settings()
    place.policy(POLICY)
    place.stations()
    assert reload(place.toml) == []
    after = read_state(place.folder / "data")
    assert after is not None
    assert after.problem == ""


def test_settings_that_need_a_restart_are_named(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Policy and stations do not; passwords are not kept, so they are not compared."""
    place.settings(
        '[mqtt]\nport = 2883\npassword = "topsecret"\n[influxdb]\nenabled = true\n'
        '[sinks.mqtt_out]\nhost = "h"\npassword = "hidden"\n'
    )
    with caplog.at_level("INFO", logger="lamppost"):
        reload(place.toml)
        assert not caplog.text, "the command line says it in its own words"
        reload_while_running(place.toml, place.folder / "data")

    state = read_state(place.folder / "data")
    assert state is not None
    assert state.restart == ["influxdb.enabled", "mqtt.port", "sinks.mqtt_out"]
    assert "keys=influxdb.enabled,mqtt.port,sinks.mqtt_out" in caplog.text
    prepare(load(place.toml))
    kept = (place.folder / "data" / "configuration.json").read_text()
    assert "topsecret" not in kept
    assert "hidden" not in kept


def test_while_running_a_wrong_file_is_logged_and_raises_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """The supervisor goes on."""
    place.policy("- 1\n")
    reload_while_running(place.toml, place.folder / "data")
    assert "configuration_refused" in caplog.text
    assert "p.yaml" in caplog.text


def test_where_nothing_was_started_there_is_nothing_to_reload(tmp_path: Path) -> None:
    """The message says what to do."""
    (tmp_path / "lamppost.toml").write_text("")
    with pytest.raises(ConfigError, match="nothing was ever started"):
        reload(tmp_path / "lamppost.toml")
    assert not (tmp_path / "data").exists()


def test_settings_are_handed_over_as_they_are(place: Place) -> None:
    """With secrets, paths and tuples, whatever the file says by now."""
    place.settings('[mqtt]\npassword = "topsecret"\ntopics = ["a/#", "b"]\n[sinks.own]\nx = [1]\n')
    settings = load(place.toml)
    assert taken_over(handed_over(settings)).model_dump() == settings.model_dump()


def test_a_second_start_leaves_what_runs_alone(place: Place) -> None:
    """Its policy must not enter the inbox of the first, which may run with another."""
    place.policy(CHANGED)
    before = read_state(place.folder / "data")
    with sole("supervisor", place.folder / "data"):
        result = CliRunner().invoke(app, ["run", "--config", str(place.toml)])

    assert isinstance(result.exception, ConfigError)
    assert "another Lamppost runs the role supervisor here" in str(result.exception)
    assert place.kinds() == [log.POLICY, log.REGISTRATION]
    assert read_state(place.folder / "data") == before
