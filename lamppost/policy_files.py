# SPDX-License-Identifier: EUPL-1.2
"""The files of one policy folder: strict YAML, each top-level key in one file only."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from .errors import ConfigError

# The shipped policy has about 700 values, with all aliases written out.
_MOST_VALUES: Final = 100_000


class _StrictLoader(yaml.SafeLoader):
    """YAML in which naming a key twice is an error, not a silent loss, and aliases stay bounded."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def _measure(self, node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
        """Return how many values a node holds once every alias is written out."""
        size = sizes.get(node)
        if size is None:
            sizes[node] = 0  # until it is known: met again meanwhile, the node is inside itself
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = itertools.chain.from_iterable(
                part if isinstance(part, tuple) else (part,) for part in parts
            )
            size = sizes[node] = 1 + sum(self._measure(part, sizes) for part in pairs)
        if not size or size > _MOST_VALUES:
            problem = f"has more than {_MOST_VALUES} values" if size else "contains itself"
            raise yaml.composer.ComposerError(None, None, f"it {problem}", node.start_mark)
        return size

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the signature of PyYAML
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # PyYAML refuses it itself, with the line
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the files of a folder say by top-level key, and the file of each.

    Raises:
        ConfigError: naming the file, and the key where one is at fault.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError("no policy files (*.yaml) here", where=str(folder))
    for misnamed in folder.glob("*.yml"):
        raise ConfigError("policy files end in .yaml", where=str(misnamed), hint="rename it")
    content: dict[str, Any] = {}
    file_of: dict[str, str] = {}
    for path in files:
        for key, value in _load_file(path).items():
            if key in file_of:
                raise ConfigError(f"also stands in {file_of[key]}", where=f"{path}: {key}")
            content[key], file_of[key] = value, str(path)
    return content, file_of


def _load_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise ConfigError("nested too deeply", where=str(path)) from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: a date of no calendar
        problem = " ".join(str(error).split())
        raise ConfigError(f"not readable as YAML: {problem}", where=str(path)) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("must be a mapping of keys", where=str(path))
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(
                "the key is not text", where=f"{path}: {key}", hint="put it in quotes"
            )
    return content
