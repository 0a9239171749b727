"""Client secrets: where the connections file says they are in, the secrets in clear out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from schemas.connections import File
from schemas.mistakes import Mistake, Mistakes


def read_secrets(file: File, beside: Path) -> list[str]:
    """Each connection's client secret, from the environment or a file beside the connections file;
    "" where there is none.

    Raises:
        Mistakes: a secret that is not where the file says.
    """
    secrets, mistakes = [], []
    for position, connection in enumerate(file.connections):
        source = connection.xero.client_secret
        path = f"connections[{position}].xero.client_secret"
        secret = ""
        if source is None:  # PKCE alone proves this client
            secrets.append("")
            continue
        if source.env is not None:
            secret = os.environ.get(source.env, "")
            missing = f"the environment variable {source.env} is not set"
        else:
            missing = f"the file {source.file} cannot be read or is empty"
            with contextlib.suppress(OSError, UnicodeDecodeError):
                secret = (beside / (source.file or "")).read_text(encoding="utf-8").strip()
        if not secret:
            mistakes.append(Mistake(path, missing))
        secrets.append(secret)
    if mistakes:
        raise Mistakes(mistakes)
    return secrets
