# SPDX-License-Identifier: EUPL-1.2
"""One file per command of the command line."""
