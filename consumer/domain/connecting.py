"""Connecting: a connections file in, the Connections it asks for and their rivalries out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from consumer.domain.mapping import Connection, MappingKey, MappingKind, Target
from schemas import connections as file
from schemas.connections import Mistake


def connection_of(wanted: file.Connection, tenant_id: UUID, id: int = 0) -> Connection:
    """The connection that one entry of the file asks for; ``id`` 0 = not stored yet."""
    return Connection(
        id=id,
        code=wanted.code,
        name=wanted.name or wanted.code,
        organization_id=wanted.organization_id,
        tenant_id=tenant_id,
        customers=wanted.customers,
        default=wanted.default or wanted.serves.default,
        billing_entities=frozenset(wanted.serves.billing_entities),
        start_date=wanted.start_date,
        sync_invoices=wanted.syncs.invoices,
        number_prefix=wanted.number_prefix,
        zero_invoices=wanted.policies.zero_invoices,
        mappings=dict(_mappings(wanted.mappings)),
    )


def _mappings(wanted: file.Mappings) -> Iterator[tuple[MappingKey, Target]]:
    for currency, account in wanted.payment_account.items():
        key = "" if currency == "default" else currency
        yield MappingKey("", "payment_account", key), Target(account=account)
    yield from _scope("", wanted)
    for entity, own in wanted.entities.items():
        yield from _scope(entity, own)


def _scope(entity: str, wanted: file.EntityMappings) -> Iterator[tuple[MappingKey, Target]]:
    single: Mapping[MappingKind, file.ItemTarget | file.TaxTarget | None] = {
        "fallback_item": wanted.fallback_item,
        "subscription_fee": wanted.subscription_fee,
        "minimum_commitment": wanted.minimum_commitment,
        "coupon": wanted.coupon,
        "prepaid_credit": wanted.prepaid_credit,
        "prepaid_granted_credit": wanted.prepaid_granted_credit,
        "credit_note": wanted.credit_note,
        "no_tax": wanted.no_tax,
        "outside_tax": wanted.outside_tax,
        "provider_tax": wanted.provider_tax,
    }
    keyed: Mapping[MappingKind, Mapping[str, file.ItemTarget | file.TaxTarget]] = {
        "tax": wanted.taxes,
        "billable_metric": wanted.billable_metrics,
        "add_on": wanted.add_ons,
    }
    for kind, target in single.items():
        if target is not None:
            yield MappingKey(entity, kind), _target(target)
    for kind, targets in keyed.items():
        for key, each in targets.items():
            yield MappingKey(entity, kind, key), _target(each)


def _target(wanted: file.ItemTarget | file.TaxTarget) -> Target:
    if isinstance(wanted, file.TaxTarget):
        return Target(tax_type=wanted.tax_type)
    return Target(wanted.item, wanted.account, wanted.tax_type)


def rivals(wanted: Mapping[str, Connection], others: Sequence[Connection]) -> Iterator[Mistake]:
    """Where two connections of one organization could claim the same customer.

    Args:
        wanted: the file's connections by their paths.
        others: connections in force that the file does not name.
    """
    all_of_them = [*wanted.items(), *((c.code, c) for c in others)]
    for path, connection in wanted.items():
        if connection.customers != "create":
            continue
        before = [
            (other_path, other)
            for other_path, other in all_of_them
            if other is not connection and other.organization_id == connection.organization_id
        ]
        yield from _unclear(path, connection, [other for _, other in before])
        for other_path, other in before:
            # Two of the file meet twice: the later one is told.
            later = other_path not in wanted or _index(wanted, other_path) < _index(wanted, path)
            if later and other.customers == "create":
                yield from _shared(path, connection, other)


def _index(wanted: Mapping[str, Connection], path: str) -> int:
    return list(wanted).index(path)


def _unclear(
    path: str, connection: Connection, siblings: Sequence[Connection]
) -> Iterator[Mistake]:
    if siblings and not connection.default and not connection.billing_entities:
        yield Mistake(
            path,
            "does not say whom it serves, though its organization has "
            f"{', '.join(sorted(repr(c.code) for c in siblings))} too",
            "write serves: {billing_entities: [...]}, default: true, or customers: linked",
        )


def _shared(path: str, connection: Connection, other: Connection) -> Iterator[Mistake]:
    if connection.default and other.default:
        yield Mistake(
            f"{path}.default",
            f"{other.code!r} is the organization's default already",
            "an organization has one default connection",
        )
    if shared := connection.billing_entities & other.billing_entities:
        yield Mistake(
            f"{path}.serves.billing_entities",
            f"{', '.join(sorted(shared))} is served by {other.code!r} already",
            "a billing entity has one connection",
        )
