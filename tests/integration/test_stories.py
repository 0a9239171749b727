"""Short lives that once ended with another balance in Xero than in Lago, each with its delivery."""

from __future__ import annotations

from collections.abc import Callable

from tests.lives.lago import REGIMES, Life, Message
from tests.lives.short import batch, begin, lived, prompt
from tests.lives.stage import Stage


def of(life: Life, asked: Callable[[str], bool]) -> tuple[list[Message], list[Message]]:
    """The messages of these types, and the others."""
    return (
        [one for one in life.messages if asked(one.text)],
        [one for one in life.messages if not asked(one.text)],
    )


async def test_a_residual_whose_money_went_back_is_deleted(theatre: Stage) -> None:
    life, bill = begin()
    life.request([bill])
    life.pass_time(60)
    paid = len(life.messages)
    life.bounce(life.payments[0])
    requests, before = of(life, lambda text: "payment_request" in text)
    after = [one for one in before if one in life.messages[paid:]]
    before = [one for one in before if one not in after]
    result = await lived(theatre, life, batch(before, 700), batch(requests, 700), batch(after))
    assert result.differences == []
    assert len(theatre.xero.payments) == 1, "it had been posted"


async def test_a_payment_without_room_is_sent_again_once_there_is_some(theatre: Stage) -> None:
    life, bill = begin(receipts=True)
    life.request([bill])
    life.pass_time(60)
    paid = len(life.messages)
    life.bounce(life.payments[0])
    life.pass_time(60)
    bounced = len(life.messages)
    life.pay(bill, bill.open, "provider")
    life.end()
    late = life.messages[paid:bounced]
    others = [one for one in life.messages if one not in late]
    assert (await lived(theatre, life, batch(others), batch(late))).differences == []


async def test_what_waits_for_an_invoice_that_is_voided_unsent_waits_no_longer(
    theatre: Stage,
) -> None:
    """Xero breaks down over the invoice; before that is found out it is paid and voided."""
    life, bill = begin()
    issued = len(life.messages)
    life.pay(bill, bill.open, "provider")
    life.void(bill)
    first, rest = life.messages[:issued], life.messages[issued:]
    result = await lived(theatre, life, batch(first), batch(rest), faults={1: "500_before"})
    assert result.differences == []


async def test_a_drafts_content_is_not_posted_for_a_finalized_invoice(theatre: Stage) -> None:
    life = prompt()
    bill = life.bill("subscription", REGIMES[0], draft=True)
    life.say(bill, "invoice.generated")
    created, others = of(life, lambda text: "invoice.created" in text)
    assert (await lived(theatre, life, batch(others), batch(created))).differences == []


async def test_a_wait_that_failed_ends_with_the_void(theatre: Stage) -> None:
    life, bill = begin()
    life.say(bill, "invoice.generated")
    life.void(bill)
    rest, first = of(life, lambda text: "voided" in text or "one_off_created" in text)
    result = await lived(theatre, life, batch(first, 90_000), batch(rest))
    assert result.differences == []


async def test_an_invoice_of_nothing_is_voided_in_lago_alone(theatre: Stage) -> None:
    life, bill = begin()
    gone = dict.fromkeys(("prepaid_granted_credit_amount_cents", "total_due_amount_cents"), 0)
    total = bill.said["total_amount_cents"]
    prepaid = ("prepaid_credit_amount_cents", "prepaid_purchased_credit_amount_cents")
    bill.said |= {**gone, **dict.fromkeys(prepaid, total), "total_amount_cents": 0}
    life.say(bill, "invoice.one_off_created")
    created, told = of(life, lambda text: "one_off_created" in text)
    posted = [*told, created[-1]]
    life.pass_time(60)
    life.void(bill)
    result = await lived(theatre, life, batch(posted), batch(life.messages[-1:]))
    assert result.differences == []
    assert [name for name, _, _ in result.exceptions] == ["nothing_charged"]
