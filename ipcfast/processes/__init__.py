# SPDX-License-Identifier: MIT
"""Child processes: starting them with a channel, waiting for them, ending them with all that they started."""
