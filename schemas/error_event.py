"""The body of an outbound webhook: failures of one connection in, strict JSON out.

Each failure has the shape of Lago's ``customer.accounting_provider_error`` webhook (lago.md 2), so
that a receiver of those reads ours; beside it stand the document and a hint.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

MAX_FAILURES = 100
"""Failures in one post; the rest follow in further posts."""


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[AwareDatetime, PlainSerializer(_instant, return_type=str, when_used="json")]
Text = Annotated[str, Field(max_length=1_000)]


class ErrorEventModel(BaseModel):
    """A strict, frozen part of the body."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProviderError(ErrorEventModel):
    """What is wrong, and our stable code for it."""

    message: Text
    error_code: Text


class CustomerError(ErrorEventModel):
    """Lago's ``accounting_provider_customer_error``."""

    lago_customer_id: UUID | None = None
    external_customer_id: str | None = None
    accounting_provider: Literal["xero"] = "xero"
    accounting_provider_code: str | None = Field(
        default=None, description="The connection's code; null where none is known."
    )
    provider_error: ProviderError


class DocumentRef(ErrorEventModel):
    """The document that failed."""

    kind: str
    lago_id: UUID
    number: str | None = None


class Failure(ErrorEventModel):
    """One failure."""

    id: str = Field(description="Stable: the same failure never has another.")
    webhook_type: Literal["customer.accounting_provider_error"] = (
        "customer.accounting_provider_error"
    )
    object_type: Literal["accounting_provider_customer_error"] = (
        "accounting_provider_customer_error"
    )
    organization_id: UUID | None = None
    accounting_provider_customer_error: CustomerError
    document: DocumentRef | None = Field(
        default=None, description="Null where a message could not be read or an access is refused."
    )
    hint: Text = ""
    attempts: int = Field(ge=0, description="How often the document was tried.")
    event_key: str | None = Field(
        default=None, description="SHA-256 of the message's value; finds it in the ledger."
    )
    failed_at: Instant


class FailurePost(ErrorEventModel):
    """One post: failures of one connection, oldest first."""

    type: Literal["lago_xero.failures"] = "lago_xero.failures"
    timestamp: Instant = Field(description="Of the newest failure.")
    connection_code: str | None = None
    connection_name: str | None = None
    failures: tuple[Failure, ...] = Field(min_length=1, max_length=MAX_FAILURES)

    def body(self) -> bytes:
        """The JSON; the same failures always give the same bytes."""
        return self.model_dump_json().encode()
