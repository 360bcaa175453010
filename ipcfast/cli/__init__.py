# SPDX-License-Identifier: MIT
"""The command ``ipcfast``: parses the arguments and hands over to one file per command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ipcfast.cli import demo

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: The arguments without the program's name; ``None`` takes them from ``sys.argv``.

    Returns:
        0 for success, 1 for a failure, 2 for wrong arguments or input, 130 after Ctrl-C.

    Raises:
        SystemExit: By argparse, after ``--help`` (status 0) and after arguments it cannot read (status 2).
    """
    parser = argparse.ArgumentParser(
        prog="ipcfast", description="Messages between processes: tools for the command line."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo.add_command(commands)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("ipcfast: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return status
