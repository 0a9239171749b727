"""Decoding and merging what tells of money: credit notes, payments, receipts, payment requests."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.domain.chart import Chart, Organisation
from consumer.domain.errors import Undecodable
from consumer.domain.events import Event, Ignored, decode
from consumer.domain.objects import Object, credit_note_of, merge_all, money_of
from consumer.domain.payments import payment_fingerprint
from consumer.domain.translate import local_date

ORGANIZATION = str(uuid4())
CUSTOMER, INVOICE, OTHER, NOTE, PAYMENT, REQUEST = (str(uuid4()) for _ in range(6))
FEE = {
    "lago_id": str(uuid4()),
    "amount_cents": 1000,
    "taxes_amount_cents": 200,
    "taxes_rate": 20.0,
    "item": {"type": "subscription", "code": "basic", "name": "Basic"},
}
NOTE_FACTS: dict[str, Any] = {
    "lago_id": NOTE,
    "number": "ACM-001-CN001",
    "lago_invoice_id": INVOICE,
    "invoice_number": "ACM-001",
    "issuing_date": "2026-05-02",
    "credit_status": "available",
    "refund_status": None,
    "currency": "EUR",
    "total_amount_cents": 1200,
    "taxes_amount_cents": 200,
    "sub_total_excluding_taxes_amount_cents": 1000,
    "balance_amount_cents": 1200,
    "credit_amount_cents": 1200,
    "refund_amount_cents": 0,
    "offset_amount_cents": 0,
    "items": [{"lago_id": str(uuid4()), "amount_cents": 1000, "fee": FEE}],
    "customer": {"lago_id": CUSTOMER, "name": "Ann", "updated_at": "2026-05-01T00:00:00Z"},
    "updated_at": "2026-05-02T10:00:00Z",
}
PAID: dict[str, Any] = {
    "lago_id": PAYMENT,
    "lago_customer_id": CUSTOMER,
    "invoice_ids": [INVOICE],
    "lago_payable_id": INVOICE,
    "payable_type": "Invoice",
    "amount_cents": 1200,
    "amount_currency": "EUR",
    "payment_status": "succeeded",
    "type": "manual",
    "reference": "bank slip 7",
    "created_at": "2026-05-03T22:30:00Z",
}
ASKED: dict[str, Any] = {
    "lago_id": REQUEST,
    "amount_cents": 2400,
    "amount_currency": "EUR",
    "payment_status": "succeeded",
    "customer": {"lago_id": CUSTOMER, "name": "Ann"},
    "invoices": [
        {"lago_id": INVOICE, "status": "finalized", "total_due_amount_cents": 0},
        {"lago_id": OTHER, "status": "finalized", "total_due_amount_cents": 0},
    ],
    "created_at": "2026-05-03T22:00:00Z",
}


def event(webhook_type: str, object_type: str, payload: dict[str, Any], n: int = 0) -> Event:
    """As Lago posts it."""
    value = {
        "webhook_type": webhook_type,
        "object_type": object_type,
        "organization_id": ORGANIZATION,
        object_type: payload,
    }
    told = decode(json.dumps(value).encode(), appended=n, digest=f"{n}")
    assert isinstance(told, Event)
    return told


def merged(*events: Event) -> Object:
    """The events' own object."""
    made = merge_all(None, [one.contributions[-1] for one in events])
    assert made is not None
    return made


def test_a_credit_note_tells_itself_its_customer_and_its_invoice() -> None:
    told = event("credit_note.created", "credit_note", NOTE_FACTS)
    assert [c.key.kind for c in told.contributions] == ["customer", "credit_note"]
    note = merged(told)
    assert (note.invoice_ids, note.customer_id) == ((UUID(INVOICE),), UUID(CUSTOMER))
    facts = credit_note_of(note)
    assert facts is not None
    assert (facts.number, facts.credit_status, facts.total_amount_cents) == (
        "ACM-001-CN001", "available", 1200,
    )  # fmt: skip
    assert facts.items is not None
    assert facts.items[0].fee.amount_cents == 1000


MIDNIGHT = "2026-03-05T00:00:00Z"
NOT_MIDNIGHT = ("2026-03-05T00:00:01Z", "2026-03-05T00:00:00+01:00", "2026-03-05T22:30:00Z")


@pytest.mark.parametrize(
    ("zone", "at_midnight", "east_of_it"),
    [
        ("NEWZEALANDSTANDARDTIME", "2026-03-05", "2026-03-05"),
        ("EASTERNSTANDARDTIME", "2026-03-04", "2026-03-04"),  # 19:00 and 18:00 the day before
        ("UTC", "2026-03-05", "2026-03-04"),
    ],
)
def test_the_day_that_a_person_named_is_the_payments_in_every_timezone(
    zone: str, at_midnight: str, east_of_it: str
) -> None:
    """Lago's user gives the day of a manual payment, and Lago tells its midnight in UTC."""

    def dated(type: str | None, at: str) -> str:
        money = money_of(
            merged(event("payment.succeeded", "payment", {**PAID, "type": type, "created_at": at}))
        )
        assert money is not None
        assert money.paid_at is not None
        chart = Chart(organisation=Organisation(timezone=zone))
        return str(local_date(money.paid_at, chart))

    assert dated("manual", MIDNIGHT) == "2026-03-05"
    for type in ("provider", None):
        assert dated(type, MIDNIGHT) == at_midnight
    assert dated("manual", "2026-03-05T00:00:00+01:00") == east_of_it
    for at in NOT_MIDNIGHT:
        assert dated("manual", at) == dated("provider", at)


def test_what_dates_a_payment_is_in_its_fingerprint() -> None:
    prints = {
        payment_fingerprint(money, 1200)
        for type in ("manual", "provider")
        if (money := money_of(merged(event("payment.succeeded", "payment",
                                           {**PAID, "type": type, "created_at": MIDNIGHT}))))
    }  # fmt: skip
    assert len(prints) == 2


def test_a_poor_credit_note_defines_nothing() -> None:
    poor = {k: v for k, v in NOTE_FACTS.items() if k != "items"}
    assert credit_note_of(merged(event("credit_note.generated", "credit_note", poor))) is None


@pytest.mark.parametrize("name", ["refund_failure", "provider_refund_failure"])
def test_a_refund_that_failed_stays_failed_in_any_order(name: str) -> None:
    refunded = {**NOTE_FACTS, "refund_status": "succeeded", "refund_amount_cents": 1200}
    told = [
        event("credit_note.created", "credit_note", refunded, 1),
        event(
            f"credit_note.{name}",
            "credit_note_payment_provider_refund_error",
            {"lago_credit_note_id": NOTE, "lago_customer_id": CUSTOMER},
            2,
        ),
    ]
    for order in itertools.permutations(told):
        facts = credit_note_of(merged(*order))
        assert facts is not None
        assert facts.refund_status == "failed"


def test_a_payment_by_webhook_and_by_receipt_is_one() -> None:
    first = event("payment.succeeded", "payment", PAID, 1)
    receipt = event(
        "payment_receipt.created", "payment_receipt", {"lago_id": str(uuid4()), "payment": PAID}, 2
    )
    assert first.key == receipt.key
    money = money_of(merged(first, receipt))
    assert money is not None
    assert (money.amount_cents, money.status, money.reference) == (1200, "succeeded", "bank slip 7")
    assert money.invoice_ids == (UUID(INVOICE),)


def test_a_payment_requests_payment_is_known_by_the_request() -> None:
    asked = event("payment_request.payment_status_updated", "payment_request", ASKED, 3)
    assert [c.key.kind for c in asked.contributions] == [
        "customer",
        "invoice",
        "invoice",
        "payment",
    ]
    exact = {
        **PAID,
        "payable_type": "PaymentRequest",
        "lago_payable_id": REQUEST,
        "amount_cents": 2400,
        "invoice_ids": [INVOICE, OTHER],
    }
    receipt = event("payment_receipt.created", "payment_receipt", {"payment": exact}, 2)
    assert asked.key == receipt.key == ("payment", UUID(REQUEST))
    for order in itertools.permutations([asked, receipt]):
        made = merged(*order)
        assert made.invoice_ids == tuple(sorted((UUID(INVOICE), UUID(OTHER))))
        money = money_of(made)
        assert money is not None
        assert money.reference == "bank slip 7", "the payment tells more exactly"


@pytest.mark.parametrize(
    ("life", "last"),
    [
        (("pending", "succeeded", "failed"), "failed"),
        (("pending", "failed", "succeeded"), "succeeded"),  # by the link that Lago sends then
        (("succeeded", "processing"), "succeeded"),
        (("succeeded", "refunded", "succeeded"), "refunded"),
        (("failed", "unheard_of"), "failed"),
    ],
)
def test_of_success_and_failure_the_one_told_last_holds(life: tuple[str, ...], last: str) -> None:
    told = [
        event("payment_request.payment_status_updated", "payment_request",
              {**ASKED, "payment_status": status}, n)
        for n, status in enumerate(life)
    ]  # fmt: skip
    for order in itertools.permutations(told):
        money = money_of(merged(*order))
        assert money is not None
        assert money.status == last


def test_a_payment_without_a_status_has_come() -> None:
    """Lago tells of no other by this type."""
    money = money_of(
        merged(event("payment.succeeded", "payment", {**PAID, "payment_status": None}))
    )
    assert money is not None
    assert money.status == "succeeded"


def test_a_payment_that_waits_for_the_customer_tells_its_status_only() -> None:
    shown = {k: PAID[k] for k in ("lago_id", "lago_payable_id", "payable_type", "lago_customer_id")}
    told = event("payment.requires_action", "payment", {**shown, "status": "requires_action"}, 9)
    assert told.key == ("payment", UUID(PAYMENT))
    assert money_of(merged(told)) is None
    money = money_of(merged(told, event("payment.succeeded", "payment", PAID, 1)))
    assert money is not None
    assert money.status == "succeeded"


def test_a_payment_that_waits_without_its_id_says_nothing() -> None:
    """So Lago shows it: only what is to be paid is named, and that may be an invoice."""
    shown = {"lago_payable_id": INVOICE, "lago_customer_id": CUSTOMER, "status": "requires_action"}
    value = {
        "webhook_type": "payment.requires_action",
        "object_type": "payment",
        "organization_id": ORGANIZATION,
        "payment": shown,
    }
    decoded = decode(json.dumps(value).encode(), appended=1, digest="d")
    assert decoded == Ignored("payment.requires_action")


def test_an_instant_without_a_zone_is_utc() -> None:
    money = money_of(
        merged(event("payment.succeeded", "payment", {**PAID, "created_at": "2026-05-03 22:30:00"}))
    )
    assert money is not None
    assert money.created_at == datetime(2026, 5, 3, 22, 30, tzinfo=UTC)


def asked(due: list[int | None], paid: list[int | None], amount: int = 2400) -> dict[str, Any]:
    """A request over invoices that show these figures."""
    return {
        **ASKED,
        "amount_cents": amount,
        "invoices": [
            {"lago_id": id, "total_due_amount_cents": d, "total_paid_amount_cents": p}
            for id, d, p in zip((INVOICE, OTHER), due, paid, strict=False)
        ],
    }


@pytest.mark.parametrize(
    ("request_shown", "shares"),
    [
        (asked([1000, 1400], [0, 0]), (1000, 1400)),
        (asked([1000, 1400], [200, 0]), (1000, 1400)),  # before; some was paid earlier
        (asked([0, 0], [1000, 1400]), (1000, 1400)),  # after; nothing else ever paid
        (asked([0, 0], [1200, 1400]), None),  # after; which of it came earlier?
        (asked([1000, 0], [0, 1400]), None),  # written for one invoice, not yet for the other
        (asked([700, 0], [1700, 700]), None),  # paid sums by chance
        (asked([1000, None], [0, 0]), None),
        (asked([0, 0], [None, None]), None),
        (asked([1000], [0]), (2400,)),  # all of it is the only one's
        (asked([], []), None),
    ],
)
def test_shares_are_known_where_a_request_proves_them(
    request_shown: dict[str, Any], shares: tuple[int, ...] | None
) -> None:
    told = event("payment_request.payment_status_updated", "payment_request", request_shown)
    money = money_of(merged(told))
    assert money is not None
    known = (
        None if shares is None else dict(zip((UUID(INVOICE), UUID(OTHER)), shares, strict=False))
    )
    assert money.shares == known


def test_a_receipt_keeps_the_shares_that_its_request_proved() -> None:
    created = event("payment_request.created", "payment_request", asked([1000, 1400], [0, 0]), 1)
    exact = {**PAID, "payable_type": "PaymentRequest", "lago_payable_id": REQUEST,
             "invoice_ids": [INVOICE, OTHER], "amount_cents": 2400}  # fmt: skip
    for order in itertools.permutations(
        [created, event("payment_receipt.created", "payment_receipt", {"payment": exact}, 2)]
    ):
        money = money_of(merged(*order))
        assert money is not None
        assert money.shares == {UUID(INVOICE): 1000, UUID(OTHER): 1400}
    for change in ({"amount_cents": 2300}, {"invoice_ids": [INVOICE, NOTE]}):
        other = {"payment": {**exact, **change}}
        money = money_of(
            merged(created, event("payment_receipt.created", "payment_receipt", other))
        )
        assert money is not None
        assert money.shares is None, "they do not make up what was paid"


def test_a_payment_of_one_invoice_is_all_its_own() -> None:
    money = money_of(merged(event("payment.succeeded", "payment", PAID)))
    assert money is not None
    assert money.shares == {UUID(INVOICE): 1200}


def test_a_requests_invoices_are_poor_messages() -> None:
    told = event("payment_request.created", "payment_request", asked([1000, 1400], [0, 0]))
    invoices = [c for c in told.contributions if c.key.kind == "invoice"]
    assert [set(c.facets) for c in invoices] == [{"due", "paid"}] * 2
    assert told.contributions[-1].customer_id == UUID(CUSTOMER)


TELLERS = (
    ("credit_note.created", "credit_note", NOTE_FACTS),
    ("credit_note.created", "credit_note", {**NOTE_FACTS, "credit_status": "consumed",
                                            "refund_status": "succeeded"}),
    ("credit_note.generated", "credit_note", {**NOTE_FACTS, "items": None,
                                              "credit_status": "voided",
                                              "balance_amount_cents": 0,
                                              "updated_at": "2026-05-02T11:00:00Z"}),
    ("credit_note.refund_failure", "error", {"lago_credit_note_id": NOTE}),
    ("payment.succeeded", "payment", PAID),
    ("payment_receipt.created", "payment_receipt", {"payment": {**PAID, "reference": "other"}}),
    ("payment_request.created", "payment_request", asked([1000, 1400], [0, 0])),
    ("payment_request.payment_status_updated", "payment_request", {**ASKED, "invoices": None}),
    ("payment_request.payment_status_updated", "payment_request", ASKED | {
        "payment_status": "failed"}),
)  # fmt: skip


@given(st.permutations(range(len(TELLERS))), st.lists(st.sampled_from(range(len(TELLERS)))))
def test_credit_notes_and_payments_are_the_same_in_any_order(
    order: list[int], repeats: list[int]
) -> None:
    told = [event(*teller, n) for n, teller in enumerate(TELLERS)]
    for key in {one.key for one in told}:
        in_order, shuffled = (
            merge_all(None, [c for one in some for c in one.contributions if c.key == key])
            for some in (told, [told[n] for n in [*order, *repeats]])
        )
        assert in_order == shuffled
    note = merged(*told[:4])
    facts = credit_note_of(note)
    assert facts is not None
    assert (facts.credit_status, facts.refund_status) == ("voided", "failed")
    assert facts.balance_amount_cents == 0


def test_a_payment_without_its_amount_names_the_field() -> None:
    wrong = {k: v for k, v in PAID.items() if k != "amount_cents"}
    with pytest.raises(Undecodable) as refused:
        event("payment.succeeded", "payment", wrong)
    assert "payment.amount_cents" in refused.value.sentence
