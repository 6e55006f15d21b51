# SPDX-License-Identifier: EUPL-1.2
"""Settings come from the file and the environment, and every mistake names file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamppost.errors import ConfigError
from lamppost.policy import load_policy
from lamppost_app.settings import Settings, load

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away variables that would override what a test wrote."""
    import os

    for name in [name for name in os.environ if name.startswith("LAMPPOST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the settings file will be."""
    return tmp_path / "lamppost.toml"


def refusal(config: Path | None) -> str:
    """Return the one line wrong settings are answered with."""
    with pytest.raises(ConfigError) as raised:
        load(config)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    return line


def test_nothing_needs_to_be_set() -> None:
    """The defaults are safe: this machine only, and no password that everybody knows."""
    settings = load(None)

    assert (settings.http.host, settings.mqtt.host) == ("127.0.0.1", "127.0.0.1")
    assert settings.influxdb.enabled is False
    assert settings.http.operator_password.get_secret_value() == ""
    assert settings.intake.frame_messages == 4096
    assert settings.data.inbox_retention_h == 72


def test_the_file_is_read(config: Path) -> None:
    """Top-level values and sections."""
    config.write_text(
        'log_level = "DEBUG"\n[mqtt]\nport = 8883\ntopics = ["a/#", "b"]\n', encoding="utf-8"
    )

    settings = load(config)

    assert settings.log_level == "DEBUG"
    assert settings.mqtt.port == 8883
    assert settings.mqtt.topics == ("a/#", "b")
    assert settings.mqtt.host == "127.0.0.1"


def test_the_environment_overrides_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One value of a section; its neighbours stay as they are in the file."""
    config.write_text('[mqtt]\nhost = "broker"\nport = 8883\n', encoding="utf-8")
    monkeypatch.setenv("LAMPPOST_MQTT__PORT", "1884")
    monkeypatch.setenv("LAMPPOST_MQTT__PASSWORD", "secret")

    settings = load(config)

    assert (settings.mqtt.host, settings.mqtt.port) == ("broker", 1884)
    assert settings.mqtt.password.get_secret_value() == "secret"


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a log line, not in an error."""
    secrets = ("MQTT__PASSWORD", "HTTP__OPERATOR_PASSWORD", "HTTP__PUSH_TOKEN", "INFLUXDB__TOKEN")
    for name in secrets:
        monkeypatch.setenv(f"LAMPPOST_{name}", "hunter2")

    settings = load(None)

    assert "hunter2" not in f"{settings!r}{settings}{settings.model_dump_json()}"
    assert settings.influxdb.token.get_secret_value() == "hunter2"


def test_variables_of_other_parts_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor sets one for the roles it starts."""
    monkeypatch.setenv("LAMPPOST_SUPERVISOR_PID", "123")

    assert load(None).model_dump() == Settings().model_dump()


def test_paths_in_the_file_are_relative_to_it(config: Path) -> None:
    """Wherever the command is started; absolute ones stay."""
    config.write_text(
        'policy = "rules"\nstations = "city/stations.geojson"\n'
        '[data]\ndir = "d"\n[mqtt]\ntls = true\nca_file = "ca.pem"\ncert_file = "own.pem"\n'
        'broker_config = "m.conf"\n[open_data]\ndir = "/srv/open"\n',
        encoding="utf-8",
    )

    settings = load(config)

    folder = config.parent
    assert settings.policy_path == folder / "rules"
    assert settings.stations == folder / "city/stations.geojson"
    assert settings.inbox_path == folder / "d/inbox.db"
    assert settings.outbox_path == folder / "d/outbox.db"
    assert settings.cursors_path == folder / "d/cursors.db"
    assert settings.store_path == folder / "d/store.duckdb"
    assert settings.mqtt.ca_file == folder / "ca.pem"
    assert settings.mqtt.cert_file == folder / "own.pem"
    assert settings.mqtt.broker_config == folder / "m.conf"
    assert settings.open_data_path == Path("/srv/open")


def test_paths_that_are_not_set_stay_unset(config: Path) -> None:
    """Open data lie below the data folder then."""
    config.write_text("", encoding="utf-8")

    settings = load(config)

    assert (settings.policy, settings.stations, settings.mqtt.ca_file) == (None, None, None)
    assert settings.open_data_path == config.parent / "data/open-data"


def test_the_policy_that_comes_with_lamppost_is_the_default() -> None:
    """It is there, and it is right."""
    assert load_policy(load(None).policy_path) == load_policy(ROOT / "policy")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("polic = 'x'\n", "polic"),
        ("[mqtt]\nprot = 1\n", "mqtt.prot"),
        ("[mqtt]\nca_file = 'ca.pem'\n", "mqtt"),
        ("[mqtt]\ntls = true\nkey_file = 'own.key'\n", "mqtt"),
        ("[mqtt]\nself_check = 'maybe'\n", "mqtt.self_check"),
        ("[mqtt]\nport = 70000\n", "mqtt.port"),
        ("[store]\nreadings_days = inf\n", "store.readings_days"),
        ("[open_data]\nevery_s = nan\n", "open_data.every_s"),
        ("[mqtt]\nport = 'many'\n", "mqtt.port"),
        ("[mqtt]\nprotocol = '4'\n", "mqtt.protocol"),
        ("[mqtt]\ntopics = 5\n", "mqtt.topics"),
        ("[mqtt]\ntopics = ['a', 5]\n", "mqtt.topics.1"),
        ("mqtt = 5\n", "mqtt"),
        ("[intake]\nframe_messages = 0\n", "intake.frame_messages"),
        ("[intake]\nframe_ms = 0\n", "intake.frame_ms"),
        ("[data]\ninbox_retention_h = -1\n", "data.inbox_retention_h"),
        ("log_level = 'LOUD'\n", "log_level"),
        ("[databse]\n", "databse"),
    ],
)
def test_a_wrong_value_is_named_by_file_and_key_path(text: str, key: str, config: Path) -> None:
    """Unknown keys are mistakes, too: a typing error must not mean the default."""
    config.write_text(text, encoding="utf-8")

    assert refusal(config).startswith(f"{config}: {key}: ")


def test_a_wrong_variable_is_named_by_its_key_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no file to name then."""
    monkeypatch.setenv("LAMPPOST_MQTT__PORT", "many")

    assert refusal(None).startswith("environment: mqtt.port: ")


def test_what_a_variable_says_is_not_blamed_on_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would find it there."""
    config.write_text("[mqtt]\nport = 1883\n", encoding="utf-8")
    monkeypatch.setenv("LAMPPOST_MQTT__PROT", "1884")

    assert refusal(config) == "environment: mqtt.prot: there is no such key"


def test_what_is_wrong_is_said_in_plain_words(config: Path) -> None:
    """Without the words of the library that found it."""
    config.write_text("[mqtt]\nprot = 1883\n", encoding="utf-8")
    assert refusal(config) == f"{config}: mqtt.prot: there is no such key"

    config.write_text("[mqtt]\nca_file = 'ca.crt'\n", encoding="utf-8")
    assert refusal(config).startswith(f"{config}: mqtt: ca_file is set, but tls = false")


@pytest.mark.parametrize("name", ["LAMPPOST_MQTT", "LAMPPOST_DATA"])
def test_a_variable_that_cannot_be_read_is_not_blamed_on_a_file(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole section as a variable would have to be JSON."""
    monkeypatch.setenv(name, "not json")

    line = refusal(None)

    assert line.startswith("environment: ")
    assert "TOML" not in line


@pytest.mark.parametrize("content", [b"a = \n", b"[mqtt\n", b"a = 1\na = 2\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(content: bytes, config: Path) -> None:
    """Syntax, keys that stand twice, and other encodings."""
    config.write_bytes(content)

    assert refusal(config).startswith(f"{config}: not readable as TOML: ")


def test_a_file_that_is_not_there_is_refused(config: Path) -> None:
    """It was named, so it was meant."""
    line = refusal(config)

    assert line.startswith(f"{config}: there is no such settings file")
    assert "--config" in line


def test_settings_never_change() -> None:
    """Every role sees the same."""
    settings = load(None)

    with pytest.raises(ValueError, match="frozen"):
        settings.mqtt.port = 5
    with pytest.raises(ValueError, match="frozen"):
        settings.log_level = "DEBUG"
