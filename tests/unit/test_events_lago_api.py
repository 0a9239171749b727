"""What Lago's API answers, as an event: it defines objects, and Xero gets of it what it gets of webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest

from consumer.domain.events import Event, decode
from consumer.domain.fingerprints import fingerprint
from consumer.domain.objects import (
    Object,
    ObjectKey,
    credit_note_of,
    customer_of,
    invoice_of,
    merge,
    money_of,
)
from consumer.domain.translate import translate_invoice
from consumer.sandbox.lago import (
    LagoApi,
    RandomChoices,
    activity_log,
    ambiguous_invoice,
    credit_note,
    envelope,
    generate_customer,
    generate_invoice,
    invoice_event,
    link,
    payment,
)
from tests.unit.translate.books import CHART, CONTACT, connection

ORGANIZATION = "5a1e0000-0000-4000-8000-000000000001"
Json = dict[str, Any]


def _event(message: Json, appended: int = 0) -> Event:
    value = json.dumps(message).encode()
    event = decode(value, appended=appended, digest=f"{hash(value):x}")
    assert isinstance(event, Event)
    return event


def _answered(kind: str, thing: Json, appended: int = 0) -> Event:
    return _event(envelope(f"lago_api.{kind}", kind, ORGANIZATION, thing), appended)


def _merged(*events: Event) -> dict[ObjectKey, Object]:
    objects: dict[ObjectKey, Object] = {}
    for event in events:
        for news in event.contributions:
            objects[news.key] = merge(objects.get(news.key), news)
    return objects


def _taxed(invoice: Json, taxes: Iterable[Json]) -> Json:
    """The invoice with these taxes on its fees, one each."""
    fees = [{**f, "applied_taxes": [t]} for f, t in zip(invoice["fees"], taxes, strict=True)]
    return {**invoice, "fees": fees}


@pytest.fixture
def choices() -> RandomChoices:
    return RandomChoices(Random(5))


@pytest.mark.parametrize("seed", range(60))
def test_xero_gets_the_same_of_the_api_as_of_the_webhook(seed: int) -> None:
    invoice = generate_invoice(RandomChoices(Random(seed)))
    key = ObjectKey("invoice", UUID(invoice["lago_id"]))
    shown = {
        **invoice,
        "metadata": [],
        "customer": {**invoice["customer"], "integration_customers": []},
    }
    lago = LagoApi(ORGANIZATION)
    taxed = {
        **shown,
        "fees": [{**fee, "applied_taxes": lago.taxes_of(invoice, fee)} for fee in invoice["fees"]],
    }
    made = []
    for event in (
        _event(invoice_event(invoice, ORGANIZATION)),
        _answered("invoice", shown),
        _answered("invoice", taxed),
    ):
        told = _merged(event)[key]
        facts = invoice_of(told)
        assert facts is not None
        payload = translate_invoice(
            facts, entity="", connection=connection(), chart=CHART, contact_id=CONTACT
        ).payload
        made.append((payload, told.customer_id, fingerprint(facts)))
    assert made[0] == made[1]
    assert made[0][:2] == made[2][:2]


def test_an_invoice_told_of_without_fees_is_completed(choices: RandomChoices) -> None:
    invoice = generate_invoice(choices, most_fees=8)
    poor = _event(invoice_event(invoice, ORGANIZATION, "invoice.generated"))
    key = ObjectKey("invoice", UUID(invoice["lago_id"]))
    assert invoice_of(_merged(poor)[key]) is None
    for events in permutations((poor, _answered("invoice", invoice))):
        facts = invoice_of(_merged(*events)[key])
        assert facts is not None
        assert len(facts.fees or ()) == len(invoice["fees"])


def test_fees_taxes_stay_when_a_webhook_without_them_comes_later(choices: RandomChoices) -> None:
    invoice = ambiguous_invoice(choices)
    key = ObjectKey("invoice", UUID(invoice["lago_id"]))
    answer = _answered("invoice", _taxed(invoice, invoice["applied_taxes"]))
    later = {**invoice, "updated_at": "2027-01-01T00:00:00Z"}
    told = _event(invoice_event(later, ORGANIZATION, "invoice.created"), 9)
    without = invoice_of(_merged(told)[key])
    assert without is not None
    for events in permutations((answer, told)):
        facts = invoice_of(_merged(*events)[key])
        assert facts is not None
        codes = [[tax.tax_code for tax in fee.applied_taxes or ()] for fee in facts.fees or ()]
        assert codes == [[tax["tax_code"]] for tax in invoice["applied_taxes"]]
        assert fingerprint(facts) != fingerprint(without)  # what failed for want of them is ready


def test_a_notes_fees_keep_their_taxes_too(choices: RandomChoices) -> None:
    invoice = ambiguous_invoice(choices)
    note = credit_note(choices, invoice)
    shown = credit_note(choices, _taxed(invoice, invoice["applied_taxes"]))
    shown = {**note, "items": shown["items"]}
    del shown["customer"]
    told = _event(envelope("credit_note.created", "credit_note", ORGANIZATION, note), 9)
    key = ObjectKey("credit_note", UUID(note["lago_id"]))
    facts = credit_note_of(_merged(_answered("credit_note", shown), told)[key])
    assert facts is not None
    assert [len(item.fee.applied_taxes or ()) for item in facts.items or ()] == [1, 1]


def test_a_customer_known_from_invoices_gets_his_links(choices: RandomChoices) -> None:
    who = generate_customer(choices)
    invoice = generate_invoice(choices, customer=who)
    links = [link(choices, "xero", "acme", "0c0ac700-0000-4000-8000-000000000001")]
    key = ObjectKey("customer", UUID(who["lago_id"]))
    told = _event(invoice_event(invoice, ORGANIZATION))
    known = _merged(told)[key]
    assert known.value("links") is None
    answer = _answered("customer", {**who, "integration_customers": links})
    facts = customer_of(_merged(told, answer)[key])
    assert facts is not None
    assert [one.integration_code for one in facts.integration_customers or ()] == ["acme"]


def test_payments_are_those_of_messages(choices: RandomChoices) -> None:
    invoice = generate_invoice(choices)
    paid = payment(choices, [invoice], amount_cents=700)
    recorded = _event(
        activity_log(choices, "payment.recorded", paid, ORGANIZATION, at="2026-05-04T00:00:00Z")
    )
    told = _answered("payment", paid, 5)
    assert told.key == recorded.key
    [one], [other] = _merged(recorded).values(), _merged(told).values()
    assert money_of(one) == money_of(other)
