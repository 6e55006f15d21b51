# SPDX-License-Identifier: EUPL-1.2
"""A stranger who owns one of our import names is named, and nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lamppost.errors import ConfigError
from lamppost_app.ownership import OUR_NAMES, refuse_strangers, strangers

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that brings an import name, for one test."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(distribution: str, name: str) -> None:
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "top_level.txt").write_text(f"{name}\n", encoding="utf-8")

    return put


def test_nobody_else_owns_our_names_here() -> None:
    """Else none of these tests would test our code."""
    assert strangers() == {}
    refuse_strangers()


@pytest.mark.parametrize("name", OUR_NAMES)
def test_a_stranger_is_named_with_what_to_do(name: str, install: Install) -> None:
    """Whichever of our names it took."""
    install("stranger", name)

    with pytest.raises(ConfigError) as raised:
        refuse_strangers()

    line = str(raised.value)
    assert f"{name!r} also belongs to stranger" in line
    assert "environment of its own" in line
    assert strangers() == {name: ["stranger"]}


def test_two_strangers_are_both_named(install: Install) -> None:
    """In alphabetical order."""
    install("zeta", "sinks")
    install("alpha", "sinks")

    assert strangers() == {"sinks": ["alpha", "zeta"]}


def test_our_own_distribution_is_no_stranger(install: Install) -> None:
    """Nor is one that brings other names."""
    install("lamppost", "ingest")
    install("neighbour", "ingestion")

    assert strangers() == {}
