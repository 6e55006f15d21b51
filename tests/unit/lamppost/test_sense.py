# SPDX-License-Identifier: EUPL-1.2
"""What can be read and cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
from pydantic import Field

from lamppost.component import Settings
from lamppost.sense import doubts_about


class _Inner(Settings):
    names: tuple[str, ...] = ("a",)
    text: str = ""


class _Outer(Settings):
    empty_means: ClassVar[Mapping[str, str]] = {"loose": "nothing in particular"}
    repeats_mean: ClassVar[Mapping[str, str]] = {"again": "that it happened twice"}

    title: str = "title"
    inner: _Inner = _Inner()
    several: tuple[_Inner, ...] = ()
    by_name: dict[str, dict[str, tuple[float, ...]]] = Field(default_factory=dict)
    loose: tuple[int, ...] = (1,)
    again: tuple[int, ...] = ()
    span: tuple[float, float] = (0.0, 1.0)
    needed: int = 1

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not self.needed:
            yield "needed.most", "must be above 0"


@pytest.mark.parametrize(
    ("raw", "where", "problem"),
    [
        ({"title": ""}, "title", "must not be empty"),
        ({"title": " "}, "title", "must not be blank"),
        ({"inner": {"names": []}}, "inner.names", "must name at least one"),
        ({"inner": {"names": ["b", "b"]}}, "inner.names", "names b twice"),
        ({"inner": {"names": ["b", ""]}}, "inner.names.1", "must not be blank"),
        ({"several": [{}, {}]}, "several", "names the same twice"),
        ({"several": [{}, {"names": []}]}, "several.1.names", "must name at least one"),
        ({"by_name": {"x": {"y": [1, 1]}}}, "by_name.x.y", "names 1.0 twice"),
        ({"needed": 0}, "needed.most", "must be above 0"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(
    raw: dict[str, object], where: str, problem: str
) -> None:
    """However deep it stands."""
    (doubt,) = doubts_about(_Outer.model_validate(raw))

    assert ".".join(doubt.keys) == where
    assert doubt.problem == problem


@pytest.mark.parametrize(
    "raw",
    [{}, {"loose": []}, {"again": [1, 1]}, {"span": [1, 1]}, {"several": []}, {"inner": {}}],
)
def test_what_can_be_meant_raises_no_doubt(raw: dict[str, object]) -> None:
    """Defaults, equal bounds, and what a class says has a meaning."""
    assert list(doubts_about(_Outer.model_validate(raw))) == []
