# SPDX-License-Identifier: EUPL-1.2
"""Alert events and commands say all they must and nothing else."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from lamppost.alerts import AcknowledgeCommand, AlertEvent

EVENT = {
    "alert_id": "a1",
    "kind": "firing",
    "at": 5,
    "rule": "pm2_5_high",
    "title": "Fine particles high",
    "severity": "warning",
    "policy": "abcdef012345",
    "sensor": "aq-017",
    "quantity": "pm2_5",
    "qualifiers": "",
    "since": 4,
    "observed": 80.0,
    "expected": 75.0,
    "band_low": None,
    "band_high": None,
    "unit": "ug/m3",
    "sentence": "80 is above 75.",
    "clears_when": "It is below 55.",
}
COMMAND = {"command": "acknowledge", "alert_id": "a1", "by": "Kim", "comment": "on my way"}


def test_an_event_survives_the_way_to_json_and_back() -> None:
    """The outbox and the store hold it as JSON."""
    event = AlertEvent(**EVENT)

    assert AlertEvent.model_validate(json.loads(json.dumps(event.model_dump()))) == event
    assert (event.by, event.comment) == ("", "")


@pytest.mark.parametrize("field", sorted(EVENT))
def test_an_event_is_complete(field: str) -> None:
    """An alert can be shown from any one of its events alone."""
    with pytest.raises(ValidationError, match=field):
        AlertEvent(**{name: value for name, value in EVENT.items() if name != field})


@pytest.mark.parametrize(
    "change",
    [{"kind": "exploded"}, {"severity": "purple"}, {"colour": "red"}, {"at": "yesterday"}],
)
def test_an_event_says_nothing_that_is_not_defined(change: dict[str, str]) -> None:
    """A typing mistake in a field is an error, not an extra."""
    with pytest.raises(ValidationError):
        AlertEvent(**{**EVENT, **change})


def test_a_command_is_read_from_json() -> None:
    """As the portal writes it."""
    command = AcknowledgeCommand.model_validate_json(json.dumps(COMMAND))

    assert command.model_dump() == COMMAND


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        json.dumps({**COMMAND, "command": "delete"}).encode(),
        json.dumps({**COMMAND, "force": True}).encode(),
        json.dumps({**COMMAND, "alert_id": 7}).encode(),
    ],
)
def test_a_command_that_is_not_understood_is_refused(body: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValidationError):
        AcknowledgeCommand.model_validate_json(body)
