"""The connections file in, the connections it asks for, what is wrong and what would change out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from uuid import UUID

from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target
from schemas import connections as file
from schemas.mistakes import Mistake

_ITEMS: tuple[MappingKind, ...] = (
    "fallback_item",
    "subscription_fee",
    "minimum_commitment",
    "coupon",
    "prepaid_credit",
    "prepaid_granted_credit",
    "credit_note",
)
_TAX_TYPES: tuple[MappingKind, ...] = ("no_tax", "outside_tax", "provider_tax")
_NOT_SHOWN = ("id", "mappings")


def connection_of(asked: file.Connection, tenant_id: UUID, id: int = 0) -> Connection:
    """The connection as planning and translation use it."""
    return Connection(
        id=id,
        code=asked.code,
        organization_id=asked.organization_id,
        tenant_id=tenant_id,
        name=asked.name or asked.code,
        customers=asked.customers,
        default=asked.default or asked.serves.default,
        billing_entities=frozenset(asked.serves.billing_entities),
        start_date=asked.start_date,
        sync_invoices=asked.syncs.invoices,
        sync_credit_notes=asked.syncs.credit_notes,
        sync_payments=asked.syncs.payments,
        number_prefix=asked.number_prefix,
        zero_invoices=asked.policies.zero_invoices,
        drafts=asked.policies.drafts,
        voids=asked.policies.voids,
        locked_period=asked.policies.locked_period,
        residual_payments=asked.policies.residual_payments,
        excess=asked.policies.excess,
        lookup=asked.policies.lookup,
        linked_contacts=asked.policies.linked_contacts,
        consumed_credits=asked.policies.consumed_credits,
        refunds=asked.policies.refunds,
        mappings=dict(mappings_of(asked.mappings)),
    )


def mappings_of(asked: file.Mappings) -> Iterator[tuple[MappingKey, Target]]:
    """What the part ``mappings`` of a connection asks for."""
    accounts: tuple[tuple[MappingKind, Mapping[str, str]], ...] = (
        ("payment_account", asked.payment_account),
        ("refund_account", asked.refund_account),
    )
    for kind, by_currency in accounts:
        for currency, account in by_currency.items():
            key = MappingKey("", kind, "" if currency == "default" else currency)
            yield key, Target(account=account)
    if asked.clearing_account is not None:
        yield MappingKey("", "clearing_account"), Target(account=asked.clearing_account)
    yield from _scope("", asked)
    for entity, mappings in asked.entities.items():
        yield from _scope(entity, mappings)


def _scope(entity: str, asked: file.EntityMappings) -> Iterator[tuple[MappingKey, Target]]:
    for kind in _ITEMS:
        item: file.ItemTarget | None = getattr(asked, kind)
        if item is not None:
            yield MappingKey(entity, kind), Target(item.item, item.account, item.tax_type)
    for kind in _TAX_TYPES:
        tax: file.TaxTarget | None = getattr(asked, kind)
        if tax is not None:
            yield MappingKey(entity, kind), Target(tax_type=tax.tax_type)
    for code, tax in asked.taxes.items():
        yield MappingKey(entity, "tax", code), Target(tax_type=tax.tax_type)
    for code, item in asked.billable_metrics.items():
        target = Target(item.item, item.account, item.tax_type)
        yield MappingKey(entity, "billable_metric", code), target
    for code, item in asked.add_ons.items():
        yield MappingKey(entity, "add_on", code), Target(item.item, item.account, item.tax_type)


def conflicts(asked: Sequence[tuple[str, Connection]]) -> list[Mistake]:
    """What connections may not share, given as (path, connection): customers and invoice numbers."""
    mistakes = []
    for (path, one), (other_path, other) in combinations(asked, 2):
        if one.organization_id != other.organization_id:
            continue
        both = sorted(one.billing_entities & other.billing_entities)
        if both and one.customers == other.customers == "create":
            mistakes.append(
                Mistake(
                    f"{other_path}.serves.billing_entities",
                    f"{', '.join(both)} is served by {path} already",
                    "a customer has one home: let one connection serve the billing entity",
                )
            )
        if one.default and other.default:
            mistakes.append(
                Mistake(f"{other_path}.default", f"{path} is the organization's default already")
            )
    for path, one in asked:
        siblings = [c for _, c in asked if c.organization_id == one.organization_id]
        serves = one.billing_entities or one.default or one.customers == "linked"
        if len(siblings) > 1 and not serves:
            mistakes.append(
                Mistake(
                    path,
                    "serves nobody, while the organization has several connections",
                    "add serves: {billing_entities: [...]}, default: true or customers: linked",
                )
            )
    return mistakes


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the diff."""

    sign: str
    path: str
    said: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.path}" + (f": {self.said}" if self.said else "")


def differences(stored: Connection | None, asked: Connection) -> list[Change]:
    """What applying ``asked`` would change."""
    if stored is None:
        return [Change("+", asked.code, f"new connection with {len(asked.mappings)} mappings")]
    changes = [
        Change("~", f"{asked.code}.{f.name}", f"{_shown(old)} → {_shown(new)}")
        for f in fields(Connection)
        if f.name not in _NOT_SHOWN
        and (old := getattr(stored, f.name)) != (new := getattr(asked, f.name))
    ]
    return changes + _mapping_changes(asked.code, stored.mappings, asked.mappings)


def _mapping_changes(
    code: str, stored: Mapping[MappingKey, Target], asked: Mapping[MappingKey, Target]
) -> list[Change]:
    changes = []
    for key in sorted({*stored, *asked}):
        old, new = stored.get(key), asked.get(key)
        if old == new:
            continue
        sign = "+" if old is None else "-" if new is None else "~"
        said = " → ".join(_target(t) for t in (old, new) if t is not None)
        changes.append(Change(sign, f"{code}.{key.path}", said))
    return changes


def _target(target: Target) -> str:
    parts = (target.item, target.account and f"account {target.account}", target.tax_type)
    return " ".join(part for part in parts if part)


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return "[" + ", ".join(sorted(value)) + "]"
    return "nothing" if value is None or value == "" else str(value)
