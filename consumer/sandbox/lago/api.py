"""Lago's REST API over objects of one organization: what the service asks for, as Lago shows and lists it.

It shows more than webhooks do: an invoice with all its fees and its customer's links, a customer with his,
a fee with its taxes, all payments of an invoice. As in Lago, the fees within an invoice show no taxes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from itertools import combinations
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumer.sandbox.serving import serving

Json = dict[str, Any]
VISIBLE = ("draft", "finalized", "failed", "pending", "voided")
"""Statuses of invoices that Lago lists."""
_KINDS = ("customer", "invoice", "credit_note", "payment")


class LagoApi:
    """The objects and what befalls calls.

    ``faults`` answer the next calls, one each; ``slow`` holds all back until it is set. ``calls`` are the
    paths with queries that were asked for, of those whom the key let in.
    """

    def __init__(self, organization_id: str, key: str = "sandbox-key") -> None:
        self.organization_id = organization_id
        self.key = key
        self.objects: dict[str, dict[str, Json]] = {kind: {} for kind in _KINDS}
        self.taxes: dict[str, list[Json]] = {}
        """Of fees whose rate does not tell them, by the fee's id."""
        self.faults: deque[Response] = deque()
        self.slow: asyncio.Event | None = None
        self.calls: list[str] = []
        show = {
            "/organizations": self._organization,
            "/invoices": self._invoices,
            "/invoices/{id}": self._invoice,
            "/credit_notes": self._credit_notes,
            "/credit_notes/{id}": self._credit_note,
            "/customers/{id:path}": self._customer,
            "/fees/{id}": self._fee,
            "/payments": self._payments,
        }
        self.app = Starlette(routes=[Route(f"/api/v1{path}", to) for path, to in show.items()])
        self.app.add_middleware(_Gate, api=self)

    def add(self, kind: str, *things: Json) -> None:
        """Objects with every relation, or newer versions of them."""
        for thing in things:
            known = self.objects[kind].get(thing["lago_id"], {})
            self.objects[kind][thing["lago_id"]] = {**known, **thing}

    def add_told(self, messages: Iterable[Json]) -> None:
        """What webhooks told of, with all that any of them showed."""
        for message in messages:
            kind = message["object_type"]
            told = message[kind]
            if kind in _KINDS:
                self.add(kind, told)
            if isinstance(told.get("customer"), dict):
                self.add("customer", told["customer"])

    async def _organization(self, request: Request) -> Response:
        return JSONResponse({"organization": {"lago_id": self.organization_id, "name": "Sandbox"}})

    async def _invoice(self, request: Request) -> Response:
        found = self.objects["invoice"].get(request.path_params["id"])
        if found is None:
            return _missing("invoice")
        nested: Json = found["customer"]
        customer = self._shown(self.objects["customer"].get(nested["lago_id"]) or nested)
        return JSONResponse({"invoice": {**found, "customer": customer, "metadata": []}})

    async def _credit_note(self, request: Request) -> Response:
        """Without its customer."""
        found = self.objects["credit_note"].get(request.path_params["id"])
        if found is None:
            return _missing("credit_note")
        shown = {name: value for name, value in found.items() if name != "customer"}
        return JSONResponse({"credit_note": shown})

    async def _customer(self, request: Request) -> Response:
        for one in self.objects["customer"].values():
            if one["external_id"] == request.path_params["id"]:
                return JSONResponse({"customer": self._shown(one)})
        return _missing("customer")

    @staticmethod
    def _shown(customer: Json) -> Json:
        return {"integration_customers": [], **customer}

    async def _fee(self, request: Request) -> Response:
        for invoice in self.objects["invoice"].values():
            for fee in invoice["fees"]:
                if fee["lago_id"] == request.path_params["id"]:
                    return JSONResponse(
                        {"fee": {**fee, "applied_taxes": self.taxes_of(invoice, fee)}}
                    )
        return _missing("fee")

    def taxes_of(self, invoice: Json, fee: Json) -> list[Json]:
        """Those given, else the ones of the invoice whose rates sum to the fee's."""
        if fee["lago_id"] in self.taxes:
            return self.taxes[fee["lago_id"]]
        applied = invoice["applied_taxes"]
        sets = [s for n in range(1, len(applied) + 1) for s in combinations(applied, n)]
        rate = fee["taxes_rate"]
        fitting = (s for s in sets if abs(sum(tax["tax_rate"] for tax in s) - rate) < 1e-9)
        return list(next(fitting, ()))

    async def _invoices(self, request: Request) -> Response:
        """Without their fees; by status and day, the newest first."""
        statuses = request.query_params.getlist("statuses[]")
        found = [
            one
            for one in self.objects["invoice"].values()
            if one["status"] in (statuses or VISIBLE) and _issued(one, request)
        ]
        listed = ({n: v for n, v in one.items() if n not in ("fees", "credits")} for one in found)
        return _page("invoices", listed, "issuing_date", request)

    async def _credit_notes(self, request: Request) -> Response:
        """By day, the newest first."""
        found = (one for one in self.objects["credit_note"].values() if _issued(one, request))
        return _page("credit_notes", found, "issuing_date", request)

    async def _payments(self, request: Request) -> Response:
        """All, or those of an invoice; the newest first."""
        of = request.query_params.get("invoice_id")
        payments = self.objects["payment"].values()
        found = (one for one in payments if of is None or of in one["invoice_ids"])
        return _page("payments", found, "created_at", request)


def _issued(one: Json, request: Request) -> bool:
    first = request.query_params.get("issuing_date_from", "")
    last = request.query_params.get("issuing_date_to", "9999")
    return first <= str(one["issuing_date"]) <= last


def _page(name: str, found: Iterable[Json], newest: str, request: Request) -> Response:
    """A page of a list; of equal days and seconds what came last is first."""
    ordered = sorted(found, key=lambda one: str(one[newest]))[::-1]
    size, page = (
        int(request.query_params.get(asked, usual))
        for asked, usual in (("per_page", 100), ("page", 1))
    )
    pages = -(-len(ordered) // size)
    meta = {
        "current_page": page,
        "next_page": page + 1 if page < pages else None,
        "prev_page": page - 1 if page > 1 else None,
        "total_pages": pages,
        "total_count": len(ordered),
    }
    return JSONResponse({name: ordered[(page - 1) * size : page * size], "meta": meta})


class _Gate:
    """In front of every endpoint: the key, and what befalls the call."""

    def __init__(self, app: Any, api: LagoApi) -> None:
        self.app = app
        self.api = api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request, api = Request(scope), self.api
        if request.headers.get("authorization") != f"Bearer {api.key}":
            await JSONResponse({"status": 401, "error": "Unauthorized"}, 401)(scope, receive, send)
            return
        query = f"?{request.url.query}" if request.url.query else ""
        api.calls.append(f"{scope['raw_path'].decode().removeprefix('/api/v1/')}{query}")
        if api.slow is not None:
            await api.slow.wait()
        await (api.faults.popleft() if api.faults else self.app)(scope, receive, send)


def _missing(what: str) -> Response:
    return JSONResponse({"status": 404, "error": "Not Found", "code": f"{what}_not_found"}, 404)


@contextlib.asynccontextmanager
async def serve_api(api: LagoApi, *, port: int = 0) -> AsyncIterator[str]:
    """The base address without /api/v1, until the block ends."""
    async with serving(api.app, port=port) as base:
        yield base
