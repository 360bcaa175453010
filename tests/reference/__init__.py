# SPDX-License-Identifier: MIT
"""The wire formats in plain Python: what the fast implementations are held against."""
