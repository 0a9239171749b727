"""Operations: what is to happen to a document in Xero in, the call that does it out; a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic_core import from_json

DocumentKind = Literal[
    "contact", "invoice", "credit_note", "allocation", "payment", "refund", "overpayment"
]
Step = Literal["create", "update", "remove"]
Method = Literal["PUT", "POST", "DELETE"]
"""A posted document is removed by a status (an invoice is voided) or by DELETE."""

REMADE: tuple[DocumentKind, ...] = ("payment", "allocation", "refund", "overpayment")
"""Kinds that Lago may take back and tell of again (a payment that failed succeeds at last), and that Xero
does not keep apart."""
BATCH = "summarizeErrors=false"


@dataclass(frozen=True, slots=True)
class Operation:
    """One way to write to Xero (xero.md 3).

    ``path`` is relative to the Accounting API's base; ``{xero_id}`` in it is the document's own id in
    Xero, ``{source_id}`` that of the credit note it takes from.
    ``collection`` wraps the elements of the body; "" = the only element is the body. ``most``
    elements fit one call.
    """

    name: str
    kind: DocumentKind
    step: Step
    method: Method
    path: str
    collection: str
    most: int = 50

    def path_of(self, xero_id: UUID | None, source_id: UUID | None) -> str:
        """The path for a document that Xero knows under these ids."""
        filled = self.path.replace("{xero_id}", str(xero_id))
        return filled.replace("{source_id}", str(source_id))

    def body(self, elements: list[bytes]) -> bytes:
        """The request's body."""
        if self.method == "DELETE":
            return b""
        if not self.collection:
            return elements[0]
        return b'{"%s":[%s]}' % (self.collection.encode(), b",".join(elements))


_ALL = (
    Operation("contact_create", "contact", "create", "PUT", f"Contacts?{BATCH}", "Contacts"),
    Operation("contact_update", "contact", "update", "POST", f"Contacts?{BATCH}", "Contacts"),
    Operation(
        "invoice_create", "invoice", "create", "PUT", f"Invoices?{BATCH}&unitdp=4", "Invoices"
    ),
    Operation(
        "invoice_update", "invoice", "update", "POST", f"Invoices?{BATCH}&unitdp=4", "Invoices"
    ),
    Operation("invoice_void", "invoice", "remove", "POST", f"Invoices?{BATCH}", "Invoices"),
    Operation(
        "credit_note_create",
        "credit_note",
        "create",
        "PUT",
        f"CreditNotes?{BATCH}&unitdp=4",
        "CreditNotes",
    ),
    Operation(
        "credit_note_update",
        "credit_note",
        "update",
        "POST",
        f"CreditNotes?{BATCH}&unitdp=4",
        "CreditNotes",
    ),
    Operation(
        "credit_note_void", "credit_note", "remove", "POST", f"CreditNotes?{BATCH}", "CreditNotes"
    ),
    Operation(
        "allocation_create",
        "allocation",
        "create",
        "PUT",
        f"CreditNotes/{{source_id}}/Allocations?{BATCH}",
        "Allocations",
        most=1,
    ),
    Operation(
        "allocation_delete",
        "allocation",
        "remove",
        "DELETE",
        "CreditNotes/{source_id}/Allocations/{xero_id}",
        "",
        most=1,
    ),
    Operation("payment_create", "payment", "create", "PUT", f"Payments?{BATCH}", "Payments"),
    Operation("payment_delete", "payment", "remove", "POST", "Payments/{xero_id}", "", most=1),
    Operation("refund_create", "refund", "create", "PUT", f"Payments?{BATCH}", "Payments"),
    Operation("refund_delete", "refund", "remove", "POST", "Payments/{xero_id}", "", most=1),
    Operation(
        "overpayment_create",
        "overpayment",
        "create",
        "PUT",
        f"BankTransactions?{BATCH}",
        "BankTransactions",
    ),
    # [U]: that an overpayment can be deleted so, and whether it is DELETED or VOIDED then.
    Operation(
        "overpayment_delete",
        "overpayment",
        "remove",
        "POST",
        "BankTransactions/{xero_id}",
        "",
        most=1,
    ),
)
OPERATIONS: Mapping[str, Operation] = {operation.name: operation for operation in _ALL}
"""By name; a request's purpose is its operation's name."""

_BY_STEP = {(one.kind, one.step): one for one in OPERATIONS.values()}


def elements_of(body: bytes) -> Sequence[Mapping[str, Any]]:
    """The elements of a request's body: those of the collection, or the body itself as the only
    one; DELETE has none, and yet something that it is about."""
    whole = from_json(body) if body else {}
    first = next(iter(whole.values()), None)
    return first if isinstance(first, list) else [whole]


def operation_of(kind: DocumentKind, step: Step) -> Operation:
    """How that step is taken; KeyError if documents of that kind never take it."""
    return _BY_STEP[kind, step]
