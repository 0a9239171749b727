"""What of a text may go out: any text in, bounded and without e-mail addresses out."""

from __future__ import annotations

import re

BOUND = 1_000
"""Characters."""
EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
"""Xero's words may quote one; errors.py promises that none goes out."""


def said(text: str) -> str:
    """A sentence as it goes out."""
    return EMAIL.sub("…@…", text)[:BOUND]
