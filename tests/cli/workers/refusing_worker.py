# SPDX-License-Identifier: MIT
"""A worker that ends before it has connected."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Give up."""
    return 3
