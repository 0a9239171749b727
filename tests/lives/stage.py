"""The real ledger and adapters before a simulated Xero in this process, with a clock moved by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx

from consumer.adapters.postgres.authorisations import PostgresAuthorisations
from consumer.adapters.xero import XeroAccounting
from consumer.adapters.xero_auth import (
    ClientCredentials,
    Consented,
    IdentityServer,
    XeroTokens,
)
from consumer.deliver.auditing import Auditor
from consumer.deliver.calling import Caller
from consumer.deliver.looking import LookUps
from consumer.deliver.resolving import Resolver
from consumer.deliver.sending import Sender
from consumer.domain.answers import Reply
from consumer.domain.chart import Account, Chart, Item, TaxRate
from consumer.domain.clocks import Clocks
from consumer.domain.mapping import Connection, MappingKey, Target
from consumer.domain.operations import Method
from consumer.domain.pacing import Limits
from consumer.metrics import Metrics
from consumer.ports import Call, Frozen, Wish
from consumer.sandbox.xero import SimulatorSettings, create_app
from consumer.sandbox.xero.books import Books as XeroBooks
from consumer.sandbox.xero.faults import Faults
from consumer.sandbox.xero.idempotency import Keys
from consumer.sandbox.xero.organisations import open_books
from consumer.sandbox.xero.world import World
from tests.integration.ledger import Books, books
from tests.lives.delivery import Delivery
from tests.lives.lago import ORGANIZATION
from tests.unit.simulator import Ticker

CURRENCIES = ["EUR", "NZD", "JPY", "KWD", "CLF"]
XERO = "http://xero"
MANY = 1_000_000
CLEARING = "890"
"""The clearing account."""
MAPPINGS = {
    MappingKey("", "fallback_item"): Target("LAGO", "200"),
    MappingKey("", "payment_account"): Target(account="090"),
    MappingKey("", "clearing_account"): Target(account=CLEARING),
    MappingKey("", "coupon"): Target("DISC", "200"),
    MappingKey("", "prepaid_credit"): Target("PREPAID", "825"),
    MappingKey("", "no_tax"): Target(tax_type="ZERORATED"),
    MappingKey("", "outside_tax"): Target(tax_type="NONE"),
    MappingKey("", "tax", "vat_20"): Target(tax_type="OUTPUT2"),
    MappingKey("", "tax", "gst_15"): Target(tax_type="OUTPUT15"),
    MappingKey("", "tax", "vat_5"): Target(tax_type="RROUTPUT"),
    MappingKey("", "tax", "vat_0"): Target(tax_type="ZERORATED"),
}
CHART = Chart(
    accounts={"200": Account("200", "REVENUE", "REVENUE")},
    items={"LAGO": Item("LAGO", "200")},
    tax_rates={
        "OUTPUT2": TaxRate("OUTPUT2", Decimal(20)),
        "OUTPUT15": TaxRate("OUTPUT15", Decimal(15)),
        "RROUTPUT": TaxRate("RROUTPUT", Decimal(5)),
        "ZERORATED": TaxRate("ZERORATED", Decimal(0)),
        "NONE": TaxRate("NONE", Decimal(0)),
    },
)
_FORGET = "; ".join(
    f"delete from {table}"
    for table in (
        "outbox", "finding", "member", "request", "release", "document", "object", "event_raw", "event",
        "mirror", "mirrored", "job",
    )
)  # fmt: skip
_MOVED = (
    ("request", ("started_at", "deadline_at", "answered_at", "look_at", "audit_at")),
    ("document", ("wait_until", "ready_at")),
    ("tenant", ("due_at", "blocked_until", "foreign_until", "day_left_at", "restored_on")),
)
_MOVE = "; ".join(
    f"update {table} set " + ", ".join(f"{name} = {name} - '%s s'::interval" for name in names)
    for table, names in _MOVED
)
_NEXT = """
select extract(epoch from least(
  (select min(wait_until) from document where state = 'waiting'),
  (select min(ready_at) from document where state = 'ready' and ready_at > now()),
  (select min(look_at) from request where outcome is null),
  (select min(audit_at) from request where outcome is not null),
  (select min(blocked_until) from tenant where blocked_until > now())) - now())::float as wait
"""


class InProcess(httpx.ASGITransport):
    """Reports the departure of a request as httpcore does, by which the adapter tells a doubt."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if trace := request.extensions.get("trace"):
            leaving = SimpleNamespace(method=request.method.encode())
            await trace("http11.send_request_headers.started", {"request": leaving})
        return await super().handle_async_request(request)


class Faulty:
    """``Accounting`` whose calls of some numbers suffer a fault."""

    def __init__(self, accounting: XeroAccounting, world: World) -> None:
        self._accounting = accounting
        self._world = world
        self.faults: dict[int, str] = {}
        self.calls = 0

    async def call(self, call: Call) -> Reply:
        kind = self.faults.get(self.calls)
        self.calls += 1
        if kind is not None:
            self._world.faults.order(
                {"kind": kind, "seconds": 7, "match": {"path_prefix": "/api.xro"}}
            )
        return await self._accounting.call(call)


@dataclass(repr=False)
class Stage:
    """Everything that a life passes through; ``clock`` is Xero's."""

    books: Books
    world: World
    clock: Ticker
    accounting: Faulty
    sender: Sender
    resolver: Resolver
    auditor: Auditor
    caller: Caller
    policy: str = "allocate"
    """Of consumed credits."""

    def __repr__(self) -> str:
        return "Stage()"

    @property
    def tenant(self) -> UUID:
        return self.books.tenants[0]

    @property
    def xero(self) -> XeroBooks:
        """What Xero has by now."""
        return self.world.books[str(self.tenant)]

    async def consume(self, policy: str) -> None:
        """From now on consumed credits follow this policy."""
        if policy != self.policy:
            await self.books.settings(chart=CHART, consumed_credits=policy)
            self.policy = policy

    async def live(self, delivery: Delivery, policies: Sequence[str] = ()) -> None:
        """Deliver all of it to clean books, and let everything come to rest.

        Args:
            policies: of consumed credits, one for each batch of the delivery; none: as it is.
        """
        await self.clean()
        self.accounting.faults, self.accounting.calls = dict(delivery.faults), 0
        for n, batch in enumerate(delivery.batches):
            if policies:
                await self.consume(policies[n])
            await self.books.ingest.store(list(batch.records))
            if batch.sends:
                await self.rest(batch.seconds)
        await self.rest(float(MANY))

    async def clean(self) -> None:
        """Empty the books, Lago's and Xero's; connections stay."""
        await self.books.database.execute(_FORGET)
        await self.books.database.execute(
            "update tenant set due_at = 'infinity', blocked_until = null, blocked_why = null, "
            "failures = 0, foreign_calls = 0, foreign_until = null, day_left = null, "
            "day_left_at = null"
        )
        self.world.books[str(self.tenant)] = _organisation(self.tenant)
        self.world.faults, self.world.keys = Faults(), Keys()
        self.world.arrivals.clear()

    async def call(self, method: Method, path: str, body: bytes) -> None:
        """A person's call to Xero, which the ledger knows nothing of."""
        call = Call(
            tenant_id=self.tenant,
            token=await self._token(),
            method=method,
            path=path,
            body=body,
            idempotency_key=str(uuid4()),
            if_modified_since=None,
            first_byte_by=float("inf"),
            timeout=60.0,
        )
        assert (await self.accounting.call(call)).status == 200

    async def send(self, frozen: Frozen) -> None:
        """One request, and whatever comes of it."""
        await self.sender._send(frozen, await self._token(), time.monotonic())

    async def _token(self) -> str:
        token = await self.caller.token(self.tenant, 1)
        assert token is not None
        return token

    async def rest(self, patience: float) -> None:
        """Work until nothing moves, for at most ``patience`` seconds of the service's clocks."""
        left = patience
        for _ in range(400):
            if await self._work():
                continue
            [row] = await self.books.database.fetch(_NEXT)
            wait = row["wait"]
            if wait is None or wait > left:
                return
            step = max(wait, 0.0) + 0.1
            await self._pass(step)
            left -= step
        raise AssertionError("it never comes to rest")

    async def _pass(self, seconds: float) -> None:
        """All stamps become older by it, and so do Xero's keys and tokens."""
        self.clock.now += seconds
        await self.books.database.execute(_MOVE.replace("%s", f"{seconds:.3f}"))

    async def _work(self) -> bool:
        """One round of each part of the service; whether any of them did something."""
        ledger = self.books.ledger
        moved = bool(await ledger.release(20))
        token = await self._token()
        while True:
            began = time.monotonic()
            freezing = await ledger.freeze(self.tenant)
            if freezing.frozen is None:
                moved = moved or bool(freezing.fates)
                moved = bool(await ledger.release(20)) or moved  # what it would plan again
                break
            moved = True
            await self.sender._send(freezing.frozen, token, began)
            await ledger.release(20)
        for request_id, _ in await ledger.doubtful(20, 20, []):
            moved = True
            await self.resolver._resolve(request_id)
        moved = bool(await self.auditor.run_once()) or moved
        moved = bool(await ledger.expire(200)) or moved
        return bool(await ledger.end_patience(200)) or moved


def _organisation(tenant: UUID) -> XeroBooks:
    about: dict[str, Any] = {"tenant_id": str(tenant), "name": "Acme", "country_code": "NZ"}
    return open_books({**about, "base_currency": "NZD", "currencies": CURRENCIES}, 0)


@asynccontextmanager
async def stage(url: str) -> AsyncIterator[Stage]:
    """One organization and one tenant; limits do not bind."""
    limits, clocks, clock = Limits(MANY, MANY, 5), Clocks(), Ticker(1_000_000.0)
    app = create_app(
        SimulatorSettings(minute_limit=MANY, day_limit=MANY, app_minute_limit=MANY), clock=clock
    )
    world: World = app.state.world
    async with (
        books(url, limits=limits, clocks=clocks) as ledger,
        httpx.AsyncClient(transport=InProcess(app=app), headers=_ACCEPT) as http,
    ):
        ledger.organization_id = UUID(ORGANIZATION)
        wish = Connection(
            0,
            "acme",
            ledger.organization_id,
            ledger.tenants[0],
            name="Acme",
            billing_entities=frozenset({"acme"}),
            drafts="post",
            excess="overpayment",
            mappings=MAPPINGS,
        )
        await ledger.database.execute("delete from mapping")
        await ledger.database.execute("delete from connection")
        await ledger.connections.store([Wish(wish, "client-0", "secret", CHART)], "tests", [])
        world.books[str(ledger.tenants[0])] = _organisation(ledger.tenants[0])
        world.identity.register("client-0", "secret", [str(ledger.tenants[0])], 0, custom=True)
        accounting = Faulty(XeroAccounting(http, f"{XERO}/api.xro/2.0"), world)
        identity = IdentityServer(http, XERO, f"{XERO}/api.xro/2.0")
        store = PostgresAuthorisations(ledger.database, bytes, bytes)
        credentials = ClientCredentials(identity, clock=clock)
        tokens = XeroTokens(identity, credentials, Consented(identity, store), "")
        metrics = Metrics()
        caller = Caller(accounting, tokens, store, ledger.ledger, metrics, clocks)
        sender = Sender(ledger.ledger, caller, metrics, clocks, on_accepted=lambda: None)
        lookups = LookUps(caller, ledger.budget, clocks)
        resolver = Resolver(ledger.ledger, lookups, metrics, clocks, lambda: None)
        auditor = Auditor(ledger.ledger, lookups, metrics, lambda: None)
        yield Stage(ledger, world, clock, accounting, sender, resolver, auditor, caller)


_ACCEPT = {"Accept": "application/json"}
