# SPDX-License-Identifier: EUPL-1.2
"""Browser libraries are fetched as locked, or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = json.loads((ROOT / "requirements/browser/package-lock.json").read_text("utf-8"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout that holds only what scripts/vendor.py works with."""
    shutil.copytree(ROOT / "requirements" / "browser", tmp_path / "requirements" / "browser")
    (tmp_path / "scripts").mkdir()
    shutil.copyfile(ROOT / "scripts" / "vendor.py", tmp_path / "scripts" / "vendor.py")
    return tmp_path


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a node_modules folder with packages of the locked versions."""
    folder = tmp_path / "node_modules"
    files = {
        "leaflet": ("dist/leaflet.js", "dist/leaflet.css", "dist/images/layers.png", "LICENSE"),
        "uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
    }
    for name, paths in files.items():
        version = LOCK["packages"][f"node_modules/{name}"]["version"]
        for path in paths:
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text(f"{name} {path}", encoding="utf-8")
        document = json.dumps({"name": name, "version": version})
        (folder / name / "package.json").write_text(document, encoding="utf-8")
    return folder


def npm_that_says(folder: Path, words: str) -> Path:
    """Put an npm that fails with some words into a folder of programs."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def vendor(
    checkout: Path, *arguments: str, path: Path | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run scripts/vendor.py with the programs of one folder only."""
    environment: Mapping[str, str] = {
        **{key: value for key, value in os.environ.items() if key != "LAMPPOST_REQUIRE_VENDOR"},
        "PATH": str(path or checkout / "no programs"),
        **settings,
    }
    command = [sys.executable, str(checkout / "scripts" / "vendor.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def vendored(checkout: Path) -> Path:
    """Return the folder the libraries go to."""
    return checkout / "lamppost_app" / "portal" / "static" / "vendor"


def test_without_npm_there_is_one_line_of_warning(checkout: Path) -> None:
    """Pages work without the libraries, so their absence stops nobody."""
    result = vendor(checkout)

    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 1
    assert "npm is not installed" in result.stderr


def test_a_release_without_npm_fails(checkout: Path) -> None:
    """A crippled wheel must not go out."""
    assert vendor(checkout, LAMPPOST_REQUIRE_VENDOR="1").returncode == 1


def test_an_unreachable_registry_is_one_line_of_warning(checkout: Path) -> None:
    """No network is treated like no npm."""
    programs = npm_that_says(checkout / "programs", "npm error code ECONNREFUSED")

    result = vendor(checkout, path=programs)

    assert result.returncode == 0
    assert "ECONNREFUSED" in result.stderr


def test_a_wrong_hash_fails(checkout: Path) -> None:
    """A package that is not the locked one is never shipped, warned about or not."""
    programs = npm_that_says(checkout / "programs", "npm error code EINTEGRITY")

    result = vendor(checkout, path=programs)

    assert result.returncode == 1
    assert "EINTEGRITY" in result.stderr
    assert not vendored(checkout).exists()


def test_the_manifest_describes_every_file(checkout: Path, packages: Path) -> None:
    """Names, versions and integrity are the lock's, digests are those of the files."""
    result = vendor(checkout, "--node-modules", str(packages))

    assert result.returncode == 0, result.stderr
    manifest = json.loads((vendored(checkout) / "manifest.json").read_text("utf-8"))
    assert [library["name"] for library in manifest] == ["leaflet", "uplot"]
    for library in manifest:
        locked = LOCK["packages"][f"node_modules/{library['name']}"]
        assert library["integrity"] == locked["integrity"]
        assert library["folder"] == f"{library['name']}-{locked['version']}"
        assert "LICENSE" in library["files"]
        for name, digest in library["files"].items():
            content = (vendored(checkout) / library["folder"] / name).read_bytes()
            expected = base64.b64encode(hashlib.sha256(content).digest()).decode()
            assert digest == f"sha256-{expected}"


def test_a_changed_file_is_noticed(checkout: Path, packages: Path) -> None:
    """That the folder exists does not mean that it is right."""
    vendor(checkout, "--node-modules", str(packages))
    (changed,) = vendored(checkout).glob("leaflet-*/leaflet.js")
    original = changed.read_text("utf-8")
    changed.write_text("something else", encoding="utf-8")

    vendor(checkout, "--node-modules", str(packages))

    assert changed.read_text("utf-8") == original


def test_a_package_of_another_version_fails(checkout: Path, packages: Path) -> None:
    """A version bump in one place only is an error, not a mixture."""
    document = json.dumps({"name": "uplot", "version": "0.0.1"})
    (packages / "uplot" / "package.json").write_text(document, encoding="utf-8")

    result = vendor(checkout, "--node-modules", str(packages))

    assert result.returncode == 1
    assert "0.0.1" in result.stderr


def test_what_was_fetched_here_is_what_the_lock_names() -> None:
    """The libraries in this checkout, if any, are those of the lock."""
    manifest = vendored(ROOT) / "manifest.json"
    if not manifest.is_file():
        pytest.skip("no browser libraries here; scripts/vendor.py fetches them")

    for library in json.loads(manifest.read_text("utf-8")):
        locked = LOCK["packages"][f"node_modules/{library['name']}"]
        assert library["version"] == locked["version"]
        assert library["integrity"] == locked["integrity"]
