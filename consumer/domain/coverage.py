"""What Lago's invoices are made of in, the metrics, add-ons and taxes without a mapping of their own out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from consumer.domain.mapping import Connection, MappingKey
from consumer.domain.money import SUBUNITS
from consumer.domain.translate.places import FEE_KINDS


@dataclass(frozen=True, slots=True)
class SeenFee:
    """Fees of one kind for the customers of one billing entity; ``posted`` in Lago's subunits, net of
    discounts, of those whose invoice is in Xero."""

    entity: str
    type: str
    code: str | None
    item_id: str | None
    currency: str
    invoices: int
    posted: Decimal


@dataclass(frozen=True, slots=True)
class SeenTax:
    """A tax on invoices for the customers of one billing entity; ``posted`` as for fees, taxed sums.

    ``provider`` where a tax provider made it up.
    """

    entity: str
    code: str
    provider: bool
    currency: str
    invoices: int
    posted: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """What has no mapping of its own: it takes the fallback item or, a tax, has no tax type but its
    item's; then its invoices fail unless that has Lago's rate. ``key`` is the mapping that closes it.

    ``posted`` is in subunits of ``currency``.
    """

    key: MappingKey
    how: Literal["fallback", "unmapped"]
    currency: str
    invoices: int
    posted: Decimal

    @property
    def amount(self) -> Decimal:
        """``posted`` in major units."""
        return self.posted / SUBUNITS.get(self.currency, 1)


def gaps(
    connection: Connection, fees: Iterable[SeenFee], taxes: Iterable[SeenTax]
) -> tuple[Gap, ...]:
    """By path and currency, with the mappings as they are now."""
    found: dict[tuple[MappingKey, str], Gap] = {}
    for gap in (
        *(_of_fee(connection, fee) for fee in fees),
        *(_of_tax(connection, tax) for tax in taxes),
    ):
        if gap is not None:
            at = gap.key, gap.currency
            found[at] = _with(found[at], gap) if at in found else gap
    return tuple(found[at] for at in sorted(found))


def _with(one: Gap, more: Gap) -> Gap:
    return replace(one, invoices=one.invoices + more.invoices, posted=one.posted + more.posted)


def _of_fee(connection: Connection, fee: SeenFee) -> Gap | None:
    kind = FEE_KINDS.get(fee.type)
    if kind is None:
        return None
    plain = kind not in ("billable_metric", "add_on")
    keys = ("",) if plain else tuple(key for key in (fee.code, fee.item_id) if key)
    if not keys or not connection.find(kind, keys, entity=fee.entity).fallback:
        return None
    own = MappingKey(fee.entity, "fallback_item")
    # As Lago does it, a default mapping would not be asked.
    scope = fee.entity if connection.lookup == "lago" and own in connection.mappings else ""
    key = MappingKey(scope, kind, keys[0])
    return Gap(key, "fallback", fee.currency, fee.invoices, fee.posted)


def _of_tax(connection: Connection, tax: SeenTax) -> Gap | None:
    if tax.provider and connection.tax_type("provider_tax", entity=tax.entity) is not None:
        return None
    alone_or_not = (
        key.kind == "tax" and key.entity in ("", tax.entity) and tax.code in key.key.split("+")
        for key in connection.mappings
    )
    if any(alone_or_not):
        return None
    key = MappingKey("", "provider_tax") if tax.provider else MappingKey("", "tax", tax.code)
    return Gap(key, "unmapped", tax.currency, tax.invoices, tax.posted)
