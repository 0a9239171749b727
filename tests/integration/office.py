"""An office: whoever applies files and connects, a real Postgres, and the simulated Xero."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet

from consumer.adapters.postgres.authorisations import PostgresAuthorisations
from consumer.adapters.postgres.budget import PostgresBudget
from consumer.adapters.postgres.changing import Patience
from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.connections import PostgresConnections
from consumer.adapters.postgres.database import Database, database
from consumer.adapters.postgres.ledger import PostgresLedger
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.vault import Vault
from consumer.adapters.xero import XeroAccounting, open_client
from consumer.adapters.xero_auth import IdentityServer, XeroTokens
from consumer.apply import Applied, Apply, ChartReader, Connect, Connected
from consumer.apply.connecting import Choose
from consumer.deliver.calling import Caller
from consumer.domain.clocks import Clocks
from consumer.domain.mapping import Connection
from consumer.domain.pacing import Limits
from consumer.metrics import Metrics
from consumer.ports import TenantRef
from consumer.sandbox.xero import Simulator
from schemas.connections import parse
from schemas.mistakes import Mistakes

Json = dict[str, Any]
PATIENCE = Patience(*(timedelta(days=1),) * 3)
TABLES = {
    "tenant": "id, authorisation_id, due_at, blocked_until, blocked_why, organisation",
    **dict.fromkeys(("authorisation", "connection", "mapping", "chart", "audit", "release"), "*"),
}
OLD_KEY, NEW_KEY = (Fernet.generate_key().decode() for _ in range(2))


@dataclass
class Office:
    """Whoever applies files, the database they end in and the Xero they are checked against."""

    db: Database
    http: httpx.AsyncClient
    simulator: Simulator
    tenant_id: UUID
    organization_id: UUID
    vault: Vault
    limits: Limits

    async def apply(self, *connections: Json, dry_run: bool = False) -> Applied:
        """Apply these connections; each secret is what its ``env`` says."""
        file = parse(yaml.safe_dump({"connections": list(connections)}))
        places = [c.xero.client_secret for c in file.connections]
        secrets = [str(place.env) if place else "" for place in places]
        use_case = Apply(
            PostgresConnections(self.db, self.vault.encrypt, self.vault.decrypt),
            XeroAccounting(self.http, self.simulator.api_url),
            self.tokens(),
            PostgresBudget(self.db, self.limits, Clocks()),
        )
        return await use_case.run(file, secrets, "ann", dry_run=dry_run)

    def store(self) -> PostgresAuthorisations:
        """Secrets and tokens."""
        return PostgresAuthorisations(self.db, self.vault.encrypt, self.vault.decrypt)

    def tokens(self) -> XeroTokens:
        """As a new process has them: nothing is remembered."""
        simulator = self.simulator
        identity = IdentityServer(self.http, simulator.identity_url, simulator.api_url)
        return XeroTokens.over(identity, self.store(), simulator.identity_url)

    async def refused(self, *connections: Json) -> list[str]:
        """The lines that these are refused with; nothing of them may be stored."""
        before = await self.rows()
        with pytest.raises(Mistakes) as refused:
            await self.apply(*connections)
        assert await self.rows() == before
        return str(refused.value).split("\n")

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that apply may touch; what answers say of limits is not of its doing."""
        return {
            table: sorted(
                (tuple(row) for row in await self.db.fetch(f"select {columns} from {table}")),
                key=repr,
            )
            for table, columns in TABLES.items()
        }

    async def value(self, query: str, *args: Any) -> Any:
        """One value of the database."""
        return (await self.db.fetch(query, *args))[0][0]

    async def connection(self, code: str = "acme") -> Connection:
        """As pods load it."""
        found = (await self.db.run(load_snapshot)).connections.values()
        return next(c for c in found if c.code == code)

    async def open_tenant(self, name: str, client: str, **more: Json) -> UUID:
        """Another Xero organisation, with a client that reaches it."""
        tenant_id = uuid4()
        await self.order("tenants", {"tenant_id": str(tenant_id), "name": name, **more})
        await self.register(client, "secret", tenant_id)
        return tenant_id

    async def register(self, client: str, secret: str, *tenants: UUID) -> None:
        """Make the client known to Xero; an older secret is no longer good."""
        reached = [str(tenant) for tenant in tenants]
        body = {"client_id": client, "client_secret": secret, "tenant_ids": reached}
        await self.order("clients", body)

    async def order(self, path: str, body: Json) -> None:
        """An order to the simulator."""
        answer = await self.http.post(f"{self.simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text

    def acme(self, code: str = "acme", client: str = "client", **changed: Any) -> Json:
        """A connection as the file has it; ``mappings`` are merged into the usual ones."""
        mappings = {
            "fallback_item": {"item": "LAGO"},
            "payment_account": "880",
            "prepaid_credit": {"item": "PREPAID"},
            "no_tax": "ZERORATED",
            "outside_tax": "NONE",
            "taxes": {"vat_20": "OUTPUT2"},
            **changed.pop("mappings", {}),
        }
        return {
            "code": code,
            "organization_id": str(self.organization_id),
            "xero": {"client_id": client, "client_secret": {"env": "secret"}},
            "mappings": {name: value for name, value in mappings.items() if value is not None},
            **changed,
        }

    # ── Consents ──────────────────────────────────────────────────────────────────────────────────

    async def register_web(self, secret: str = "secret") -> None:
        """The client ``web``, which persons let in; without a secret PKCE alone proves it."""
        body = {"client_id": "web", "client_secret": secret, "tenant_ids": []}
        await self.order("clients", {**body, "custom_connection": False})

    def web(self, code: str = "acme", secret: str = "secret", **changed: Any) -> Json:
        """A connection through it; ``tenant_id`` goes into its ``xero``."""
        xero: Json = {"client_id": "web", "consent": True}
        if secret:
            xero["client_secret"] = {"env": secret}
        if "tenant_id" in changed:
            xero["tenant_id"] = str(changed.pop("tenant_id"))
        return {**self.acme(code, **changed), "xero": xero}

    def connecting(self) -> tuple[Connect, XeroTokens]:
        """As the command has it."""
        tokens = self.tokens()
        accounting = XeroAccounting(self.http, self.simulator.api_url)
        charts = ChartReader(accounting, PostgresBudget(self.db, self.limits, Clocks()))
        return Connect(self.connections(), tokens, charts), tokens

    def connections(self) -> PostgresConnections:
        """Where they are kept."""
        return PostgresConnections(self.db, self.vault.encrypt, self.vault.decrypt)

    async def connect(
        self,
        code: str = "acme",
        *tenants: UUID,
        user: str = "ann",
        named: UUID | None = None,
        choose: Choose | None = None,
    ) -> Connected:
        """``user`` consents to these tenants, all there are if none is given."""
        connect, tokens = self.connecting()
        request = await connect.begin(code, named, "http://localhost:1/callback", "s", "v" * 60)
        chosen = {"tenants": ",".join(map(str, tenants))} if tenants else {}
        answer = await self.http.get(
            httpx.URL(tokens.consent_url(request)).copy_merge_params({**chosen, "user": user})
        )
        found = request.code(answer.headers["Location"])
        return await connect.finish(code, named, request, found, choose or _nobody, "ann")

    async def end_consent(self) -> None:
        """At Xero, for good."""
        answer = await self.http.delete(f"{self.simulator.control_url}/consents/web")
        assert answer.status_code == 200

    def ledger(self, clocks: Clocks | None = None) -> PostgresLedger:
        """Of a pod that announces on a webhook."""
        configuration, clocks = Configuration(load_snapshot), clocks or Clocks()
        planner = Planner(configuration, PATIENCE)
        return PostgresLedger(
            self.db, configuration, planner, limits=self.limits, clocks=clocks, sinks=["webhook"]
        )

    def caller(self, tokens: XeroTokens | None = None) -> Caller:
        """Of a pod."""
        accounting = XeroAccounting(self.http, self.simulator.api_url)
        return Caller(
            accounting, tokens or self.tokens(), self.store(), self.ledger(), Metrics(), Clocks()
        )

    async def asked(self, path: str = "/connect/token", method: str = "POST") -> int:
        """How many calls came to that path of Xero's."""
        answer = await self.http.get(
            f"{self.simulator.control_url}/arrivals", params={"path_prefix": path}
        )
        return sum(one["method"] == method for one in answer.json())

    def secrets(self) -> list[str]:
        """Every token that Xero has issued."""
        issued: list[str] = self.simulator.app.state.world.identity.issued()
        assert issued
        return issued


def _nobody(tenants: Sequence[TenantRef]) -> UUID:
    raise AssertionError("nobody should be asked")


@asynccontextmanager
async def opened(database_url: str, simulator: Simulator) -> AsyncIterator[Office]:
    """One Xero organisation, reached by ``client`` with the secret ``secret``."""
    async with database(database_url) as db, open_client() as http:
        office = Office(db, http, simulator, UUID(int=0), uuid4(), Vault([OLD_KEY]), Limits())
        office.tenant_id = await office.open_tenant("Acme", "client")
        yield office
