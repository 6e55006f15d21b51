# SPDX-License-Identifier: EUPL-1.2
"""A connection that does not come about is explained in a sentence."""

from __future__ import annotations

import pytest

from lamppost.tls import explain


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe")])
def test_a_line_that_is_cut_at_once_hints_at_tls(error: OSError) -> None:
    """A broker without TLS cuts off who begins with it, and says nothing."""
    said = explain(error, "broker:1883")

    assert said == "broker:1883 ended the connection: do both sides use TLS, or neither?"
