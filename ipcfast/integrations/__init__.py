# SPDX-License-Identifier: MIT
"""One module for each library that ipcfast works together with; none is imported before it is asked for."""
