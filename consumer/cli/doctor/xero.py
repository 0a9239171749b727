"""Checks of Xero: each client's authorisation and each organisation in, whether we are let in out.

Nothing is written there. A client costs calls to the identity server, an organisation one call that is
counted as any other.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

import httpx
from pydantic_core import from_json

from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements
from consumer.adapters.xero import XeroAccounting, open_client
from consumer.adapters.xero_auth.identity import scopes
from consumer.app import authorisations_of, limits_of, xero_tokens
from consumer.cli.doctor.findings import Finding, ok, problem, warning
from consumer.cli.doctor.ledger import apart
from consumer.config import Settings
from consumer.domain.answers import Reply
from consumer.domain.errors import Throttled, Unauthorised
from consumer.ports import Call

SQL = statements("examining")


async def authorised(settings: Settings, db: Database) -> Sequence[Finding]:
    """Does each client get a token, with its scopes, that reaches its organisations?"""
    clients: dict[int, list[tuple[str, UUID, str]]] = {}
    for row in await db.fetch(SQL["connections"]):
        of = clients.setdefault(row["authorisation_id"], [])
        of.append((row["code"], row["tenant_id"], row["client_id"]))
    found: list[Finding] = []
    async with open_client() as client:
        store = authorisations_of(settings, db)
        tokens = xero_tokens(settings, client, store)
        for id, connections in clients.items():
            client_id = connections[0][2]
            try:
                authorisation = await store.get(id)
                if authorisation.consent is not None:
                    await tokens.renew(authorisation)
                    authorisation = await store.get(id)
                token = await tokens.token(authorisation)
                reached = {one.id for one in await tokens.tenants(authorisation)}
            except (Throttled, Unauthorised) as error:
                said = f"{client_id}: {error.sentence}"
                found.append(problem("authorisation", said, error.hint))
                continue
            lost = [code for code, tenant_id, _ in connections if tenant_id not in reached]
            if lost:
                said = f"{client_id} does not reach the organisations of {', '.join(lost)}."
                fix = "lago-xero connect, or connect the organisation to the client in Xero."
                found.append(problem("authorisation", said, fix))
            else:
                found.append(ok("authorisation", f"{client_id} is let in by Xero."))
            found += granted(client_id, token, scopes(overpays=authorisation.overpays))
    return found


def granted(client_id: str, token: str, needed: Sequence[str]) -> Sequence[Finding]:
    """Whether a token bears the scopes, if it tells (a JSON web token's ``scope``)."""
    try:
        part = token.split(".")[1]
        claims = from_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        told = claims["scope"]
    except (IndexError, KeyError, TypeError, ValueError):
        return []
    has = set(told.split() if isinstance(told, str) else told)
    missing = [scope for scope in needed if scope not in has]
    if not missing:
        return [ok("scopes", f"{client_id} has all scopes that its policies need.")]
    said = f"{client_id} lacks {', '.join(missing)}."
    return [problem("scopes", said, "Connect again, or add them to the custom connection.")]


async def organisations(settings: Settings, db: Database) -> Sequence[Finding]:
    """Does Xero answer for each organisation, and what is its clock?"""
    found: list[Finding] = []
    seen: set[UUID] = set()
    dates: list[str] = []

    async def note(response: httpx.Response) -> None:
        dates.append(response.headers.get("date", ""))

    async with open_client() as client:
        store = authorisations_of(settings, db)
        tokens = xero_tokens(settings, client, store)
        budget = PostgresBudget(db, limits_of(settings), settings.clocks())
        accounting = XeroAccounting(client, settings.xero_api_url)
        for row in await db.fetch(SQL["connections"]):
            tenant_id, code = row["tenant_id"], row["code"]
            if tenant_id in seen or row["parked_why"]:
                continue
            seen.add(tenant_id)
            try:
                token = await tokens.token(await store.get(row["authorisation_id"]))
            except (Throttled, Unauthorised):
                continue  # told of by ``authorised``
            taken = await budget.take(tenant_id, "lookup", "GET", "Organisation")
            if not isinstance(taken, UUID):
                said = f"{code}: no call is left now; its organisation was not asked for."
                found.append(warning("organisation", said, "Try again later."))
                continue
            client.event_hooks = {"response": [note]}
            reply: Reply | None = None
            before = datetime.now(UTC)
            try:
                reply = await accounting.call(Call(tenant_id, token, "GET", "Organisation"))
            finally:
                await budget.answered(taken, reply)
                client.event_hooks = {}
            after = datetime.now(UTC)
            if reply.status == 200:
                found.append(ok("organisation", f"Xero answers for {code}."))
            else:
                said = f"Xero answers {reply.status} for {code}."
                fix = "Check the organisation's connection to the client in Xero."
                found.append(problem("organisation", said, fix))
            if dates and len(found) == len(seen):
                found += _clock(dates[-1], before, after)
    return found


def _clock(date: str, before: datetime, after: datetime) -> Sequence[Finding]:
    """Of the Date header, which has whole seconds."""
    try:
        return [apart("Xero's", parsedate_to_datetime(date), before, after)]
    except (TypeError, ValueError):
        return []
