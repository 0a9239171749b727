"""Choices in, a customer's life out: what Lago may do next is drawn until the life is long enough."""

from __future__ import annotations

from collections.abc import Callable

from consumer.sandbox.lago import Choices
from tests.lives.lago import REGIMES, Bill, Life, Wires

CURRENCIES = ("EUR", "EUR", "JPY", "KWD", "CLF")
"""Two, no, three and four decimals."""
MOST_ACTS = 10
_BILLS = ("subscription", "one_off", "progressive_billing", "advance_charges", "credit")


def draw_life(
    choices: Choices, currencies: tuple[str, ...] = CURRENCIES, *, consumes: bool = False
) -> Life:
    """A life of some acts; the first is an invoice. ``consumes``: then a credit note of it, which a later
    one consumes, unless Lago would refuse it."""
    wires = choices.choose(
        (
            Wires(),
            Wires(logs=True, webhooks=False),
            Wires(logs=True),
            Wires(receipts=True),
            Wires(logs=True, receipts=True),
        )
    )
    life = Life(choices, choices.choose(currencies), wires)
    _issue(life)
    if consumes:
        life.credit(life.bills[0], _whole(life.bills[0]), lambda offset, refund: (0, 0))
        life.flush()
        for _ in range(choices.integer(1, 2)):
            _issue(life, "subscription")
            life.flush()
    for _ in range(choices.integer(1, MOST_ACTS)):
        life.pass_time(choices.choose((60, 0, 1)))
        possible = _possible(life)
        choices.choose(possible)(life)
        life.flush()
    life.end()
    return life


def _possible(life: Life) -> list[Callable[[Life], None]]:
    acts: list[Callable[[Life], None]] = [_issue]
    if _open(life):
        acts += [_pay, _pay]
        if life.wires.webhooks or life.wires.receipts:
            acts.append(_request)
    if any(not bill.voided for bill in life.bills):
        acts += [_credit, _credit, _void]
    if life.wires.webhooks and _standing(life):
        acts.append(_bounce)
    if _refunded(life):
        acts.append(_refund_fails)
    return [*acts, _remark, _edit]


def _open(life: Life) -> list[Bill]:
    return [bill for bill in life.bills if not bill.voided and bill.open > 0]


def _standing(life: Life) -> list[int]:
    paid = enumerate(life.payments)
    return [i for i, one in paid if one.stands and one.request and not _refunds(one.shares)]


def _refunds(shares: list[tuple[Bill, int]]) -> bool:
    """Whether the money was given back already, or what it paid was voided."""
    return any(bill.refunded or bill.voided for bill, _ in shares)


def _refunded(life: Life) -> list[int]:
    return [i for i, n in enumerate(life.notes) if n.said["refund_status"] == "pending"]


def _whole(bill: Bill) -> dict[str, int]:
    """All that a note can give back of it, by fee."""
    return {fee["lago_id"]: fee["amount_cents"] for fee in bill.said["fees"] if fee["amount_cents"]}


def _issue(life: Life, kind: str | None = None) -> None:
    choices = life.choices
    kind = kind or choices.choose(_BILLS)
    notes = [note for note in life.notes if note.balance]
    consume = []
    if kind == "subscription" and notes:
        for note in notes:
            cents = choices.choose((note.balance, note.balance // 2 + 1, 1))
            if choices.chance(70):
                consume.append((note, cents))
    bill = life.bill(
        kind,
        choices.choose(REGIMES),
        discounts=choices.chance(30),
        prepaid=choices.chance(30),
        consume=consume,
        draft=kind == "subscription" and choices.chance(30),
    )
    if kind == "credit" and bill.open:  # Lago tells of a top-up once it is paid
        life.pay(bill, bill.open, "provider", silent=choices.chance(30))


def _pay(life: Life) -> None:
    """Sometimes too much; what was offset before might come to us later, and would not fit then."""
    choices = life.choices
    bill = choices.choose(_open(life))
    cents = choices.choose((bill.open, max(1, bill.open // 3), 1))
    if not bill.offset and choices.chance(15):
        cents = bill.open + choices.choose((1, bill.open // 2 + 1))
    kind = choices.choose(("provider", "manual"))
    life.pay(bill, cents, kind, silent=choices.chance(30))


def _request(life: Life) -> None:
    """Over several invoices, one of which had been paid in part before, a message that Lago made
    after it had written what was paid tells nobody how: announced as ``payment_split_unknown``."""
    bills = life.choices.shuffle(_open(life))[: life.choices.integer(1, 3)]
    told = len(bills) == 1 or not any(bill.paid for bill in bills)
    life.request(bills, written=told and life.choices.chance(30))


def _bounce(life: Life) -> None:
    life.bounce(life.payments[life.choices.choose(_standing(life))])


def _credit(life: Life) -> None:
    choices = life.choices
    bill = choices.choose([bill for bill in life.bills if not bill.voided])
    parts: dict[str, int] = {}
    for fee in bill.said["fees"]:
        left = fee["amount_cents"] - bill.credited.get(fee["lago_id"], 0)
        if left > 0 and (not parts or choices.chance(50)):
            parts[fee["lago_id"]] = choices.choose((left, left // 2 + 1, 1))

    def share(offset: int, refund: int) -> tuple[int, int]:
        return (
            choices.choose((0, offset, offset // 2)),
            choices.choose((0, refund, refund // 2)),
        )

    if parts:
        life.credit(bill, parts, share)


def _void(life: Life) -> None:
    life.void(life.choices.choose([bill for bill in life.bills if not bill.voided]))


def _refund_fails(life: Life) -> None:
    life.refund_fails(life.notes[life.choices.choose(_refunded(life))])


def _remark(life: Life) -> None:
    """A message that says nothing new."""
    kind = life.choices.choose(("invoice.payment_overdue", "invoice.generated"))
    life.say(life.choices.choose(life.bills), kind)


def _edit(life: Life) -> None:
    life.edit()
