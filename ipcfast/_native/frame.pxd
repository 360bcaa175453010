# SPDX-License-Identifier: MIT
"""Declare how the bindings find a framing by its name."""

from ipcfast._native.csrc cimport ipcf_framing

# The framing of one of the names in FRAMINGS; ValueError for others.
cdef ipcf_framing framing_named(str name) except *
