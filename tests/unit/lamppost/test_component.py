# SPDX-License-Identifier: EUPL-1.2
"""Components register once, are found by name, and name the key of a wrong setting."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from lamppost import component
from lamppost.component import (
    Component,
    Rows,
    Settings,
    all_reasons,
    discover,
    discover_plugins,
    find,
    reason_names,
    register,
    registered,
)
from lamppost.errors import ConfigError
from lamppost.flags import KERNEL_REASONS, Reason
from lamppost.grouping import Groups


@pytest.fixture(autouse=True)
def _registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what a test registered."""
    monkeypatch.setattr(component, "_REGISTRY", dict(component._REGISTRY))
    monkeypatch.setattr(component, "_REASONS", dict(component._REASONS))


class DustSettings(Settings):
    """Settings with a part."""

    limits: dict[str, float] = Field(default_factory=dict)


def make_check(name: str, module: str = "city.dust", **members: Any) -> type[Any]:
    """Return a class as a module of a plugin would define it."""
    members = {"name": name, "__module__": module, "__doc__": "Looks for dust.\n\nMore.", **members}
    return type("Dust", (), members)


def test_a_registered_class_is_found_by_kind_and_name() -> None:
    """With what its docstring says in the first sentence."""
    cls = register("check")(make_check("dust"))

    found = find("check", "dust", "quality.dust")

    assert (found.kind, found.name, found.cls) == ("check", "dust", cls)
    assert found.summary == "Looks for dust."
    assert registered("check")["dust"] is found
    assert "dust" not in registered("detector")


def test_registered_components_come_in_alphabetical_order() -> None:
    """Whatever order they were imported in."""
    for name in ("zz_dust", "aa_dust"):
        register("check")(make_check(name, f"city.{name}"))

    names = list(registered("check"))

    assert names == sorted(names)


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    """A typing mistake is found at once."""
    register("check")(make_check("dust"))

    with pytest.raises(ConfigError) as raised:
        find("check", "dst", "quality.dst")

    assert str(raised.value).startswith("quality.dst: there is no check called 'dst' (known: ")
    assert "dust" in str(raised.value)


def test_two_modules_cannot_share_a_name() -> None:
    """Both are named, since either may be the stranger."""
    register("check")(make_check("dust", "city.dust"))

    with pytest.raises(ConfigError, match=r"city\.dust and other\.dust"):
        register("check")(make_check("dust", "other.dust"))


def test_one_module_may_be_imported_again() -> None:
    """Reloading is no conflict."""
    register("check")(make_check("dust"))

    register("check")(make_check("dust"))

    assert registered("check")["dust"].cls.__module__ == "city.dust"


def test_a_reason_bit_belongs_to_one_reason() -> None:
    """A published bit is never reused for something else."""
    register("check")(make_check("dust", reasons=(Reason(30, "dusty", "Dusty."),)))

    with pytest.raises(ConfigError, match="bit 30 is taken by dusty"):
        register("check")(make_check("soot", "city.soot", reasons=(Reason(30, "sooty", "S."),)))


def test_reasons_are_listed_by_bit_and_named_by_mask() -> None:
    """The kernel's own are always there."""
    register("check")(make_check("dust", reasons=(Reason(31, "dusty", "Dusty."),)))

    bits = [reason.bit for reason in all_reasons()]

    assert bits == sorted(set(bits))
    assert set(KERNEL_REASONS) <= set(all_reasons())
    assert reason_names(1 << 31 | 1 << 3 | 1) == ["missing_value", "out_of_order", "dusty"]
    assert reason_names(0) == []


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"limts": {}}, "quality.dust.limts"),
        ({"limits": {"pm10": "much"}}, "quality.dust.limits.pm10"),
        ({"limits": 5}, "quality.dust.limits"),
    ],
)
def test_a_wrong_setting_is_named_by_its_key_path(raw: dict[str, Any], path: str) -> None:
    """From the top of the policy down to the key."""
    dust = Component("check", "dust", make_check("dust", Settings=DustSettings))

    with pytest.raises(ConfigError) as raised:
        dust.parse(raw, "quality.dust")

    assert str(raised.value).startswith(f"{path}: ")


def test_settings_never_change() -> None:
    """A component cannot drift away from the policy that stands on its results."""
    dust = Component("check", "dust", make_check("dust", Settings=DustSettings))

    settings = dust.parse({"limits": {"pm10": 5}}, "quality.dust")

    assert settings.limits == {"pm10": 5.0}
    with pytest.raises(ValueError, match="frozen"):
        settings.limits = {}


def test_a_component_without_settings_takes_none() -> None:
    """Every key is one too many."""
    dust = Component("check", "dust", make_check("dust"))

    assert dust.parse({}, "quality.dust") == Settings()
    with pytest.raises(ConfigError, match=r"quality\.dust\.limit"):
        dust.parse({"limit": 1}, "quality.dust")


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A package on disk with a public module, one in a folder, and a private one."""
    package = tmp_path / "dusty_city"
    (package / "roads").mkdir(parents=True)
    for folder in (package, package / "roads"):
        (folder / "__init__.py").touch()
    (package / "park.py").touch()
    (package / "roads" / "kerb.py").touch()
    (package / "_private.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("dusty_city")
    for name in [name for name in sys.modules if name.partition(".")[0] == "dusty_city"]:
        del sys.modules[name]


def test_discovery_imports_every_public_module(city: types.ModuleType) -> None:
    """Adding a component means adding one file."""
    discover(city)

    assert {"dusty_city.park", "dusty_city.roads.kerb"} <= set(sys.modules)
    assert "dusty_city._private" not in sys.modules


def test_a_plugin_registers_through_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another distribution offers a module; loading it registers what is in it."""
    (tmp_path / "plugin_dust.py").write_text(
        "from lamppost.component import register\n"
        "@register('check')\n"
        "class Dust:\n"
        "    '''Looks for dust.'''\n"
        "    name = 'plugin_dust'\n",
        encoding="utf-8",
    )
    info = tmp_path / "plugin_dust-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: plugin-dust\nVersion: 1\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        "[lamppost.components]\ndust = plugin_dust\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)

    discover_plugins()

    assert find("check", "plugin_dust", "quality").summary == "Looks for dust."


def test_rows_are_as_many_as_their_instants() -> None:
    """The length checks and detectors go by."""
    codes = np.array([0, 0, 1], np.int32)

    rows = Rows(Groups.by_series(codes), np.arange(3), np.zeros(3), np.ones(3, np.uint8))

    assert len(rows) == 3


def test_a_class_without_a_name_cannot_register() -> None:
    """The mistake shows when the module is imported."""

    class Nameless:
        """Nothing."""

        reasons: ClassVar[tuple[Reason, ...]] = ()

    with pytest.raises(AttributeError, match="name"):
        register("check")(Nameless)
