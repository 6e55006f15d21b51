# SPDX-License-Identifier: EUPL-1.2
"""What a rule does under the settings in force, in one sentence with its numbers.

A component whose settings hold numbers has a class method ``describe``; it is what ``lamppost
check`` prints, what is published with the rules, and what the portal shows beside a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self, runtime_checkable

from .component import Component, Settings
from .quantities import QUANTITIES
from .wording import OTHERS


@runtime_checkable
class Described(Protocol):
    """Says what it does under some settings.

    Law (the conformance suite tries every field): one sentence, with a full stop and units, that
    changes whenever a setting changes. A component that leaves one out on purpose names it in a
    class attribute ``unexplained``, field by field with the reason.
    """

    @classmethod
    def describe(cls, settings: Any) -> str:  # noqa: ANN401 - the component's own settings
        """Return the sentence; it begins with a capital letter."""
        ...


class QuantitySettings(Settings):
    """Settings whose field ``quantities`` says something of each quantity, ``default`` of others.

    Those that say nothing of any cannot be meant: they would concern nobody.
    """

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not self.given():
            yield "quantities", "no quantity is named, so that nothing would be judged"

    def given(self) -> Mapping[str, Any]:
        """Return what is said of each quantity, that of all others last."""
        default = getattr(self, "default", None)
        own: Mapping[str, Any] = getattr(self, "quantities", {})
        return {**own, OTHERS: default} if default is not None else own

    def named(self) -> list[str]:
        """Return the quantities that are named."""
        return [name for name in self.given() if name in QUANTITIES]

    def about(self, quantity: str) -> Self:
        """Return the settings that concern a quantity; all of them where it is not named."""
        own: Mapping[str, Any] = getattr(self, "quantities", {})
        if quantity not in own:
            return self
        narrowed: dict[str, Any] = {"quantities": {quantity: own[quantity]}}
        if "default" in type(self).model_fields:
            narrowed["default"] = None
        return self.model_copy(update=narrowed)


def explained(component: Component, settings: Settings) -> str:
    """Return what a component does under some settings, in one sentence.

    What has nothing to set says it with the first sentence of its documentation.
    """
    if issubclass(component.cls, Described):
        return str(component.cls.describe(settings))
    return component.summary
