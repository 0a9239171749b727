"""A Lago thing in, its place in the Xero books out: item, account, tax type."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from consumer.domain.chart import Chart
from consumer.domain.errors import Unmapped
from consumer.domain.mapping import (
    Connection,
    Found,
    MappingKey,
    MappingKind,
    mapping_cause,
)
from consumer.domain.money import major_text
from consumer.domain.translate.tax_types import Codes
from consumer.domain.translate.taxes import fee_rate, is_taxed
from consumer.domain.translate.types import Note
from schemas import lago

FEE_KINDS: dict[str, MappingKind] = {
    "charge": "billable_metric",
    "add_on": "add_on",
    "fixed_charge": "add_on",
    "subscription": "subscription_fee",
    "product": "subscription_fee",
    "commitment": "minimum_commitment",
    "credit": "prepaid_credit",
}
"""The mapping of each type of fee (lago.md 3.8)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Item and account of a line. ``subject`` names the mapping that was asked for."""

    subject: str
    item: str | None
    account: str
    fallback: bool = False
    tax_types: tuple[str, ...] = ()
    """What the item's and the fallback's own settings say, for taxes without a mapping."""

    def notes(self, amount: Decimal, *, prepaid: bool = False) -> list[Note]:
        """That only the fallback took a line of ``amount``; an alarm if the line is prepaid credit."""
        if not self.fallback:
            return []
        kinds: list[Literal["fallback_used", "prepaid_on_fallback"]] = ["fallback_used"]
        if prepaid:
            kinds.append("prepaid_on_fallback")
        return [Note(kind, self.subject, amount) for kind in kinds]


@dataclass(frozen=True, slots=True)
class Books:
    """The mappings of one connection for the customers of one billing entity, and the chart."""

    connection: Connection
    chart: Chart
    entity: str

    def fee(self, fee: lago.Fee) -> Place:
        """Where a fee goes; an unknown type of fee goes to the fallback item.

        Raises:
            Unmapped: ``account_unmapped``.
        """
        kind = FEE_KINDS.get(fee.item.type)
        if kind is None:
            target = self.connection.find("fallback_item", entity=self.entity).target
            return self._place(Found(target, fallback=True), f"{fee.item.type}:{fee.item.code}")
        if kind not in ("billable_metric", "add_on"):
            return self.collection(kind)
        keys = tuple(str(key) for key in (fee.item.code, fee.item.lago_item_id) if key)
        found = self.connection.find(kind, keys, entity=self.entity)
        return self._place(found, mapping_cause(kind, keys[0] if keys else ""))

    def collection(self, kind: MappingKind, instead: MappingKind | None = None) -> Place:
        """Where coupons, prepaid credit and the like go; ``instead`` is asked before the fallback.

        Raises:
            Unmapped: ``account_unmapped``.
        """
        found = self.connection.find(kind, entity=self.entity)
        if found.fallback and instead is not None:
            found = self.connection.find(instead, entity=self.entity)
        return self._place(found, mapping_cause(kind))

    def clearing(self) -> Place:
        """Where a consumed credit goes that a refund of its note clears: the clearing account, with the
        item of credit notes if they have one of their own.

        Raises:
            Unmapped: ``account_unmapped``.
        """
        target = self.connection.mappings.get(MappingKey("", "clearing_account"))
        if target is None or target.account is None:
            raise Unmapped(
                "account_unmapped",
                "No account is mapped for consumed credits to pass through.",
                "Map clearing_account to an account of Xero's that takes payments.",
                mapping_cause("clearing_account"),
            )
        own = self.connection.find("credit_note", entity=self.entity)
        return Place("clearing_account", None if own.fallback else own.target.item, target.account)

    def _place(self, found: Found, subject: str) -> Place:
        account = found.target.account or self._sales_account(found.target.item)
        if account is None:
            raise Unmapped(
                "account_unmapped",
                f"The mapping {subject} names no account, and its item "
                f"{found.target.item!r} has no sales account in Xero.",
                "Give the mapping an account, or the Xero item a sales account.",
                mapping_cause("fallback_item") if found.fallback else subject,
            )
        tax_types = tuple(dict.fromkeys(self._own_tax_types(found)))
        return Place(subject, found.target.item, account, found.fallback, tax_types)

    def _sales_account(self, item: str | None) -> str | None:
        known = self.chart.items.get(item) if item is not None else None
        return None if known is None else known.sales_account

    def _own_tax_types(self, found: Found) -> Iterator[str]:
        fallback = self.connection.find("fallback_item", entity=self.entity).target
        for target in (found.target, fallback):
            item = self.chart.items.get(target.item) if target.item is not None else None
            for tax_type in (target.tax_type, item.sales_tax_type if item else None):
                if tax_type is not None:
                    yield tax_type

    def mandatory_tax_type(self, kind: MappingKind) -> str:
        """The tax type of ``no_tax`` or ``outside_tax``.

        Raises:
            Unmapped: ``tax_unmapped``.
        """
        found = self.connection.tax_type(kind, entity=self.entity)
        if found is None:
            raise Unmapped(
                "tax_unmapped",
                f"The mapping {kind} is missing; every connection needs it.",
                f"Map {kind} to a Xero tax type.",
                mapping_cause(kind),
            )
        return found

    def line_tax_type(
        self,
        fee: lago.Fee,
        taxed: bool,
        options: Set[Codes],
        providers: Set[str],
        place: Place,
    ) -> str:
        """The tax type of a fee's line; a top-up is outside tax.

        Args:
            taxed: whether the line bears tax. The others are those of ``fee_tax_type``.

        Raises:
            Unmapped: also ``tax_rate_zero``; tax on a type of 0 % is never sent.
        """
        if fee.item.type == "credit" and not is_taxed(fee):
            return self.mandatory_tax_type("outside_tax")
        tax_type = self.fee_tax_type(options, fee_rate(fee), providers, place)
        if taxed and self.effective_rate(tax_type) == 0:
            raise Unmapped(
                "tax_rate_zero",
                f"The fee {fee.lago_id} bears tax, but its Xero tax type {tax_type!r} has 0 %.",
                "Map the Lago tax to a Xero tax type with its rate.",
                self._tax_cause(options, providers),
            )
        return tax_type

    def _tax_cause(self, options: Set[Codes], providers: Set[str]) -> str:
        """The mapping that gave a fee with one of ``options`` its tax type."""
        codes = min(filter(None, options), default=())
        key = "+".join(codes)
        own = self.connection.tax_type("tax", key, entity=self.entity)
        provider = own is None and set(codes) <= providers
        return mapping_cause("provider_tax") if provider else mapping_cause("tax", key)

    def fee_tax_type(
        self, options: Set[Codes], rate: Decimal | None, providers: Set[str], place: Place
    ) -> str:
        """The tax type of a fee that bears one of the sets of tax codes in ``options``.

        Args:
            rate: the fee's rate in percent, where Lago says it.
            providers: codes that a tax provider made up; they share ``provider_tax``.

        Raises:
            Unmapped: ``tax_unmapped`` (waits for ``tax:<codes>``) or ``tax_ambiguous``.
        """
        if not options:
            raise Unmapped(
                "tax_ambiguous",
                f"A fee is taxed at {_percent(rate)}, but no set of the document's taxes has that "
                "rate.",
                "Compare the document's taxes in Lago and ask it to send the document again.",
            )
        types = {codes: self._tax_type(codes, rate, providers, place) for codes in options}
        if len(options) > 1 and (None in types.values() or len(set(types.values())) > 1):
            named = sorted("+".join(codes) or "no tax" for codes in options)
            raise Unmapped(
                "tax_ambiguous",
                f"A fee taxed at {_percent(rate)} can bear {' or '.join(named)}, and Lago's "
                "figures do not tell which.",
                "Map all of them to the same Xero tax type, or give the taxes different rates.",
                mapping_cause("tax", next((name for name in named if name != "no tax"), "")),
            )
        found = next(iter(types.values()))
        if found is None:
            codes = next(iter(options))
            named_key, provider = "+".join(codes), set(codes) <= providers
            key = "provider_tax" if provider else f"tax {named_key}"
            raise Unmapped(
                "tax_unmapped",
                f"The Lago tax {named_key} ({_percent(rate)}) has no Xero tax type.",
                f"Map {key} to a Xero tax type with that rate.",
                mapping_cause("provider_tax") if provider else mapping_cause("tax", named_key),
            )
        return found

    def _tax_type(
        self, codes: Codes, rate: Decimal | None, providers: Set[str], place: Place
    ) -> str | None:
        if not codes:
            return self.mandatory_tax_type("no_tax")
        key = "+".join(codes)
        found = self.connection.tax_type("tax", key, entity=self.entity)
        if found is None and set(codes) <= providers:
            if rate == 0:
                return self.mandatory_tax_type("no_tax")
            found = self.connection.tax_type("provider_tax", entity=self.entity)
        if found is None:
            found = next((own for own in place.tax_types if self._has_rate(own, rate)), None)
        return found

    def _has_rate(self, tax_type: str, rate: Decimal | None) -> bool:
        known = self.chart.tax_rates.get(tax_type)
        return known is not None and known.active and known.effective_rate == rate

    def effective_rate(self, tax_type: str) -> Decimal | None:
        """Xero's rate of a tax type in percent, None where the chart does not have it."""
        known = self.chart.tax_rates.get(tax_type)
        return None if known is None else known.effective_rate


def _percent(rate: Decimal | None) -> str:
    return "an unknown rate" if rate is None else f"{major_text(rate)} %"
