"""Changes: connections wanted and connections in force in, the differences to store and show out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal
from uuid import UUID

from consumer.domain.chart import Chart
from consumer.domain.mapping import Connection, MappingKey, Target
from schemas.connections import Mistake

SETTINGS = tuple(
    f.name
    for f in fields(Connection)
    if f.name not in ("id", "code", "organization_id", "mappings")
)
"""What a connection is besides its identity and mappings."""
_NAMES = {
    "tenant_id": "xero.tenant_id",
    "billing_entities": "serves.billing_entities",
    "sync_invoices": "syncs.invoices",
    "zero_invoices": "policies.zero_invoices",
}


@dataclass(frozen=True, slots=True)
class Client:
    """What the file says of one OAuth2 client. The secret is in clear: it has no repr."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """What is in force. ``secrets``: None where no key of ours opens the stored one any more."""

    revision: int = 0
    connections: Mapping[str, Connection] = field(default_factory=dict)
    charts: Mapping[UUID, Chart] = field(default_factory=dict)
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    clients: Mapping[UUID, str] = field(default_factory=dict)
    """Tenant to client id."""
    parked: frozenset[str] = frozenset()
    """Client ids whose authorisation Xero refused."""
    blocked: frozenset[UUID] = frozenset()
    """Tenants that Xero forbade."""
    used: frozenset[str] = frozenset()
    """Codes of the connections that have documents."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One difference: ``+`` new, ``-`` gone, ``~`` changed."""

    sign: Literal["+", "-", "~"]
    what: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        values = " → ".join(value for value in (self.before, self.after) if value)
        return f"{self.sign} {self.what}" + (f": {values}" if values else "")


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """A connection to store. ``unset`` and ``set`` are its mappings that end and begin."""

    connection: Connection
    new: bool
    details: tuple[Detail, ...]
    unset: tuple[MappingKey, ...] = ()
    set: Mapping[MappingKey, Target] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """All that one file changes; nothing if empty."""

    revision: int
    """Of what is in force that this was compared with."""
    connections: tuple[ConnectionChange, ...] = ()
    clients: tuple[Client, ...] = ()
    tenants: Mapping[UUID, str] = field(default_factory=dict)
    """Tenant to the client id it is used through from now on."""
    charts: Mapping[UUID, Chart] = field(default_factory=dict)
    unpark: frozenset[str] = frozenset()
    unblock: frozenset[UUID] = frozenset()
    details: tuple[Detail, ...] = ()
    """What concerns clients and tenants."""

    def __bool__(self) -> bool:
        return bool(
            self.connections
            or self.clients
            or self.tenants
            or self.charts
            or self.unpark
            or self.unblock
        )


def plan(
    wanted: Mapping[str, Connection],
    clients: Mapping[UUID, Client],
    charts: Mapping[UUID, Chart],
    known: Known,
) -> Changes:
    """What is to be stored.

    Args:
        wanted: the file's connections by their paths in it.
        clients: the client that each of their tenants is used through.
        charts: what Xero says of each of their tenants now.
        known: what is in force.

    Raises:
        Mistakes: see ``immovable``.
    """
    used = {client.client_id: client for client in clients.values()}
    changed = tuple(
        change
        for connection in wanted.values()
        if (change := _change(connection, known.connections.get(connection.code))) is not None
    )
    tenants = {
        tenant: client.client_id
        for tenant, client in clients.items()
        if known.clients.get(tenant) != client.client_id
    }
    new_charts = {t: chart for t, chart in charts.items() if known.charts.get(t) != chart}
    secrets = tuple(c for c in used.values() if known.secrets.get(c.client_id) != c.secret)
    unpark = known.parked & used.keys()
    unblock = known.blocked & clients.keys()
    details = (
        *(
            Detail("~" if c.client_id in known.secrets else "+", f"client {c.client_id}", "secret")
            if c.client_id in known.secrets
            else Detail("+", f"client {c.client_id}")
            for c in secrets
        ),
        *(Detail("~", f"client {one}", "parked", "in use") for one in sorted(unpark)),
        *(
            Detail(
                "~" if tenant in known.clients else "+",
                f"tenant {tenant}",
                known.clients.get(tenant, ""),
                client,
            )
            for tenant, client in tenants.items()
        ),
        *(Detail("~", f"tenant {one}", "forbidden", "in use") for one in sorted(unblock)),
        *_chart_details(new_charts, known.charts),
    )
    return Changes(
        known.revision,
        changed,
        secrets,
        tenants,
        new_charts,
        frozenset(unpark),
        frozenset(unblock),
        details,
    )


def immovable(wanted: Mapping[str, Connection], known: Known) -> Iterator[Mistake]:
    """Connections that would leave documents behind in another tenant or organization."""
    for path, connection in wanted.items():
        old = known.connections.get(connection.code)
        if old is None or connection.code not in known.used:
            continue
        hint = "it has documents already; give the new connection another code"
        if old.tenant_id != connection.tenant_id:
            yield Mistake(f"{path}.xero.tenant_id", f"was {old.tenant_id}", hint)
        if old.organization_id != connection.organization_id:
            yield Mistake(f"{path}.organization_id", f"was {old.organization_id}", hint)


def notes(wanted: Sequence[Connection], known: Known) -> Iterator[str]:
    """What a person should know though it is no mistake."""
    named = {connection.code for connection in wanted}
    left = sorted(known.connections.keys() - named)
    if left:
        yield f"not in the file and left as they are: {', '.join(left)}"
    for i, one in enumerate(wanted):
        for other in wanted[:i]:
            if (
                one.tenant_id == other.tenant_id
                and one.organization_id != other.organization_id
                and one.number_prefix == other.number_prefix
            ):
                yield (
                    f"{other.code} and {one.code} share a Xero organisation: if two Lago "
                    "organizations give an invoice the same number, the second one fails; "
                    "a number_prefix prevents this"
                )


def _change(new: Connection, old: Connection | None) -> ConnectionChange | None:
    was = {} if old is None else old.mappings
    ends = tuple(sorted(key for key in was if new.mappings.get(key) != was[key]))
    begins = {key: target for key, target in new.entries() if was.get(key) != target}
    settings: list[Detail] = []
    if old is not None:
        for name in ("organization_id", *SETTINGS):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                settings.append(
                    Detail("~", _NAMES.get(name, name), _shown(before), _shown(after) or "nothing")
                )
        if not (ends or begins or settings):
            return None
    mappings = (
        Detail(
            "~" if key in was and key in begins else "+" if key in begins else "-",
            key.path,
            _words(was.get(key)),
            _words(begins.get(key)),
        )
        for key in sorted({*ends, *begins})
    )
    return ConnectionChange(new, old is None, (*settings, *mappings), ends, begins)


def _words(target: Target | None) -> str:
    if target is None:
        return ""
    words = {"item": target.item, "account": target.account, "tax type": target.tax_type}
    return ", ".join(f"{name} {value}" for name, value in words.items() if value is not None)


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _chart_details(new: Mapping[UUID, Chart], old: Mapping[UUID, Chart]) -> Iterator[Detail]:
    for tenant, chart in new.items():
        before = old.get(tenant, Chart())
        parts = [
            f"{count} {name}"
            for name, now, then in (
                ("accounts", chart.accounts, before.accounts),
                ("items", chart.items, before.items),
                ("tax rates", chart.tax_rates, before.tax_rates),
            )
            if (count := sum(now.get(key) != then.get(key) for key in {*now, *then}))
        ]
        name = chart.organisation.name or str(tenant)
        what = f"chart of {name}"
        yield Detail("~" if tenant in old else "+", what, after=", ".join(parts) or "settings")
