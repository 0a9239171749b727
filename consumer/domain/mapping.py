"""Connections and their mappings: a Lago thing in, the Xero item, account and tax type out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args
from uuid import UUID

from consumer.domain.causes import bounded

MappingKind = Literal[
    "fallback_item",
    "subscription_fee",
    "minimum_commitment",
    "coupon",
    "prepaid_credit",
    "prepaid_granted_credit",
    "credit_note",
    "billable_metric",
    "add_on",
    "tax",
    "provider_tax",
    "no_tax",
    "outside_tax",
    "payment_account",
    "refund_account",
    "clearing_account",
]
TAX_KINDS: frozenset[MappingKind] = frozenset({"tax", "provider_tax", "no_tax", "outside_tax"})
"""Kinds that are nothing but a tax type."""
BY_CURRENCY: tuple[MappingKind, ...] = ("payment_account", "refund_account")
"""Kinds that are nothing but an account, for each currency."""
ACCOUNT_KINDS: tuple[MappingKind, ...] = (*BY_CURRENCY, "clearing_account")
"""Kinds that are nothing but an account."""
LINE_KINDS: frozenset[MappingKind] = frozenset(get_args(MappingKind)) - {*TAX_KINDS, *ACCOUNT_KINDS}
"""Kinds of what stands on a line: item, account and tax type."""
SECTIONS = {"tax": "taxes", "billable_metric": "billable_metrics", "add_on": "add_ons"}
"""Kinds that are mappings of their own in the connections file."""


def mapping_cause(kind: MappingKind, key: str = "") -> str:
    """What a document waits for that lacks this mapping: ``tax:vat_20``, ``no_tax``, …"""
    return f"{kind}:{bounded(key)}" if key else kind


@dataclass(frozen=True, slots=True, order=True)
class MappingKey:
    """What is mapped. ``entity`` is a billing entity's code or "" for the default; ``key`` a Lago
    code or id (metrics, add-ons, taxes), a currency (payment accounts) or ""."""

    entity: str
    kind: MappingKind
    key: str = ""

    @property
    def path(self) -> str:
        """Where it stands in the connections file: ``mappings.entities.acme-eu.taxes.vat_20``."""
        scope = f".entities.{self.entity}" if self.entity else ""
        name = SECTIONS.get(self.kind, self.kind)
        return f"mappings{scope}.{name}" + (f".{self.key}" if self.key else "")


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes in Xero: item code, account code, tax type; None where silent."""

    item: str | None = None
    account: str | None = None
    tax_type: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A look-up's answer; ``fallback`` tells that only the fallback item fitted."""

    target: Target
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of a Lago organization to a Xero tenant, as planning uses it."""

    id: int
    code: str
    organization_id: UUID
    tenant_id: UUID
    name: str = ""
    customers: Literal["create", "linked"] = "create"
    default: bool = False
    billing_entities: frozenset[str] = frozenset()
    start_date: date | None = None
    sync_invoices: bool = True
    sync_credit_notes: bool = True
    sync_payments: bool = True
    number_prefix: str = ""
    zero_invoices: Literal["post", "skip"] = "post"
    voids: Literal["sync", "report"] = "sync"
    drafts: Literal["skip", "post"] = "skip"
    locked_period: Literal["hold", "first_open_day", "draft", "fail"] = "hold"
    residual_payments: Literal["post", "ignore"] = "post"
    excess: Literal["fail", "overpayment"] = "fail"
    lookup: Literal["specific", "lago"] = "specific"
    linked_contacts: Literal["leave", "update"] = "leave"
    consumed_credits: Literal["allocate", "negative_line"] = "allocate"
    refunds: Literal["at_once", "when_succeeded"] = "at_once"
    mappings: Mapping[MappingKey, Target] = field(default_factory=dict)

    @property
    def posts_residuals(self) -> bool:
        """Whether money that no payment explains is posted."""
        return self.residual_payments == "post"

    @property
    def overpays(self) -> bool:
        """Whether what a payment has beyond its invoice is posted beside it."""
        return self.excess == "overpayment"

    @property
    def clears(self) -> bool:
        """Whether consumed credits pass through the clearing account instead of being allocated."""
        return self.consumed_credits == "negative_line"

    def find(self, kind: MappingKind, keys: tuple[str, ...] = ("",), *, entity: str = "") -> Found:
        """The mapping of the first of ``keys`` (a Lago code, a Lago id) that has one.

        Order: entity, default, entity's fallback, default fallback; as Lago does it (policy
        ``lookup: lago``) the entity's fallback comes second (ACCOUNTING.md 3, lago.md 3.8). ``apply``
        refuses a connection without a default fallback item, so there is always an answer.
        """
        scopes = tuple(dict.fromkeys((entity, "")))
        own = [MappingKey(scope, kind, key) for scope in scopes for key in keys]
        steps = own + [MappingKey(scope, "fallback_item") for scope in scopes]
        if self.lookup == "lago":
            steps.sort(key=lambda step: scopes.index(step.entity))
        for step in steps:
            target = self.mappings.get(step)
            if target is not None:
                return Found(target, fallback=step not in own)
        raise LookupError(f"connection {self.code} has no fallback item")

    def tax_type(self, kind: MappingKind, key: str = "", *, entity: str = "") -> str | None:
        """The Xero tax type of a Lago tax code, ``no_tax`` or ``outside_tax``; None if unmapped."""
        for scope in dict.fromkeys((entity, "")):
            target = self.mappings.get(MappingKey(scope, kind, key))
            if target is not None and target.tax_type is not None:
                return target.tax_type
        return None

    def entries(self) -> Iterator[tuple[MappingKey, Target]]:
        """All mappings in a stable order."""
        yield from sorted(self.mappings.items(), key=lambda entry: entry[0])
