# SPDX-License-Identifier: MIT
"""Everyone who takes part in the measurements, ipcfast's own transports included.

A file here has ``PEERS``, a tuple of ``bench.contestants.Peer``: those can be named in a suite.
"""
