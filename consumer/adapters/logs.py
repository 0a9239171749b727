"""Logging: events of ours and records of libraries in, one line each on stderr out.

Everything passes a mask, for a library's message or an exception's text may carry a token.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

MASK = "***"
_NAMES = re.compile(
    r"authorization|cookie|password|secret|token|api_?key|encryption_key|signature", re.IGNORECASE
)
_VALUES = re.compile(
    r"""(?ix)
    (?P<scheme> \b(?:bearer|basic)\s+ ) [\w\-.~+/]{7,}=*        # an Authorization header
    | \beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?                          # a JSON web token
    | \bwhsec_[\w+/=-]+                                            # a webhook's secret
    | \bgAAAAA[\w=-]{20,}                                          # a Fernet token
    | (?P<user> ://[^\s:/@]*: ) [^\s@/]+ (?=@)                     # a password in a URL
    | (?P<field> \b(?:(?:access|refresh|id)_token|client_secret|password)["']?\s*[=:]\s*["']? )
      [^\s"'&,}]+
    """
)


def _shown(match: re.Match[str]) -> str:
    return (match["scheme"] or match["user"] or match["field"] or "") + MASK


def mask(value: Any) -> Any:
    """``value`` with whatever looks like a credential replaced, inside containers too."""
    if isinstance(value, str):
        return _VALUES.sub(_shown, value)
    if isinstance(value, bytes):
        return mask(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {k: MASK if _NAMES.search(str(k)) else mask(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(str(value))


def _masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        name: value
        if name.startswith("_")
        else MASK
        if _NAMES.search(name) and not isinstance(value, bool | int | float)
        else mask(value)
        for name, value in event.items()
    }


def configure(
    format: Literal["json", "console"], level: str = "INFO", stream: TextIO | None = None
) -> None:
    """Send structlog and the standard library's logging to ``stream`` (stderr).

    Ours from ``level`` on, libraries' from WARNING on; timestamps in UTC.
    """
    out = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _masked,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("consumer", "__main__"):
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
