# SPDX-License-Identifier: MIT
"""What messages are and how they become bytes. Knows no socket, no clock and no thread."""
