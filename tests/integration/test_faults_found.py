"""What should be, found by attacking the engine a second time, the worst first."""

from __future__ import annotations

from typing import Any

from consumer.sandbox.lago import payment, payment_event
from tests.integration.ledger import Books, books
from tests.integration.notes import a_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-04T00:00:00Z"


async def _posted(b: Books, count: int = 1, **facts: Any) -> list[Json]:
    who = b.customer()
    told = [b.invoice(who, amount=1000 * (n + 1), **facts) for n in range(count)]
    await b.told(b.said(who), *map(b.said, told))
    await b.work()
    return told


def _paid(b: Books, paid: Json) -> Json:
    return payment_event(paid, str(b.organization_id))


async def test_money_on_an_invoice_that_consumed_a_note_is_taken_in(database_url: str) -> None:
    """Its message settles what the invoice's figure left pending: the invoice changes with it, and
    the note that it names has a row already."""
    async with books(database_url) as b:
        [first] = await _posted(b)
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(note_told(b, note), b.said(later))
        figure = {**later, "total_paid_amount_cents": 600, "updated_at": LATER}
        await b.told(b.said(figure, "invoice.payment_status_updated"))
        await b.told(_paid(b, payment(b.choices, [later], amount_cents=600)))
        await b.work()
        [paid] = await b.documents(kind="payment", part="")
        assert paid["state"] == "synced"
