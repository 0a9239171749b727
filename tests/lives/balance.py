"""A life and what came of it in; how the customer's balance in Xero differs from Lago's out.

ACCOUNTING.md 1: Xero's Σ AmountDue − Σ RemainingCredit − Σ overpayments is Lago's Σ due (0 when voided)
− Σ balance, but for named exceptions, which are listed beside it with their amounts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from consumer.sandbox.xero.books import CreditNote, Invoice
from tests.lives.lago import Bill, Life, Note
from tests.lives.stage import CLEARING, Stage

ZERO = Decimal(0)
CENT = Decimal("0.01")
SUBUNITS = {"EUR": 100, "JPY": 1, "KWD": 1000, "CLF": 10000}


@dataclass
class Balance:
    """``exceptions`` are (name, document, by how much Xero has more than Lago)."""

    lago: Decimal = ZERO
    xero: Decimal = ZERO
    exceptions: list[tuple[str, str, Decimal]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


async def balance(stage: Stage, life: Life, lines: bool | None = False) -> Balance:
    """Compare document by document, then the customer's sums and the clearing account.

    Args:
        lines: whether consumed credits are lines on the clearing account; None: of some invoices.
    """
    documents = await stage.books.documents()
    causes = {row["lago_id"]: row["cause"] for row in documents if row["kind"] == "invoice"}
    found = _Comparison(stage, life, causes, lines)
    found.result.differences += _unrest(documents)
    for bill in life.bills:
        found.bill(bill)
    for note in life.notes:
        found.note(note)
    found.told([dict(row) for row in await stage.books.database.fetch(_TOLD)])
    found.payments()
    found.clearing()
    found.sums()
    return found.result


_TOLD = """
select f.class, d.lago_id, d.target from finding f join document d on d.id = f.document_id
 where f.closed_at is null and f.class in ('offset_left_open', 'money_on_void')
"""


def _unrest(documents: list[dict[str, Any]]) -> Iterator[str]:
    """What failed, or still waits for something."""
    for row in documents:
        if row["state"] not in ("synced", "skipped"):
            why = row["code"] or row["cause"]
            yield f"{row['kind']} {row['part']} is {row['state']}: {why} ({row['said']})"
        elif row["drift"] and row["kind"] != "payment":
            # A request's payment may be dated anew by its receipt, and is left as it was posted.
            yield f"{row['kind']} has drifted"


class _Comparison:
    def __init__(
        self, stage: Stage, life: Life, causes: Mapping[UUID, str | None], lines: bool | None
    ) -> None:
        self.life = life
        self.causes = causes
        self.lines = lines
        self.xero = stage.xero
        self.result = Balance()
        self.notes = {note.number: note for note in self.xero.credit_notes.values()}

    def major(self, subunits: int) -> Decimal:
        return Decimal(subunits) / SUBUNITS[self.life.currency]

    def cents(self, subunits: int) -> Decimal:
        """As Xero keeps it."""
        return self.major(subunits).quantize(CENT, ROUND_HALF_UP)

    def expect(self, what: str, lago: object, xero: object) -> None:
        if lago != xero:
            self.result.differences.append(f"{what}: {lago} expected, Xero has {xero}")

    def invoice(self, bill: Bill) -> Invoice | None:
        """The invoice in Xero; None if there is none or it is voided."""
        held = self.xero.sales_invoices(bill.said["number"])
        self.expect(f"{bill.name} is there", len(held) <= 1, True)
        return held[0] if held and held[0].status in ("AUTHORISED", "PAID") else None

    def bill(self, bill: Bill) -> None:
        name, invoice = bill.name, self.invoice(bill)
        self.result.lago += ZERO if bill.voided else self.major(bill.open)
        if not bill.voided:
            self.expect(f"{name} is open", True, invoice is not None)
        if invoice is None:
            return
        consumed = self._allocated(bill, invoice)
        total = bill.said["total_amount_cents"] + consumed
        self.expect(f"{name} total", self.cents(total), invoice.total)
        self.expect(f"{name} tax", self.cents(bill.said["taxes_amount_cents"]), invoice.total_tax)
        over = self.overpaid(bill)
        settled = self.cents(bill.paid + bill.offset + consumed)
        due = self.cents(total) - settled + over
        self._near(f"{name} due", due, invoice.amount_due, self._slack(bill))
        self.result.xero += invoice.amount_due - over
        lost = invoice.amount_due - over - self.major(bill.open)
        if bill.voided:
            cause = self.causes.get(UUID(bill.said["lago_id"]))
            self.expect(f"{name} is voided", self._why_left(bill, consumed), cause)
            self.result.exceptions.append((str(cause), name, invoice.amount_due - over))
        elif lost:
            self._subcent(name, lost)

    def overpaid(self, bill: Bill) -> Decimal:
        """What Xero has beyond the invoice: what is too much by Lago, unless money went back since."""
        said = f"More than invoice {bill.said['number']} had open · "
        found = self.xero.bank_transactions.values()
        over = sum((one.remaining for one in found if one.description.startswith(said)), ZERO)
        if not self._removals(bill) and not bill.voided:
            beyond = self.cents(max(0, -bill.open))
            self._near(f"{bill.name} overpaid", beyond, over, 1 + len(bill.consumed))
        return over

    def _allocated(self, bill: Bill, invoice: Invoice) -> int:
        """What the invoice consumes of notes without a line."""
        consumed = sum(cents for _, cents in bill.consumed)
        cleared = any(line.account_code == CLEARING for line in invoice.lines)
        if self.lines is not None and self.cents(consumed):
            self.expect(f"{bill.name} has lines of its credits", self.lines, cleared)
        return 0 if cleared or self.lines else consumed

    def _why_left(self, bill: Bill, allocated: int) -> str | None:
        """Why a voided invoice may stay in Xero: for the money on it, or as nothing was due."""
        if bill.paid or bill.offset:
            return "void_with_money"
        total = bill.said["total_amount_cents"] + allocated
        return None if self.cents(total) else "nothing_charged"

    def _slack(self, bill: Bill) -> int:
        """Cents by which what settles the invoice may be off: a note gives no cent that it has not."""
        offsets: int = sum(
            one.bill is bill and one.said["offset_amount_cents"] > 0 for one in self.life.notes
        )
        return self._removals(bill) + len(bill.consumed) + offsets

    def _removals(self, bill: Bill) -> int:
        """Amounts that were taken back: where Xero's cent is coarse, their cents were others'."""
        return sum(not p.stands and any(b is bill for b, _ in p.shares) for p in self.life.payments)

    def _near(self, what: str, lago: Decimal, xero: Decimal, slack: int) -> None:
        allowed = CENT * slack if SUBUNITS[self.life.currency] > 100 else ZERO
        if abs(lago - xero) > allowed:
            self.expect(what, lago, xero)

    def note(self, note: Note) -> None:
        said, made = note.said, self.notes.get(note.said["number"])
        self.result.lago -= self.major(note.balance)
        self.expect(f"{note.name} is there", True, made is not None)
        if made is None:
            return
        self.expect(f"{note.name} total", self.cents(said["total_amount_cents"]), made.total)
        self.expect(f"{note.name} tax", self.cents(said["taxes_amount_cents"]), made.total_tax)
        left = note.balance
        for name, cents in self._freed(note):
            left += cents
            self.result.exceptions.append((name, note.name, -self.major(cents)))
        self._remaining(note, made, left)
        self.result.xero -= made.remaining
        if lost := self.major(left) - made.remaining:
            self._subcent(note.name, lost)

    def _freed(self, note: Note) -> Iterator[tuple[str, int]]:
        """What Xero has of a note beyond Lago's balance, and why."""
        for bill in self.life.bills:
            if bill.voided and self.invoice(bill) is None:
                for consumed, cents in bill.consumed:
                    if consumed is note:
                        yield "credit_freed_by_void", cents
        if note.said["refund_status"] == "failed":
            yield "refund_failed", note.said["refund_amount_cents"]
        if note.said["offset_amount_cents"] and self.invoice(note.bill) is None:
            yield "offset_left_open", note.said["offset_amount_cents"]

    def _remaining(self, note: Note, made: CreditNote, left: int) -> None:
        """To the cent; where Xero's cent is coarse, each part may have lost or gained less than one."""
        consumed = sum(one is note for bill in self.life.bills for one, _ in bill.consumed)
        parts = 1 + len(made.allocations) + consumed + bool(note.said["refund_amount_cents"])
        self._near(f"{note.name} remaining", self.cents(left), made.remaining, parts)

    def _subcent(self, name: str, lost: Decimal) -> None:
        self.result.exceptions.append(("subcent", name, lost))
        if SUBUNITS[self.life.currency] <= 100:
            self.result.differences.append(f"{name}: {lost} is less than a cent of nothing")

    def told(self, findings: Sequence[Mapping[str, Any]]) -> None:
        """People are told of what Xero never gets: each offset, and the money on voided invoices."""
        offsets = {row["lago_id"] for row in findings if row["class"] == "offset_left_open"}
        open_ = {
            UUID(note.said["lago_id"]) for note in self.life.notes
            if "offset_left_open" in (name for name, _ in self._freed(note))
        }  # fmt: skip
        self.expect("offsets left open", open_, offsets)
        voids = {row["target"] for row in findings if row["class"] == "money_on_void"}
        paid = {
            UUID(bill.said["lago_id"]) for bill in self.life.bills
            if bill.voided and bill.paid and self.invoice(bill) is None
        }  # fmt: skip
        self.expect("money on voids", paid, voids)

    def payments(self) -> None:
        """The money on each invoice is what Lago received, in as many pieces as there may be."""
        for bill in self.life.bills:
            invoice = self.invoice(bill)
            if invoice is not None:
                slack = 1 + self._slack(bill)
                paid = invoice.amount_paid + self.overpaid(bill)
                self._near(f"{bill.name} paid", self.cents(bill.paid), paid, slack)

    def clearing(self) -> None:
        """It nets to zero; where Xero's cent is coarse a note may lack the last one of a line."""
        invoices = filter(None, map(self.invoice, self.life.bills))
        lines = [
            line.line_amount
            for invoice in invoices
            for line in invoice.lines
            if line.account_code == CLEARING
        ]
        account = self.xero.accounts[CLEARING].account_id
        refunds = [
            one.amount
            for one in self.xero.payments.values()
            if one.account_id == account and one.status != "DELETED"
        ]
        self._near("the clearing account", ZERO, sum(lines, ZERO) + sum(refunds, ZERO), len(lines))

    def sums(self) -> None:
        named = sum((amount for _, _, amount in self.result.exceptions), ZERO)
        self.expect("the customer's balance", self.result.lago + named, self.result.xero)
