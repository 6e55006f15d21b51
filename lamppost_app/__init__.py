# SPDX-License-Identifier: EUPL-1.2
"""The assembly: the only package that knows all the others."""
