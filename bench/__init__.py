# SPDX-License-Identifier: MIT
"""Measurements of ipcfast beside its peers; see README.md for how to read and how to run them."""
