# SPDX-License-Identifier: EUPL-1.2
"""The alert rules that are Lamppost's own: no policy names them, and none can switch them off."""

from __future__ import annotations

from typing import Final

from .balance import LEDGER_RULE, LEDGER_RULE_ID
from .flooding import FLOODING_RULE_ID
from .policy import AlertRule

POLICY_RULE_ID: Final = "policy_set_aside"

SYSTEM_RULES: Final[dict[str, AlertRule]] = {
    LEDGER_RULE_ID: LEDGER_RULE,
    # The limits are those of the installation, see its settings.
    FLOODING_RULE_ID: AlertRule(
        use="limits", title="Device sends more than it may", severity="warning"
    ),
    POLICY_RULE_ID: AlertRule(
        use="engine", title="A policy does not work and was set aside", severity="critical"
    ),
}
