# SPDX-License-Identifier: MIT
"""Write out what C code of this process has printed, before standard output is pointed elsewhere."""

from libc.stdio cimport fflush, stdout


def flush_standard_output():
    with nogil:
        fflush(stdout)
