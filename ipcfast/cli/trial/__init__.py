# SPDX-License-Identifier: MIT
"""A trial: the same verified work for several transports in one run, side by side."""
