# SPDX-License-Identifier: EUPL-1.2
"""The settings of one installation: ``lamppost.toml``, overridden by ``LAMPPOST_…`` variables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from lamppost.errors import ConfigError
from lamppost.periods import checked_resolution
from lamppost.policy_layers import shipped_policy
from lamppost.validation import first_problem
from sinks.influx_settings import InfluxSettings
from sinks.store_retention import checked_days

Port = Annotated[int, Field(ge=0, le=65535)]


# MQTT 3.1.1, 4.7.1: "+" fills a level, "#" is the last level.
TopicFilter = Annotated[
    str,
    Field(
        min_length=1, max_length=1024, pattern=r"^([^#+\x00/]*|\+)(/([^#+\x00/]*|\+))*(/#)?$|^#$"
    ),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Section):
    """Where the logs and stores live.

    Attributes:
        dir: folder for inbox, outbox, cursors, store and open data.
        inbox_retention_h: hours an inbox entry is kept after every consumer has passed it.
    """

    dir: Path = Path("data")
    inbox_retention_h: float = Field(default=72.0, gt=0)


class MqttSettings(_Section):
    """The broker readings come from.

    Attributes:
        enabled: whether to subscribe at all.
        host, port: address of the broker.
        protocol: "auto" tries MQTT 5 first and falls back to 3.1.1.
        username, password: credentials; keep the password in LAMPPOST_MQTT__PASSWORD.
        tls: encrypt and verify the broker.
        ca_file: authority to verify it against, if not the system's.
        cert_file, key_file: our own certificate and its key, where the broker asks for one; PEM.
        client_id: identity of the session the broker keeps for us.
        topics: topic filters to subscribe to.
        keepalive_s: longest silence before a ping.
        session_expiry_s: how long the broker keeps our session while we are away (MQTT 5).
        receive_maximum: unacknowledged messages the broker may have under way to us (MQTT 5).
        max_payload_bytes: larger messages are quarantined by their head only.
        self_check: what happens at the start when the broker would lose readings: "refuse" stops
            with the line to put into its configuration, "warn" logs it, "off" does not look.
        broker_config: the broker's own configuration file (Mosquitto's), if it can be read; what
            it says about keeping messages on disk cannot be seen from outside.
    """

    enabled: bool = True
    host: str = Field(default="127.0.0.1", min_length=1)
    port: Port = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = "lamppost-intake"
    topics: tuple[TopicFilter, ...] = Field(default=("v1/+/readings",), min_length=1)
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    session_expiry_s: int = Field(default=7 * 86_400, ge=0)
    receive_maximum: int = Field(default=2000, ge=1, le=65_535)
    max_payload_bytes: int = Field(default=65_536, ge=128)
    self_check: Literal["refuse", "warn", "off"] = "refuse"
    broker_config: Path | None = None

    @model_validator(mode="after")
    def _no_file_without_its_use(self) -> Self:
        """Refuse files that would be ignored: who names them believes the line encrypted."""
        named = [name for name in ("ca_file", "cert_file", "key_file") if getattr(self, name)]
        if named and not self.tls:
            raise ValueError(f"{named[0]} is set, but tls = false: nothing would be encrypted")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is set without cert_file")
        return self


class IntakeSettings(_Section):
    """How deliveries become frames.

    Attributes:
        frame_messages: messages that fill a frame.
        frame_bytes: bytes of topics and payloads that fill a frame.
        frame_ms: longest wait before a frame is committed, milliseconds.
        held_messages: messages taken in and not yet committed at which the broker is no longer
            read from.
        held_bytes: bytes of topics and payloads taken in and not yet committed at which the broker
            is no longer read from.
        tick_s: seconds between clock ticks.
    """

    frame_messages: int = Field(default=4096, ge=1)
    frame_bytes: int = Field(default=8_388_608, ge=1)
    frame_ms: float = Field(default=20.0, gt=0)
    held_messages: int = Field(default=16_384, ge=1)
    held_bytes: int = Field(default=33_554_432, ge=1)
    tick_s: float = Field(default=1.0, gt=0)


class LimitsSettings(_Section):
    """What one device may send, through MQTT and through HTTP each.

    A device is the level of an MQTT topic that the topic filter leaves open with its first "+", and
    over HTTP the sensor a message names.

    Attributes:
        enabled: whether there are limits.
        messages_per_s: messages a second in the long run; one counts once for every KiB begun.
        burst_messages: messages at once, after a silence: by default more than a day's backlog of a
            device that sends once a second.
        kept_messages_per_h: messages over the limit that go to quarantine, per device and hour;
            those beyond are refused and only counted.
        kept_mb_per_h: megabytes of such messages that go to quarantine per hour, of all devices.
    """

    enabled: bool = True
    messages_per_s: float = Field(default=20.0, gt=0, le=1_000_000)
    burst_messages: int = Field(default=100_000, ge=1)
    kept_messages_per_h: int = Field(default=10_000, ge=0)
    kept_mb_per_h: float = Field(default=64.0, ge=0)


class ImportSettings(_Section):
    """How far ``lamppost import`` may run ahead of the engine.

    Attributes:
        ahead_mb: megabytes of imported rows the engine has not read, while it runs: what devices
            send meanwhile waits behind them.
        waiting_mb: the same while the engine does not run; then the import waits for it.
    """

    ahead_mb: float = Field(default=4.0, gt=0)
    waiting_mb: float = Field(default=256.0, gt=0)


class StoreSettings(_Section):
    """The portal's embedded store.

    Attributes:
        readings_days: days single readings are kept, by their time.
        aggregates_days: days windows are kept, by resolution (1min, 15min, 1h, 8h, 24h, day, month,
            year), 0 for ever; by default 30 for 1min, 366 for 15min, for ever what is left out.
        history_days: days a superseded revision of a window or an index is kept after it was
            replaced; 0 for ever.
        quarantine_days: days quarantined messages are kept, by their receipt.
    """

    readings_days: float = Field(default=7.0, gt=0)
    aggregates_days: Annotated[dict[str, float], AfterValidator(checked_days)] = Field(
        default={}, validate_default=True
    )
    history_days: float = Field(default=366.0, ge=0)
    quarantine_days: float = Field(default=30.0, gt=0)


class QuarantineSettings(_Section):
    """What is kept of messages that could not be used; past a bound the oldest go first.

    Attributes:
        days: days they can be listed, shown and replayed.
        max_mb: megabytes they may take in the outbox.
    """

    days: float = Field(default=30.0, gt=0)
    max_mb: float = Field(default=256.0, gt=0)


class EngineSettings(_Section):
    """How the engine runs.

    Attributes:
        snapshot_s: seconds between snapshots.
    """

    snapshot_s: float = Field(default=30.0, gt=0)


class DoctorSettings(_Section):
    """What ``lamppost doctor`` finds worth saying.

    Attributes:
        clock_limit_s: it names the sensors whose clock is off by more seconds than this.
    """

    clock_limit_s: float = Field(default=60.0, gt=0)


class HttpSettings(_Section):
    """The portal.

    Attributes:
        enabled: whether to run it.
        host, port: where it listens; port 0 takes a free one.
        operator_password: asked for by the browser before an operator action; required when the
            portal listens beyond this machine. Keep it in LAMPPOST_HTTP__OPERATOR_PASSWORD.
        push: accept readings over HTTP.
        push_token: bearer token a pushing device must show; empty lets everyone who can reach us.
        max_body_bytes: largest request body as sent, compressed or not; the only limit of a single
            message over HTTP (mqtt.max_payload_bytes is that of MQTT).
        client_patience_s: a client that stalls this long in sending a request or reading an answer
            is cut off, at the latest after twice the time.
        max_connections: connections at a time; past it the one that is idle longest goes.
        max_live_pages: pages at a time that are told what is new; further ones get 503.
        reads_per_s: requests a client may send to the programming interface in the long run; 0 lets
            it send any number. Clients behind one address count as one.
        reads_at_once: requests of a client in a burst; beyond both it gets 429.
        query_timeout_s: a question to the programming interface that takes longer is given up.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8642
    operator_password: SecretStr = SecretStr("")
    push: bool = True
    push_token: SecretStr = SecretStr("")
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    client_patience_s: float = Field(default=20.0, gt=0)
    max_connections: int = Field(default=500, ge=1)
    max_live_pages: int = Field(default=200, ge=0)
    reads_per_s: float = Field(default=20.0, ge=0)
    reads_at_once: int = Field(default=200, ge=1)
    query_timeout_s: float = Field(default=10.0, gt=0)


class InfluxDbSettings(InfluxSettings):
    """The InfluxDB sink.

    Attributes:
        enabled: whether to write there.
    """

    enabled: bool = False


class OpenDataSettings(_Section):
    """The open-data export.

    Attributes:
        enabled: whether to keep the export up to date.
        dir: where; default: open-data below the data folder.
        every_s: shortest time between two updates of the files.
        windows: resolutions of the aggregates that are published, of those the policy makes.
    """

    enabled: bool = True
    dir: Path | None = None
    every_s: float = Field(default=30.0, ge=0)
    windows: tuple[Annotated[str, AfterValidator(checked_resolution)], ...] = Field(
        default=("15min", "1h", "8h", "24h", "day", "month", "year"), min_length=1
    )


class MqttOutSettings(_Section):
    """Publishing aggregates and alerts over MQTT, through the broker of [mqtt].

    Attributes:
        enabled: whether to publish.
        prefix: first part of the topics.
    """

    enabled: bool = False
    prefix: str = "lamppost"


class Settings(BaseSettings):
    """One installation.

    Attributes:
        policy: folder of the policy files; default: the policy that comes with Lamppost.
        stations: GeoJSON file of the stations, if any.
        log_level: least severity that is logged.
        sinks: settings of further sinks by their registered name, e.g. those of a plugin; the key
            every_s sets the shortest time between writes.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="LAMPPOST_", env_nested_delimiter="__"
    )

    policy: Path | None = None
    stations: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    data: DataSettings = DataSettings()
    mqtt: MqttSettings = MqttSettings()
    intake: IntakeSettings = IntakeSettings()
    limits: LimitsSettings = LimitsSettings()
    engine: EngineSettings = EngineSettings()
    doctor: DoctorSettings = DoctorSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    imports: ImportSettings = ImportSettings()
    store: StoreSettings = StoreSettings()
    http: HttpSettings = HttpSettings()
    influxdb: InfluxDbSettings = InfluxDbSettings()
    open_data: OpenDataSettings = OpenDataSettings()
    mqtt_out: MqttOutSettings = MqttOutSettings()
    sinks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    _file: Path | None = PrivateAttr(default=None)

    def located(self, key_path: str) -> str:
        """Return a key path with the file it stands in, for an error message."""
        return key_path if self._file is None else f"{self._file}: {key_path}"

    def read_from(self, path: Path) -> Settings:
        """Return the settings of a file, which messages then name."""
        found = self.model_copy()
        found._file = path  # noqa: SLF001 - of its own copy
        return found

    @property
    def inbox_path(self) -> Path:
        """Where the inbox is."""
        return self.data.dir / "inbox.db"

    @property
    def outbox_path(self) -> Path:
        """Where the outbox is."""
        return self.data.dir / "outbox.db"

    @property
    def cursors_path(self) -> Path:
        """Where the cursors of sinks without a store of their own are."""
        return self.data.dir / "cursors.db"

    @property
    def windows_path(self) -> Path:
        """Where the windows keep what is not in memory."""
        return self.data.dir / "windows"

    @property
    def intake_status_path(self) -> Path:
        """Where the intake says what it knows of its broker."""
        return self.data.dir / "intake.json"

    @property
    def store_path(self) -> Path:
        """Where the portal's DuckDB file is."""
        return self.data.dir / "store.duckdb"

    @property
    def open_data_path(self) -> Path:
        """Where the open-data export is."""
        return self.open_data.dir or self.data.dir / "open-data"

    @property
    def policy_path(self) -> Path:
        """Where the policy is: as set, else beside the packages, else inside the installation."""
        return shipped_policy() if self.policy is None else self.policy


def sinks_in_use(settings: Settings) -> list[str]:
    """Return the names of the sinks that read the outbox; a sink switched off holds nothing up."""
    switches = {
        "store": settings.http.enabled,
        "influxdb": settings.influxdb.enabled,
        "open_data": settings.open_data.enabled,
        "mqtt_out": settings.mqtt_out.enabled,
    }
    return [*(name for name, on in switches.items() if on), *settings.sinks]


def handed_over(settings: Settings) -> str:
    """Return settings, with their secrets, as text for the environment of our own processes."""

    def plain(value: object) -> object:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    return json.dumps(settings.model_dump(), default=plain)


def taken_over(text: str) -> Settings:
    """Return the settings of :func:`handed_over`."""
    return Settings(**json.loads(text))


def load(path: Path | None) -> Settings:
    """Read the settings.

    Args:
        path: the TOML file; None takes defaults and environment only. Relative paths in the file
            are relative to it.

    Raises:
        ConfigError: naming the file and the key path.
    """
    if path is not None and not path.is_file():
        hint = "docs/settings.md shows one; name it with --config"
        raise ConfigError("there is no such settings file", where=str(path), hint=hint)
    try:
        settings = _settings_class(path)()
    except ValidationError as error:
        keys, problem = first_problem(error)
        variable = f"LAMPPOST_{'__'.join(keys)}".upper()
        from_file = path is not None and variable not in map(str.upper, os.environ)
        where = f"{path if from_file else 'environment'}: {'.'.join(keys)}"
        raise ConfigError(problem, where=where) from error
    except SettingsError as error:
        hint = "set single values, as in LAMPPOST_MQTT__HOST"
        raise ConfigError(str(error), where="environment", hint=hint) from error
    except RecursionError as error:
        raise ConfigError("nested too deeply", where=str(path)) from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"not readable as TOML: {error}", where=str(path)) from error
    return settings if path is None else _anchored(settings, path.parent).read_from(path)


def _settings_class(path: Path | None) -> type[Settings]:
    class FileSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del init_settings, dotenv_settings, file_secret_settings
            if path is None:
                return (env_settings,)
            return env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    return FileSettings


def _anchored(settings: Settings, folder: Path) -> Settings:
    def anchor(path: Path | None) -> Path | None:
        return path if path is None else folder / path

    data = settings.data.model_copy(update={"dir": folder / settings.data.dir})
    files = ("ca_file", "cert_file", "key_file", "broker_config")
    mqtt = settings.mqtt.model_copy(
        update={name: anchor(getattr(settings.mqtt, name)) for name in files}
    )
    open_data = settings.open_data.model_copy(update={"dir": anchor(settings.open_data.dir)})
    return settings.model_copy(
        update={
            "policy": anchor(settings.policy),
            "stations": anchor(settings.stations),
            "data": data,
            "mqtt": mqtt,
            "open_data": open_data,
        }
    )
