# SPDX-License-Identifier: MIT
"""The bindings of the C core (csrc/); everything here is wrapped by ipcfast.transports."""
