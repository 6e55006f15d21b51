# SPDX-License-Identifier: EUPL-1.2
"""The deployment files agree with each other, with the software and with a real broker."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from lamppost_app import settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]+(ms|s|m|h))+$")]
Port = Annotated[str, StringConstraints(pattern=r"^(127\.0\.0\.1:)?[0-9]+:[0-9]+(/(tcp|udp))?$")]
Mount = Annotated[str, StringConstraints(pattern=r"^[^:]+:/[^:]*(:(ro|rw))?$")]
# An image by its whole version: what a shorter tag means changes overnight.
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:\d+\.\d+\.\d+$")]


class Strict(BaseModel):
    """A part of the compose specification, reduced to the keys used here."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Health(Strict):
    """services.*.healthcheck of the compose specification."""

    test: list[str] = Field(min_length=2)
    interval: Duration
    timeout: Duration
    retries: int = Field(gt=0)
    start_period: Duration


class Logging(Strict):
    """services.*.logging of the compose specification."""

    driver: str
    options: dict[str, str]


class Dependency(Strict):
    """services.*.depends_on.* of the compose specification."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Build(Strict):
    """services.*.build of the compose specification."""

    context: str


class Service(Strict):
    """services.* of the compose specification."""

    image: Image
    profiles: list[str] = []
    build: Build | None = None
    restart: Literal["no", "always", "on-failure", "unless-stopped"]
    init: bool = False
    user: str | None = None
    entrypoint: list[str] | None = None
    depends_on: dict[str, Dependency] = {}
    environment: dict[str, str] = {}
    ports: list[Port] = []
    volumes: list[Mount] = []
    read_only: bool = False
    tmpfs: list[str] = []
    security_opt: list[str]
    cap_drop: list[str]
    cap_add: list[str] = []
    stop_grace_period: Duration | None = None
    logging: Logging
    healthcheck: Health


class Compose(Strict):
    """The top level of the compose specification; x- keys are free."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    services: dict[str, Service]
    volumes: dict[str, None]


def test_the_compose_file_follows_the_specification() -> None:
    """Every key is known and every value has the form the compose specification asks for."""
    document = {key: value for key, value in COMPOSE.items() if not key.startswith("x-")}

    compose = Compose.model_validate(document)

    assert set(compose.services) == {"mosquitto", "influxdb", "lamppost", "grafana"}


def test_grafana_starts_only_where_it_is_asked_for() -> None:
    """Everything else runs without a profile."""
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}

    assert profiles.pop("grafana") == ["grafana"]
    assert not any(profiles.values())


def test_a_misspelt_compose_key_is_noticed() -> None:
    """The model above is strict enough to be worth something."""
    document = {key: value for key, value in COMPOSE.items() if not key.startswith("x-")}
    services = {**SERVICES, "grafana": {**SERVICES["grafana"], "helthcheck": {}}}

    with pytest.raises(ValueError, match="helthcheck"):
        Compose.model_validate({**document, "services": services})


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_depends_only_on_services_that_exist(name: str) -> None:
    """No dependency is left over from a renamed service."""
    assert set(SERVICES[name].get("depends_on", {})) <= set(SERVICES)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_mount_of_a_service_has_a_source(name: str) -> None:
    """Mounted files exist in the repository and named volumes are declared."""
    for mount in SERVICES[name].get("volumes", []):
        source = mount.split(":")[0]

        if source.startswith("."):
            assert (ROOT / source).exists(), f"{name} mounts {source}, which does not exist"
            assert mount.endswith(":ro"), f"{name} may write to {source}"
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_reachable_from_this_machine_only(name: str) -> None:
    """Ports are published on loopback, so TLS in front is a decision and not an accident."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_runs_with_few_rights(name: str) -> None:
    """No service may gain privileges, and all but the database start without any capability."""
    service = SERVICES[name]

    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert name == "influxdb" or ("cap_add" not in service and service["read_only"] is True)


def test_every_secret_comes_from_the_example_environment() -> None:
    """Each variable of the compose file is explained in .env.example, none is left over or set."""
    wanted = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text("utf-8")))
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    offered = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert set(offered) == wanted
    assert set(offered.values()) == {""}


def test_no_secret_has_a_default_in_the_compose_file() -> None:
    """A missing secret stops the start with a message that says where to set it."""
    uses = re.findall(r"\$\{\w+[^}]*\}", (ROOT / "docker-compose.yml").read_text("utf-8"))

    assert uses
    assert all(":?set it in .env" in use for use in uses)


# ---------------------------------------------------------------- Lamppost's own settings


@pytest.fixture
def container_settings(monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """Return deploy/lamppost.toml as the container loads it, with its environment."""
    for name in SERVICES["lamppost"]["environment"]:
        monkeypatch.setenv(name, f"value of {name}")
    return settings.load(ROOT / "deploy" / "lamppost.toml")


def test_the_settings_file_loads_with_secrets_from_the_environment(
    container_settings: settings.Settings,
) -> None:
    """Each secret of the compose file arrives in the setting it is meant for."""
    loaded = container_settings
    secrets = {
        "LAMPPOST_MQTT__PASSWORD": loaded.mqtt.password,
        "LAMPPOST_HTTP__OPERATOR_PASSWORD": loaded.http.operator_password,
        "LAMPPOST_HTTP__PUSH_TOKEN": loaded.http.push_token,
        "LAMPPOST_INFLUXDB__TOKEN": loaded.influxdb.token,
    }

    assert set(secrets) == set(SERVICES["lamppost"]["environment"])
    assert all(secret.get_secret_value() == f"value of {name}" for name, secret in secrets.items())


def test_the_settings_file_holds_no_secret() -> None:
    """Passwords and tokens stay out of files that are tracked."""
    document = tomllib.loads((ROOT / "deploy" / "lamppost.toml").read_text("utf-8"))

    keys = {key for section in document.values() if isinstance(section, dict) for key in section}

    assert not keys & {"password", "operator_password", "push_token", "token"}


def test_settings_and_compose_name_the_same_places(container_settings: settings.Settings) -> None:
    """Hosts, ports, buckets and folders of both files are the same."""
    loaded = container_settings
    influx = SERVICES["influxdb"]["environment"]
    targets = {mount.split(":")[1] for mount in SERVICES["lamppost"]["volumes"]}

    assert loaded.mqtt.host in SERVICES
    assert loaded.influxdb.url == "http://influxdb:8086"
    assert loaded.influxdb.org == influx["DOCKER_INFLUXDB_INIT_ORG"]
    assert loaded.influxdb.bucket == influx["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert SERVICES["lamppost"]["ports"] == [f"127.0.0.1:{loaded.http.port}:{loaded.http.port}"]
    assert f":{loaded.http.port}/" in SERVICES["lamppost"]["healthcheck"]["test"][-1]
    assert {str(loaded.data.dir), str(loaded.policy), str(loaded.stations)} <= targets


# ---------------------------------------------------------------- Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path, unused_port: int) -> Iterator[int]:
    """Run the shipped broker configuration with a port and paths of its own; yield the port."""
    program = _program("mosquitto")
    folder = ROOT / "deploy" / "mosquitto"
    shutil.copyfile(folder / "acl", tmp_path / "acl")
    text = (folder / "mosquitto.conf").read_text("utf-8")
    text = text.replace("listener 1883", f"listener {unused_port} 127.0.0.1")
    text = text.replace("/mosquitto/data/", f"{tmp_path}/").replace(
        "/mosquitto/config/", f"{tmp_path}/"
    )
    # Started by root, Mosquitto would change to a user that cannot read this test's folder.
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"user root\n{text}", encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(program).parent}:{os.environ['PATH']}",
        "LAMPPOST_MQTT__PASSWORD": "a secret",
        "PASSWORDS": str(tmp_path / "passwords"),
        "CONFIG": str(config),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        broker = subprocess.Popen(
            ["sh", str(folder / "start.sh")],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(unused_port, broker, log)
        yield unused_port
    finally:
        broker.terminate()
        broker.wait(timeout=20)
    complaints = [line for line in log.read_text("utf-8").splitlines() if "rror" in line]
    assert not complaints


@pytest.fixture
def unused_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        required = os.environ.get("CI") == "true" or "LAMPPOST_REQUIRE_SERVICES" in os.environ
        (pytest.fail if required else pytest.skip)(f"{name} is not installed; see scripts/services")
    return found


def _wait_for(port: int, broker: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert broker.poll() is None, log.read_text("utf-8")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Mosquitto does not listen: {log.read_text('utf-8')}")


def _connack(port: int, user: str, password: str) -> int:
    """Connect with MQTT 3.1.1 and return the broker's return code."""
    body = b"".join(
        len(text).to_bytes(2, "big") + text for text in (b"probe", user.encode(), password.encode())
    )
    packet = b"\x00\x04MQTT\x04\xc2\x00\x0a" + body
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(bytes([0x10, len(packet)]) + packet)
        return connection.recv(4)[3]


@pytest.mark.integration
def test_a_real_mosquitto_accepts_the_configuration(mosquitto: int) -> None:
    """The broker starts with the shipped files and lets Lamppost's account in, and nobody else."""
    accepted, not_authorised = 0, 5

    assert _connack(mosquitto, "lamppost", "a secret") == accepted
    assert _connack(mosquitto, "lamppost", "a guess") == not_authorised
    assert _connack(mosquitto, "stranger", "a secret") == not_authorised


def test_the_broker_configuration_departs_from_every_default_that_loses_messages(
    container_settings: settings.Settings,
) -> None:
    """Persistence, queue length, saving interval, window and packet size are set, and sensible."""
    text = (ROOT / "deploy" / "mosquitto" / "mosquitto.conf").read_text("utf-8")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if re.match(r"[a-z]", line)]
    options = {line[0]: line[1] for line in lines}

    assert options["persistence"] == "true"
    assert options["allow_anonymous"] == "false"
    assert 0 < int(options["autosave_interval"]) <= 60
    assert int(options["max_queued_messages"]) >= 100_000
    assert int(options["max_inflight_messages"]) == container_settings.mqtt.receive_maximum
    assert int(options["max_packet_size"]) >= container_settings.mqtt.max_payload_bytes


# ---------------------------------------------------------------- Dockerfile


def _instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [
        line[len(name) :].strip() for line in joined.splitlines() if line.startswith(f"{name} ")
    ]


def test_everything_the_dockerfile_copies_exists_and_reaches_the_build() -> None:
    """Each source is a tracked place that .dockerignore lets through."""
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copies = [words.split() for words in _instructions("COPY") if not words.startswith("--from")]
    sources = [source for words in copies for source in words[:-1]]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), source


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last user is a number that is not root's, and the image checks its own health."""
    uid = _instructions("USER")[-1].split(":")[0]

    assert TypeAdapter(int).validate_python(uid) > 0
    assert len(_instructions("HEALTHCHECK")) == 1


def test_the_image_installs_from_hashes_only() -> None:
    """Packages come from the lock, and the project itself pulls in nothing else."""
    installs = [line for line in _instructions("RUN") if "pip install" in line]

    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]
    assert "--no-build-isolation" in installs[1]


def test_the_image_has_every_package_of_the_wheel() -> None:
    """A package added to the wheel is not forgotten in the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    copied = {words.split()[0] for words in _instructions("COPY")}

    assert set(packages) <= copied


def test_health_checks_of_image_and_compose_are_the_same() -> None:
    """Who runs the image without compose gets the same answer."""
    _, _, command = _instructions("HEALTHCHECK")[0].partition("CMD ")

    assert json.loads(command) == SERVICES["lamppost"]["healthcheck"]["test"][1:]
    compile(json.loads(command)[2], "healthcheck", "exec")


def test_the_image_uses_a_python_the_project_supports() -> None:
    """The image's Python is one of those the classifiers name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    image = set(re.findall(r"^FROM python:(3\.\d+)-slim", DOCKERFILE, re.MULTILINE))

    named = {entry.rsplit(" ", 1)[1] for entry in project["classifiers"] if ":: 3." in entry}

    assert image
    assert image <= named
