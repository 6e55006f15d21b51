# SPDX-License-Identifier: EUPL-1.2
"""The wheel holds exactly what is meant to be shipped, and runs in a fresh environment."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = {"lamppost", "lamppost_app", "ingest", "processors", "sinks", "sensor_sim"}
VENDOR = "lamppost_app/portal/static/vendor/"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it printed; its complaints are part of a failure."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the source, with the backend of this environment."""
    source = tmp_path_factory.mktemp("source") / "lamppost"
    target = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", "build", "data", "__pycache__", ".*_cache", ".hypothesis", "node_modules"
    )
    shutil.copytree(ROOT, source, ignore=unwanted)
    environment = {**os.environ, "LAMPPOST_REQUIRE_VENDOR": "0"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    result = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Return the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_exactly_our_packages(names: set[str]) -> None:
    """No package is missing, and none of the tests or scripts slipped in."""
    tops = {name.split("/")[0] for name in names}

    assert tops == PACKAGES | {f"lamppost-{PROJECT['project']['version']}.dist-info"}


def test_every_source_file_is_in_the_wheel(names: set[str]) -> None:
    """A module, template or stylesheet that works in the checkout works installed as well."""
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "vendor" not in path.parts
    }

    assert sources - names == set()


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_declares_that_it_is_typed(package: str, names: set[str]) -> None:
    """Type checkers look into the installed package."""
    assert f"{package}/py.typed" in names


def test_the_default_policy_is_inside(names: set[str]) -> None:
    """Each file of policy/ lies in lamppost_app/policy, and there only."""
    folder = ROOT / "policy"
    policies = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}

    shipped = {name for name in names if "/policy/" in name}

    assert policies
    assert shipped == {f"lamppost_app/policy/{name}" for name in policies}


def test_nothing_private_or_temporary_is_inside(names: set[str]) -> None:
    """No tests, caches, data, environments or secrets are shipped."""
    unwanted = ("tests/", "__pycache__", ".env", "node_modules", ".sqlite", ".db", ".duckdb")

    assert [name for name in names if any(part in name for part in unwanted)] == []


def test_browser_libraries_are_inside_when_they_were_fetched(names: set[str]) -> None:
    """Git ignores the vendor folder, the wheel must not."""
    folder = ROOT / VENDOR
    if not (folder / "manifest.json").is_file():
        pytest.skip("no browser libraries here; scripts/vendor.py fetches them")

    fetched = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    assert {name.removeprefix(VENDOR) for name in names if name.startswith(VENDOR)} == fetched


def test_the_wheel_is_small(wheel: Path) -> None:
    """Three megabytes are enough for all of it."""
    assert wheel.stat().st_size < 3_000_000


def test_the_metadata_says_licence_and_python(wheel: Path) -> None:
    """Installers see the licence and refuse a Python that is too old."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))

    assert metadata["License-Expression"] == "EUPL-1.2"
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_installed_command_runs_without_the_source(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment, outside the checkout, the command starts and finds its policy."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
        ).strip()
    )
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # Third-party packages are lent from here. A .pth inside a .pth folder is not followed, so the
    # editable install of this checkout is not lent along.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    places = "import lamppost, lamppost_app; print(lamppost.__file__, lamppost_app.__file__)"
    policy = "from lamppost_app.settings import load; print(load(None).policy_path)"

    assert str(ROOT) not in run(python, "-c", places, cwd=tmp_path)
    assert run(python, "-c", policy, cwd=tmp_path).strip() == str(site / "lamppost_app" / "policy")
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "p.yaml").write_text("extends: shipped/everything\n", encoding="utf-8")
    upon = run(environment / "bin" / "lamppost", "check", "--policy", "city", cwd=tmp_path)
    shipped = (site / "lamppost_app" / "policy").resolve()
    assert f"in city, upon {shipped / 'everything'}, upon {shipped}: right" in upon
    assert "Usage" in run(environment / "bin" / "lamppost", "--help", cwd=tmp_path)
