"""Lago's own topic, ``activity_logs``, beside its webhooks: two formats, one object (lago.md 5)."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.errors import Undecodable
from consumer.domain.events import Event, Ignored, decode
from consumer.domain.fingerprints import fingerprint
from consumer.domain.objects import (
    Contribution,
    Facet,
    Object,
    ObjectKey,
    credit_note_of,
    customer_of,
    invoice_of,
    merge_all,
    money_of,
)
from consumer.sandbox.lago import (
    RandomChoices,
    customer_event,
    encode,
    envelope,
    generate_customer,
    generate_invoice,
    invoice_event,
    nested,
)
from tests.strategies import invoices

ORGANIZATION = str(uuid4())
CHOICES = RandomChoices(Random(7))
INVOICE = generate_invoice(CHOICES, invoice_type="subscription", payments=False)
LINK = {"type": "xero", "integration_code": "nz", "external_customer_id": str(uuid4())}
CUSTOMER = {**INVOICE["customer"], "integration_customers": [LINK]}
NOTE_ID = str(uuid4())
NOTE: dict[str, Any] = {
    "lago_id": NOTE_ID,
    "number": "ACM-001-CN001",
    "lago_invoice_id": INVOICE["lago_id"],
    "credit_status": "available",
    "refund_status": "pending",
    "currency": "EUR",
    "total_amount_cents": 1000,
    "balance_amount_cents": 0,
    "items": [{"lago_id": str(uuid4()), "amount_cents": 1000, "fee": INVOICE["fees"][0]}],
    "applied_taxes": [],
    "updated_at": "2026-05-02T10:00:00Z",
}
PAYMENT = {
    "lago_id": str(uuid4()),
    "lago_customer_id": CUSTOMER["lago_id"],
    "invoice_ids": [INVOICE["lago_id"]],
    "lago_payable_id": INVOICE["lago_id"],
    "payable_type": "Invoice",
    "amount_cents": 1200,
    "amount_currency": "EUR",
    "payment_status": "succeeded",
    "type": "manual",
    "reference": "bank slip 7",
    "created_at": "2026-05-03T22:30:00Z",
}
REQUEST = {
    "lago_id": str(uuid4()),
    "amount_cents": 1200,
    "amount_currency": "EUR",
    "payment_status": "pending",
    "created_at": "2026-05-03T22:00:00Z",
}
KINDS = (
    "invoice.created",
    "invoice.drafted",
    "invoice.voided",
    "invoice.payment_status_updated",
    "invoice.payment_overdue",
    "invoice.generated",
)


def log(activity_type: str, shown: Any) -> dict[str, Any]:
    """As Lago produces it, keyed ``{organization_id}--{activity_id}``."""
    return {
        "activity_source": "api",
        "api_key_id": None,
        "user_id": None,
        "activity_type": activity_type,
        "activity_id": str(uuid4()),
        "logged_at": "2026-05-02T10:00:01",
        "created_at": "2026-05-02T10:00:01",
        "resource_id": str(uuid4()),
        "resource_type": "Invoice",
        "organization_id": ORGANIZATION,
        "activity_object": shown,
        "activity_object_changes": {},
        "external_customer_id": "acme",
        "external_subscription_id": None,
    }


def invoice_log(invoice: dict[str, Any], kind: str = "invoice.created") -> dict[str, Any]:
    """Every relation, the customer with his links; no fees when there are more than 25."""
    customer = {"integration_customers": [], **invoice["customer"]}
    shown = {**invoice, "customer": customer, "metadata": []}
    if len(invoice["fees"]) > 25:
        del shown["fees"]
    return log(kind, shown)


def event(message: dict[str, Any], n: int = 0) -> Event:
    told = decode(encode(message), appended=n, digest=f"{n}")
    assert isinstance(told, Event)
    return told


def merged(*events: Event) -> dict[str, Object]:
    """The object of each kind that the events tell of."""
    told: dict[ObjectKey, list[Contribution]] = defaultdict(list)
    for one in events:
        for contribution in one.contributions:
            told[contribution.key].append(contribution)
    made = [merge_all(None, contributions) for contributions in told.values()]
    return {one.key.kind: one for one in made if one is not None}


def facets(message: dict[str, Any], kind: str) -> dict[str, Facet]:
    [found] = [c.facets for c in event(message).contributions if c.key.kind == kind]
    return dict(found)


def test_a_log_says_of_an_invoice_what_its_webhook_says() -> None:
    by_log, by_webhook = event(invoice_log(INVOICE)), event(invoice_event(INVOICE, ORGANIZATION))
    assert (by_log.type, by_log.key) == (by_webhook.type, by_webhook.key)
    assert by_log.contributions[-1] == by_webhook.contributions[-1]


def test_an_invoices_log_also_says_its_customers_links() -> None:
    told = invoice_log({**INVOICE, "customer": CUSTOMER})
    webhook = invoice_event({**INVOICE, "customer": nested(CUSTOMER)}, ORGANIZATION)
    assert set(facets(webhook, "customer")) == {"content"}
    for order in ([event(told, 1), event(webhook, 2)], [event(webhook, 2), event(told, 1)]):
        facts = customer_of(merged(*order)["customer"])
        assert facts is not None
        assert [one.integration_code for one in facts.integration_customers or ()] == ["nz"]
    gone = event(invoice_log({**INVOICE, "customer": {**CUSTOMER, "integration_customers": []}}), 3)
    assert merged(event(told, 1), gone)["customer"].value("links") == []


def test_a_log_without_its_fees_is_a_poor_message() -> None:
    fees = [{**INVOICE["fees"][0], "lago_id": CHOICES.uuid(), "amount_cents": 1} for _ in range(26)]
    large = {**INVOICE, "fees": fees, "fees_amount_cents": 26, "number": "L-1"}
    poor = invoice_log(large)
    assert set(facets(poor, "invoice")) == {
        "status", "payment", "paid", "due", "offset", "credits", "applied_taxes"
    }  # fmt: skip
    rich = event(invoice_event(large, ORGANIZATION), 1)
    for order in ([rich, event(poor, 2)], [event(poor, 2), rich]):
        facts = invoice_of(merged(*order)["invoice"])
        assert facts is not None
        assert len(facts.fees or ()) == 26
    assert invoice_of(merged(event(poor))["invoice"]) is None


def test_fees_of_a_log_that_do_not_sum_give_way_to_those_that_do() -> None:
    wrong = event(invoice_log({**INVOICE, "fees": INVOICE["fees"][:0]}), 9)
    for order in ([wrong, event(invoice_log(INVOICE), 1)], [event(invoice_log(INVOICE), 1), wrong]):
        facts = invoice_of(merged(*order)["invoice"])
        assert facts is not None
        assert len(facts.fees or ()) == len(INVOICE["fees"])


def test_a_customers_log() -> None:
    told = event(log("customer.updated", CUSTOMER))
    assert told.contributions == event(customer_event(CUSTOMER, ORGANIZATION)).contributions


def test_a_credit_notes_log_names_no_customer_and_a_webhook_adds_him() -> None:
    told = event(log("credit_note.created", NOTE), 1)
    assert [c.key.kind for c in told.contributions] == ["credit_note"]
    webhook = envelope(
        "credit_note.created", "credit_note", ORGANIZATION, {**NOTE, "customer": nested(CUSTOMER)}
    )
    for order in ([told, event(webhook, 2)], [event(webhook, 2), told]):
        note = merged(*order)["credit_note"]
        assert note.customer_id == UUID(CUSTOMER["lago_id"])
        assert note.invoice_ids == (UUID(INVOICE["lago_id"]),)


def test_the_log_of_a_failed_refund_shows_the_credit_note() -> None:
    """Its webhook shows an error instead."""
    failed = event(log("credit_note.refund_failure", NOTE))
    assert failed.key == ("credit_note", UUID(NOTE_ID))
    facts = credit_note_of(merged(failed)["credit_note"])
    assert facts is not None
    assert (facts.refund_status, facts.number) == ("failed", "ACM-001-CN001")


def test_a_manual_payment_is_known_by_its_log_and_its_receipt_as_one() -> None:
    recorded = event(log("payment.recorded", PAYMENT), 1)
    receipt = event(log("payment_receipt.created", {"lago_id": NOTE_ID, "payment": PAYMENT}), 2)
    webhook = event(
        envelope(
            "payment_receipt.generated", "payment_receipt", ORGANIZATION, {"payment": PAYMENT}
        ),
        3,
    )
    assert recorded.key == receipt.key == webhook.key
    money = money_of(merged(recorded)["payment"])
    assert money is not None
    assert (money.status, money.type) == ("succeeded", "manual")


def test_a_payment_requests_log_shows_no_invoices_and_hides_none() -> None:
    told = event(log("payment_request.created", REQUEST), 9)
    assert money_of(merged(told)["payment"]) is None
    shown = {**REQUEST, "invoices": [{"lago_id": INVOICE["lago_id"]}]}
    webhook = event(envelope("payment_request.created", "payment_request", ORGANIZATION, shown), 1)
    for order in ([told, webhook], [webhook, told]):
        money = money_of(merged(*order)["payment"])
        assert money is not None
        assert money.invoice_ids == (UUID(INVOICE["lago_id"]),)


@pytest.mark.parametrize(
    "kind", ["invoice.failed", "invoice.regenerated", "invoice.payment_failure", "invoice.deleted"]
)
def test_logs_that_only_move_an_invoices_state(kind: str) -> None:
    shown = facets(invoice_log(INVOICE, kind), "invoice")
    assert "status" in shown
    assert "content" not in shown


def test_a_payment_failures_webhook_shows_no_invoice_and_is_ignored() -> None:
    error = {"lago_invoice_id": INVOICE["lago_id"], "provider_error": {"message": "no funds"}}
    message = envelope(
        "invoice.payment_failure", "payment_provider_invoice_payment_error", ORGANIZATION, error
    )
    assert decode(encode(message), appended=1, digest="d") == Ignored("invoice.payment_failure")


@pytest.mark.parametrize("shown", [None, {}, {"foo": "bar"}, "text"])
@pytest.mark.parametrize("kind", ["billable_metric.created", "wallet.updated", "email.sent"])
def test_most_logs_say_nothing_to_us_whatever_they_show(kind: str, shown: Any) -> None:
    assert decode(encode(log(kind, shown)), appended=1, digest="d") == Ignored(kind)


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"activity_object": None}, "missing_object", "The field activity_object is not an object"),
        ({"activity_object": {}}, "missing_field", "activity_object.lago_id: Field required"),
        ({"organization_id": "acme"}, "wrong_type", "organization_id: "),
        ({"activity_type": ""}, "wrong_type", "activity_type: "),
        ({"activity_object": {"number": "a\x00b"}}, "nul_character", "activity_object.number: "),
    ],
)
def test_a_malformed_log_is_told_where(change: dict[str, Any], code: str, sentence: str) -> None:
    with pytest.raises(Undecodable) as refused:
        event({**invoice_log(INVOICE), **change})
    assert refused.value.code == code
    assert refused.value.sentence.startswith(sentence)
    assert "acme" not in refused.value.sentence


def _told(format: str, kind: str, invoice: dict[str, Any], n: int) -> Event:
    if format == "log":
        return event(invoice_log(invoice, kind), n)
    shown = {**invoice, "customer": nested(invoice["customer"])}
    return event(invoice_event(shown, ORGANIZATION, kind), n)


LIVES = st.lists(
    st.tuples(st.sampled_from(("webhook", "log")), st.sampled_from(KINDS), st.integers(0, 3)),
    min_size=1,
    max_size=6,
)


def _life(
    invoice: dict[str, Any], life: list[tuple[str, str, int]], only: str | None = None
) -> list[Event]:
    """What is told in its course; each message shows another number, name and paid amount."""
    told = []
    for n, (format, kind, at) in enumerate(life):
        stamp = {"updated_at": f"2026-05-01T12:00:{at:02}Z"}
        customer = {**invoice["customer"], "name": f"Name {n}", **stamp}
        shown = {**invoice, **stamp, "number": f"N-{n}", "total_paid_amount_cents": n}
        told.append(_told(only or format, kind, {**shown, "customer": customer}, n))
    return told


@given(invoices(), LIVES, st.randoms(use_true_random=False))
def test_any_order_and_mixture_of_both_formats_gives_the_same_objects(
    invoice: dict[str, Any], life: list[tuple[str, str, int]], random: Any
) -> None:
    told = _life(invoice, life)
    shuffled = [*told, *told[:2]]
    random.shuffle(shuffled)
    assert merged(*told) == merged(*shuffled)


@given(invoices(most_fees=4), LIVES)
def test_a_life_is_the_same_in_either_format_and_in_a_mixture(
    invoice: dict[str, Any], life: list[tuple[str, str, int]]
) -> None:
    mixed, webhooks, logs = (merged(*_life(invoice, life, o)) for o in (None, "webhook", "log"))
    for one in (webhooks, logs):
        for kind, facet in (
            ("customer", "content"), ("invoice", "status"), ("invoice", "payment"),
            ("invoice", "paid"), ("invoice", "due"), ("invoice", "content"),
        ):  # fmt: skip
            assert one[kind].value(facet) == mixed[kind].value(facet), (kind, facet)
    facts = [invoice_of(one["invoice"]) for one in (mixed, webhooks, logs)]
    if any(kind in ("invoice.created", "invoice.voided", "invoice.drafted") for _, kind, _ in life):
        assert len({fingerprint(one) for one in facts if one is not None}) == 1


def test_a_one_off_invoice_has_one_fingerprint_in_both_formats() -> None:
    """Its webhook shows no list of credits, its log an empty one: no drift."""
    one_off = generate_invoice(CHOICES, invoice_type="one_off")
    kind = "invoice.one_off_created"
    by_webhook = invoice_of(merged(event(invoice_event(one_off, ORGANIZATION, kind)))["invoice"])
    by_log = invoice_of(merged(event(invoice_log(one_off, kind)))["invoice"])
    assert by_webhook is not None
    assert by_log is not None
    assert fingerprint(by_webhook) == fingerprint(by_log)


def test_a_stranger_with_both_types_is_a_webhook() -> None:
    customer = generate_customer(CHOICES)
    message = {**customer_event(customer, ORGANIZATION), "activity_type": "invoice.created"}
    assert event(message).type == "customer.created"
