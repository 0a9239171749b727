"""Decoding: one record's bytes in, what it says about Lago's objects out.

ACCOUNTING.md 2 says which message defines what. A webhook names its object under the key given by
``object_type``; nothing in it tells when it happened but the object's own ``updated_at``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from consumer.domain.errors import Undecodable
from consumer.domain.objects import Contribution, Facet, ObjectKey, Stamp
from schemas import lago

M = TypeVar("M", bound=lago.LagoModel)

MAX_BYTES = 16 * 1024 * 1024

DEFINING = frozenset(
    f"invoice.{name}"
    for name in ("created", "one_off_created", "paid_credit_added", "resynced", "voided", "drafted")
)
"""Messages that may define an invoice's content."""
POORER = frozenset(
    f"invoice.{name}"
    for name in (
        "payment_status_updated",
        "payment_overdue",
        "generated",
        "ready_to_finalize",
        "deleted",
    )
)
"""Messages that move an invoice's state only."""
CUSTOMERS = frozenset(
    f"customer.{name}" for name in ("created", "updated", "accounting_provider_created")
)

STATUS_RANK = {
    "generating": 0,
    "open": 0,
    "pending": 1,
    "draft": 1,
    "failed": 1,
    "finalized": 2,
    "closed": 2,
    "deleted": 3,
    "voided": 3,
}
"""Terminal statuses outrank stamps: a late ``created`` never un-voids."""
PAYMENT_RANK = {"pending": 0, "failed": 1, "succeeded": 2}

_STATE_ONLY = {"status", "payment_status", "customer", "credits", "applied_taxes", "voided_at",
               "total_due_amount_cents", "total_paid_amount_cents"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded message."""

    type: str
    organization_id: UUID
    key: ObjectKey
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A well-formed message of a type that says nothing to us."""

    type: str


def decode(value: bytes | None, *, appended: int, digest: str) -> Event | Ignored:
    """Decode a record's value; ``appended`` is its Kafka timestamp in milliseconds.

    Raises:
        Undecodable: with the path of the field at fault; the sentence never quotes a value.
    """
    envelope, payload = _open(value)
    if envelope.webhook_type in CUSTOMERS:
        customer = _read(lago.Customer, payload, envelope.object_type)
        contribution = _customer(customer, payload, envelope.organization_id, appended, digest)
        return Event(
            envelope.webhook_type, envelope.organization_id, contribution.key, (contribution,)
        )
    if envelope.webhook_type in DEFINING or envelope.webhook_type in POORER:
        invoice = _read(lago.Invoice, payload, envelope.object_type)
        return _invoice_event(envelope, invoice, payload, appended, digest)
    return Ignored(envelope.webhook_type[:100])


def _open(value: bytes | None) -> tuple[lago.Envelope, Mapping[str, Any]]:
    """The envelope and the object under its ``object_type``."""
    if not value:
        raise Undecodable("empty", "The record has no value.", "Check what produces to the topic.")
    if len(value) > MAX_BYTES:
        raise Undecodable(
            "too_large", f"The value has {len(value)} bytes; {MAX_BYTES} is the limit."
        )
    try:
        message = from_json(value, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:  # says what and where, quotes nothing
        raise Undecodable(
            "not_json",
            f"The value is not JSON: {error}.",
            "A bridge must forward Lago's bytes unchanged.",
        ) from None
    if not isinstance(message, dict):
        raise Undecodable("not_an_object", "The value is JSON, but not an object.")
    if b"\\u0000" in value:
        _refuse_nul(message, "")
    envelope = _read(lago.Envelope, message, "")
    payload = message.get(envelope.object_type)
    if not isinstance(payload, dict):
        raise Undecodable(
            "missing_object",
            f"The field {_safe(envelope.object_type)} named by object_type is not an object.",
            "Lago puts the object under the key that object_type names.",
        )
    return envelope, payload


def _invoice_event(
    envelope: lago.Envelope,
    invoice: lago.Invoice,
    payload: Mapping[str, Any],
    appended: int,
    digest: str,
) -> Event:
    organization_id = envelope.organization_id
    kind = envelope.webhook_type
    status = {"invoice.voided": "voided", "invoice.deleted": "deleted"}.get(kind, invoice.status)
    final = STATUS_RANK.get(status or "", 0) >= STATUS_RANK["finalized"]
    at = _seconds(invoice.updated_at)

    def stamp(rank: int) -> Stamp:
        return Stamp(rank, at, appended, digest)

    facets: dict[str, Facet] = {}
    if status is not None:
        facets["status"] = Facet(stamp(STATUS_RANK.get(status, 0)), status)
    if invoice.payment_status in PAYMENT_RANK:
        rank = PAYMENT_RANK[invoice.payment_status]
        facets["payment"] = Facet(Stamp(rank), invoice.payment_status)
    if invoice.total_paid_amount_cents is not None:
        facets["paid"] = Facet(
            Stamp(invoice.total_paid_amount_cents), invoice.total_paid_amount_cents
        )
    if kind in DEFINING and invoice.fees is not None:
        if invoice.customer is None:
            raise Undecodable("missing_field", "invoice.customer: is missing.")
        sums = sum(fee.amount_cents for fee in invoice.fees) == invoice.fees_amount_cents
        # Fees that do not add up define the content only until a message comes whose fees do.
        facets["content"] = Facet(
            stamp(2 * final + sums),
            invoice.model_dump(mode="json", exclude=_STATE_ONLY, exclude_unset=True),
        )
    for name in ("credits", "applied_taxes"):
        if getattr(invoice, name) is not None:
            parts = [
                part.model_dump(mode="json", exclude_unset=True) for part in getattr(invoice, name)
            ]
            facets[name] = Facet(stamp(final), parts)

    contributions = []
    customer_id = None
    if invoice.customer is not None:
        customer_id = invoice.customer.lago_id
        nested = payload.get("customer") or {}
        contributions.append(_customer(invoice.customer, nested, organization_id, appended, digest))
    key = ObjectKey("invoice", invoice.lago_id)
    contributions.append(Contribution(key, organization_id, facets, customer_id))
    return Event(kind, organization_id, key, tuple(contributions))


def _customer(
    customer: lago.Customer,
    payload: Mapping[str, Any],
    organization_id: UUID,
    appended: int,
    digest: str,
) -> Contribution:
    """Content from any message; links only from one that lists them (nested customers do not)."""
    stamp = Stamp(0, _seconds(customer.updated_at), appended, digest)
    facets = {
        "content": Facet(
            stamp,
            customer.model_dump(mode="json", exclude={"integration_customers"}, exclude_unset=True),
        )
    }
    if "integration_customers" in payload:
        links = [
            link.model_dump(mode="json", exclude_unset=True)
            for link in customer.integration_customers or ()
        ]
        facets["links"] = Facet(stamp, links)
    return Contribution(
        ObjectKey("customer", customer.lago_id), organization_id, facets, customer.lago_id
    )


def _seconds(at: datetime | None) -> int:
    """Since 1970; a stamp without an offset is UTC, wherever we run."""
    return 0 if at is None else int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())


def _read(model: type[M], payload: Mapping[str, Any], path: str) -> M:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        _refuse(error, path)


def _refuse(error: ValidationError, path: str) -> NoReturn:
    """Name the first fields at fault and why; pydantic's message without the input."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    lines = []
    for problem in problems[:5]:
        where = ".".join([*([path] if path else []), *(str(part) for part in problem["loc"])])
        reason = problem["msg"].partition(", invalid character")[0]  # what follows quotes it
        lines.append(f"{_safe(where)}: {reason.rstrip('.')}")
    if len(problems) > 5:
        lines.append(f"{len(problems) - 5} more")
    missing = all(problem["type"] == "missing" for problem in problems)
    raise Undecodable(
        "missing_field" if missing else "wrong_type",
        "; ".join(lines) + ".",
        "Compare the message with Lago's API reference; a fixed message is taken as a new one.",
    ) from None


def _refuse_nul(part: Any, path: str) -> None:
    """Postgres stores no NUL character; name the string that holds one."""
    if isinstance(part, str) and "\x00" in part:
        raise Undecodable("nul_character", f"{path}: contains a NUL character.")
    if isinstance(part, dict):
        for name, value in part.items():
            _refuse_nul(name, f"{path}.(a field's name)".lstrip("."))
            _refuse_nul(value, f"{path}.{_safe(name)}".lstrip("."))
    elif isinstance(part, list):
        for position, value in enumerate(part):
            _refuse_nul(value, f"{path}.{position}")


def _safe(text: str) -> str:
    """A field path fit for logs: printable, short."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
