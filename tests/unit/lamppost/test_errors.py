# SPDX-License-Identifier: EUPL-1.2
"""Errors carry what the one who handles them needs."""

from __future__ import annotations

import pytest

from lamppost.errors import (
    ConfigError,
    FormatError,
    LamppostError,
    NotConnected,
    PartialWrite,
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("wrong"), "wrong"),
        (ConfigError("wrong", where="a.toml: mqtt.port"), "a.toml: mqtt.port: wrong"),
        (ConfigError("wrong", hint="do this"), "wrong (do this)"),
        (ConfigError("wrong", where="a.toml", hint="do this"), "a.toml: wrong (do this)"),
    ],
)
def test_a_configuration_error_says_where_what_and_what_to_do(
    error: ConfigError, line: str
) -> None:
    """The parts that are known stand in one line, in that order."""
    assert str(error) == line


def test_a_format_error_keeps_its_code_apart_from_its_detail() -> None:
    """The code goes into a column of its own."""
    error = FormatError("malformed", "not JSON")

    assert (error.code, error.detail, str(error)) == (
        "malformed",
        "not JSON",
        "malformed: not JSON",
    )


def test_not_connected_keeps_the_wish_of_the_other_side() -> None:
    """No wish is None, not zero."""
    assert NotConnected("busy", retry_after_s=7.5).retry_after_s == 7.5
    assert NotConnected("away").retry_after_s is None


def test_a_partial_write_copies_its_refusals() -> None:
    """What the sink does with its own mapping afterwards changes nothing."""
    refused = {3: "too long"}

    error = PartialWrite(refused)
    refused[4] = "later"

    assert error.refused == {3: "too long"}
    assert "1 item(s)" in str(error)


@pytest.mark.parametrize("kind", [ConfigError, FormatError, NotConnected, PartialWrite])
def test_every_error_can_be_caught_by_the_root(kind: type[LamppostError]) -> None:
    """One except clause at the top of the command line is enough."""
    assert issubclass(kind, LamppostError)
