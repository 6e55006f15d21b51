# SPDX-License-Identifier: EUPL-1.2
"""The self-check against real Mosquittos: good ones pass, bad ones are told what to change."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.raw_mqtt import RawClient
from ingest.broker_check import check_broker
from ingest.broker_findings import Finding, Severity, as_table, losses
from ingest.mqtt import MqttOptions
from lamppost.errors import NotConnected
from tests.certificates import Authority
from tests.installation import free_port
from tests.services import Mosquitto, binary

pytestmark = pytest.mark.integration

BARE = "listener {port} 127.0.0.1\nallow_anonymous true\n"
GOOD = (
    BARE + "persistence true\npersistence_location {folder}/\nautosave_interval 10\n"
    "max_queued_messages 0\nmax_inflight_messages 2000\nqueue_qos0_messages true\n"
)
SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"


@contextlib.contextmanager
def broker(folder: Path, configuration: str) -> Iterator[tuple[int, Path]]:
    """Run a Mosquitto; yields its port and its configuration file."""
    binary("mosquitto")
    service = Mosquitto(folder, configuration)
    service.start()
    try:
        yield service.port, folder / "mosquitto.conf"
    finally:
        service.stop()


def options(port: int, **changes: object) -> MqttOptions:
    """Return how the intake would reach it."""
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "topics": ("v1/+/readings",),
        "client_id": "checked",
    }
    return MqttOptions(**(given | changes))  # type: ignore[arg-type]


def check(
    folder: Path, configuration: str, *, with_file: bool = False, **changes: object
) -> list[Finding]:
    """Return what is found at a broker with a configuration."""
    with broker(folder, configuration) as (port, file):
        return check_broker(options(port, **changes), file if with_file else None)


def of(findings: list[Finding], subject: str) -> Finding:
    """Return the worst finding about a subject."""
    order = list(Severity)
    about = [one for one in findings if one.subject == subject]
    assert about, as_table(findings)
    return min(about, key=lambda one: order.index(one.severity))


@pytest.mark.parametrize("protocol", ["5", "3.1.1", "auto"])
def test_a_broker_that_keeps_everything_passes(tmp_path: Path, protocol: str) -> None:
    """Nothing loses data or limits, with both protocols, and nothing stays behind."""
    findings = check(tmp_path, GOOD, with_file=True, protocol=protocol)

    severities = {one.severity for one in findings}
    assert severities <= {Severity.RIGHT, Severity.NOTE}, as_table(findings)
    assert "2,500 messages kept" in of(findings, "queue while away").found
    left = (tmp_path / "mosquitto.db").read_bytes()
    assert b"lamppost-check" not in left
    assert b"self-check" not in left


def test_the_defaults_are_told_what_to_change(tmp_path: Path) -> None:
    """1,000 messages of all that were confirmed are kept, and the line says how to keep more."""
    findings = check(tmp_path, BARE)

    queue = of(findings, "queue while away")
    assert queue.severity is Severity.LOSES_DATA
    kept = int(re.match(r"([\d,]+) of 2,500", queue.found)[1].replace(",", ""))  # type: ignore[index]
    assert 1000 <= kept <= 1100
    assert queue.line.startswith("max_queued_messages ")
    assert of(findings, "queue on disk").severity is Severity.UNCHECKED


def test_the_line_it_gives_puts_it_right(tmp_path: Path) -> None:
    """With every line of its findings the same broker passes."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "good").mkdir()
    bad = check(tmp_path / "bad", BARE + "max_queued_messages 300\n", with_file=True)
    lines = {one.line.split()[0]: one.line for one in losses(bad)}
    assert {"max_queued_messages", "persistence"} <= set(lines)

    place = "persistence_location {folder}/\nautosave_interval 10\n"
    good = check(tmp_path / "good", BARE + place + "\n".join(lines.values()), with_file=True)

    assert losses(good) == [], as_table(good)


@pytest.mark.parametrize(
    ("line", "subject", "severity", "remedy"),
    [
        ("persistence false", "queue on disk", Severity.LOSES_DATA, "persistence true"),
        ("autosave_interval 1800", "queue on disk", Severity.LOSES_DATA, "autosave_interval 10"),
        ("autosave_interval 0", "queue on disk", Severity.LOSES_DATA, "autosave_interval 10"),
        ("max_qos 0", "quality of service", Severity.LOSES_DATA, "max_qos 1"),
        ("max_packet_size 20000", "size of messages", Severity.LIMITS, "max_packet_size 66560"),
        (
            "message_size_limit 20000",
            "size of messages",
            Severity.LOSES_DATA,
            "message_size_limit 65536",
        ),
        ("retain_available false", "retained messages", Severity.NOTE, "retain_available true"),
    ],
)
def test_each_setting_is_found(
    tmp_path: Path, line: str, subject: str, severity: Severity, remedy: str
) -> None:
    """What was found, how bad it is, and the line that repairs it."""
    findings = check(tmp_path, GOOD + line + "\n", with_file=True)

    found = of(findings, subject)
    assert (found.severity, found.line) == (severity, remedy), as_table(findings)
    assert found.why.endswith(".")


def test_a_narrow_window_limits_3_1_1_only(tmp_path: Path) -> None:
    """An MQTT 5 client asks for its own window, one of 3.1.1 gets the broker's."""
    configuration = GOOD.replace("max_inflight_messages 2000", "max_inflight_messages 20")
    for protocol in ("5", "3.1.1"):
        (tmp_path / protocol).mkdir()
    old = check(tmp_path / "3.1.1", configuration, protocol="3.1.1")
    new = check(tmp_path / "5", configuration, protocol="5", receive_maximum=300)

    assert of(old, "window").severity is Severity.LIMITS
    assert of(old, "window").found.startswith("20 messages")
    assert of(old, "window").line == "max_inflight_messages 2000"
    assert of(new, "window").severity is Severity.RIGHT
    assert of(new, "window").found.startswith("300 messages")
    assert not losses(old)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_access_list_that_denies_is_no_loss(tmp_path: Path, protocol: str) -> None:
    """What could not be looked at is said, with what to allow."""
    (tmp_path / "acl").write_text("topic readwrite v1/#\n")
    findings = check(tmp_path, GOOD + "acl_file {folder}/acl\n", protocol=protocol)

    denied = [one for one in findings if one.line.startswith("topic readwrite")]
    assert len(denied) == 1
    assert denied[0].severity is Severity.UNCHECKED
    assert "could not check" in denied[0].found
    assert losses(findings) == []


def test_a_short_session_of_ours_is_found(tmp_path: Path) -> None:
    """It is our own setting, so the line belongs into our own file."""
    found = of(check(tmp_path, GOOD, protocol="5", session_expiry_s=60), "session")

    assert found.severity is Severity.LOSES_DATA
    assert "lamppost.toml" in found.file


def test_tls_and_a_password_are_used(tmp_path: Path) -> None:
    """Like the intake's own connection, with the days the certificate has left."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", days=20.5)
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", "passwords", "intake", "secret"], cwd=tmp_path, check=True
    )
    configuration = GOOD.replace("allow_anonymous true", "allow_anonymous false") + (
        f"certfile {certificate}\nkeyfile {key}\npassword_file {tmp_path}/passwords\n"
    )
    plain = {"tls": True, "ca_file": authority.ca, "username": "intake", "password": "secret"}
    with secured(tmp_path, configuration) as port:
        findings = check_broker(options(port, **plain))
        refused = check_broker(options(port, **(plain | {"password": "wrong"})))

    assert losses(findings) == [], as_table(findings)
    assert "2,500 messages kept" in of(findings, "queue while away").found
    assert of(findings, "certificate").severity is Severity.NOTE
    assert "20 days" in of(findings, "certificate").found
    assert "refuses the connection" in of(refused, "broker").found


@contextlib.contextmanager
def secured(folder: Path, configuration: str) -> Iterator[int]:
    """Run a Mosquitto that may not be asked without TLS; yields its port."""
    with broker(folder, configuration) as (port, _):
        yield port


def test_the_configuration_we_ship_passes(tmp_path: Path) -> None:
    """deploy/mosquitto, with its access list, as docker compose runs it."""
    lines = []
    for line in (SHIPPED / "mosquitto.conf").read_text().splitlines():
        moved = line.replace("listener 1883", "listener {port} 127.0.0.1")
        moved = moved.replace("/mosquitto/data", str(tmp_path))
        lines.append(moved.replace("/mosquitto/config", str(SHIPPED)))
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", "passwords", "lamppost", "x"], cwd=tmp_path, check=True
    )
    account = {"username": "lamppost", "password": "x"}
    with broker(tmp_path, "\n".join(lines) + "\n") as (port, file):
        findings = check_broker(options(port, **account), file)

    severities = {one.severity for one in findings}
    assert severities <= {Severity.RIGHT, Severity.NOTE}, as_table(findings)


def test_the_broker_of_our_own_tests_passes(mosquitto: Mosquitto) -> None:
    """Else every installation in a test would refuse to start."""
    mosquitto.start()
    file = mosquitto.folder / "mosquitto.conf"
    findings = check_broker(options(mosquitto.port), file)

    assert losses(findings) == [], as_table(findings)


def test_a_running_intake_is_left_alone(tmp_path: Path) -> None:
    """The check has names of its own: nobody is thrown out, nobody gets its messages."""
    with (
        broker(tmp_path, GOOD) as (port, _),
        RawClient(port, "checked", clean=True) as other,
    ):
        other.subscribe("v1/+/readings", 1)
        check_broker(options(port))
        log = (tmp_path / "output.log").read_text()

    assert "checked already connected" not in log
    assert "as checked" in log


def test_a_broker_that_is_away_is_said() -> None:
    """With the address."""
    port = free_port()
    with pytest.raises(NotConnected, match=f"nobody listens at 127.0.0.1:{port}"):
        check_broker(options(port))
