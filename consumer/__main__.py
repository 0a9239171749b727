"""The command's first step: Ctrl-C ends it without a traceback while the rest is still being imported."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Entry point of ``lago-xero``."""
    try:
        from consumer import cli
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    cli.main()


if __name__ == "__main__":
    main()
