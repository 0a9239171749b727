"""Writes to the simulated Xero over HTTP: their answers classified, and looked up when lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
import pytest

from consumer.adapters.xero import XeroAccounting, open_client
from consumer.adapters.xero_auth import ClientCredentials, IdentityServer
from consumer.domain.answers import (
    Answered,
    Element,
    InDoubt,
    NotDone,
    Refusal,
    Reply,
    Saved,
    Verdict,
)
from consumer.domain.classifying import classify
from consumer.domain.errors import Doubt
from consumer.domain.lookup import (
    Found,
    contact_by_number_path,
    contact_sweep_path,
    invoice_lookup_path,
    parse_found,
)
from consumer.domain.matching import Mismatch, match_contact, match_numbered
from consumer.domain.operations import DocumentKind, elements_of
from consumer.ports import Authorisation, Call
from consumer.sandbox.xero import Simulator, SimulatorSettings, serve
from schemas import xero

TENANT = UUID("7f6a0000-0000-4000-8000-000000000001")
LIMITLESS = SimulatorSettings(minute_limit=10_000)


@dataclass
class Lab:
    """The real adapters on the simulator."""

    simulator: Simulator
    client: httpx.AsyncClient
    accounting: XeroAccounting
    token: str

    async def control(self, path: str, body: dict[str, Any]) -> None:
        answer = await self.client.post(f"{self.simulator.control_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text

    async def put(
        self, kind: DocumentKind, *elements: xero.XeroModel, key: str | None = None, token: str = ""
    ) -> Verdict:
        collection = {"contact": "Contacts", "invoice": "Invoices"}[kind]
        body = b'{"%s":[%s]}' % (collection.encode(), b",".join(one.body() for one in elements))
        path = f"{collection}?summarizeErrors=false&unitdp=4"
        reply = await self._call("PUT", path, body, key or str(uuid4()), token=token)
        return classify(reply, kind, elements_of(body))

    async def found(self, path: str, kind: DocumentKind, *, since: datetime | None = None) -> Found:
        reply = await self._call("GET", path, since=since)
        found = parse_found(reply, kind, single="?" not in path)
        assert isinstance(found, Found)
        return found

    async def _call(
        self,
        method: Literal["GET", "PUT"],
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        *,
        since: datetime | None = None,
        token: str = "",
    ) -> Reply:
        return await self.accounting.call(
            Call(TENANT, token or self.token, method, path, body, key, since, timeout=20.0)
        )

    async def contact(self, number: str, name: str) -> UUID:
        found = await self.put("contact", xero.Contact(contact_number=number, name=name))
        (only,) = elements(found)
        assert isinstance(only, Saved)
        return only.xero_id


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(serve(LIMITLESS))
        client = await stack.enter_async_context(open_client())
        accounting = XeroAccounting(client, simulator.api_url)
        lab = Lab(simulator, client, accounting, "")
        organisation = {"tenant_id": str(TENANT), "base_currency": "NZD", "country_code": "NZ"}
        await lab.control("tenants", organisation)
        app = {"client_id": "app", "client_secret": "secret", "tenant_ids": [str(TENANT)]}
        await lab.control("clients", app)
        tokens = ClientCredentials(
            IdentityServer(client, simulator.identity_url, simulator.api_url)
        )
        lab.token = await tokens.token(Authorisation(1, "app", "secret"))
        yield lab


def elements(verdict: Verdict) -> tuple[Element, ...]:
    assert isinstance(verdict, Answered), verdict
    return verdict.elements


def invoice(number: str, contact_id: UUID, price: str = "10.125") -> xero.Invoice:
    line = xero.LineItem(
        description="Seats",
        quantity=Decimal(2),
        unit_amount=Decimal(price),
        line_amount=Decimal(price) * 2,
        account_code="200",
        tax_type="OUTPUT2",
        tax_amount=Decimal("3.04"),
    )
    free = xero.LineItem(
        description="Free of charge",
        quantity=Decimal(1),
        unit_amount=Decimal("5.55"),
        discount_amount=Decimal("5.55"),
        account_code="200",
        tax_type="OUTPUT2",
        tax_amount=Decimal(0),
    )
    day = date(2026, 10, 1)
    return xero.Invoice(
        contact=xero.ContactRef(contact_id=contact_id),
        invoice_number=number,
        date=day,
        due_date=day,
        currency_code="NZD",
        line_items=(line, free),
    )


async def test_a_batch_is_answered_element_by_element(lab: Lab) -> None:
    contact = await lab.contact("n-1", "Kauri")
    fates = elements(await lab.put("invoice", invoice("A-1", contact), invoice("A-1", contact)))
    first, second = fates
    assert isinstance(first, Saved)
    assert (first.number, first.status, first.contact_id) == ("A-1", "AUTHORISED", contact)
    assert (first.net, first.tax, first.total) == (
        Decimal("20.25"),
        Decimal("3.04"),
        Decimal("23.29"),
    )
    assert isinstance(second, Refusal)
    assert (second.code, second.next) == ("number_taken", "look")


async def test_name_and_number_clashes_of_contacts(lab: Lab) -> None:
    await lab.contact("n-1", "Kauri")
    same_name = xero.Contact(contact_number="n-2", name="KAURI")
    same_number = xero.Contact(contact_number="n-1", name="Kauri")
    fates = elements(await lab.put("contact", same_name, same_number))
    assert [(one.code, one.next) for one in fates if isinstance(one, Refusal)] == [
        ("contact_name_taken", "rename"),
        ("contact_number_taken", "look"),
    ]
    assert not any("auri" in one.said.lower() for one in fates if isinstance(one, Refusal))


@pytest.mark.parametrize("number", ["A-1", "A,1", 'A"1', "A&1 =?#%2C+"])
async def test_an_invoice_whose_answer_was_lost_is_found_and_adopted(lab: Lab, number: str) -> None:
    contact = await lab.contact("n-1", "Kauri")
    sent = invoice(number, contact)
    await lab.control("faults", {"kind": "reply_lost"})
    with pytest.raises(Doubt):
        await lab.put("invoice", sent)
    (path,) = invoice_lookup_path([number])
    match = match_numbered(sent.body(), (await lab.found(path, "invoice")).saved)
    assert isinstance(match, Saved)
    assert match.number == number


@pytest.mark.parametrize("fault", ["500_before", "close_before", "503"])
async def test_an_invoice_that_was_not_saved_is_not_found(lab: Lab, fault: str) -> None:
    contact = await lab.contact("n-1", "Kauri")
    await lab.control("faults", {"kind": fault})
    try:
        assert isinstance(await lab.put("invoice", invoice("A-1", contact)), InDoubt)
    except Doubt:
        assert fault == "close_before"
    (path,) = invoice_lookup_path(["A-1"])
    found = await lab.found(path, "invoice")
    assert match_numbered(invoice("A-1", contact).body(), found.saved) is None


async def test_a_number_that_somebody_else_holds(lab: Lab) -> None:
    contact = await lab.contact("n-1", "Kauri")
    elements(await lab.put("invoice", invoice("A-1", contact)))
    (path,) = invoice_lookup_path(["A-1"])
    found = await lab.found(path, "invoice")
    mine = invoice("A-1", contact, price="99")
    match = match_numbered(mine.body(), found.saved)
    assert isinstance(match, Mismatch)
    assert [one.field for one in match.differences] == ["net", "total"]


async def test_contacts_whose_answer_was_lost_are_swept_up(lab: Lab) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    await lab.control("faults", {"kind": "500_after"})
    sent = [xero.Contact(contact_number=f"n-{i}", name=f"Kauri {i}") for i in range(3)]
    assert await lab.put("contact", *sent) == InDoubt("status_500")
    found = await lab.found(contact_sweep_path(), "contact", since=before)
    assert all(match_contact(f"n-{i}", found.saved) for i in range(3))
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert (await lab.found(contact_sweep_path(), "contact", since=ahead)).saved == ()


async def test_a_change_between_two_pages_hides_nobody_from_a_sweep(lab: Lab) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    made = [await lab.contact(f"n-{i}", f"Kauri {i}") for i in range(4)]

    async def page(n: int) -> list[Saved]:
        path = contact_sweep_path(n).replace("pageSize=1000", "pageSize=2")
        return list((await lab.found(path, "contact", since=before)).saved)

    first = await page(1)
    assert len(first) == 2
    change = {"contact_id": str(first[0].xero_id), "action": "archive"}
    await lab.control(f"books/{TENANT}/contacts", change)
    assert {one.xero_id for one in [*first, *await page(2)]} == set(made)


async def test_an_archived_contact_shows_its_successor(lab: Lab) -> None:
    old, new = await lab.contact("n-1", "Kauri"), await lab.contact("n-2", "Rimu")
    merge = {"action": "merge", "contact_id": str(old), "into": str(new)}
    await lab.control(f"books/{TENANT}/contacts", merge)
    for path in (contact_by_number_path("n-1"), contact_sweep_path()):
        match = match_contact("n-1", (await lab.found(path, "contact")).saved)
        assert match is not None
        assert (match.xero_id, match.status, match.merged_to) == (old, "ARCHIVED", new)
    fates = elements(await lab.put("invoice", invoice("A-1", old)))
    assert [one.code for one in fates if isinstance(one, Refusal)] == ["contact_archived"]


async def test_an_unknown_contact_number(lab: Lab) -> None:
    found = await lab.found(contact_by_number_path("n-9"), "contact")
    assert match_contact("n-9", found.saved) is None


async def test_same_key_same_answer_other_body_doubt(lab: Lab) -> None:
    kauri = xero.Contact(contact_number="n-1", name="Kauri")
    first = await lab.put("contact", kauri, key="one")
    assert await lab.put("contact", kauri, key="one") == first
    other = await lab.put("contact", xero.Contact(name="Rimu"), key="one")
    assert isinstance(other, InDoubt)
    assert (other.why, other.batch_refused) == ("key_reused", False)


async def test_whole_batch_refused(lab: Lab) -> None:
    await lab.control("faults", {"kind": "whole_400"})
    found = await lab.put("contact", xero.Contact(name="Kauri"))
    assert isinstance(found, InDoubt)
    assert (found.why, found.batch_refused) == ("whole_400", True)


@pytest.mark.parametrize(("fault", "why"), [("403", "forbidden"), ("429", "throttled")])
async def test_calls_that_did_nothing(lab: Lab, fault: str, why: str) -> None:
    await lab.control("faults", {"kind": fault})
    found = await lab.put("contact", xero.Contact(name="Kauri"))
    assert isinstance(found, NotDone)
    assert found.why == why


async def test_an_unknown_token(lab: Lab) -> None:
    found = await lab.put("contact", xero.Contact(name="Kauri"), token="stale")
    assert found == NotDone("unauthorised")


async def test_bodies_are_sent_byte_for_byte(lab: Lab) -> None:
    """The key of a resend is good for the same bytes only."""
    kauri = xero.Contact(name="Kāuri – Ltd & (ü)")
    (only,) = elements(await lab.put("contact", kauri))
    assert isinstance(only, Saved)
    books = await lab.client.get(f"{lab.simulator.control_url}/books/{TENANT}")
    names = [one["Name"] for one in json.loads(books.content)["contacts"]]
    assert names == ["Kāuri – Ltd & (ü)"]


async def test_a_process_that_slept_after_the_headers_sends_no_body(lab: Lab) -> None:
    """In doubt, for headers left; but Xero executes nothing long after the freeze."""
    readings = iter([0.0, 0.0])  # before connecting, before the headers; then it is late
    late = XeroAccounting(lab.client, lab.simulator.api_url, clock=lambda: next(readings, 100.0))
    body = xero.Contact(contact_number="n-1", name="Kauri").body()
    call = Call(TENANT, lab.token, "PUT", "Contacts", body, first_byte_by=5.0, timeout=20.0)
    with pytest.raises(Doubt):
        await late.call(call)
    found = await lab.found(contact_by_number_path("n-1"), "contact")
    assert found.saved == ()
