"""Consumed credits by policy ``negative_line``: a line on the clearing account, and what clears it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.domain.answers import Answered, InDoubt, Refusal, Reply, Saved
from consumer.domain.mapping import MappingKey, Target
from consumer.domain.translate import payment_marker
from consumer.ports import Absent, ByHand, Frozen
from consumer.sandbox.lago import payment
from tests.integration.ledger import MAPPINGS, Books, books
from tests.integration.notes import a_note, consumed_note, consuming, note_told

Json = dict[str, Any]
LATER = "2026-05-01T12:00:09Z"
CLEARING = "890"
WITH_CLEARING = {**MAPPINGS, MappingKey("", "clearing_account"): Target(account=CLEARING)}


async def clears(b: Books) -> None:
    await b.settings(consumed_credits="negative_line", mappings=WITH_CLEARING)


async def allocates(b: Books) -> None:
    await b.settings(consumed_credits="allocate")


@asynccontextmanager
async def clearing(url: str) -> AsyncIterator[Books]:
    """Books whose connection clears consumed credits."""
    async with books(url) as b:
        await clears(b)
        yield b


async def consumed(b: Books, cents: int = 400) -> tuple[Json, Json]:
    """A note that Xero has, and an invoice that consumes some of it, which is told of but not sent."""
    [first] = await b.posted()
    note = a_note(first, credit=cents)
    await b.told(note_told(b, note))
    await b.work()
    later = consuming(b, first, note, cents)
    await b.told(b.said(later))
    return note, later


async def void(b: Books, told: Json) -> None:
    await b.told(b.said({**told, "status": "voided", "updated_at": LATER}, "invoice.voided"))


def the_payment(frozen: Frozen) -> Json:
    [element] = json.loads(frozen.body)["Payments"]
    return dict(element)


def lines(frozen: Frozen) -> list[tuple[str, float]]:
    [element] = json.loads(frozen.body)["Invoices"]
    return lines_of(element)


def lines_of(element: Json) -> list[tuple[str, float]]:
    return [(line["AccountCode"], line["LineAmount"]) for line in element["LineItems"]]


def purposes(done: list[Frozen]) -> list[str]:
    return [frozen.purpose for frozen in done]


async def replanned(b: Books) -> list[Frozen]:
    """All that is sent, of which some has to be planned again first: then a look finds nothing to send."""
    return [*await b.work(), *await b.work()]


async def states(b: Books) -> list[tuple[str, str, str | None]]:
    """Of all that is of credits: an allocation is one's own, a refund one's that clears."""
    rows = [d for d in await b.documents() if d["kind"] in ("allocation", "refund")]
    return [(d["kind"], d["state"], d["cause"]) for d in rows]


async def test_the_line_stands_on_the_clearing_account_and_a_refund_clears_it(
    database_url: str,
) -> None:
    async with clearing(database_url) as b:
        note, later = await consumed(b)
        done = await b.work()
        assert purposes(done) == ["invoice_create", "refund_create"]
        assert lines(done[0]) == [("200", 50.0), (CLEARING, -4.0)]
        [credit] = later["credits"]
        [posted] = await b.documents(kind="credit_note")
        refund = the_payment(done[1])
        assert refund["CreditNote"] == {"CreditNoteID": str(posted["xero_id"])}
        assert refund["Account"] == {"Code": CLEARING}
        assert (refund["Amount"], refund["Date"]) == (
            4.0,
            "2026-05-03",
        )  # the note is the later one
        marker = payment_marker(UUID(note["lago_id"]), UUID(credit["lago_id"]))
        assert refund["Reference"] == f"{note['number']} · {marker}"
        [row] = await b.documents(kind="refund")
        assert (row["lago_id"], row["part"]) == (
            UUID(note["lago_id"]),
            f"clearing:{credit['lago_id']}",
        )
        assert await states(b) == [("refund", "synced", None)]


async def test_the_refund_waits_for_the_note_and_the_invoice(database_url: str) -> None:
    async with clearing(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        await b.told(b.said(consuming(b, first, note, 400)))
        [sent] = await b.work()
        assert lines(sent)[1] == (CLEARING, -4.0)
        [(_, state, cause)] = await states(b)
        assert (state, (cause or "").partition("@")[0]) == (
            "waiting",
            f"credit_note:{note['lago_id']}",
        )
        await b.told(note_told(b, note))
        assert purposes(await b.work()) == ["credit_note_create", "refund_create"]


async def test_several_credits_of_one_note_in_one_request_never_take_more_than_it_has(
    database_url: str,
) -> None:
    """In thousandths: 0.506 three times are 0.51 each on the invoices, but the note has 1.52, not 1.53."""
    async with clearing(database_url) as b:
        [first] = await b.posted(currency="KWD", amount=10_000)
        note = a_note(first, credit=1518)
        await b.told(note_told(b, note))
        await b.work()
        await b.told(*(b.said(_in_dinars(b, first, note, 506)) for _ in range(3)))
        done = await b.work()
        assert purposes(done) == ["invoice_create", "refund_create"]
        posted = [lines_of(one) for one in json.loads(done[0].body)["Invoices"]]
        assert posted == [[("200", 50.0), (CLEARING, -0.51)]] * 3
        amounts = [one["Amount"] for one in json.loads(done[1].body)["Payments"]]
        assert sorted(amounts) == [0.5, 0.51, 0.51]


async def test_what_clears_a_line_settles_no_invoice(database_url: str) -> None:
    """0.504 are 0.50 on the line: 10.004 paid are 10.00, not what both together round to less 0.50."""
    async with clearing(database_url) as b:
        [first] = await b.posted(currency="KWD", amount=10_000)
        note = a_note(first, credit=504)
        later = _in_dinars(b, first, note, 504)
        await b.told(note_told(b, note), b.said(later))
        assert purposes(await b.work())[-1] == "refund_create"
        await b.told(b.paid(payment(b.choices, [later], amount_cents=10_004)))
        [paid] = await b.work()
        assert the_payment(paid)["Amount"] == 10.0


def _in_dinars(b: Books, first: Json, note: Json, cents: int) -> Json:
    told = consuming(b, first, note, cents)
    whole = b.invoice(first["customer"], amount=5000, currency="KWD")
    kept = ("credits", "credit_notes_amount_cents")
    due = whole["total_amount_cents"] - cents
    totals = {"total_amount_cents": due, "total_due_amount_cents": due}
    return {**whole, **{name: told[name] for name in kept}, **totals}


# ── Lost replies ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("there", [True, False])
async def test_a_refund_whose_reply_is_lost_is_made_once(database_url: str, there: bool) -> None:
    async with clearing(database_url) as b:
        await consumed(b)
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "refund_create"
        await b.ledger.settle(frozen.request_id, InDoubt("no_answer"), None)
        sighting = Saved(uuid4()) if there else Absent()
        await b.ledger.resolve(frozen.request_id, {0: sighting})
        assert purposes(await b.work()) == ([] if there else ["refund_create"])
        assert await states(b) == [("refund", "synced", None)]


async def test_an_invoice_in_doubt_keeps_what_it_was_sent_with(database_url: str) -> None:
    """The policy changes while nobody knows whether Xero has the invoice: it has."""
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, InDoubt("no_answer"), None)
        await allocates(b)
        await b.told(b.said({**later, "updated_at": LATER}))
        await b.ledger.resolve(frozen.request_id, {0: Saved(uuid4(), number=later["number"])})
        assert purposes(await b.work()) == ["refund_create"]
        assert await states(b) == [("refund", "synced", None)]


async def test_an_invoice_that_never_arrived_follows_the_policy_of_the_day(
    database_url: str,
) -> None:
    async with clearing(database_url) as b:
        await consumed(b)
        frozen = await b.freeze()
        await b.ledger.settle(frozen.request_id, InDoubt("no_answer"), None)
        await allocates(b)
        await b.ledger.resolve(frozen.request_id, {0: Absent()})
        done = await replanned(b)
        assert purposes(done) == ["invoice_create", "allocation_create"]
        assert lines(done[0]) == [("200", 50.0)]
        there = [state for state in await states(b) if state[1] != "skipped"]
        assert there == [("allocation", "synced", None)]


async def test_what_a_person_paid_back_clears_nothing(database_url: str) -> None:
    async with clearing(database_url) as b:
        await consumed(b)
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        refusal = Refusal("payment_exceeds_open", "Payment amount exceeds.", "Look.", "look")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        theirs = ByHand((Saved(uuid4()),))
        await b.ledger.resolve(frozen.request_id, {0: theirs})
        [row] = await b.documents(kind="refund")
        assert (row["state"], row["code"], row["by_hand"]) == (
            "failed",
            "payment_exceeds_open",
            None,
        )
        [credit_note] = await b.documents(kind="credit_note")
        assert row["cause"] == f"room:{credit_note['lago_id']}"


# ── Another policy meanwhile ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", [False, True])
async def test_a_line_stays_a_line_when_the_policy_allocates(database_url: str, told: bool) -> None:
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        await b.accept(await b.freeze())
        await allocates(b)
        if told:
            await b.told(b.said({**later, "updated_at": LATER}))
        assert purposes(await b.work()) == ["refund_create"]
        await b.told(b.said({**later, "updated_at": "2026-05-01T12:00:19Z"}))
        assert purposes(await b.work()) == []
        assert await states(b) == [("refund", "synced", None)]


@pytest.mark.parametrize("told", [False, True])
async def test_an_allocation_stays_one_when_the_policy_clears(
    database_url: str, told: bool
) -> None:
    async with books(database_url) as b:
        _, later = await consumed(b)
        sent = await b.freeze()
        await b.accept(sent)
        assert lines(sent) == [("200", 50.0)]
        await clears(b)
        if told:
            await b.told(b.said({**later, "updated_at": LATER}))
        assert purposes(await b.work()) == ["allocation_create"]
        await b.told(b.said({**later, "updated_at": "2026-05-01T12:00:19Z"}))
        assert purposes(await b.work()) == []
        assert await states(b) == [("allocation", "synced", None)]


@pytest.mark.parametrize("to", ["negative_line", "allocate"])
async def test_an_invoice_that_was_not_sent_yet_follows_the_new_policy(
    database_url: str, to: str
) -> None:
    """Nothing but the policy changes: no message has it planned again."""
    async with books(database_url) as b:
        if to == "allocate":
            await clears(b)
        await consumed(b)
        await (allocates if to == "allocate" else clears)(b)
        done = await replanned(b)
        one = "allocation" if to == "allocate" else "refund"
        assert purposes(done) == ["invoice_create", f"{one}_create"]
        assert len(lines(done[0])) == (1 if to == "allocate" else 2)
        there = [state for state in await states(b) if state[1] != "skipped"]
        assert there == [(one, "synced", None)]


async def test_a_credit_that_became_a_plain_line_is_never_cleared(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(sync_credit_notes=False)
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(note_told(b, note), b.said(later))
        assert purposes(await b.work()) == ["invoice_create"]
        await b.settings(
            sync_credit_notes=True, consumed_credits="negative_line", mappings=WITH_CLEARING
        )
        await b.told(b.said({**later, "updated_at": LATER}))
        assert await b.work() == []
        assert {state for _, state, _ in await states(b)} == {"skipped"}


# ── Voids ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_void_takes_its_refund_back_first(database_url: str) -> None:
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        await b.work()
        await void(b, later)
        assert purposes(await b.work()) == ["refund_delete", "invoice_void"]
        assert await states(b) == [("refund", "skipped", "lago:voided")]
        found = await b.database.fetch(
            "select d.kind, f.class, f.facts from finding f join document d on d.id = f.document_id "
            "where f.class = 'credit_freed_by_void'"
        )
        assert [(row["kind"], json.loads(row["facts"])["amount"]) for row in found] == [
            ("refund", "4.00")
        ]


async def test_a_void_waits_for_a_refund_that_is_being_sent(database_url: str) -> None:
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        await b.accept(await b.freeze())
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "refund_create"
        await void(b, later)
        assert (await b.ledger.freeze(b.tenants[0])).frozen is None
        await b.accept(frozen)
        assert purposes(await b.work()) == ["refund_delete", "invoice_void"]


async def test_a_void_before_the_refund_makes_none(database_url: str) -> None:
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        await b.accept(await b.freeze())
        await void(b, later)
        assert purposes(await b.work()) == ["invoice_void"]
        assert await states(b) == [("refund", "skipped", "lago:voided")]


async def test_a_refused_void_puts_the_refund_back(database_url: str) -> None:
    async with clearing(database_url) as b:
        _, later = await consumed(b)
        await b.work()
        await void(b, later)
        delete = await b.freeze()
        [row] = await b.documents(kind="refund")
        gone = Answered((Saved(row["xero_id"], status="DELETED"),))
        await b.ledger.settle(delete.request_id, gone, Reply(200, b""))
        await b.released()
        frozen = await b.freeze()
        assert frozen.purpose == "invoice_void"
        refusal = Refusal("void_with_money", "The status VOIDED cannot be applied.", "Look.")
        await b.ledger.settle(frozen.request_id, Answered((refusal,)), Reply(200, b""))
        assert purposes(await b.work()) == ["refund_create"]
        assert await states(b) == [("refund", "synced", None)]


async def test_an_invoice_that_its_line_brings_to_nothing_is_not_voided(database_url: str) -> None:
    """Xero has it as paid; its refund stays with it, for its line does."""
    async with clearing(database_url) as b:
        [first] = await b.posted(amount=9000)
        note = a_note(first, credit=5000)
        await b.told(note_told(b, note))
        later = consuming(b, first, note, 5000)
        await b.told(b.said(later))
        await b.work()
        await void(b, later)
        assert purposes(await b.work()) == []
        [row] = await b.documents(kind="invoice", lago_id=UUID(later["lago_id"]))
        assert (row["state"], row["cause"]) == ("synced", "nothing_charged")
        assert await states(b) == [("refund", "synced", None)]


# ── Notes that are not there ──────────────────────────────────────────────────────────────────────


async def test_a_note_that_will_never_be_there_is_a_plain_line(database_url: str) -> None:
    async with clearing(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400) | {"self_billed": True}
        await b.told(note_told(b, note), b.said(consuming(b, first, note, 400)))
        [done] = await b.work()
        assert lines(done) == [("200", 50.0), ("200", -4.0)]
        assert await states(b) == [("refund", "skipped", "self_billed")]


async def test_a_line_whose_note_never_comes_fails_aloud(database_url: str) -> None:
    async with clearing(database_url) as b:
        [first] = await b.posted()
        note = a_note(first, credit=400)
        later = consuming(b, first, note, 400)
        await b.told(b.said(later))
        assert purposes(await b.work()) == ["invoice_create"]
        await b.told(note_told(b, note | {"self_billed": True}))
        await b.work()
        [fate] = await b.ledger.expire(10)
        assert (fate.kind, fate.code) == ("refund", "credit_uncleared")
        [told] = await b.database.fetch("select code, said from outbox")
        assert (told["code"], note["lago_id"] in told["said"]) == ("credit_uncleared", True)
        await b.told(b.said({**later, "updated_at": LATER}, "invoice.payment_overdue"))
        assert purposes(await b.work()) == []
        assert await b.ledger.expire(10) == []
        assert await b.announced() == ["credit_uncleared"]


@pytest.mark.parametrize("policy", ["allocate", "negative_line"])
async def test_what_was_used_of_a_note_stays_when_lago_voids_the_rest(
    database_url: str, policy: str
) -> None:
    async with books(database_url) as b:
        if policy == "negative_line":
            await clears(b)
        [first] = await b.posted()
        note, later = await consumed_note(b, first, 300, credit=400)
        voided = {**note, "credit_status": "voided", "updated_at": "2026-05-03T10:00:05Z"}
        await b.told(note_told(b, voided))
        await b.told(b.said({**later, "updated_at": LATER}))
        assert purposes(await b.work()) == []
        assert [state for _, state, _ in await states(b)] == ["synced"]


# ── Refunds that have to succeed first ────────────────────────────────────────────────────────────


async def test_a_refund_waits_until_it_has_succeeded(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(refunds="when_succeeded")
        [first] = await b.posted()
        note = a_note(first, refund=400)
        await b.told(note_told(b, note))
        assert purposes(await b.work()) == ["credit_note_create"]
        assert await states(b) == [("refund", "waiting", "policy:refunds@acme")]
        assert await b.ledger.end_patience(10) == 0
        assert not await b.ledger.expire(10)
        done = {**note, "refund_status": "succeeded", "updated_at": "2026-05-03T10:00:05Z"}
        await b.told(note_told(b, done))
        assert purposes(await b.work()) == ["refund_create"]


async def test_a_waiting_refund_goes_out_once_the_policy_says_at_once(database_url: str) -> None:
    async with books(database_url) as b:
        await b.settings(refunds="when_succeeded")
        [first] = await b.posted()
        await b.told(note_told(b, a_note(first, refund=400)))
        await b.work()
        await b.settings(refunds="at_once")
        assert purposes(await b.work()) == ["refund_create"]
        await b.settings(refunds="when_succeeded")
        assert purposes(await b.work()) == []
        assert await states(b) == [("refund", "synced", None)]
