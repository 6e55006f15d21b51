# SPDX-License-Identifier: EUPL-1.2
"""What is published when a policy takes effect: the words behind every number made under it."""

from __future__ import annotations

from typing import Any

from lamppost.component import all_reasons, registered
from lamppost.policy import Policy
from lamppost.quantities import QUANTITIES
from processors.windows import METHOD

from .explanation import published


def rules_document(policy: Policy, methods: object, windows: object) -> dict[str, Any]:
    """Return the body of a rules entry.

    Args:
        policy: that takes effect.
        methods: what is said of the methods of derived series.
        windows: which windows are made.
    """
    told = published(policy)
    indices = registered("index")
    return {
        "policy": policy.version,
        "method": METHOD,
        "content": policy.model_dump(mode="json"),
        "reasons": [
            {
                "bit": reason.bit,
                "name": reason.name,
                "sentence": reason.sentence,
                "citation": reason.citation,
                "rules": told.get(reason.name, {}),
            }
            for reason in all_reasons()
        ],
        "methods": methods,
        "windows": windows,
        "indices": {str(item.cls.number): name for name, item in indices.items()},
        "scales": {name: item.cls.scale.published() for name, item in indices.items()},
        "quantities": {
            name: {"unit": quantity.unit, "label": quantity.label, "kind": quantity.kind}
            for name, quantity in QUANTITIES.items()
        },
    }
