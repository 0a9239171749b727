"""A record's headers in, the bytes that the ledger keeps of them out, and back."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from pydantic_core import from_json, to_json


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """JSON: ``[[name, base64 value or null], …]``."""
    return to_json([[k, None if v is None else base64.b64encode(v).decode()] for k, v in headers])


def unpack_headers(packed: bytes | None) -> tuple[tuple[str, bytes | None], ...]:
    """The inverse of ``pack_headers``."""
    if not packed:
        return ()
    return tuple(
        (name, None if value is None else base64.b64decode(value))
        for name, value in from_json(packed)
    )
