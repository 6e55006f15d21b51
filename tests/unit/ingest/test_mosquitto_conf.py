# SPDX-License-Identifier: EUPL-1.2
"""Mosquitto's configuration file is read as Mosquitto reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.broker_findings import Finding, Severity, as_table, losses
from ingest.mosquitto_conf import check_configuration, read_configuration
from ingest.mqtt import MqttOptions
from lamppost.errors import ConfigError

KEEPS = "persistence true\nautosave_interval 10\nmax_queued_messages 0\nqueue_qos0_messages true\n"


def found(folder: Path, text: str, **changes: object) -> list[Finding]:
    """Return what a file with a text is found to do."""
    file = folder / "mosquitto.conf"
    file.write_text(text)
    given: dict[str, object] = {"host": "h", "port": 1883, "topics": ("a",), "client_id": "x"}
    options = MqttOptions(**(given | changes))  # type: ignore[arg-type]
    return check_configuration(file, options)


def test_comments_and_empty_lines_say_nothing(tmp_path: Path) -> None:
    """Only a # at the start of a line makes a comment."""
    assert losses(found(tmp_path, f"\n# max_queued_messages 5\n  #x\n{KEEPS}")) == []


def test_the_last_of_several_lines_counts(tmp_path: Path) -> None:
    """And its place is named."""
    lost = losses(found(tmp_path, KEEPS + "max_queued_messages 500\n"))

    assert [one.line for one in lost] == ["max_queued_messages 2000000"]
    assert "mosquitto.conf:5" in lost[0].found


def test_folders_are_included_in_the_order_of_names(tmp_path: Path) -> None:
    """A later file overrides an earlier one; files of other names are not read."""
    parts = tmp_path / "conf.d"
    parts.mkdir()
    (parts / "b.conf").write_text("max_queued_messages 0\n")
    (parts / "a.conf").write_text("max_queued_messages 7\n")
    (parts / "c.bak").write_text("max_queued_messages 8\n")

    assert losses(found(tmp_path, KEEPS + f"include_dir {parts}\n")) == []


def test_a_listener_of_another_port_does_not_count(tmp_path: Path) -> None:
    """What stands below a listener is about that one only."""
    other = "per_listener_settings true\nlistener 9001\nmax_qos 0\nallow_anonymous true\n"

    assert losses(found(tmp_path, KEEPS + other + "listener 1883\nmax_qos 2\n")) == []
    lost = losses(found(tmp_path, KEEPS + other, port=9001))
    assert [one.line for one in lost] == ["max_qos 1"]


def test_global_settings_below_a_listener_count(tmp_path: Path) -> None:
    """The queue is one for all listeners, wherever its line stands."""
    lost = losses(found(tmp_path, KEEPS + "listener 9001\nmax_queued_messages 9\n"))

    assert [one.line for one in lost] == ["max_queued_messages 2000000"]


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("persistence true\nautosave_interval 60\n", Severity.RIGHT),
        ("persistence true\nautosave_interval 61\n", Severity.LOSES_DATA),
        ("persistence true\nautosave_on_changes true\nautosave_interval 100\n", Severity.NOTE),
        ("persistence true\nautosave_on_changes true\n", Severity.LOSES_DATA),
        ("plugin /usr/lib/mosquitto_persist_sqlite.so\n", Severity.NOTE),
        ("", Severity.LOSES_DATA),
    ],
)
def test_how_often_the_queue_is_written_decides(
    tmp_path: Path, text: str, severity: Severity
) -> None:
    """Every minute at least, or a plugin that does it by itself."""
    disk = [one for one in found(tmp_path, text) if one.subject == "queue on disk"]

    assert [one.severity for one in disk] == [severity]


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("max_queued_bytes 1000000", Severity.LOSES_DATA),
        ("max_queued_messages 50000", Severity.NOTE),
        ("persistent_client_expiration 2h", Severity.LOSES_DATA),
        ("persistent_client_expiration 2d", Severity.NOTE),
        ("persistent_client_expiration 1m", None),
        ("use_username_as_clientid true", Severity.NOTE),
        ("queue_qos0_messages false", Severity.NOTE),
        ("max_packet_size 1000", Severity.LIMITS),
    ],
)
def test_limits_are_judged(tmp_path: Path, line: str, severity: Severity | None) -> None:
    """By what they lose, and the line that repairs it begins with the same word."""
    about = [one for one in found(tmp_path, KEEPS + line + "\n") if one.line]
    own = [one for one in about if one.line.startswith(line.split(maxsplit=1)[0])]

    assert [one.severity for one in own] == ([] if severity is None else [severity])


@pytest.mark.parametrize("line", ["max_queued_messages many", "persistent_client_expiration soon"])
def test_what_is_no_number_names_its_line(tmp_path: Path, line: str) -> None:
    """Mosquitto would not start with it either."""
    with pytest.raises(ConfigError, match=r"mosquitto\.conf:5"):
        found(tmp_path, KEEPS + line + "\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the setting that names it."""
    with pytest.raises(ConfigError, match=r"missing\.conf.*mqtt\.broker_config"):
        read_configuration(tmp_path / "missing.conf", 1883)


def test_a_folder_that_includes_itself_is_refused(tmp_path: Path) -> None:
    """Instead of being read for ever."""
    (tmp_path / "a.conf").write_text(f"include_dir {tmp_path}\n")
    with pytest.raises(ConfigError, match="includes itself"):
        read_configuration(tmp_path / "a.conf", 1883)


def test_the_table_shows_the_worst_first(tmp_path: Path) -> None:
    """One line for what was found, then why, then the line to write."""
    lines = as_table(found(tmp_path, ""))

    assert lines[0].startswith("LOSES DATA  ")
    assert lines[2].strip() == "mosquitto.conf: persistence true"
