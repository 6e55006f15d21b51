# SPDX-License-Identifier: EUPL-1.2
"""The kinds of entries are published names."""

from __future__ import annotations

from lamppost.log import DAMAGED, INBOX_KINDS, OUTBOX_KINDS, Entry, Record


def test_the_kinds_keep_their_names() -> None:
    """Logs written years ago must stay readable."""
    assert INBOX_KINDS == (
        "frame",
        "tick",
        "command",
        "policy",
        "registration",
        "replay",
        "throttled",
        "excess",
    )
    assert OUTBOX_KINDS == (
        "series",
        "stations",
        "rules",
        "readings",
        "aggregates",
        "indices",
        "alerts",
        "quarantine",
        "quarantine_states",
        "ledger",
        "clocks",
        "fits",
        "details",
    )


def test_no_kind_means_two_things() -> None:
    """A damaged entry is none of those that were written."""
    kinds = (*INBOX_KINDS, *OUTBOX_KINDS, DAMAGED)

    assert len(set(kinds)) == len(kinds)


def test_an_entry_is_a_record_with_a_number() -> None:
    """The engine builds one from the other by position."""
    record = Record("tick", 5, b"")

    assert Entry(1, *record) == (1, "tick", 5, b"")
