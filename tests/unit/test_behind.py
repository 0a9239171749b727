"""The ledger behind Lago, pure: what a list shows of an object, and what the ledger lacks of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.contributions import Telling, of_credit_note, of_invoice, of_payment
from consumer.domain.objects import Contribution, Facet, Object, Stamp, merge
from consumer.domain.reconciling import Held, Listed, ListedKind, behind, in_residuals, listed
from consumer.domain.residuals import Residuals, with_residuals
from schemas import lago

Json = dict[str, Any]
AT = datetime(2026, 11, 1, tzinfo=UTC)
CUSTOMER = {"lago_id": str(uuid4()), "external_id": "c-1"}
INVOICE: Json = {
    "lago_id": str(uuid4()), "number": "INV-1", "status": "finalized", "currency": "EUR",
    "issuing_date": "2026-05-04", "fees_amount_cents": 0, "fees": [], "taxes_amount_cents": 200,
    "total_amount_cents": 1200, "total_paid_amount_cents": 0, "updated_at": "2026-05-04T10:00:00Z",
    "customer": CUSTOMER,
}  # fmt: skip
NOTE: Json = {
    "lago_id": str(uuid4()), "number": "INV-1-CN1", "lago_invoice_id": INVOICE["lago_id"],
    "issuing_date": "2026-05-05", "currency": "JPY", "credit_status": "available",
    "refund_status": "pending", "total_amount_cents": 500, "taxes_amount_cents": 50, "items": [],
    "updated_at": "2026-05-05T10:00:00Z",
}  # fmt: skip
PAYMENT: Json = {
    "lago_id": str(uuid4()), "invoice_ids": [INVOICE["lago_id"]], "amount_cents": 700,
    "amount_currency": "EUR", "payment_status": "succeeded", "payable_type": "Invoice",
    "lago_payable_id": INVOICE["lago_id"], "created_at": "2026-05-06T23:30:00-02:00",
}  # fmt: skip
SHOWN: dict[ListedKind, Json] = {"invoice": INVOICE, "credit_note": NOTE, "payment": PAYMENT}
TELLING = Telling(uuid4(), 1, "d")


def _told(kind: ListedKind, thing: Json) -> Contribution:
    match kind:
        case "invoice":
            read = lago.Invoice.model_validate(thing)
            return of_invoice(TELLING, read, status=read.status, defining=True)
        case "credit_note":
            return of_credit_note(TELLING, lago.CreditNote.model_validate(thing))
        case "payment":
            return of_payment(TELLING, lago.Payment.model_validate(thing))


def _held(kind: ListedKind, **facts: Any) -> Held:
    return Held(merge(None, _told(kind, {**SHOWN[kind], **facts})), 7)


def _listed(kind: ListedKind, **facts: Any) -> Listed:
    return listed(kind, {**SHOWN[kind], **facts})


def _differ(
    kind: ListedKind, known: Json, now: Json, *payments: Object
) -> list[tuple[str, str, str]]:
    found = behind(_listed(kind, **now), _held(kind, **known), AT, payments)
    if found is None:
        return []
    assert (found.name, found.document_id, found.action) == ("ledger_behind", 7, "take_in")
    return [(one.field, one.ours, one.theirs) for one in found.differences]


@pytest.mark.parametrize("kind", SHOWN)
def test_what_was_told_of_as_lago_shows_it_is_no_exception(kind: ListedKind) -> None:
    assert _differ(kind, {}, {}) == []


@pytest.mark.parametrize("kind", SHOWN)
def test_what_nobody_told_of_is_missing(kind: ListedKind) -> None:
    key = merge(None, _told(kind, SHOWN[kind])).key
    for held in (None, Held(Object(key, uuid4()))):
        found = behind(_listed(kind), held, AT)
        assert found is not None
        assert (found.name, found.kind, found.safety) == ("missing_in_ledger", kind, "automatic")
        assert found.key == ("missing_in_ledger", None, key.lago_id)
    poor = Object(key, uuid4(), {"status": Facet(Stamp(2), "finalized")})
    found = behind(_listed(kind), Held(poor, 3), AT)
    assert found is not None
    assert (found.name, found.document_id) == ("missing_in_ledger", 3)


@pytest.mark.parametrize(
    ("kind", "known", "now", "differences"),
    [
        ("invoice", {}, {"status": "voided"}, [("status", "finalized", "voided")]),
        ("invoice", {"status": "draft"}, {}, [("status", "draft", "finalized")]),
        ("invoice", {}, {"total_amount_cents": 1300}, [("total", "12.00", "13.00")]),
        ("invoice", {}, {"taxes_amount_cents": 0}, [("tax", "2.00", "0.00")]),
        ("invoice", {}, {"issuing_date": "2026-05-09"}, [("date", "2026-05-04", "2026-05-09")]),
        ("invoice", {}, {"currency": "KWD"}, [("currency", "EUR", "KWD")]),
        ("invoice", {}, {"total_paid_amount_cents": 5}, [("paid", "0.00", "0.05")]),
        ("invoice", {}, {"payment_status": "failed"}, []),
        ("credit_note", {}, {"credit_status": "consumed"}, []),
        ("credit_note", {}, {"credit_status": "voided"}, [("credit", "available", "voided")]),
        ("credit_note", {}, {"refund_status": "succeeded"}, []),
        ("credit_note", {}, {"refund_status": "failed"}, [("refund", "pending", "failed")]),
        ("credit_note", {}, {"total_amount_cents": 501}, [("total", "500.00", "501.00")]),
        ("payment", {}, {"payment_status": "failed"}, [("status", "succeeded", "failed")]),
        ("payment", {"payment_status": "failed"}, {}, [("status", "failed", "succeeded")]),
        ("payment", {"payment_status": "failed"}, {"payment_status": "pending"}, []),
        ("payment", {"payment_status": "refunded"}, {}, []),
        ("payment", {}, {"amount_cents": 701}, [("total", "7.00", "7.01")]),
    ],
)  # fmt: skip
def test_what_lago_shows_otherwise(
    kind: ListedKind, known: Json, now: Json, differences: list[tuple[str, str, str]]
) -> None:
    assert _differ(kind, known, now) == differences


def test_amounts_of_a_currency_that_nobody_knows_are_lagos() -> None:
    strange = {"currency": "XXX"}
    now = {**strange, "total_amount_cents": 1300}
    assert _differ("invoice", strange, now) == [("total", "1200", "1300")]


def test_what_was_paid_may_be_made_up_of_payments_and_of_what_was_posted_for_want_of_them() -> None:
    """A partial payment by hand changes the invoice without a message."""
    paid = {"total_paid_amount_cents": 700}
    known = merge(None, _told("payment", PAYMENT))
    assert _differ("invoice", {}, paid, known) == []
    assert _differ("invoice", paid, {**paid}, known) == []
    both = {"total_paid_amount_cents": 1000}
    assert _differ("invoice", {}, both, known) == [("paid", "7.00", "10.00")]
    held = _held("invoice")
    residual = with_residuals(held.object, Residuals(((300, AT),)))
    assert behind(_listed("invoice", **both), Held(residual), AT, [known]) is None
    failed = merge(None, _told("payment", {**PAYMENT, "payment_status": "failed"}))
    assert _differ("invoice", {}, paid, failed) == [("paid", "0.00", "7.00")]


def test_what_was_paid_is_not_judged_where_a_payments_split_is_unknown() -> None:
    many = {**PAYMENT, "invoice_ids": [INVOICE["lago_id"], str(uuid4())]}
    unsplit = merge(None, _told("payment", many))
    assert _differ("invoice", {}, {"total_paid_amount_cents": 5}, unsplit) == []


def test_money_that_never_came_is_not_missing() -> None:
    for status in ("failed", "pending"):
        assert behind(_listed("payment", payment_status=status), None, AT) is None


def test_what_changed_lately_may_be_on_its_way() -> None:
    lately = {-3600: "missing_in_ledger", -60: "in_flight", 60: "in_flight"}
    for seconds, name in {**lately, 86_400: "missing_in_ledger"}.items():
        at = (AT + timedelta(seconds=seconds)).isoformat()
        found = behind(_listed("invoice", updated_at=at), None, AT)
        assert found is not None
        assert (found.name, found.action is None) == (name, name == "in_flight")


@pytest.mark.parametrize(
    ("kind", "known"),
    [("invoice", {"status": "voided"}), ("credit_note", {"credit_status": "voided"})],
)
def test_a_list_that_is_older_than_the_ledgers_newest_message_says_nothing(
    kind: ListedKind, known: Json
) -> None:
    later = {**known, "updated_at": "2026-05-06T10:00:01Z"}
    assert _differ(kind, later, {"updated_at": "2026-05-06T10:00:00Z"}) == []
    assert len(_differ(kind, later, {"updated_at": "2026-05-06T10:00:01Z"})) == 1
    undated = {"updated_at": None, "created_at": "2026-05-04T10:00:00Z"}
    assert len(_differ(kind, later, undated)) == 1, "that it is older is not said"


@pytest.mark.parametrize(("seconds", "found"), [(-1, 1), (0, 0), (5, 0), (3600, 1)])
def test_a_message_that_came_after_lago_was_asked_is_newer_than_the_answer(
    seconds: int, found: int
) -> None:
    """A clock that is far ahead hides nothing."""
    telling = Telling(uuid4(), int((AT.timestamp() + seconds) * 1000), "d")
    failed = lago.Payment.model_validate({**PAYMENT, "payment_status": "failed"})
    held = Held(merge(merge(None, _told("payment", PAYMENT)), of_payment(telling, failed)), 7)
    assert len([one for one in [behind(_listed("payment"), held, AT)] if one]) == found


def test_what_is_none_of_the_ledgers_business_does_not_count() -> None:
    for status in ("draft", "failed", "pending"):
        assert not _listed("invoice", status=status).counts
    assert not _listed("invoice", self_billed=True).counts
    assert not _listed("credit_note", self_billed=True).counts
    asked = {"payable_type": "PaymentRequest", "lago_payable_id": str(uuid4())}
    attempt = _listed("payment", **asked, payment_status="failed")
    assert not attempt.counts, "another attempt may have paid the request"
    assert attempt.lago_id == UUID(asked["lago_payable_id"]), "by which the ledger knows it"
    assert _listed("payment", **asked).counts


def test_a_payment_is_dated_in_utc() -> None:
    assert _listed("payment").dated == date(2026, 5, 7)


def test_what_is_no_object_of_lagos_is_refused() -> None:
    with pytest.raises(ValueError):
        listed("invoice", {"lago_id": "x"})


def test_what_residuals_leave_for_a_payment_that_nobody_told_of() -> None:
    held = _held("invoice").object
    given = {uuid4(): 100}
    known = with_residuals(held, Residuals(((300, AT), (50, AT)), given, pending=40))
    assert in_residuals(known, posts=False) == 250
    assert in_residuals(known, posts=True) == 290
    later = AT + timedelta(seconds=1)
    assert in_residuals(known, posts=True, made_at=AT) == 290
    assert in_residuals(known, posts=True, made_at=later) == 40, "it was posted before"
    assert in_residuals(held, posts=True) == 0
