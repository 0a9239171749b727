"""The simulated Xero of a world: orders in; the calls that arrived and the books, out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from consumer.sandbox import sample
from consumer.sandbox.lago import Organization
from consumer.sandbox.xero import Simulator
from tests.acceptance.shop import Amounts

Json = dict[str, Any]
API = "/api.xro/2.0"
DOCUMENTS = ("Contacts", "Invoices", "CreditNotes", "Payments")
"""Collections that carry documents; ``apply`` reads others."""
MAPPINGS: Json = {
    kind: target
    for kind, target in sample.MAPPINGS.items()
    if kind not in ("billable_metrics", "add_ons")
}
"""Without metrics and add-ons: the fallback item takes them."""


@dataclass
class Tenant:
    """A Xero organisation and the connection of a Lago organization to it."""

    code: str
    organization_id: str = Organization().organization_id
    serves: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    """Further keys of the connection."""
    mappings: Json = field(default_factory=lambda: dict(MAPPINGS))
    tenant_id: str = field(default_factory=lambda: str(uuid4()))
    secret: str = "correct"

    @property
    def client_id(self) -> str:
        """Of its custom connection."""
        return f"client-{self.code}"

    def connection(self) -> Json:
        """As connections.yaml has it."""
        return {
            "code": self.code,
            "organization_id": self.organization_id,
            "xero": {
                "tenant_id": self.tenant_id,
                "client_id": self.client_id,
                "client_secret": {"file": f"{self.code}.secret"},
            },
            **({"serves": self.serves} if self.serves else {}),
            "mappings": self.mappings,
            "policies": {"residual_payments": "ignore"},  # the shop's invoices come half paid
            **self.more,
        }


class Xero:
    """Organisations, and the clients that reach them."""

    def __init__(self, simulator: Simulator, tenants: Sequence[Tenant]) -> None:
        self.simulator = simulator
        self.tenants = list(tenants)
        self.control = httpx.AsyncClient(base_url=simulator.control_url, timeout=10)

    # ── Orders ────────────────────────────────────────────────────────────────────────────────────

    async def open_tenants(self) -> None:
        """Create the organisations and the clients that reach them."""
        for tenant in self.tenants:
            organisation = {"tenant_id": tenant.tenant_id, "currencies": sample.CURRENCIES}
            await self.order("tenants", {**organisation, "name": tenant.code})
            await self.register(tenant)

    async def register(self, tenant: Tenant, secret: str | None = None) -> None:
        """Make its client known under a secret; the old one is revoked."""
        client = {"client_id": tenant.client_id, "client_secret": secret or tenant.secret}
        await self.order("clients", {**client, "tenant_ids": [tenant.tenant_id]})

    async def order(self, path: str, body: Json) -> Json:
        """An order to the simulator."""
        answer = await self.control.post(f"{self.simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def fault(self, kind: str, times: int = 1, **match: str) -> None:
        """The next calls that match suffer this; by default writes of invoices."""
        where = {"method": "PUT", "path_prefix": f"{API}/Invoices", **match}
        seconds = float(where.pop("seconds", "1"))
        await self.order(
            "faults", {"kind": kind, "times": times, "seconds": seconds, "match": where}
        )

    async def latency(self, seconds: float) -> None:
        """How long each call takes from now on."""
        await self.order("settings", {"latency": seconds})

    # ── What arrived, and what came of it ─────────────────────────────────────────────────────────

    async def arrivals(self, path: str = API, method: str | None = None) -> list[Json]:
        """The calls that arrived, but for what ``apply`` asked."""
        answer = await self.control.get(f"{self.simulator.control_url}/arrivals")
        assert answer.status_code == 200
        return [
            one
            for one in answer.json()
            if one["path"].startswith(tuple(f"{API}/{name}" for name in DOCUMENTS))
            and one["path"].startswith(path)
            and method in (None, one["method"])
        ]

    async def tokens_refused(self) -> int:
        """How often the identity server turned a client away."""
        answer = await self.control.get(f"{self.simulator.control_url}/arrivals")
        asked = [one for one in answer.json() if one["path"] == "/connect/token"]
        return sum(one["status"] != 200 for one in asked)

    async def writes(self, kind: str = "Invoices") -> list[Json]:
        """The writes of a kind that arrived."""
        return [one for one in await self.arrivals(f"{API}/{kind}") if one["method"] != "GET"]

    async def books(self, tenant: Tenant | None = None) -> Json:
        """The organisation's contacts and invoices; amounts are Decimal."""
        tenant_id = (tenant or self.tenants[0]).tenant_id
        answer = await self.control.get(f"{self.simulator.control_url}/books/{tenant_id}")
        assert answer.status_code == 200, answer.text
        return dict(json.loads(answer.text, parse_float=Decimal, parse_int=Decimal))

    async def numbers(self, tenant: Tenant | None = None) -> list[str]:
        """The invoices' numbers, sorted; one that is there twice is shown twice."""
        books = await self.books(tenant)
        return sorted(one["InvoiceNumber"] for one in books["invoices"])

    async def summary(self, tenant: Tenant | None = None) -> tuple[list[Any], list[Any]]:
        """The books without Xero's ids: comparable between two runs."""
        books = await self.books(tenant)
        contacts = sorted(
            (one["ContactNumber"], one["Name"], one["EmailAddress"]) for one in books["contacts"]
        )
        invoices = sorted(
            (one["InvoiceNumber"], one["Total"], one["TotalTax"], one["Contact"]["Name"])
            for one in books["invoices"]
        )
        return contacts, invoices

    # ── What must hold ────────────────────────────────────────────────────────────────────────────

    async def assert_booked(
        self, expected: Mapping[str, Amounts], tenant: Tenant | None = None, *, exact: bool = True
    ) -> None:
        """Each invoice once, with Lago's figures, and no other but voided ones; no contact twice."""
        books = await self.books(tenant)
        invoices = Counter(one["InvoiceNumber"] for one in books["invoices"])
        contacts = Counter(one["ContactNumber"] for one in books["contacts"])
        assert [n for n, times in (invoices + contacts).items() if times > 1] == []
        booked = {
            one["InvoiceNumber"]: Amounts(one["Total"], one["TotalTax"])
            for one in books["invoices"]
            if one["Status"] != "VOIDED"  # or never posted: whichever message was faster
        }
        if exact:
            assert sorted(booked.keys() - expected.keys()) == []
        assert sorted(expected.keys() - booked.keys()) == []
        differing = {n: (booked.get(n), a) for n, a in expected.items() if booked.get(n) != a}
        assert differing == {}

    async def assert_within_limits(self) -> None:
        """No call was one too many; a 429 that a test ordered does not count."""
        assert [
            one
            for one in await self.arrivals()
            if one["fault"] is None and (one["status"] == 429 or one["problem"])
        ] == []
