"""What stands above a document's lines: Lago's number in, one that Xero takes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import ValidationError

from consumer.domain.errors import Inconsistent, Refused
from schemas import lago

Document = Literal["invoice", "credit note"]

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


def number_of(invoice: lago.Invoice) -> str | None:
    """The invoice's number; Lago gives all drafts of a customer's the same, so theirs is made of the id."""
    return _drafts(invoice.lago_id) if invoice.status == "draft" else invoice.number


def has_drafts_number(number: str | None, lago_id: UUID) -> bool:
    """Whether the number, with any prefix, is that of the invoice's draft."""
    return number is not None and number.endswith(_drafts(lago_id))


def _drafts(lago_id: UUID) -> str:
    return f"DRAFT-{lago_id.hex[:8]}"


def number_and_date(
    document: Document, prefix: str, number: str | None, issued: date | None
) -> tuple[str, date]:
    """The number with the connection's prefix, and Lago's issuing date unchanged.

    Raises:
        Inconsistent: ``lago_header_missing``.
        Refused: ``invoice_number_illegal`` or ``credit_note_number_illegal``.
    """
    if number is None or issued is None:
        raise Inconsistent(
            "lago_header_missing",
            f"The {document} lacks its number or its issuing date.",
            f"Ask Lago to send the {document} again.",
        )
    if _PRINTABLE.fullmatch(prefix + number) is None:
        raise Refused(
            f"{document.replace(' ', '_')}_number_illegal",
            f"Xero takes {document} numbers of 1 to 255 printable ASCII characters, not "
            f"{prefix + number!r}.",
            "Change the document number prefix of the billing entity in Lago.",
        )
    return prefix + number, issued


@contextmanager
def within_limits(document: Document) -> Iterator[None]:
    """What the strict models refuse is said with the path of the field.

    Raises:
        Refused: ``unsendable``.
    """
    try:
        yield
    except ValidationError as error:
        path = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Refused(
            "unsendable",
            f"The {document} does not fit Xero's limits at {path}: {error.errors()[0]['msg']}.",
            f"Correct the mapping or the {document} named by the path.",
        ) from None
