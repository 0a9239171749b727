"""What is read and written in a test in; whether the checked-in JSON Schemas say so out.

A real validator reads the files of ``schemas/json``: whoever has them and no Python must come to the
same answer as we do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from consumer.domain import decoding
from consumer.ports import Message
from schemas import export, lago
from schemas.error_event import FailurePost

M = TypeVar("M", bound=lago.LagoModel)
_NAMES: dict[type[BaseModel], str] = {model: name for name, model in export.READ.items()}


def _validator(name: str) -> Any:
    text = (export.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text), format_checker=FormatChecker())


VALIDATORS = {name: _validator(name) for name in (*export.READ, *export.WRITTEN)}


def mistakes(name: str, value: object) -> list[str]:
    """Where the value is not what the schema of this name says."""
    found = VALIDATORS[name].iter_errors(value)
    return [f"{name} {'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]


def header_texts(headers: Iterable[tuple[str, bytes]]) -> Mapping[str, str]:
    """A dead letter's headers, as the schema has them; those that came with the record hold anything."""
    return {name: value.decode("utf-8", "replace") for name, value in headers}


class Witness:
    """Compares all that is read and announced while it watches, and counts it by schema."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def check(self, name: str, value: object) -> None:
        """It must be what the schema says."""
        self.seen[name] += 1
        found = mistakes(name, value)
        assert not found, found

    @contextmanager
    def watching(self) -> Iterator[Witness]:
        """Within it each message that is read, each dead letter and each post is compared."""
        read, body, init = decoding._read, FailurePost.body, Message.__init__

        def reads(model: type[M], part: dict[str, Any], path: str) -> M:
            made = read(model, part, path)
            self.check(_NAMES[model], part)
            return made

        def posts(post: FailurePost) -> bytes:
            made = body(post)
            self.check("webhook_failures", json.loads(made))
            return made

        def sends(message: Message, *args: Any, **kwargs: Any) -> None:
            init(message, *args, **kwargs)
            if any(name.startswith("lago_xero.") for name, _ in message.headers):
                self.check("dead_letter_headers", header_texts(message.headers))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoding, "_read", reads)
            patch.setattr(FailurePost, "body", posts)
            patch.setattr(Message, "__init__", sends)
            yield self
