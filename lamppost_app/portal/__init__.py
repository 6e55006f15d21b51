# SPDX-License-Identifier: EUPL-1.2
"""The portal: console, public pages and programming interface over the embedded store."""
