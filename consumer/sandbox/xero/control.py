"""The control API under ``/sandbox``: JSON orders in, the simulator's state changed or shown.

It has no authentication: it is for tests and demos on the loopback interface.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer.sandbox.xero import accountant, chart, contacts, organisations, reading, rendering
from consumer.sandbox.xero.answers import ApiError, Json, dump
from consumer.sandbox.xero.batches import Outcome
from consumer.sandbox.xero.books import Books
from consumer.sandbox.xero.call import Call
from consumer.sandbox.xero.consents import Choice
from consumer.sandbox.xero.grants import USER
from consumer.sandbox.xero.world import World

Order = Callable[[World, Request, Json], Any]


def routes(world: World) -> list[Route]:
    """The control API of one world."""
    table: list[tuple[str, str, Order]] = [
        ("POST", "/sandbox/tenants", _open_tenant),
        ("GET", "/sandbox/tenants", _tenants),
        ("POST", "/sandbox/clients", _register),
        ("POST", "/sandbox/consents/{client_id}", _order_consent),
        ("DELETE", "/sandbox/consents/{client_id}", _end_consent),
        ("POST", "/sandbox/faults", _order_fault),
        ("GET", "/sandbox/faults", _faults),
        ("DELETE", "/sandbox/faults", _clear_faults),
        ("GET", "/sandbox/arrivals", _arrivals),
        ("DELETE", "/sandbox/arrivals", _clear_arrivals),
        ("GET", "/sandbox/settings", _settings),
        ("POST", "/sandbox/settings", _change_settings),
        ("GET", "/sandbox/books/{tenant_id}", _books),
        ("POST", "/sandbox/books/{tenant_id}/contacts", _edit_contact),
        ("POST", "/sandbox/books/{tenant_id}/invoices", _edit(accountant.edit_invoice)),
        ("POST", "/sandbox/books/{tenant_id}/credit_notes", _edit(accountant.edit_credit_note)),
        ("POST", "/sandbox/books/{tenant_id}/payments", _edit(accountant.edit_payment)),
        ("POST", "/sandbox/books/{tenant_id}/chart", _edit_chart),
        ("POST", "/sandbox/lock_dates/{tenant_id}", _lock),
    ]
    return [Route(path, _serve(world, order), methods=[method]) for method, path, order in table]


def _serve(world: World, order: Order) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await request.body()
            value = order(world, request, reading.document(body) if body else {})
            status = 200
        except ZoneInfoNotFoundError as error:  # a KeyError
            value, status = {"error": str(error)}, 400
        except KeyError as error:
            value, status = {"error": f"missing or unknown: {error.args[0]}"}, 404
        except ApiError as error:
            value, status = {"error": json.loads(error.answer.body)}, 400
        except (ValueError, TypeError) as error:
            value, status = {"error": str(error)}, 400
        return Response(dump(value), status, media_type="application/json")

    return endpoint


def _open_tenant(world: World, request: Request, body: Json) -> Json:
    books = organisations.open_books(body, world.at())
    tenant_id = books.organisation.tenant_id
    if tenant_id in world.books:
        raise ValueError(f"tenant {tenant_id} exists")
    world.books[tenant_id] = books
    return {"tenant_id": tenant_id, **organisations.organisation(books.organisation)}


def _tenants(world: World, request: Request, body: Json) -> list[Json]:
    return [organisations.organisation(books.organisation) for books in world.books.values()]


def _register(world: World, request: Request, body: Json) -> Json:
    tenants = [str(one).lower() for one in body["tenant_ids"]]
    for tenant_id in tenants:
        world.books[tenant_id]
    custom = body.get("custom_connection", True)
    client = world.identity.register(
        body["client_id"],
        body["client_secret"],
        tenants,
        world.at(),
        custom=custom,
        redirect_uris=tuple(body.get("redirect_uris", ())),
    )
    shown: Json = {"client_id": client.client_id, "tenant_ids": tenants}
    if not custom:
        shown["refresh_token"] = world.identity.consent(client, world.clock())
    return shown


def _order_consent(world: World, request: Request, body: Json) -> Json:
    """``tenant_ids`` that a ``user`` chooses when asked to let the client in; or ``denied``."""
    client = world.identity.clients[request.path_params["client_id"]]
    tenants = tuple(str(one).lower() for one in body.get("tenant_ids", ()))
    for tenant_id in tenants:
        world.books[tenant_id]
    choice = Choice(tenants, body.get("user", USER), bool(body.get("denied", False)))
    world.identity.consents.order(client.client_id, choice)
    return asdict(choice)


def _end_consent(world: World, request: Request, body: Json) -> Json:
    """As if the user had disconnected the app for good: refresh tokens end, access tokens do not."""
    return {"ended": world.identity.revoke(request.path_params["client_id"])}


def _order_fault(world: World, request: Request, body: Json) -> Json:
    return asdict(world.faults.order(body))


def _faults(world: World, request: Request, body: Json) -> list[Json]:
    return world.faults.shown()


def _clear_faults(world: World, request: Request, body: Json) -> Json:
    world.faults.clear()
    return {}


def _arrivals(world: World, request: Request, body: Json) -> list[Json]:
    query = request.query_params
    return world.arrivals.shown(
        int(query.get("after", 0)), query.get("tenant_id"), query.get("path_prefix", "")
    )


def _clear_arrivals(world: World, request: Request, body: Json) -> Json:
    world.arrivals.clear()
    return {}


def _settings(world: World, request: Request, body: Json) -> Json:
    return asdict(world.settings)


def _change_settings(world: World, request: Request, body: Json) -> Json:
    known = {field.name for field in dataclasses.fields(world.settings)}
    if unknown := body.keys() - known:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
    plain: dict[str, Any] = {
        name: float(value) if isinstance(value, Decimal) else value for name, value in body.items()
    }
    world.settings = replace(world.settings, **plain)
    return asdict(world.settings)


def _books(world: World, request: Request, body: Json) -> Json:
    books = world.books[request.path_params["tenant_id"].lower()]
    return {
        "organisation": organisations.organisation(books.organisation),
        "contacts": [rendering.contact(one) for one in books.contacts.values()],
        "invoices": [rendering.invoice(books, one) for one in books.invoices.values()],
        "credit_notes": [rendering.credit_note(books, one) for one in books.credit_notes.values()],
        "payments": [rendering.payment(books, one) for one in books.payments.values()],
        "overpayments": [
            rendering.overpayment(books, one) for one in books.bank_transactions.values()
        ],
    }


def _call(world: World, books: Books) -> Call:
    """An accountant at work in Xero itself: no limits, no keys, the same rules."""
    return Call("POST", (), {"unitdp": "4"}, books, world.settings, world.at())


def _shown(outcome: Outcome) -> Json:
    if outcome.errors:
        raise ValueError("; ".join(outcome.errors))
    return outcome.shown


def _edit_contact(world: World, request: Request, body: Json) -> Json:
    """``archive``, ``restore``, ``merge`` (``contact_id``, ``into``) or ``write`` (``fields`` as in the
    API)."""
    books = world.books[request.path_params["tenant_id"].lower()]
    action = body["action"]
    if action == "write":
        return _shown(contacts.post(_call(world, books), body["fields"]))
    if action == "restore":
        return rendering.contact(contacts.restore(books, body["contact_id"], world.at()))
    if action == "merge":
        merged = contacts.merge(books, body["contact_id"], body["into"], world.at())
        return rendering.contact(merged)
    if action != "archive":
        raise ValueError(f"action {action} is not archive, restore, merge or write")
    return rendering.contact(contacts.archive(books, body["contact_id"], world.at()))


def _edit(edit: accountant.Edit) -> Order:
    def order(world: World, request: Request, body: Json) -> Json:
        books = world.books[request.path_params["tenant_id"].lower()]
        return _shown(edit(_call(world, books), body))

    return order


def _edit_chart(world: World, request: Request, body: Json) -> Json:
    """``accounts``, ``items`` and ``tax_rates`` to add or replace, in Xero's own JSON; ``currencies``
    to add; ``gone``: codes of items to delete."""
    books = world.books[request.path_params["tenant_id"].lower()]
    chart.edit(books, body, world.at())
    return organisations.organisation(books.organisation)


def _lock(world: World, request: Request, body: Json) -> Json:
    """Sets both dates; one that is left out or null is unlocked."""
    books = world.books[request.path_params["tenant_id"].lower()]
    organisations.lock(
        books,
        reading.date(body, "period_lock_date"),
        reading.date(body, "end_of_year_lock_date"),
    )
    return organisations.organisation(books.organisation)
