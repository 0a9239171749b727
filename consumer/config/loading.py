"""Loading: the process's environment in, its settings out, or every mistake by its variable's name.

Each secret may also come from a file named by ``<NAME>_FILE``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from consumer.config.settings import PREFIX, DatabaseSettings, KeepingSettings, Settings
from consumer.domain.errors import Halt

SANDBOX = "LAGO_XERO_SANDBOX_"
"""The sandbox has settings of its own."""
DEBUG = "LAGO_XERO_DEBUG"
"""Makes the command line show tracebacks; no setting of the service."""

Loaded = TypeVar("Loaded", bound=DatabaseSettings)


def load() -> Settings:
    """The settings in the process's environment.

    Raises:
        Halt: one sentence a mistake, each naming its variable; no secret's value.
    """
    return _load(Settings)


def load_database() -> DatabaseSettings:
    """Only the settings of the database; raises ``Halt`` as ``load`` does."""
    return _load(DatabaseSettings)


def load_keeping() -> KeepingSettings:
    """The database's settings and how long things are kept; raises ``Halt`` as ``load`` does."""
    return _load(KeepingSettings)


def _load(model: type[Loaded]) -> Loaded:
    from_files: dict[str, Any] = {}
    mistakes: dict[str, str] = {}
    for field, info in model.model_fields.items():
        name = PREFIX + field.upper()
        if not (_secret(info) and (path := os.environ.get(f"{name}_FILE"))):
            continue
        if os.environ.get(name):
            mistakes[field] = f"{name} and {name}_FILE are both given: keep one."
            continue
        try:
            from_files[field] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            mistakes[field] = f"{name}_FILE names {path}, which cannot be read: {why}."
    try:
        settings = model(**from_files)
    except ValidationError as error:
        found = [s for e in error.errors() if not _known(e, mistakes) for s in _sentences(e)]
        raise _refused([*mistakes.values(), *found]) from None
    if mistakes:
        raise _refused(list(mistakes.values()))
    return settings


def unknown() -> list[str]:
    """A sentence for each ``LAGO_XERO_*`` variable that means nothing to us."""
    known = _names()
    sentences = []
    for name in sorted(os.environ):
        upper = name.upper()
        if (
            upper.startswith(PREFIX)
            and not upper.startswith(SANDBOX)
            and upper != DEBUG
            and upper.removeprefix(PREFIX) not in known
        ):
            near = difflib.get_close_matches(upper.removeprefix(PREFIX), known, 1)
            meant = f"; did you mean {PREFIX}{near[0]}?" if near else "."
            sentences.append(f"{name} is no setting of ours{meant}")
    return sentences


def settings_table() -> list[tuple[str, str, str]]:
    """(variable, default, description) of each setting, in order, for README."""
    return [
        (PREFIX + field.upper(), _default(info), info.description or "")
        for field, info in Settings.model_fields.items()
    ]


def _names() -> list[str]:
    """Without the prefix: it would make every two names alike."""
    names = []
    for field, info in Settings.model_fields.items():
        names.append(field.upper())
        if _secret(info):
            names.append(f"{field.upper()}_FILE")
    return names


def _secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if info.default is None:
        return ""
    if isinstance(info.default, tuple):
        return ",".join(info.default)
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return f"{info.default:g}" if isinstance(info.default, float) else str(info.default)


def _known(error: ErrorDetails, mistakes: Mapping[str, str]) -> bool:
    return bool(error["loc"]) and error["loc"][0] in mistakes


def _sentences(error: ErrorDetails) -> list[str]:
    if not error["loc"]:
        return str(error["ctx"]["error"]).split("\n")
    name = PREFIX + str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return [f"{name} is missing."]
    _, should, said = error["msg"].partition(" should ")
    return [f"{name} should {said}." if should else f"{name}: {error['msg']}."]


def _refused(sentences: list[str]) -> Halt:
    return Halt("settings", "\n".join(sentences), "README lists all settings.")
