# SPDX-License-Identifier: EUPL-1.2
"""Settings that can be read and yet mean nothing, or not what their author can have meant.

They are looked for where a person's policy is checked, and nowhere else: a policy that has been in
force, perhaps for years, goes on as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, get_args, get_origin, runtime_checkable

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that cannot be meant.

    Attributes:
        keys: where it stands, below what was looked at.
        problem: what is wrong, for the person who wrote it.
    """

    keys: tuple[str, ...]
    problem: str


@runtime_checkable
class Doubting(Protocol):
    """Settings that know more of what cannot be meant than their types say.

    What holds for all is known without them: a list that names something twice, a text that is
    blank, and a list or mapping that is empty though it is not by default. Where the latter means
    something, the class says so in ``empty_means``, and where repetition does in ``repeats_mean``,
    by field.
    """

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield the key and what is wrong with it."""
        ...


def doubts_about(settings: BaseModel) -> Iterator[Doubt]:
    """Yield what in some settings, and in the settings within them, cannot be meant."""
    if isinstance(settings, Doubting):
        for key, problem in settings.doubts():
            yield Doubt(tuple(key.split(".")) if key else (), problem)
    repeatable: Mapping[str, str] = getattr(settings, "repeats_mean", {})
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if _is_emptied(settings, name):
            yield Doubt((name,), _EMPTY[type(value)])
        for doubt in _within(value, None if name in repeatable else field.annotation):
            yield Doubt((name, *doubt.keys), doubt.problem)


def _is_emptied(settings: BaseModel, name: str) -> bool:
    """Return whether a setting is empty that is not by default, and says nothing by it."""
    value = getattr(settings, name)
    default = type(settings).model_fields[name].get_default(call_default_factory=True)
    may_be: Mapping[str, str] = getattr(settings, "empty_means", {})
    return type(value) in _EMPTY and not value and bool(default) and name not in may_be


_BLANK: Final = "must not be blank"
_EMPTY: Final[Mapping[type[Any], str]] = {
    str: "must not be empty",
    tuple: "must name at least one",
    dict: "must name at least one",
}


def _within(value: Any, annotation: Any) -> Iterator[Doubt]:  # noqa: ANN401 - any setting
    """Yield doubts about what a setting holds."""
    if isinstance(value, BaseModel):
        yield from doubts_about(value)
    elif isinstance(value, str) and value and not value.strip():
        yield Doubt((), _BLANK)
    elif isinstance(value, dict):
        inner = (get_args(annotation) or (None, None))[-1]
        for key, item in value.items():
            yield from (
                Doubt((str(key), *doubt.keys), doubt.problem) for doubt in _within(item, inner)
            )
    elif isinstance(value, tuple):
        yield from _listed(value, annotation)


def _listed(values: tuple[Any, ...], annotation: Any) -> Iterator[Doubt]:  # noqa: ANN401 - as above
    for place, one in enumerate(values):
        if _is_list(annotation) and one in values[:place]:
            yield Doubt((), f"names {_printed(one)} twice")
        inner = [Doubt((), _BLANK)] if one == "" else _within(one, None)
        for doubt in inner:
            yield Doubt((str(place), *doubt.keys), doubt.problem)


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether a tuple may have any length: two equal bounds of a span are no repetition."""
    if get_origin(annotation) is tuple:
        return Ellipsis in get_args(annotation)
    return any(_is_list(part) for part in get_args(annotation))


def _printed(one: Any) -> str:  # noqa: ANN401 - as above
    return "the same" if isinstance(one, BaseModel) else str(one)
