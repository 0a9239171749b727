"""What files under deploy/ say, held against the code: command lines and environments in; whether the
program takes them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cryptography.fernet import Fernet

from consumer import cli, config
from consumer.config import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PREFIX = "LAGO_XERO_"
SECRETS = {
    "DATABASE_URL": "postgresql://user:password@postgres/lago_xero",
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
"""What a secret's file holds; any other holds a word."""


def parse(words: Sequence[str]) -> None:
    """Raises unless ``lago-xero`` with these arguments would begin its work."""
    command: Any = typer.main.get_command(cli.app)
    rest = list(words)
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context("lago-xero", rest)


def load(
    monkeypatch: pytest.MonkeyPatch, directory: Path, environment: Mapping[str, str]
) -> Settings:
    """The settings that a container with this environment and its secrets' files would have."""
    for name in Settings.model_fields:
        for variable in (PREFIX + name.upper(), f"{PREFIX}{name.upper()}_FILE"):
            monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        if variable.endswith("_FILE") and not variable.startswith(f"{PREFIX}KAFKA_SSL_"):
            file = directory / Path(value).name
            secret = variable.removeprefix(PREFIX).removesuffix("_FILE")
            file.write_text(SECRETS.get(secret, "secret"))
            value = str(file)
        monkeypatch.setenv(variable, value)
    settings = config.load()
    assert config.unknown() == []
    return settings
