"""Apply: the connections file in, checked against Xero, stored whole or not at all out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from consumer.apply.charts import ChartReader, Closed
from consumer.domain import mapping
from consumer.domain.chart import Chart
from consumer.domain.consent import stand_in
from consumer.domain.errors import Halt, Throttled, Unauthorised
from consumer.domain.fitting import check, rate_misfits
from consumer.domain.wishes import conflicts, connection_of, differences
from consumer.ports import Accounting, Authorisation, Budget, Connections, Stored, Tenants, Wish
from schemas.connections import Connection, File
from schemas.mistakes import Mistake, Mistakes


@dataclass(frozen=True, slots=True)
class Applied:
    """The diff, a line each; ``changed`` tells whether there was anything to store."""

    lines: tuple[str, ...]
    changed: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """The tenant of a connection; not ``open``: nobody has let us into it (``authorised``: but into
    others of the same client)."""

    tenant_id: UUID
    open: bool = True
    authorised: bool = True


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
        self.tenants = tenants
        self.charts = ChartReader(accounting, budget, sleep)

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
            lines += _changes(stored.get(wish.connection.code), wish)
        codes = {wish.connection.code for wish in wishes}
        rates = await self.connections.rates(sorted(codes))
        notes = [
            *(line for wish in wishes for line in _other_rates(wish, rates)),
            *(_waits(wish.connection.code) for wish in wishes if wish.chart is None),
            *(f"  {code}: not in the file, left as it is" for code in sorted(set(stored) - codes)),
        ]
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
            client = replace(
                _client(position, asked, secret, stored),
                overpays=_overpays(asked.xero.client_id, file, stored),
            )
            try:
                place = await self._place(client, asked, stored)
                if place.open and place.tenant_id not in charts:
                    charts[place.tenant_id] = await self._chart(client, place.tenant_id)
            except _Wrong as wrong:
                mistakes.append(Mistake(f"{path}.xero", wrong.said, wrong.hint))
                continue
            chart = charts[place.tenant_id] if place.open else None
            connection = connection_of(asked, place.tenant_id)
            mistakes += _moved(stored.get(asked.code), connection, path)
            if chart is not None:
                mistakes += check(connection, chart, path)
            wishes[path] = Wish(
                connection,
                asked.xero.client_id,
                secret,
                chart,
                asked.xero.consent,
                place.authorised,
            )
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

    async def _place(
        self, client: Authorisation, asked: Connection, stored: Mapping[str, Stored]
    ) -> _Place:
        if asked.xero.consent:
            return await self._consented_place(client, asked, stored)
        wanted = asked.xero.tenant_id
        reached = await self._reached(client)
        if wanted is None and len(reached) == 1:
            return _Place(next(iter(reached)))
        if wanted is None:
            raise _Wrong(
                f"the client reaches {len(reached)} organisations", "name one with tenant_id"
            )
        if wanted not in reached:
            raise _Wrong(
                f"the client does not reach tenant {wanted}",
                "connect the organisation to the client in Xero, or correct tenant_id",
            )
        return _Place(wanted)

    async def _consented_place(
        self, client: Authorisation, asked: Connection, stored: Mapping[str, Stored]
    ) -> _Place:
        """The named tenant, else the one that ``connect`` chose, else the only one that is free; what
        is not reached yet waits for ``connect``."""
        known = stored.get(asked.code)
        waiting = stand_in(asked.code)
        wanted = asked.xero.tenant_id or (known.connection.tenant_id if known else waiting)
        reached = await self._consented_to(client)
        if reached is None:
            return _Place(wanted, open=False, authorised=False)
        if wanted == waiting and len(reached) == 1:
            [only] = reached
            used = {s.connection.tenant_id for s in stored.values()}
            wanted = wanted if only in used else only
        return _Place(wanted, open=wanted in reached)

    async def _consented_to(self, client: Authorisation) -> set[UUID] | None:
        """The tenants that persons let us into; None if none ever did, or none still does."""
        if client.consent is None or not client.consent.refresh_token:
            return None
        try:
            return await self._reached(client)
        except _Wrong as wrong:
            if wrong.code == "consent_ended":
                return None
            raise

    async def _reached(self, client: Authorisation) -> set[UUID]:
        try:
            return {ref.id for ref in await self.tenants.tenants(client)}
        except Unauthorised as error:
            said = f"Xero refuses the client ({error.code})"
            raise _Wrong(said, error.hint, error.code) from None
        except Throttled as error:
            raise Halt(error.code, error.sentence, "Try again later.") from None

    async def _chart(self, client: Authorisation, tenant_id: UUID) -> Chart:
        try:
            return await self.charts.read(tenant_id, lambda: self.tenants.token(client))
        except Closed as closed:
            raise _Wrong(closed.said, closed.hint) from None


def _client(
    position: int, asked: Connection, secret: str, stored: Mapping[str, Stored]
) -> Authorisation:
    """As the file has it; of a consent with the tokens that we hold."""
    client_id = asked.xero.client_id
    if asked.xero.consent:
        for one in stored.values():
            if one.client_id == client_id and one.authorisation is not None:
                return replace(one.authorisation, client_secret=secret)
    return Authorisation(-1 - position, client_id, secret)


def _overpays(client_id: str, file: File, stored: Mapping[str, Stored]) -> bool:
    """Whether any connection of the client is to post overpayments, once the file is applied."""
    named = {one.code: one for one in file.connections}
    asked = (one for one in named.values() if one.xero.client_id == client_id)
    left = (one for code, one in stored.items() if code not in named and one.client_id == client_id)
    return any(one.policies.excess == "overpayment" for one in asked) or any(
        one.connection.overpays for one in left
    )


def _moved(known: Stored | None, asked: mapping.Connection, path: str) -> list[Mistake]:
    """A connection keeps its tenant and its organization."""
    if known is None:
        return []
    mistakes = []
    had = known.connection
    if had.tenant_id not in (asked.tenant_id, stand_in(asked.code)):
        said = f"connection {asked.code} belongs to tenant {had.tenant_id}"
        hint = "its documents are there: give the new connection another code"
        mistakes.append(Mistake(f"{path}.xero.tenant_id", said, hint))
    if had.organization_id != asked.organization_id:
        said = f"connection {asked.code} follows {had.organization_id}"
        hint = "its documents come from there: give the new connection another code"
        mistakes.append(Mistake(f"{path}.organization_id", said, hint))
    return mistakes


def _client_conflicts(wishes: Mapping[str, Wish], kept: Mapping[str, Stored]) -> list[Mistake]:
    """One client has one secret, and one tenant is used through one client.

    A stored connection that the file does not name keeps its client; its secret may be renewed.
    """
    mistakes = []
    clients: dict[str, tuple[str, Wish]] = {}
    ways = {s.client_id: (code, s.authorisation is not None) for code, s in kept.items()}
    tenants = {s.connection.tenant_id: (code, s.client_id) for code, s in kept.items()}
    for path, wish in wishes.items():
        other_path, other = clients.setdefault(wish.client_id, (path, wish))
        if other.secret != wish.secret:
            said = f"differs from the secret that {other_path} gives the same client"
            mistakes.append(Mistake(f"{path}.xero.client_secret", said))
        other_path, consent = ways.setdefault(wish.client_id, (path, wish.consent))
        if consent != wish.consent:
            said = f"differs from {other_path}, which has the same client"
            mistakes.append(Mistake(f"{path}.xero.consent", said))
        other_path, client_id = tenants.setdefault(
            wish.connection.tenant_id, (path, wish.client_id)
        )
        if client_id != wish.client_id:
            said = f"{other_path} uses the same tenant through another client"
            hint = "Xero counts calls by client: use one for both"
            mistakes.append(Mistake(f"{path}.xero.client_id", said, hint))
    return mistakes


class _Wrong(Exception):
    def __init__(self, said: str, hint: str, code: str = "") -> None:
        super().__init__(said)
        self.said = said
        self.hint = hint
        self.code = code


def _other_rates(wish: Wish, rates: Mapping[str, Mapping[str, Decimal]]) -> Iterator[str]:
    """Taxes whose rate in Xero is not Lago's: no mistake, for Lago's may be about to change."""
    code = wish.connection.code
    if wish.chart is not None:
        for misfit in rate_misfits(wish.connection, wish.chart, rates.get(code, {})):
            yield f"  {code}.{misfit.path}: {misfit.said}; {misfit.hint}"


def _waits(code: str) -> str:
    return f"  {code}: waits for a consent; run lago-xero connect {code}"


def _changes(stored: Stored | None, wish: Wish) -> list[str]:
    code, asked = wish.connection.code, wish.connection
    if stored is None:
        return [str(c) for c in differences(None, asked)]
    had, lines = stored.connection, []
    if had.tenant_id == stand_in(code) != asked.tenant_id:
        lines.append(f"~ {code}.xero.tenant_id: {asked.tenant_id}")
        had = replace(had, tenant_id=asked.tenant_id)
    lines += [str(c) for c in differences(had, asked)]
    if stored.client_id != wish.client_id:
        lines.append(f"~ {code}.xero.client_id: another client")
    elif stored.secret != wish.secret:
        lines.append(f"~ {code}.xero.client_secret: another secret")
    if (stored.authorisation is not None) != wish.consent:
        lines.append(f"~ {code}.xero.consent: {str(wish.consent).lower()}")
    if wish.chart is None:
        return lines if stored.parked else [*lines, f"~ {code}: nobody lets us in, is parked"]
    if stored.parked:
        lines.append(f"~ {code}: was parked, is used again")
    if stored.chart != wish.chart:
        lines.append(f"~ {code}: Xero's chart has changed")
    return lines
