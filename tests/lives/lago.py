"""A small Lago: what happens to one customer in; its messages, and what he owes by Lago, out.

It keeps the balance as Lago does: an invoice owes its total less what was paid and offset, a credit
note has what is neither offset, refunded nor consumed. Everything else is told by messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from consumer.sandbox.lago import (
    ACTIVITIES,
    BillingEntity,
    Choices,
    Record,
    activity_log,
    consuming,
    credit_note_event,
    customer,
    customer_event,
    envelope,
    generate_invoice,
    invoice_event,
    log_record,
    nested,
    payment,
    payment_event,
    payment_request,
    payment_request_event,
    receipt_event,
    record,
    refund_failure_event,
)
from consumer.sandbox.lago.catalogue import GST_15, VAT_0, VAT_5, VAT_20, Regime
from tests.unit.translate.notes import credit_note as figures
from tests.unit.translate.notes import item as credited_item
from tests.unit.translate.notes import note_tax, share, whole

Json = dict[str, Any]

ORGANIZATION = "1a901a90-1a90-4a90-9a90-1a901a901a90"
SELLER = BillingEntity("acme", "ACM", "NZ", "Pacific/Auckland", ("EUR",), (), "acme")
REGIMES: tuple[Regime, ...] = (
    ((VAT_20,),),
    ((),),
    ((VAT_20,), (VAT_5,)),
    ((GST_15,), ()),
    ((VAT_0,),),
)
"""In each, a fee's rate alone tells its taxes; all are mapped."""
START = datetime(2026, 5, 4, 8, tzinfo=UTC)


@dataclass
class Bill:
    """An invoice; ``said`` is how Lago serializes it now."""

    name: str
    said: Json
    consumed: list[tuple[Note, int]] = field(default_factory=list)
    credited: dict[str, int] = field(default_factory=dict)
    """By fee, what credit notes gave back."""
    refunded: int = 0
    shown: tuple[int, int] = (0, 0)
    """What the last message said was paid and offset."""

    @property
    def voided(self) -> bool:
        return bool(self.said["status"] == "voided")

    @property
    def paid(self) -> int:
        return int(self.said["total_paid_amount_cents"])

    @property
    def offset(self) -> int:
        return int(self.said["total_offsetted_credit_note_amount_cents"])

    @property
    def open(self) -> int:
        """What it would owe if it were not voided; less than nothing where too much was paid."""
        return int(self.said["total_amount_cents"]) - self.paid - self.offset

    def settle(self, at: str, *, paid: int = 0, offset: int = 0) -> None:
        """Money came or was taken back; a credit note settled some of it."""
        due = self.open - paid - offset
        after = {
            "total_paid_amount_cents": self.paid + paid,
            "total_offsetted_credit_note_amount_cents": self.offset + offset,
            "total_due_amount_cents": due,
            "updated_at": at,
        }
        status = "succeeded" if due <= 0 else "pending"
        self.said = {**self.said, **after, "payment_status": status}


@dataclass
class Note:
    """A credit note; ``said`` as Lago serializes it now. Amounts in subunits."""

    name: str
    said: Json
    bill: Bill

    @property
    def balance(self) -> int:
        return int(self.said["balance_amount_cents"])

    @property
    def voided(self) -> bool:
        return bool(self.said["credit_status"] == "voided")


@dataclass
class Paid:
    """Money on bills; ``request`` is the payment request that brought it, if one did."""

    name: str
    said: Json
    shares: list[tuple[Bill, int]]
    request: Json | None = None
    stands: bool = True


@dataclass(frozen=True)
class Message:
    """A record, when it was appended (ms) and what it is, for people."""

    record: Record
    at: int
    text: str


@dataclass(frozen=True)
class Wires:
    """Which of Lago's messages reach us."""

    webhooks: bool = True
    logs: bool = False
    receipts: bool = False


class Life:
    """One customer. Each act of his tells what Lago would; ``end`` tells the rest."""

    def __init__(self, choices: Choices, currency: str, wires: Wires) -> None:
        self.choices = choices
        self.currency = currency
        self.wires = wires
        self.now = START
        self.bills: list[Bill] = []
        self.notes: list[Note] = []
        self.payments: list[Paid] = []
        self.messages: list[Message] = []
        self.story: list[str] = []
        self._late: list[Callable[[], None]] = []
        self.customer = customer(
            lago_id=choices.uuid(),
            external_id="cust_1",
            entity=SELLER,
            at=self.stamp,
            currency=currency,
        )
        self._tell("customer.created", lambda: self.customer, customer_event)

    @property
    def stamp(self) -> str:
        """Now, as Lago writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def pass_time(self, seconds: int) -> None:
        """Lago's stamps are whole seconds: several acts may share one."""
        self.now += timedelta(seconds=seconds)

    # ── Acts ──────────────────────────────────────────────────────────────────────────────────────

    def bill(
        self,
        kind: str,
        regime: Regime,
        *,
        discounts: bool = False,
        prepaid: bool = False,
        consume: Sequence[tuple[Note, int]] = (),
        draft: bool = False,
    ) -> Bill:
        """An invoice is issued; notes are consumed by subscriptions only, up to its total."""
        number = f"{self.customer['slug']}-{len(self.bills) + 1:03}"
        said = self._made(
            kind, regime, number, most_fees=3, discounts=discounts, deductions=prepaid
        )
        said = {**said, "created_at": self.stamp, "updated_at": self.stamp}
        bill = Bill(f"invoice {len(self.bills) + 1}", said)
        for note, cents in consume:
            part = min(cents, note.balance, said["total_amount_cents"] - _taken(bill))
            if part > 0:
                bill.consumed.append((note, part))
                note.said = self._consumed(note, part)
        if bill.consumed:
            pairs = [(note.said, cents) for note, cents in bill.consumed]
            bill.said = consuming(self.choices, said, pairs)
        if draft:
            self._draft(bill, kind, regime)
        bill.settle(self.stamp)
        self.bills.append(bill)
        uses = "".join(f", {cents} of {note.name}" for note, cents in bill.consumed)
        self.story.append(f"{bill.name}: {kind} of {said['total_amount_cents']}{uses}")
        self.say(bill, _ANNOUNCED.get(kind, "invoice.created"))
        return bill

    def _made(
        self,
        kind: str,
        regime: Regime,
        number: str,
        *,
        most_fees: int,
        discounts: bool,
        deductions: bool,
    ) -> Json:
        """As Lago makes it, before anything was consumed or paid."""
        return generate_invoice(
            self.choices,
            customer=self.customer,
            currency=self.currency,
            invoice_type=kind,
            regime=regime,
            most_fees=most_fees,
            discounts=discounts,
            deductions=deductions,
            notes=False,
            payments=False,
            number=number,
        )

    def _draft(self, bill: Bill, kind: str, regime: Regime) -> None:
        """What Lago shows of it before it is final: usage still comes, every draft has this number."""
        usage = self._made(
            kind, regime, "ACM-DRAFT", most_fees=2, discounts=False, deductions=False
        )
        facts = {"lago_id": bill.said["lago_id"], "status": "draft", "updated_at": self.stamp}
        last = {**bill.said, **facts, "number": "ACM-DRAFT"}
        self._tell("invoice.drafted", lambda: {**usage, **facts}, invoice_event)
        self._tell("invoice.drafted", lambda: last, invoice_event)

    def _consumed(self, note: Note, cents: int) -> Json:
        left = note.balance - cents
        status = "available" if left else "consumed"
        return {
            **note.said,
            "balance_amount_cents": left,
            "credit_status": status,
            "updated_at": self.stamp,
        }

    def pay(self, bill: Bill, cents: int, kind: str, *, silent: bool = False) -> None:
        """By a provider, or recorded by hand; ``silent``: no message of the payment's own."""
        name = f"payment {len(self.payments) + 1}"
        self.story.append(f"{name}: {cents} on {bill.name}, {kind}{', silent' * silent}")
        said = payment(
            self.choices, [bill.said], amount_cents=cents, at=self.stamp, type=kind, reference=None
        )
        bill.settle(self.stamp, paid=cents)
        self.payments.append(Paid(name, said, [(bill, cents)]))
        if not silent:
            self._tell(
                "payment.succeeded" if kind == "provider" else "payment.recorded",
                lambda: said,
                payment_event,
            )
            self._receipt(said)
        if bill.open <= 0:
            self.say(bill, "invoice.payment_status_updated")

    def request(self, bills: Sequence[Bill], *, written: bool = False) -> None:
        """A payment request over all that these bills owe is paid; ``written``: Lago had written
        what was paid into the invoices when it made the message."""
        name = f"payment {len(self.payments) + 1}"
        shares = [(bill, bill.open) for bill in bills]
        told = ", ".join(f"{cents} on {bill.name}" for bill, cents in shares)
        self.story.append(f"{name}: {told} by request{', written' * written}")
        request = payment_request(self.choices, [bill.said for bill in bills])
        said = payment(
            self.choices,
            [bill.said for bill in bills],
            at=self.stamp,
            lago_payable_id=request["lago_id"],
            payable_type="PaymentRequest",
        )
        for bill, cents in shares:
            bill.settle(self.stamp, paid=cents)
        if written:
            after = payment_request(self.choices, [bill.said for bill in bills])
            request = {**request, "invoices": after["invoices"]}
        self.payments.append(Paid(name, said, shares, request))
        kind = "payment_request.payment_status_updated"
        self._tell(kind, lambda: request, payment_request_event, at_once=True)
        self._receipt(said)
        for bill in bills:
            self.say(bill, "invoice.payment_status_updated")

    def bounce(self, paid: Paid) -> None:
        """The money of a payment request goes back; webhooks alone tell of it."""
        assert paid.request is not None
        self.story.append(f"{paid.name} bounces")
        paid.stands = False
        for bill, cents in paid.shares:
            bill.settle(self.stamp, paid=-cents)
        shown = payment_request(self.choices, [bill.said for bill, _ in paid.shares])["invoices"]
        failed = {**paid.request, "payment_status": "failed", "invoices": shown}
        kind = "payment_request.payment_status_updated"
        self._tell(kind, lambda: failed, payment_request_event, at_once=True)
        for bill, _ in paid.shares:
            self.say(bill, "invoice.payment_status_updated")

    def credit(
        self, bill: Bill, parts: dict[str, int], split: Callable[[int, int], tuple[int, int]]
    ) -> Note | None:
        """Amounts of fees are given back; ``split`` says how much of the total is offset and how
        much refunded, given the most of each. None where Lago would refuse it."""
        fees = {fee["lago_id"]: fee for fee in bill.said["fees"]}
        items = [
            {**credited_item(fees[id], cents), "lago_id": self.choices.uuid()}
            for id, cents in parts.items()
        ]
        note = figures(*items, currency=self.currency)
        total, tax = note["total_amount_cents"], note["taxes_amount_cents"]
        taxed = any(one["fee"]["taxes_rate"] and one["amount_cents"] for one in items)
        if not 0 <= tax <= total or not total or (tax and not taxed):
            return None
        owed = 0 if bill.voided else max(0, bill.open)
        offset, refund = split(min(owed, total), min(bill.paid - bill.refunded, total))
        refund = min(refund, total - offset)
        note |= {
            "lago_id": self.choices.uuid(),
            "number": f"{bill.said['number']}-CN{len(self.notes) + 1:03}",
            "lago_invoice_id": bill.said["lago_id"],
            "invoice_number": bill.said["number"],
            "issuing_date": self.stamp[:10],
            "applied_taxes": _applied(items, bill.said["applied_taxes"]),
            "customer": bill.said["customer"],
            "updated_at": self.stamp,
            "created_at": self.stamp,
            "self_billed": False,
            **_parts(total, offset, refund),
        }
        made = Note(f"note {len(self.notes) + 1}", note, bill)
        self.notes.append(made)
        bill.refunded += refund
        for id, cents in parts.items():
            bill.credited[id] = bill.credited.get(id, 0) + cents
        if offset:
            bill.settle(self.stamp, offset=offset)
        self.story.append(
            f"{made.name}: {total} of {bill.name}, offset {offset}, refund {refund}, "
            f"credit {made.balance}"
        )
        self._tell("credit_note.created", lambda: made.said, credit_note_event)
        if offset and not bill.open:
            self.say(bill, "invoice.payment_status_updated")
        return made

    def refund_fails(self, note: Note) -> None:
        """The provider could not pay it."""
        self.story.append(f"the refund of {note.name} fails")
        note.said = {**note.said, "refund_status": "failed", "updated_at": self.stamp}
        self._tell("credit_note.refund_failure", lambda: note.said, refund_failure_event)

    def void(self, bill: Bill) -> None:
        """Lago gives back neither money nor consumed credit."""
        self.story.append(f"{bill.name} is voided")
        stamps = {"voided_at": self.stamp, "updated_at": self.stamp}
        bill.said = {**bill.said, "status": "voided", **stamps}
        self.say(bill, "invoice.voided")

    def edit(self) -> None:
        """The customer gets another telephone number."""
        self.story.append("the customer is edited")
        changes = {"phone": f"+64 9 555 {len(self.story):04}", "updated_at": self.stamp}
        self.customer = {**self.customer, **changes}
        self._tell("customer.updated", lambda: self.customer, customer_event)

    def say(self, bill: Bill, kind: str) -> None:
        """A message about an invoice."""

        def now() -> Json:
            bill.shown = bill.paid, bill.offset
            return {**bill.said, "customer": nested(self.customer)}

        self._tell(kind, now, invoice_event)

    def end(self) -> None:
        """What no message has told by now is told by one about its invoice."""
        self.flush()
        for bill in self.bills:
            if bill.shown != (bill.paid, bill.offset):
                self.say(bill, "invoice.payment_status_updated")
        self.flush()

    # ── Telling ───────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Messages that Lago was late with; they show what has become of their object."""
        late, self._late = self._late, []
        for tell in late:
            tell()

    def _receipt(self, said: Json) -> None:
        if self.wires.receipts:
            receipt = receipt_event(self.choices, said, ORGANIZATION)["payment_receipt"]
            self._tell(
                "payment_receipt.created",
                lambda: receipt,
                lambda one, id: envelope("payment_receipt.created", "payment_receipt", id, one),
            )

    def _tell(
        self,
        kind: str,
        shown: Callable[[], Json],
        webhook: Callable[..., Json],
        *,
        at_once: bool = False,
    ) -> None:
        """Lago serializes an object when its job runs, which may be after the next act."""

        def tell() -> None:
            said = shown()
            if self.wires.webhooks and kind != "payment.recorded":
                typed = kind.startswith(("invoice.", "customer."))
                message = webhook(said, ORGANIZATION, *((kind,) if typed else ()))
                self._append(record(message), f"webhook {kind}")
            if self.wires.logs and kind in ACTIVITIES:
                log = activity_log(self.choices, kind, said, ORGANIZATION, at=self.stamp)
                self._append(log_record(log), f"log {kind}")

        if not at_once and self.choices.chance(15):
            self._late.append(tell)
        else:
            tell()

    def _append(self, told: Record, text: str) -> None:
        at = int(START.timestamp() * 1000) + len(self.messages)
        self.messages.append(Message(told, at, f"{text} (after: {self.story[-1:]})"))


_ANNOUNCED = {"one_off": "invoice.one_off_created", "credit": "invoice.paid_credit_added"}


def _applied(items: Sequence[Json], taxes: Sequence[Json]) -> list[Json]:
    """The note's taxes; each fee bears one at most, which its rate tells."""
    bases: dict[str, Decimal] = {}
    for tax, one in product(taxes, items):
        if tax["tax_rate"] == one["fee"]["taxes_rate"]:
            net = Decimal(one["precise_amount_cents"]) - share(one)
            bases[tax["tax_code"]] = bases.get(tax["tax_code"], Decimal(0)) + net
    rates = {tax["tax_code"]: tax["tax_rate"] for tax in taxes}
    return [note_tax(code, rates[code], whole(base)) for code, base in bases.items()]


def _taken(bill: Bill) -> int:
    return sum(cents for _, cents in bill.consumed)


def _parts(total: int, offset: int, refund: int) -> Json:
    credit = total - offset - refund
    return {
        "offset_amount_cents": offset,
        "refund_amount_cents": refund,
        "credit_amount_cents": credit,
        "balance_amount_cents": credit,
        "credit_status": "available" if credit else None,
        "refund_status": "pending" if refund else None,
    }
