# SPDX-License-Identifier: EUPL-1.2
"""The locks hold names, versions and hashes, agree with each other and cover what is declared."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PIN = re.compile(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==([^ ;]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def lines_of(lock: str) -> list[str]:
    """Return the lines of a lock without its comments."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def pins_of(lock: str) -> set[tuple[str, str]]:
    """Return names and versions; a package may be pinned differently for different Pythons."""
    matches = [PIN.match(line) for line in lines_of(lock)]
    return {(match[1], match[2]) for match in matches if match}


def names_of(requirements: list[str]) -> set[str]:
    """Return the package names of requirements."""
    return {re.split(r"[^A-Za-z0-9._-]", entry)[0].lower() for entry in requirements}


@pytest.mark.parametrize("lock", ["run.txt", "test.txt"])
def test_a_lock_holds_names_versions_and_hashes_only(lock: str) -> None:
    """No address and no local path, so any index or folder can serve the packages."""
    strange = [line for line in lines_of(lock) if not PIN.match(line) and not HASH.match(line)]

    assert strange == []
    assert "://" not in (ROOT / "requirements" / lock).read_text("utf-8")


def test_the_running_lock_is_part_of_the_testing_lock() -> None:
    """What is tested is what runs."""
    assert pins_of("run.txt") <= pins_of("test.txt")


def test_the_running_lock_covers_every_declared_dependency() -> None:
    """Nobody added a dependency without running scripts/lock."""
    project = PROJECT["project"]
    declared = names_of([*project["dependencies"], *project["optional-dependencies"]["demo"]])
    declared |= names_of(PROJECT["dependency-groups"]["build"])

    assert declared <= {name for name, _ in pins_of("run.txt")}


def test_the_testing_lock_covers_every_group() -> None:
    """Tests and checks are pinned as well."""
    groups = PROJECT["dependency-groups"]
    declared = names_of([*groups["test"], *groups["check"], *groups["build"]])

    assert declared <= {name for name, _ in pins_of("test.txt")}


def test_the_browser_lock_has_a_hash_for_every_package_and_no_address() -> None:
    """Npm verifies each package against the lock, wherever it comes from."""
    folder = ROOT / "requirements" / "browser"
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert {name.removeprefix("node_modules/") for name in packages} == set(wanted)
    for name, entry in packages.items():
        assert entry["version"] == wanted[name.removeprefix("node_modules/")]
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
