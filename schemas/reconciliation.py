"""The report of a reconciliation: what ``lago-xero reconcile --format json`` prints and a controller files.

Amounts are texts in major units, never floating-point numbers. ``content_hash`` is the SHA-256 of the rest
of the report as canonical JSON: sorted keys, no spaces, UTF-8.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


def _plain(value: Decimal) -> str:
    """With two decimals at least."""
    cents = value.quantize(Decimal("0.01"))
    return f"{cents if cents == value else value:f}"


Amount = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
Count = Annotated[int, Field(ge=0)]


class Model(BaseModel):
    """Nothing is unknown, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sums(Model):
    """One side of a control total."""

    count: Count
    net: Amount
    tax: Amount
    gross: Amount
    paid: Amount
    credited: Amount
    outstanding: Amount


class ControlTotal(Model):
    """The same sums on both sides, of what is dated in the period."""

    kind: Literal["invoice", "credit_note", "payment", "overpayment"]
    currency: str
    status: str
    ledger: Sums
    xero: Sums
    agrees: bool


class ToCome(Model):
    """What Lago asks for and Xero does not have, dated in the period or without a date."""

    kind: Literal["invoice", "credit_note", "payment", "overpayment"]
    currency: str
    state: Literal["waiting", "ready", "sending", "failed"] = Field(description="The ledger's.")
    count: Count
    gross: Amount = Field(description="By Lago, as far as it tells.")


class Difference(Model):
    """One field on both sides: the ledger's, and Xero's or Lago's."""

    field: str
    ledger: str
    xero: str | None = None
    lago: str | None = None

    @property
    def theirs(self) -> str:
        """The other side's, which may be an empty text."""
        return (self.xero if self.lago is None else self.lago) or ""


class LagoSide(Model):
    """What came of comparing the ledger with Lago's API."""

    compared: bool = Field(description="To the end; else ``said`` is why not.")
    said: str
    calls: Count = Field(description="To Lago, by this run.")
    unverified: Count = Field(
        description="Documents that no list of Lago's showed and that were not asked for one by one."
    )


class ReportedException(Model):
    """One exception, and what is proposed.

    ``show`` is the command that explains the document, ``link`` its page in Xero. ``repaired``: this run
    has done what it proposes.
    """

    name: str = Field(alias="class", description="Stable.")
    kind: str
    document: int | None
    lago_id: UUID | None
    xero_id: UUID | None
    number: str | None
    on: str | None = Field(
        default=None,
        description="The number of the invoice or the credit note that money or an allocation is on.",
    )
    dated: date | None
    currency: str | None
    amount: Amount | None
    cause: str
    differences: tuple[Difference, ...]
    first_seen: datetime
    repair: str
    safety: Literal["automatic", "needs_approval", "accountant_only", "nothing_to_do"]
    repaired: bool
    show: str | None
    link: str | None


class Reconciliation(Model):
    """One run over one connection and period."""

    connection: str
    organisation: str = Field(description="In Xero.")
    tenant_id: UUID
    first: date
    last: date
    read_at: dict[str, datetime] = Field(description="When each kind was read in Xero.")
    compared_at: datetime = Field(description="When the ledger was.")
    calls: Count = Field(description="To Xero, by this run.")
    unverified: Count = Field(
        description="Documents that Xero's lists lack and that were not looked up one by one."
    )
    lago: LagoSide
    agrees: bool = Field(description="All control totals are equal on both sides.")
    counts: dict[str, Count] = Field(description="Exceptions by class.")
    totals: tuple[ControlTotal, ...]
    to_come: tuple[ToCome, ...]
    exceptions: tuple[ReportedException, ...]
    version: str = Field(description="Of lago-xero.")
    content_hash: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    def sealed(self) -> Reconciliation:
        """With its content hash."""
        return self.model_copy(update={"content_hash": content_hash(self)})


def content_hash(report: Reconciliation) -> str:
    """SHA-256 of everything but itself."""
    content = report.model_dump(mode="json", by_alias=True, exclude={"content_hash"})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
