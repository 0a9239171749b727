"""The person who runs a command: nothing in, a name for the audit out."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

Reason = Annotated[str | None, typer.Option(help="Why, for the audit.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]
"""Of what sets aside, takes away, or may be done again and again: it must be said."""


def person() -> str:
    """The operating system's user, or his number where a container gives him no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"
