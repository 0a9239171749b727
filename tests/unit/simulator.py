"""A simulated Xero in this process: one organisation, one app, one contact, a hand-set clock."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from consumer.sandbox.xero import SimulatorSettings, create_app

TENANT = "7f6a0000-0000-4000-8000-000000000001"
CLIENT = ("app", "secret")
START = 1_790_000_000.0
ZERO = "00000000-0000-0000-0000-000000000000"
JSON = dict[str, Any]


class Ticker:
    """A clock that only moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Lab:
    """A client of the simulator."""

    app: Starlette
    http: httpx.AsyncClient
    clock: Ticker
    headers: dict[str, str]
    contact_id: str = ""

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds

    async def token(self) -> None:
        """Fetch an access token and use it from now on."""
        answer = await self.http.post(
            "/connect/token", data={"grant_type": "client_credentials"}, auth=CLIENT
        )
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def call(
        self,
        method: str,
        path: str,
        body: JSON | bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """One API call, with four decimals in prices and errors per element unless told."""
        sent: JSON = {"content": body} if isinstance(body, bytes) else {"json": body}
        if body is None:
            sent = {}
        elif isinstance(body, bytes):
            headers = {"Content-Type": "application/json", **(headers or {})}
        if method != "GET":
            query = {"summarizeErrors": "false", "unitdp": "4", **query}
        return await self.http.request(
            method,
            f"/api.xro/2.0/{path}",
            params=query,
            headers={**self.headers, **(headers or {})},
            **sent,
        )

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET."""
        answer = await self.call("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def control(self, method: str, path: str, body: JSON | None = None) -> Any:
        """The JSON of a control call that must succeed."""
        answer = await self.http.request(method, f"/sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def write(self, method: str, kind: str, *elements: JSON, **query: Any) -> list[JSON]:
        """The elements answered to a batch."""
        answer = await self.call(method, kind, {kind: list(elements)}, **query)
        assert answer.status_code == 200, answer.text
        found: list[JSON] = answer.json()[kind]
        return found

    async def put_invoice(self, **fields: Any) -> JSON:
        """The answer to one new invoice."""
        return (await self.write("PUT", "Invoices", self.invoice(**fields)))[0]

    async def saved_invoice(self, **fields: Any) -> JSON:
        """A new invoice that was saved."""
        shown = await self.put_invoice(**fields)
        assert messages(shown) == []
        return shown

    async def line_errors(self, *lines: JSON, **fields: Any) -> list[str]:
        """What Xero says to an invoice of these lines."""
        return messages(await self.put_invoice(LineItems=list(lines), **fields))

    def invoice(self, **fields: Any) -> JSON:
        """An approved invoice; a field given as None is left out."""
        whole = {
            "Type": "ACCREC",
            "Contact": {"ContactID": self.contact_id},
            "Date": "2026-10-01",
            "DueDate": "2026-10-31",
            "Status": "AUTHORISED",
            "CurrencyCode": "NZD",
            "LineItems": [line()],
            **fields,
        }
        return {name: value for name, value in whole.items() if value is not None}

    async def arrivals(self, path: str = "/api.xro") -> list[JSON]:
        """The arrival log of the Accounting API."""
        found: list[JSON] = await self.control("GET", f"arrivals?path_prefix={path}")
        return found


def line(**fields: Any) -> JSON:
    """One line of 10.00 at 20 %; a field given as None is left out."""
    whole = {
        "Description": "Seats",
        "Quantity": 1,
        "UnitAmount": 10,
        "AccountCode": "200",
        "TaxType": "OUTPUT2",
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


def messages(element: JSON) -> list[str]:
    """What Xero says against an element."""
    return [one["Message"] for one in element.get("ValidationErrors", [])]


@contextlib.asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[Lab]:
    """A simulator; the limits do not bind unless they are set."""
    loose = {"minute_limit": 10_000, "day_limit": 100_000, **settings}
    clock = Ticker(START)
    app = create_app(SimulatorSettings(**loose), clock=clock, wall=clock)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://xero") as http:
        headers = {"Accept": "application/json", "xero-tenant-id": TENANT}
        lab = Lab(app, http, clock, headers)
        organisation = {"tenant_id": TENANT, "name": "Acme", "country_code": "NZ"}
        money = {"base_currency": "NZD", "currencies": ["EUR", "JPY"]}
        await lab.control("POST", "tenants", {**organisation, **money})
        app_ = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "tenant_ids": [TENANT]}
        await lab.control("POST", "clients", app_)
        await lab.token()
        contact = {"action": "write", "fields": {"Name": "First", "ContactNumber": "first"}}
        shown = await lab.control("POST", f"books/{TENANT}/contacts", contact)
        lab.contact_id = shown["ContactID"]
        yield lab
