"""Apply: the connections file in, checked against Xero, stored whole or not at all out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from consumer.domain.answers import Reply
from consumer.domain.chart import Chart
from consumer.domain.charting import ENDPOINTS, UnreadableChart, check, read_chart
from consumer.domain.errors import Doubt, Halt, NotExecuted, Throttled, Unauthorised
from consumer.domain.wishes import conflicts, connection_of, differences
from consumer.ports import (
    Accounting,
    Authorisation,
    Budget,
    Call,
    Connections,
    Stored,
    Tenants,
    Wish,
)
from schemas.connections import Connection, File, Mistake, Mistakes

PATIENCE = 130.0
"""Seconds to wait for a busy tenant's budget before giving up."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The diff, a line each; ``changed`` tells whether there was anything to store."""

    lines: tuple[str, ...]
    changed: bool


class Apply:
    """One file, all of its connections."""

    def __init__(
        self,
        connections: Connections,
        accounting: Accounting,
        tenants: Tenants,
        budget: Budget,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.connections = connections
        self.accounting = accounting
        self.tenants = tenants
        self.budget = budget
        self.sleep = sleep

    async def run(self, file: File, secrets: Sequence[str], who: str, *, dry_run: bool) -> Applied:
        """Check and store; ``secrets`` in the order of the file's connections.

        Raises:
            Mistakes: everything that is wrong, by its path in the file; nothing was stored.
            Halt: Xero cannot be asked now.
        """
        stored = await self.connections.stored()
        wishes, mistakes = await self._wishes(file, secrets, stored)
        if mistakes:
            raise Mistakes(mistakes)
        lines: list[str] = []
        for wish in wishes:
            lines += map(str, _changes(stored.get(wish.connection.code), wish))
        unnamed = sorted(set(stored) - {wish.connection.code for wish in wishes})
        notes = [f"  {code}: not in the file, left as it is" for code in unnamed]
        if lines and not dry_run:
            await self.connections.store(wishes, who, lines)
        return Applied((*lines, *notes), bool(lines))

    async def _wishes(
        self, file: File, secrets: Sequence[str], stored: Mapping[str, Stored]
    ) -> tuple[list[Wish], list[Mistake]]:
        wishes: dict[str, Wish] = {}
        mistakes: list[Mistake] = []
        charts: dict[UUID, Chart] = {}
        for position, (asked, secret) in enumerate(zip(file.connections, secrets, strict=True)):
            path = f"connections[{position}]"
            client = Authorisation(-1 - position, asked.xero.client_id, secret)
            try:
                tenant_id = await self._tenant(client, asked)
                if tenant_id not in charts:
                    charts[tenant_id] = await self._chart(client, tenant_id)
            except _Wrong as wrong:
                mistakes.append(Mistake(f"{path}.xero", wrong.said, wrong.hint))
                continue
            connection = connection_of(asked, tenant_id)
            known = stored.get(asked.code)
            if known is not None and known.connection.tenant_id != tenant_id:
                said = f"connection {asked.code} belongs to tenant {known.connection.tenant_id}"
                hint = "its documents are there: give the new connection another code"
                mistakes.append(Mistake(f"{path}.xero.tenant_id", said, hint))
            if known is not None and known.connection.organization_id != asked.organization_id:
                said = f"connection {asked.code} follows {known.connection.organization_id}"
                hint = "its documents come from there: give the new connection another code"
                mistakes.append(Mistake(f"{path}.organization_id", said, hint))
            mistakes += check(connection, charts[tenant_id], path)
            wishes[path] = Wish(connection, asked.xero.client_id, secret, charts[tenant_id])
        named = {asked.code for asked in file.connections}
        kept = {code: s for code, s in stored.items() if code not in named}
        mistakes += conflicts(
            [
                *((code, s.connection) for code, s in kept.items()),
                *((path, w.connection) for path, w in wishes.items()),
            ]
        )
        mistakes += _client_conflicts(wishes, kept)
        return list(wishes.values()), list(dict.fromkeys(mistakes))

    async def _tenant(self, client: Authorisation, asked: Connection) -> UUID:
        """The named tenant if the client reaches it, or the only one it reaches."""
        try:
            reached = {ref.id for ref in await self.tenants.tenants(client)}
        except Unauthorised as error:
            raise _Wrong(f"Xero refuses the client ({error.code})", error.hint) from None
        except Throttled as error:
            raise Halt(error.code, error.sentence, "Try again later.") from None
        wanted = asked.xero.tenant_id
        if wanted is None and len(reached) == 1:
            return next(iter(reached))
        if wanted is None:
            raise _Wrong(
                f"the client reaches {len(reached)} organisations", "name one with tenant_id"
            )
        if wanted not in reached:
            raise _Wrong(
                f"the client does not reach tenant {wanted}",
                "connect the organisation to the client in Xero, or correct tenant_id",
            )
        return wanted

    async def _chart(self, client: Authorisation, tenant_id: UUID) -> Chart:
        bodies = {}
        for endpoint in ENDPOINTS:
            reply = await self._get(client, tenant_id, endpoint)
            if reply.status in (401, 403):
                raise _Wrong(
                    f"Xero does not show {endpoint} (status {reply.status})",
                    "the client needs the scope accounting.settings.read",
                )
            if reply.status != 200:
                raise Halt(
                    "xero_unavailable",
                    f"Xero answered {reply.status} to GET {endpoint}.",
                    "Try again later.",
                )
            bodies[endpoint] = reply.body
        try:
            return read_chart(bodies)
        except UnreadableChart as error:
            raise Halt("unreadable_chart", f"Xero's answer is unusable: {error}.") from None

    async def _get(self, client: Authorisation, tenant_id: UUID, path: str) -> Reply:
        waited = 0.0
        while not isinstance(
            taken := await self.budget.take(tenant_id, "chart", "GET", path), UUID
        ):
            if waited + taken > PATIENCE:
                raise Halt(
                    "budget_spent",
                    "The tenant's call limit leaves no room for reading its chart.",
                    "Try again when fewer documents are being sent, or tomorrow.",
                )
            pause = min(taken, 5.0)
            waited += pause
            await self.sleep(pause)
        reply = None
        try:
            token = await self.tenants.token(client)
            reply = await self.accounting.call(Call(tenant_id, token, "GET", path))
        except (NotExecuted, Doubt, Throttled) as error:
            raise Halt(
                "xero_unreachable", f"Xero cannot be asked: {error.sentence}", error.hint
            ) from None
        finally:
            await self.budget.answered(taken, reply)
        return reply


def read_secrets(file: File, beside: Path) -> list[str]:
    """Each connection's client secret, from the environment or a file beside the connections file.

    Raises:
        Mistakes: a secret that is not where the file says.
    """
    secrets, mistakes = [], []
    for position, connection in enumerate(file.connections):
        source = connection.xero.client_secret
        path = f"connections[{position}].xero.client_secret"
        secret = ""
        if source.env is not None:
            secret = os.environ.get(source.env, "")
            missing = f"the environment variable {source.env} is not set"
        else:
            missing = f"the file {source.file} cannot be read or is empty"
            with contextlib.suppress(OSError, UnicodeDecodeError):
                secret = (beside / (source.file or "")).read_text(encoding="utf-8").strip()
        if not secret:
            mistakes.append(Mistake(path, missing))
        secrets.append(secret)
    if mistakes:
        raise Mistakes(mistakes)
    return secrets


def _client_conflicts(wishes: Mapping[str, Wish], kept: Mapping[str, Stored]) -> list[Mistake]:
    """One client has one secret, and one tenant is used through one client.

    A stored connection that the file does not name keeps its client; its secret may be renewed.
    """
    mistakes = []
    clients: dict[str, tuple[str, Wish]] = {}
    tenants = {s.connection.tenant_id: (code, s.client_id) for code, s in kept.items()}
    for path, wish in wishes.items():
        other_path, other = clients.setdefault(wish.client_id, (path, wish))
        if other.secret != wish.secret:
            said = f"differs from the secret that {other_path} gives the same client"
            mistakes.append(Mistake(f"{path}.xero.client_secret", said))
        other_path, client_id = tenants.setdefault(
            wish.connection.tenant_id, (path, wish.client_id)
        )
        if client_id != wish.client_id:
            said = f"{other_path} uses the same tenant through another client"
            hint = "Xero counts calls by client: use one for both"
            mistakes.append(Mistake(f"{path}.xero.client_id", said, hint))
    return mistakes


class _Wrong(Exception):
    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)
        self.said = said
        self.hint = hint


def _changes(stored: Stored | None, wish: Wish) -> list[str]:
    code = wish.connection.code
    lines = [str(c) for c in differences(stored.connection if stored else None, wish.connection)]
    if stored is None:
        return lines
    if stored.client_id != wish.client_id:
        lines.append(f"~ {code}.xero.client_id: another client")
    elif stored.secret != wish.secret:
        lines.append(f"~ {code}.xero.client_secret: another secret")
    if stored.parked:
        lines.append(f"~ {code}: was parked, is used again")
    if stored.chart != wish.chart:
        lines.append(f"~ {code}: Xero's chart has changed")
    return lines
