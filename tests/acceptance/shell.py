"""The installed command ``lago-xero``: settings and arguments in, how it ended out; and its file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMMAND = str(Path(sys.executable).with_name("lago-xero"))
OK, UNEXPECTED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND = range(6)
"""Exit codes."""


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Shell:
    """Runs the command with these settings."""

    def __init__(self, **settings: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LAGO_XERO_")}
        self.environment = {**kept, **{f"LAGO_XERO_{k}": v for k, v in settings.items()}}

    def having(self, **settings: str) -> Shell:
        """Another one, with these settings too."""
        other = Shell()
        other.environment = {
            **self.environment,
            **{f"LAGO_XERO_{k}": v for k, v in settings.items()},
        }
        return other

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *arguments: str) -> Ended:
        """Run it to its end. Whatever ends badly says so without a traceback."""
        process = await self.start(*arguments)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        ended = Ended(process.returncode or 0, out.decode(), err.decode())
        if "LAGO_XERO_DEBUG" not in self.environment:
            assert "Traceback" not in ended.err
        if ended.code:
            assert ended.err
            assert not ended.out
        return ended


def write(path: Path, mappings: dict[str, Any]) -> None:
    """The file with these mappings."""
    acme = {
        "code": "acme",
        "organization_id": "1a901a90-1a90-1a90-1a90-1a901a901a90",
        "xero": {"client_id": "client", "client_secret": {"file": "acme.secret"}},
        "mappings": mappings,
    }
    path.write_text(yaml.safe_dump({"connections": [acme]}))
