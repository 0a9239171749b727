"""Logging: one masked line an event, ours and libraries' alike."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from consumer.adapters.logs import configure, mask


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    out = io.StringIO()
    configure("json", "INFO", out)
    yield out
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def read(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_line_in_utc(lines: io.StringIO) -> None:
    structlog.get_logger("consumer.x").info("polled", records=3)
    [line] = read(lines)
    assert line["timestamp"].endswith("Z")
    assert (line["event"], line["level"], line["records"]) == ("polled", "info", 3)
    assert line["logger"] == "consumer.x"


def test_levels_of_ours_and_of_libraries(lines: io.StringIO) -> None:
    structlog.get_logger("consumer.x").debug("no")
    logging.getLogger("aiokafka").info("no")
    logging.getLogger("aiokafka").warning("lost %s", "node 1")
    [line] = read(lines)
    assert (line["event"], line["level"], line["logger"]) == ("lost node 1", "warning", "aiokafka")


def test_what_looks_like_a_credential_is_masked(lines: io.StringIO) -> None:
    log = structlog.get_logger("consumer.x")
    log.info("call", headers={"Authorization": "Bearer abc.def", "X": "y"}, client_secret="s3cret")
    logging.getLogger("httpx").warning("sent Authorization: Bearer abc.def")
    try:
        raise RuntimeError("postgresql://u:s3cret@host/db")
    except RuntimeError:
        log.exception("failed")
    text = lines.getvalue()
    assert "abc.def" not in text
    assert "s3cret" not in text
    call, sent, failed = read(lines)
    assert call["headers"] == {"Authorization": "***", "X": "y"}
    assert sent["event"] == "sent Authorization: Bearer ***"
    assert "postgresql://u:***@host/db" in failed["exception"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln end", "token *** end"),
        ("key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "key ***"),
        ('{"access_token": "abc", "x": 1}', '{"access_token": "***", "x": 1}'),
        ("grant&client_secret=abc&scope=x", "grant&client_secret=***&scope=x"),
        ("https://host/a?b=c", "https://host/a?b=c"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert mask(text) == masked
