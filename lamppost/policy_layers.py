# SPDX-License-Identifier: EUPL-1.2
"""A policy upon another: a folder that extends a folder says only what is different.

Sections merge by the names of their entries, and so do the sets of compliance. An entry that both
have is the extending policy's as a whole, in the place of the other; one that only the extending
policy has comes behind; null takes one away. What is no mapping, such as routes, is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import ConfigError
from .policy_files import read_folder

EXTENDS: Final = "extends"
"""Top-level key that names the folder to extend, relative to the one it stands in."""
SHIPPED: Final = "shipped"
"""First part of that name where the policy is meant that comes with Lamppost."""

_NAMED_WITHIN: Final = "compliance.sets"


def shipped_policy() -> Path:
    """Return where the policy that comes with Lamppost is: in a checkout, or installed."""
    root = Path(__file__).parent.parent
    beside = root / "policy"
    return beside if beside.is_dir() else root / "lamppost_app" / "policy"


@dataclass(frozen=True, slots=True)
class Layers:
    """What a policy says together with those it extends.

    Attributes:
        content: by top-level key.
        files: the file whose word counts, by key path of each section and entry.
        folders: where it stands, and what it extends, from the top down.
    """

    content: dict[str, Any]
    files: dict[str, str]
    folders: tuple[Path, ...]

    def where(self, key_path: str) -> str:
        """Return a key path behind the file it stands in, for a message; else behind the folder."""
        known = key_path
        while known and known not in self.files:
            known = known.rpartition(".")[0]
        return f"{self.files.get(known, self.folders[0])}: {key_path}"

    def upon(self, base: Layers) -> Layers:
        """Return this policy laid upon the one it extends.

        Raises:
            ConfigError: something is taken away that is not there.
        """
        content = self._laid(base.content, self.content)
        return Layers(content, base.files | self.files, (*self.folders, *base.folders))

    def _laid(
        self, base: Mapping[str, Any], over: Mapping[str, Any], within: str = ""
    ) -> dict[str, Any]:
        merged = dict(base)
        for name, value in over.items():
            key_path = f"{within}{name}"
            below = merged.get(name, {})
            if value is None:
                self._take_away(merged, name, key_path)
            elif _merges(key_path) and isinstance(value, dict) and isinstance(below, dict):
                merged[name] = self._laid(below, value, f"{key_path}.")
            else:
                merged[name] = value
        return merged

    def _take_away(self, merged: dict[str, Any], name: str, key_path: str) -> None:
        where = self.where(key_path)
        if _merges(key_path):
            hint = "write null behind each entry that is to go, or leave the section out"
            raise ConfigError("nothing stands here", where=where, hint=hint)
        if name not in merged:
            hint = "an entry without settings is written as {}"
            raise ConfigError("null takes away what is not there", where=where, hint=hint)
        del merged[name]


def read_layers(folder: Path, above: tuple[Path, ...] = ()) -> Layers:
    """Read a policy folder and what it extends, one upon the other.

    Args:
        folder: of the policy.
        above: the folders that extend it, from the top down.

    Raises:
        ConfigError: naming the file and the key path.
    """
    content, file_of = read_folder(folder)
    extends = EXTENDS in content
    named = content.pop(EXTENDS, None)
    own = Layers(content, dict(_files(content, file_of)), (folder,))
    if not extends:
        return own
    where = f"{file_of[EXTENDS]}: {EXTENDS}"
    base, above = _folder_named(named, folder, where), (*above, folder.resolve())
    if base in above:
        circle = " extends ".join(map(str, (*above[above.index(base) :], base)))
        raise ConfigError(f"goes round in a circle: {circle}", where=where)
    return own.upon(read_layers(base, above))


def _folder_named(named: object, folder: Path, where: str) -> Path:
    if not isinstance(named, str) or not named:
        hint = f"such as ../{folder.name}-base, or {SHIPPED} for the one that comes with Lamppost"
        raise ConfigError("must name the folder of a policy", where=where, hint=hint)
    first, _, rest = named.partition("/")
    base = shipped_policy() / rest if first == SHIPPED else folder / named
    hint = f"it is looked for from {folder}" if first != SHIPPED else ""
    try:
        found = base.is_dir()
    except OSError as error:  # a name too long, or a folder that must not be looked into
        problem = f"cannot look for the folder: {error.strerror}"
        raise ConfigError(problem, where=where, hint=hint) from error
    if not found:
        raise ConfigError(f"there is no folder {named}", where=where, hint=hint)
    return base.resolve()


def _merges(key_path: str) -> bool:
    """Return whether the entries of a mapping are merged by their names."""
    return "." not in key_path or key_path == _NAMED_WITHIN


def _files(content: Mapping[str, Any], file_of: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the key path of every section and entry with the file it stands in."""
    for section, value in content.items():
        yield section, file_of[section]
        for key_path in _entries(value, section):
            yield key_path, file_of[section]


def _entries(value: object, within: str) -> Iterator[str]:
    """Yield the key paths of what merges by name in a mapping."""
    for name, inner in value.items() if isinstance(value, dict) and _merges(within) else ():
        yield f"{within}.{name}"
        yield from _entries(inner, f"{within}.{name}")
