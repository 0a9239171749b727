"""Planning: what an object asks of Xero, and why not (ACCOUNTING 2; DESIGN, *Home*)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.contacts import plan_contact
from consumer.domain.fingerprints import fingerprint, is_drafted
from consumer.domain.homes import Home
from consumer.domain.invoices import plan_invoice
from consumer.domain.mapping import Connection
from consumer.domain.objects import FINAL, Facet, Object, ObjectKey, Stamp, customer_of, invoice_of

ORGANIZATION, INVOICE, CUSTOMER, CONTACT = (UUID(int=n) for n in (1, 2, 3, 4))
NZ = Connection(7, "nz", ORGANIZATION, UUID(int=9), number_prefix="A-")
AT_HOME = Home(NZ.id)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
FEE = {"lago_id": str(uuid4()), "item": {"type": "charge"}, "amount_cents": 0}


def invoice(status: str | None = "finalized", **content: Any) -> Object:
    said = {
        "lago_id": str(INVOICE),
        "number": "N-1",
        "currency": "EUR",
        "issuing_date": "2026-03-31",
        "fees_amount_cents": 100,
        "fees": [FEE],
        **content,
    }
    facets = {"content": Facet(Stamp(FINAL), said), "status": Facet(Stamp(0), status)}
    return Object(ObjectKey("invoice", INVOICE), ORGANIZATION, facets, CUSTOMER)


def customer(links: list[dict[str, Any]] | None = None, **content: Any) -> Object:
    said = {"lago_id": str(CUSTOMER), "name": "Kauri", **content}
    facets = {"content": Facet(Stamp(0), said), "links": Facet(Stamp(0), links)}
    return Object(ObjectKey("customer", CUSTOMER), ORGANIZATION, facets, CUSTOMER)


def poor(thing: Object) -> Object:
    facets = {name: facet for name, facet in thing.facets.items() if name != "content"}
    return replace(thing, facets=facets)


def test_a_finalized_invoice_whose_draft_alone_told_its_content_waits_for_the_rest() -> None:
    thing = invoice(number="ACM-DRAFT")
    drafted = thing.facets["content"]._replace(stamp=Stamp(FINAL - 1))
    planned = plan_invoice(replace(thing, facets={**thing.facets, "content": drafted}), NZ, AT_HOME)
    assert (planned.wanted, planned.hold, planned.waits) == (None, f"content:{INVOICE}", True)


def test_a_finalized_invoice_is_wanted_in_its_connection() -> None:
    planned = plan_invoice(invoice(), NZ, AT_HOME)
    facts = invoice_of(invoice())
    assert facts is not None
    assert planned.wanted == fingerprint(facts)
    assert (planned.hold, planned.waits) == (None, False)
    assert (planned.connection_id, planned.tenant_id) == (NZ.id, NZ.tenant_id)
    assert (planned.number, planned.currency, planned.dated) == (
        "A-N-1",
        "EUR",
        date(2026, 3, 31),
    )
    assert (planned.lago_id, planned.customer_id) == (INVOICE, CUSTOMER)


HELD: dict[str, tuple[Object, Connection | None, str, bool]] = {
    **{
        status: (invoice(status), NZ, f"lago:{status}", False)
        for status in (
            "failed", "pending", "generating", "open", "closed", "voided", "deleted"
        )
    },
    "draft": (invoice("draft"), NZ, "policy:drafts@nz", False),
    "draft without a home": (invoice("draft"), None, f"home:{CUSTOMER}", True),
    "draft of nothing, skipped": (
        invoice("draft", fees_amount_cents=0),
        replace(NZ, drafts="post", zero_invoices="skip"),
        "policy:zero_draft@nz",
        False,
    ),
    "status unheard of": (invoice("frozen"), NZ, "lago:frozen", False),
    "no status": (invoice(None), NZ, "lago:unknown", False),
    "only poor messages": (poor(invoice()), NZ, f"content:{INVOICE}", True),
    "a void never seen as an invoice": (poor(invoice("voided")), NZ, "lago:voided", False),
    "self-billed": (invoice(self_billed=True), NZ, "self_billed", False),
    "no home": (invoice(), None, f"home:{CUSTOMER}", True),
    "switched off": (invoice(), replace(NZ, sync_invoices=False), "syncs:invoices@nz", False),
    "before the start": (
        invoice(), replace(NZ, start_date=date(2026, 4, 1)), "start_date@nz", False
    ),
    "zero, skipped": (
        invoice(fees_amount_cents=0), replace(NZ, zero_invoices="skip"), "policy:zero@nz", False
    ),
    "without any line": (invoice(fees_amount_cents=0, fees=[]), NZ, "policy:zero@nz", False),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_why_an_invoice_is_not_posted(name: str) -> None:
    thing, connection, hold, waits = HELD[name]
    planned = plan_invoice(thing, connection, AT_HOME)
    assert (planned.wanted, planned.hold, planned.waits) == (None, hold, waits)


POSTED = {
    "on the first day": (invoice(), replace(NZ, start_date=date(2026, 3, 31))),
    "zero, posted": (invoice(fees_amount_cents=0), NZ),
    "paid by prepaid credit": (
        invoice(total_amount_cents=0, prepaid_credit_amount_cents=100),
        replace(NZ, zero_invoices="skip"),
    ),
}


@pytest.mark.parametrize("name", POSTED)
def test_these_are_posted(name: str) -> None:
    thing, connection = POSTED[name]
    assert plan_invoice(thing, connection, AT_HOME).wanted is not None


def test_without_a_home_one_document_waits_until_the_home_is_decided() -> None:
    planned = plan_invoice(invoice(), None, Home(None, NOW))
    assert (planned.connection_id, planned.tenant_id, planned.until) == (None, None, NOW)
    contact = plan_contact(customer(), Home(None, NOW), None)
    assert (contact.hold, contact.waits, contact.until) == (f"home:{CUSTOMER}", True, NOW)
    assert (contact.connection_id, contact.wanted) == (None, None)


def test_a_contact_is_wanted_unless_unknown_or_a_partner() -> None:
    facts = customer_of(customer())
    assert facts is not None
    assert plan_contact(customer(), AT_HOME, NZ).wanted == fingerprint(facts)
    partner = plan_contact(customer(account_type="partner"), AT_HOME, NZ)
    assert (partner.wanted, partner.hold, partner.waits) == (None, "partner", False)
    unknown = plan_contact(poor(customer()), AT_HOME, NZ)
    assert (unknown.wanted, unknown.hold, unknown.waits) == (None, f"content:{CUSTOMER}", True)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"type": "xero", "integration_code": "nz", "external_customer_id": str(CONTACT)}, CONTACT),
        ({"type": "xero", "integration_code": "eu", "external_customer_id": str(CONTACT)}, None),
        ({"type": "hubspot", "integration_code": "nz", "external_customer_id": "17"}, None),
        ({"type": "xero", "integration_code": "nz", "external_customer_id": None}, None),
        ({"type": "xero", "integration_code": "nz", "external_customer_id": "not an id"}, None),
    ],
)
def test_the_contact_that_lago_links_is_known_beforehand(
    link: dict[str, Any], expected: UUID | None
) -> None:
    assert plan_contact(customer([link]), AT_HOME, NZ).xero_id == expected


def test_a_draft_is_wanted_by_policy_under_a_number_of_its_own() -> None:
    posts = replace(NZ, drafts="post")
    drafted = plan_invoice(invoice("draft", number="ACM-DRAFT"), posts, AT_HOME)
    assert drafted.number == f"A-DRAFT-{INVOICE.hex[:8]}"
    final = plan_invoice(invoice(number="ACM-DRAFT"), posts, AT_HOME)
    assert None not in (drafted.wanted, final.wanted)
    assert is_drafted(drafted.wanted)
    assert not is_drafted(final.wanted)
