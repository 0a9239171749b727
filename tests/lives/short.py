"""Short lives that a test tells itself: a customer with one invoice, and how his messages are delivered."""

from __future__ import annotations

from random import Random

from consumer.sandbox.lago import RandomChoices
from tests.lives.balance import Balance, balance
from tests.lives.delivery import Batch, Delivery, as_record
from tests.lives.lago import REGIMES, Bill, Life, Message, Wires
from tests.lives.stage import Stage


class Prompt(RandomChoices):
    """A Lago that is never late and grants no extras."""

    def chance(self, percent: int) -> bool:
        return False


def prompt(currency: str = "EUR", *, receipts: bool = False) -> Life:
    """A customer to whom nothing has happened yet."""
    return Life(Prompt(Random(7)), currency, Wires(receipts=receipts))


def begin(currency: str = "EUR", *, receipts: bool = False) -> tuple[Life, Bill]:
    """A customer with one invoice."""
    life = prompt(currency, receipts=receipts)
    return life, life.bill("one_off", REGIMES[0])


def batch(messages: list[Message], seconds: float = 0.0) -> Batch:
    """Sent, and then time passes."""
    records = tuple(as_record(message, offset) for offset, message in enumerate(messages))
    return Batch(records, sends=True, seconds=seconds)


async def lived(
    theatre: Stage, life: Life, *batches: Batch, faults: dict[int, str] | None = None
) -> Balance:
    await theatre.live(Delivery(batches, faults or {}, ()))
    return await balance(theatre, life)
