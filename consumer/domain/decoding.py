"""Decoding: one record's bytes in, the message in it out, in either of Lago's two formats.

A webhook names its object under the key given by ``object_type``. Lago's own topic
``activity_logs`` has it under ``activity_object``; its messages have no ``webhook_type``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from consumer.domain.errors import Undecodable
from schemas import lago

M = TypeVar("M", bound=lago.LagoModel)

MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What a record says, its object not yet read: most types say nothing to us.

    ``kind`` is its type in Lago's words, ``path`` the field of its object, ``payload``.
    """

    format: Literal["webhook", "activity_log"]
    kind: str
    organization_id: UUID
    path: str
    payload: Any

    def read(self, model: type[M]) -> M:
        """The object as the model.

        Raises:
            Undecodable: with the path of the field at fault; the sentence never quotes a value.
        """
        if not isinstance(self.payload, dict):
            named = " named by object_type" if self.format == "webhook" else ""
            raise Undecodable(
                "missing_object",
                f"The field {self.path}{named} is not an object.",
                "Lago puts what the message is about there.",
            )
        return _read(model, self.payload, self.path)


def open_message(value: bytes | None) -> Message:
    """The message in a record's value.

    Raises:
        Undecodable: if it is in neither format; the sentence never quotes a value.
    """
    if not value:
        raise Undecodable("empty", "The record has no value.", "Check what produces to the topic.")
    if len(value) > MAX_BYTES:
        raise Undecodable(
            "too_large", f"The value has {len(value)} bytes; {MAX_BYTES} is the limit."
        )
    try:
        message = from_json(value, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:  # says what and where, quotes nothing
        raise Undecodable(
            "not_json",
            f"The value is not JSON: {error}.",
            "A bridge must forward Lago's bytes unchanged.",
        ) from None
    if not isinstance(message, dict):
        raise Undecodable("not_an_object", "The value is JSON, but not an object.")
    if b"\\u0000" in value:
        _refuse_nul(message, "")
    if "activity_type" in message and "webhook_type" not in message:
        activity = _read(lago.ActivityLog, message, "")
        return Message(
            "activity_log",
            activity.activity_type,
            activity.organization_id,
            "activity_object",
            message.get("activity_object"),
        )
    envelope = _read(lago.Envelope, message, "")
    return Message(
        "webhook",
        envelope.webhook_type,
        envelope.organization_id,
        _named(envelope.object_type),
        message.get(envelope.object_type),
    )


def _read(model: type[M], part: dict[str, Any], path: str) -> M:
    try:
        return model.model_validate(part)
    except ValidationError as error:
        _refuse(error, path)


def _refuse(error: ValidationError, path: str) -> NoReturn:
    """Name the first fields at fault and why; pydantic's message without the input."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    lines = []
    for problem in problems[:5]:
        loc = (str(part) for part in problem["loc"])
        named = [part for part in loc if "[" not in part]  # the others are pydantic's, in a union
        where = ".".join([*([path] if path else []), *named])
        reason = problem["msg"].partition(", invalid character")[0]  # what follows quotes it
        lines.append(f"{where}: {reason.rstrip('.')}")
    if len(problems) > 5:
        lines.append(f"{len(problems) - 5} more")
    missing = all(problem["type"] == "missing" for problem in problems)
    raise Undecodable(
        "missing_field" if missing else "wrong_type",
        "; ".join(lines) + ".",
        "Compare the message with Lago's API reference; a fixed message is taken as a new one.",
    ) from None


def _refuse_nul(part: Any, path: str) -> None:
    """Postgres stores no NUL character; name the string that holds one."""
    if isinstance(part, str) and "\x00" in part:
        raise Undecodable("nul_character", f"{path}: contains a NUL character.")
    if isinstance(part, dict):
        for name, value in part.items():
            _refuse_nul(name, f"{path}.(a field's name)".lstrip("."))
            _refuse_nul(value, f"{path}.{_named(name)}".lstrip("."))
    elif isinstance(part, list):
        for position, value in enumerate(part):
            _refuse_nul(value, f"{path}.{position}")


def _named(name: str) -> str:
    """A field's name as it may be said: one that Lago does not form so may hold anything."""
    return name if re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) else "(unknown)"
