# SPDX-License-Identifier: EUPL-1.2
"""Fetches the browser libraries with npm into the portal's static/vendor folder.

The pages work without them, so an absent npm or an unreachable registry is one line of warning;
LAMPPOST_REQUIRE_VENDOR=1 makes it a failure, as does a package whose hash is not the locked one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent.parent
DECLARED = ROOT / "requirements" / "browser"
VENDOR = ROOT / "lamppost_app" / "portal" / "static" / "vendor"
BUILD = ROOT / "build" / "vendor"
NPM_TIMEOUT_S = 180

# What the pages load; without the images Leaflet's layer control and markers stay blank.
SHIPPED = {
    "leaflet": ("dist/leaflet.js", "dist/leaflet.css", "dist/images/*.png", "LICENSE"),
    "uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
}


class Library(TypedDict):
    """One browser library as manifest.json describes it; `files` maps a path to its sha256."""

    name: str
    version: str
    integrity: str
    licence: str
    folder: str
    files: dict[str, str]


class Unavailable(Exception):
    """The libraries cannot be fetched here; the product works without them."""


class Mismatch(Exception):
    """What was fetched is not what the lock names; nothing of it may be shipped."""


def main() -> int:
    """Bring static/vendor in line with the lock and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node-modules", type=Path, help="what npm ci has installed already")
    given: Path | None = parser.parse_args().node_modules
    try:
        locked = read_lock()
        if up_to_date(locked):
            return 0
        install(locked, given or fetch())
    except Mismatch as error:
        print(f"vendor: {error}", file=sys.stderr)
        return 1
    except Unavailable as error:
        print(f"vendor: warning: {error}; pages go without map and chart scripts", file=sys.stderr)
        return 1 if os.environ.get("LAMPPOST_REQUIRE_VENDOR") == "1" else 0
    print(f"vendor: {', '.join(library['folder'] for library in locked)}", file=sys.stderr)
    return 0


def read_lock() -> list[Library]:
    """Return the libraries as locked, still without files."""
    lock = json.loads((DECLARED / "package-lock.json").read_text("utf-8"))
    libraries: list[Library] = []
    for name in sorted(SHIPPED):
        package = lock["packages"][f"node_modules/{name}"]
        libraries.append(
            Library(
                name=name,
                version=package["version"],
                integrity=package["integrity"],
                licence=package["license"],
                folder=f"{name}-{package['version']}",
                files={},
            )
        )
    return libraries


def up_to_date(locked: list[Library]) -> bool:
    """Tell whether the manifest agrees with the lock and every file with the manifest."""
    try:
        present: list[Library] = json.loads((VENDOR / "manifest.json").read_text("utf-8"))
        stripped = [{**library, "files": {}} for library in present]
        files_agree = all(
            library["files"] and digests(VENDOR / library["folder"]) == library["files"]
            for library in present
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return files_agree and stripped == locked


def fetch() -> Path:
    """Let npm install the locked packages, running none of their scripts; return where they lie."""
    npm = shutil.which("npm")
    if npm is None:
        message = "npm is not installed, so the browser libraries were not fetched"
        raise Unavailable(message)
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(DECLARED, BUILD, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command += ["--fetch-retries=1", f"--cache={ROOT / 'build' / 'cache' / 'npm'}"]
    try:
        result = subprocess.run(
            command, cwd=BUILD, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"npm gave no answer within {NPM_TIMEOUT_S} s"
        raise Unavailable(message) from error
    if result.returncode != 0:
        raise failure_of(result.stderr)
    return BUILD / "node_modules"


def failure_of(stderr: str) -> Exception:
    """Tell a wrong hash or a wrong lock, which must stop us, from a registry out of reach."""
    if "EINTEGRITY" in stderr or "EUSAGE" in stderr:
        return Mismatch(f"npm refused the locked packages:\n{stderr.strip()}")
    first = next((line for line in stderr.splitlines() if "code" in line), stderr.strip()[:200])
    return Unavailable(f"npm could not fetch the browser libraries ({first})")


def install(locked: list[Library], node_modules: Path) -> None:
    """Copy the shipped files and replace the vendor folder in one move."""
    staged = BUILD / "staged"
    shutil.rmtree(staged, ignore_errors=True)
    for library in locked:
        source = node_modules / library["name"]
        check_version(source, library)
        copy_shipped(source, staged / library["folder"], SHIPPED[library["name"]])
        library["files"] = digests(staged / library["folder"])
    manifest = json.dumps(locked, indent=2) + "\n"
    (staged / "manifest.json").write_text(manifest, encoding="utf-8")
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(staged, VENDOR)


def check_version(source: Path, library: Library) -> None:
    """Refuse a package that is not the locked version."""
    version = json.loads((source / "package.json").read_text("utf-8"))["version"]
    if version != library["version"]:
        message = f"{source} holds version {version}, the lock names {library['version']}"
        raise Mismatch(message)


def copy_shipped(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    """Copy the named files; `dist` is left out of the target's paths."""
    for pattern in patterns:
        found = sorted(source.glob(pattern))
        if not found:
            message = f"{source.name} holds no {pattern}; was the package reorganised?"
            raise Mismatch(message)
        for path in found:
            inside = Path(*(part for part in path.relative_to(source).parts if part != "dist"))
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder, in the notation of HTML integrity."""
    return {
        path.relative_to(folder).as_posix(): "sha256-"
        + base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
