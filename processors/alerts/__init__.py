# SPDX-License-Identifier: EUPL-1.2
"""Who must know? One file per kind of rule."""
