"""Commands about access: people's consents to our client at Xero, and the keys that guard secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from consumer.cli.mappings import Code

if TYPE_CHECKING:
    from consumer.adapters.postgres.database import Database
    from consumer.apply import Connect, Connected, Disconnect
    from consumer.config import Settings
    from consumer.domain.consent import Request
    from consumer.ports import Consenting, TenantRef

PORT = 8910
"""Of the redirect, as it is registered in the app at Xero."""


def connect(
    code: Code,
    tenant: Annotated[
        UUID | None,
        typer.Option(help="Which Xero organisation, where the consent reaches several."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The redirect URI's.")] = PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, if there is a browser.")
    ] = True,
    paste: Annotated[
        bool, typer.Option("--paste", help="Ask for the address that the browser was sent to.")
    ] = False,
) -> None:
    """Let the connection's client into a Xero organisation: a person consents in a browser.

    http://localhost:PORT/callback must be a redirect URI of the app at Xero. What waited for the
    consent is sent then.
    """
    import secrets

    from consumer import config
    from consumer.cli.person import person

    settings = config.load()

    async def work() -> Connected:
        async with _office(settings) as office:
            request = await office.connect.begin(
                code,
                tenant,
                f"http://localhost:{port}/callback",
                secrets.token_urlsafe(32),
                secrets.token_urlsafe(64),
            )
            url = office.consenting.consent_url(request)
            if paste:
                answer = _pasted(request, url, browser)
            else:
                answer = await _received(request, url, port, browser)
            return await office.connect.finish(code, tenant, request, answer, _chosen, person())

    connected = asyncio.run(work())
    for line in connected.lines:
        typer.echo(line)
    for mistake in connected.mistakes:
        typer.echo(f"mapping to correct: {mistake}", err=True)


def disconnect(code: Code) -> None:
    """Stop sending to the connection's Xero organisation and end our access to it there.

    Tokens are forgotten once no other organisation needs them; connect begins anew.
    """
    from consumer import config
    from consumer.cli.person import person

    settings = config.load()

    async def work() -> Sequence[str]:
        async with _office(settings) as office:
            return await office.disconnect.run(code, person())

    for line in asyncio.run(work()):
        typer.echo(line)


def rekey() -> None:
    """Encrypt all stored secrets and tokens with the first of the encryption keys; safe to repeat.

    Give the new key to every replica first, and take the old one away last.
    """
    from consumer import config
    from consumer.adapters.postgres import authorisations
    from consumer.cli.errors import REFUSED, Failure

    settings = config.load()

    async def work() -> authorisations.Rekeyed:
        async with _database(settings) as db:
            return await authorisations.rekey(db, settings.vault().renewed)

    done = asyncio.run(work())
    if done.lost:
        raise Failure(
            REFUSED,
            f"{done.lost} of {done.seen} secrets cannot be decrypted with any of the keys; "
            f"{done.changed} were encrypted anew.",
            "add the key that encrypted them to the end, or apply and connect again",
        )
    typer.echo(f"{done.changed} of {done.seen} secrets were encrypted anew with the first key.")


# ── What they are made of ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Office:
    connect: Connect
    disconnect: Disconnect
    consenting: Consenting


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    from consumer.app import must_be_migrated, open_database

    async with open_database(settings) as db:
        await must_be_migrated(db)
        yield db


@asynccontextmanager
async def _office(settings: Settings) -> AsyncIterator[_Office]:
    from consumer.adapters.postgres.budget import PostgresBudget
    from consumer.adapters.postgres.connections import PostgresConnections
    from consumer.adapters.xero import XeroAccounting, open_client
    from consumer.app import authorisations_of, limits_of, xero_tokens
    from consumer.apply import ChartReader, Connect, Disconnect

    vault = settings.vault()
    async with _database(settings) as db, open_client() as client:
        connections = PostgresConnections(db, vault.encrypt, vault.decrypt)
        tokens = xero_tokens(settings, client, authorisations_of(settings, db))
        budget = PostgresBudget(db, limits_of(settings), settings.clocks())
        charts = ChartReader(XeroAccounting(client, settings.xero_api_url), budget)
        yield _Office(Connect(connections, tokens, charts), Disconnect(connections, tokens), tokens)


def _show(url: str, browser: bool) -> None:
    """On stderr, and in a window; a text browser would take the terminal away."""
    import os
    import sys
    import webbrowser

    typer.echo(f"Consent at\n\n  {url}\n", err=True)
    if not browser:
        return
    windows = sys.platform in ("darwin", "win32")
    if windows or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


async def _received(request: Request, url: str, port: int, browser: bool) -> str:
    from consumer.adapters.http import callback
    from consumer.domain.errors import Halt

    def accept(query: str) -> str | None:
        try:
            return request.code(query)
        except Halt as error:
            if error.code == "consent_foreign":
                return None
            raise

    async with callback(port, accept) as answer:
        _show(url, browser)
        typer.echo(f"Waiting on http://localhost:{port}/callback; Ctrl-C gives up.", err=True)
        return await answer


def _pasted(request: Request, url: str, browser: bool) -> str:
    """Whoever pastes a bare code vouches for it; an address is checked by its state."""
    _show(url, browser)
    return request.code(_said("The address that the browser was sent to, or the code"))


def _said(question: str) -> str:
    """A line of stdin; typer's own prompt leaves a blank on stdout, which is for data."""
    import sys

    typer.echo(f"{question}: ", nl=False, err=True)
    return sys.stdin.readline()


def _chosen(tenants: Sequence[TenantRef]) -> UUID:
    import sys

    from rich.console import Console
    from rich.table import Table

    from consumer.cli.errors import REFUSED, Failure

    table = Table("", "organisation", "tenant")
    for row, ref in enumerate(tenants, 1):
        table.add_row(str(row), ref.name, str(ref.id))
    Console(stderr=True, markup=False, emoji=False, highlight=False).print(table)
    if not sys.stdin.isatty():
        sentence = f"The consent reaches {len(tenants)} organisations."
        raise Failure(REFUSED, sentence, "name one with --tenant and run connect again")
    while line := _said("Which one"):
        if line.strip().isdecimal() and 1 <= int(line) <= len(tenants):
            return tenants[int(line) - 1].id
    raise Failure(REFUSED, "No organisation was chosen.", "run connect again")
