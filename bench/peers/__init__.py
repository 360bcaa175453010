# SPDX-License-Identifier: MIT
"""Everyone who takes part in the measurements, one file each, ipcfast's own transports included.

Each file has ``NAME``, ``MISSING`` (why it cannot take part on this machine; empty when it can) and
``start()``, which returns a ``bench.measure.Contestant``.
"""
