"""Commands that stop and go on sending for one connection: its code in, whether that is news out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import typer

from consumer.cli.mappings import Code, no_connection
from consumer.cli.output import AsJson, ask, print_json
from consumer.cli.person import Reason, person

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database


def pause(code: Code, reason: Reason = None, as_json: AsJson = False) -> None:
    """Send nothing of a connection until it is resumed; Lago's messages are taken in all the same.

    Other connections go on, those of the same Xero organisation too. What is written down to be sent
    already goes out within seconds, and what is in doubt is looked up.
    """
    from consumer.adapters.postgres import pausing

    _tell(code, _changed(code, reason, pausing.pause), as_json, "paused")


def resume(code: Code, reason: Reason = None, as_json: AsJson = False) -> None:
    """Send what waited while the connection was paused, and what comes."""
    from consumer.adapters.postgres import pausing

    _tell(code, _changed(code, reason, pausing.resume), as_json, "resumed")


def _changed(code: str, reason: str | None, change: Callable[..., Awaitable[bool]]) -> bool:
    async def work(db: Database) -> bool:
        from consumer.adapters.postgres.retrying import known_connection

        if not await known_connection(db, code):
            raise no_connection(code)
        return await change(db, code, who=person(), reason=reason)

    return ask(work)


def _tell(code: str, changed: bool, as_json: bool, done: str) -> None:
    if as_json:
        print_json({"connection": code, "changed": changed})
    elif changed:
        typer.echo(f"{code}: {done}")
    if not changed:
        typer.echo(f"nothing to change: {code} {_ALREADY[done]}", err=True)


_ALREADY: dict[str, Any] = {"paused": "is paused already", "resumed": "is not paused"}


def explain_word(word: dict[str, Any]) -> str:
    """Whose word it is, ``since`` when, and why."""
    since = word["since"].strftime("%Y-%m-%d %H:%M UTC")
    why = f": {word['reason']}" if word["reason"] else ""
    return f"by {word['who'] or 'a person'} since {since}{why}"
