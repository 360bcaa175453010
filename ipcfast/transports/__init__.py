# SPDX-License-Identifier: MIT
"""Transports move whole messages as bytes: addresses, the handshake, and how each transport is made."""
