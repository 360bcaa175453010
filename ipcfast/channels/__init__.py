# SPDX-License-Identifier: MIT
"""Channels: a transport, a codec, and a life from open to closed."""
