"""Fees: what was sold, at which price, in; Lago's fee with exact amounts and taxes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from consumer.sandbox.lago.amounts import divided, rounded, subunits, text, whole
from consumer.sandbox.lago.catalogue import (
    ADD_ONS,
    METRICS,
    PLANS,
    UNKNOWN_METRIC,
    Item,
    Regime,
    TaxSet,
)
from consumer.sandbox.lago.choices import Choices

Json = dict[str, Any]
FeeType = Literal[
    "charge", "subscription", "fixed_charge", "commitment", "add_on", "credit", "product"
]
ITEM_TYPES: dict[FeeType, str] = {
    "charge": "BillableMetric",
    "subscription": "Subscription",
    "fixed_charge": "AddOn",
    "commitment": "Subscription",
    "add_on": "AddOn",
    "credit": "WalletTransaction",
    "product": "Subscription",
}
TYPES_OF_INVOICE: dict[str, tuple[FeeType, ...]] = {
    "subscription": ("charge", "subscription", "fixed_charge", "commitment", "product"),
    "progressive_billing": ("charge",),
    "advance_charges": ("charge",),
    "one_off": ("add_on",),
    "add_on": ("add_on",),
    "credit": ("credit",),
}
"""The fee types that an invoice of each type has."""
PERIODIC: frozenset[FeeType] = frozenset({"charge", "subscription", "fixed_charge", "commitment"})


@dataclass(frozen=True, slots=True)
class Price:
    """What was sold: ``amount`` and ``unit_amount`` in currency units, ``amount`` unrounded."""

    units: Decimal
    unit_amount: Decimal
    amount: Decimal

    @classmethod
    def plain(cls, units: Decimal | int | str, unit_amount: Decimal | int | str) -> Price:
        """Units times a price."""
        quantity, price = Decimal(units), Decimal(unit_amount)
        return cls(quantity, price, quantity * price)

    @classmethod
    def of_amount(cls, units: Decimal | int | str, amount: Decimal | int | str) -> Price:
        """An amount found some other way (tiers, packages); Lago divides it by the units."""
        quantity, total = Decimal(units), Decimal(amount)
        return cls(quantity, divided(total, quantity) if quantity else Decimal(0), total)


@dataclass(frozen=True, slots=True)
class FeeFacts:
    """One fee before discounts. ``discounted`` tells whether coupons reach it."""

    type: FeeType
    item: Item
    price: Price
    taxes: TaxSet = ()
    discounted: bool = True
    display_name: str | None = None
    filters: Json | None = None
    filter_name: str | None = None
    grouped_by: Json = field(default_factory=dict)
    description: str | None = None

    def amount_cents(self, currency: str) -> int:
        """Lago's fee amount in subunits."""
        return whole(self.price.amount * subunits(currency))


@dataclass(frozen=True, slots=True)
class TaxedFee:
    """A fee in its invoice: ``discount`` in subunits with five decimals."""

    facts: FeeFacts
    amount_cents: int
    discount: Decimal

    @property
    def net(self) -> Decimal:
        """What its taxes are computed on, in subunits."""
        return self.amount_cents - self.discount

    @property
    def rate(self) -> Decimal:
        """Its tax rate in percent."""
        return sum((tax.rate for tax in self.facts.taxes), Decimal(0))

    @property
    def precise_taxes(self) -> Decimal:
        """Its taxes in subunits, unrounded."""
        return self.net * self.rate / 100

    @property
    def taxes_amount_cents(self) -> int:
        """Its taxes in subunits, rounded once."""
        return whole(self.precise_taxes)


@dataclass(frozen=True, slots=True)
class Place:
    """What a serialized fee repeats of its invoice."""

    invoice_id: str
    customer_id: str
    external_customer_id: str
    subscription_id: str
    external_subscription_id: str
    currency: str
    from_date: str
    to_date: str
    paid: bool = False
    self_billed: bool = False
    in_advance: bool = False


def serialize(choices: Choices, fee: TaxedFee, place: Place, created_at: str) -> Json:
    """A fee as nested in invoice webhooks: a tax rate but no ``applied_taxes`` (lago.md 1)."""
    facts, currency = fee.facts, place.currency
    factor = subunits(currency)
    precise = facts.price.amount
    periodic = facts.type in PERIODIC
    charge = facts.type == "charge"
    precise_taxes = divided(fee.precise_taxes, factor)
    of_subscription = {
        "lago_subscription_id": place.subscription_id,
        "external_subscription_id": place.external_subscription_id,
    }
    return {
        "lago_id": choices.uuid(),
        "lago_charge_id": choices.uuid() if charge else None,
        "lago_charge_filter_id": choices.uuid() if charge and facts.filters else None,
        "lago_fixed_charge_id": choices.uuid() if facts.type == "fixed_charge" else None,
        "lago_invoice_id": place.invoice_id,
        "lago_true_up_fee_id": None,
        "lago_true_up_parent_fee_id": None,
        "lago_original_fee_id": None,
        **(of_subscription if periodic else dict.fromkeys(of_subscription)),
        "lago_customer_id": place.customer_id,
        "external_customer_id": place.external_customer_id,
        "item": _item(facts, place),
        "pay_in_advance": charge and place.in_advance,
        "invoiceable": not place.in_advance,
        "amount_cents": fee.amount_cents,
        "amount_currency": currency,
        "precise_amount": text(precise),
        "precise_total_amount": text(precise + precise_taxes),
        "taxes_amount_cents": fee.taxes_amount_cents,
        "taxes_precise_amount": text(precise_taxes),
        "taxes_rate": float(fee.rate),
        "total_aggregated_units": text(facts.price.units) if charge else None,
        "total_amount_cents": fee.amount_cents + fee.taxes_amount_cents,
        "total_amount_currency": currency,
        "units": text(facts.price.units),
        "description": facts.description,
        "precise_unit_amount": text(facts.price.unit_amount),
        "precise_coupons_amount_cents": text(fee.discount),
        "sub_total_excluding_taxes_amount_cents": whole(fee.net),
        "sub_total_excluding_taxes_precise_amount_cents": text(precise * factor - fee.discount),
        "events_count": choices.integer(0, 9999) if charge else None,
        "payment_status": "succeeded" if place.paid else "pending",
        "created_at": created_at,
        "succeeded_at": created_at if place.paid else None,
        "failed_at": None,
        "refunded_at": None,
        "amount_details": {},
        "self_billed": place.self_billed,
        "pricing_unit_details": None,
        "presentation_breakdowns": [],
        **({"from_date": place.from_date, "to_date": place.to_date} if periodic else {}),
    }


def _item(facts: FeeFacts, place: Place) -> Json:
    of_plan = ITEM_TYPES[facts.type] == "Subscription"
    credit = facts.type == "credit"
    return {
        "type": facts.type,
        "code": "credit" if credit else facts.item.code,
        "name": "credit" if credit else facts.item.name,
        "description": None,
        "invoice_display_name": facts.display_name or facts.item.name,
        "filters": facts.filters,
        "filter_invoice_display_name": facts.filter_name,
        "lago_item_id": place.subscription_id if of_plan else facts.item.lago_id,
        "item_type": ITEM_TYPES[facts.type],
        "grouped_by": facts.grouped_by,
    }


def generate_fee(
    choices: Choices, fee_type: FeeType, currency: str, regime: Regime, *, discounts: bool = True
) -> FeeFacts:
    """A fee of that type at any price that Lago can charge."""
    taxes = () if fee_type == "credit" else choices.choose(regime)
    discounted = discounts and not choices.chance(10)
    if fee_type == "charge":
        return _charge(choices, currency, taxes, discounted)
    if fee_type in ("add_on", "fixed_charge"):
        price = choices.choose((_plain, _tiered))(choices, currency)
        note = choices.choose((None, "Once only", "Änderung <auf Wunsch>"))
        return FeeFacts(
            fee_type, choices.choose(ADD_ONS), price, taxes, discounted, description=note
        )
    if fee_type == "credit":
        item = Item("credit", "credit", choices.uuid())
        price = Price.of_amount(1, _amount(choices, currency))
        return FeeFacts(fee_type, item, price, discounted=False)
    # Prorated subscriptions and true-ups to a minimum are one unit of an uneven amount.
    price = Price.of_amount(1, 0 if choices.chance(5) else _amount(choices, currency))
    return FeeFacts(fee_type, choices.choose(PLANS), price, taxes, discounted)


def _charge(choices: Choices, currency: str, taxes: TaxSet, discounted: bool) -> FeeFacts:
    pricing = choices.choose((_plain, _plain, _fine, _tiered, _package, _percentage, _nothing))
    filtered, grouped = choices.chance(25), choices.chance(25)
    region = choices.choose(("eu-1", "us-<2>"))
    return FeeFacts(
        "charge",
        UNKNOWN_METRIC if choices.chance(3) else choices.choose(METRICS),
        pricing(choices, currency),
        taxes,
        discounted,
        display_name=choices.choose((None, "Usage of the month")),
        filters={"region": [region]} if filtered else None,
        filter_name=f"Region {region}" if filtered else None,
        grouped_by={"agent": choices.choose(("aragorn", None)), "team": "a"} if grouped else {},
    )


def _amount(choices: Choices, currency: str) -> Decimal:
    """A whole number of subunits: small, ordinary or large."""
    most = 50_000_000 if choices.chance(5) else choices.choose((50_000, 999, 500_000))
    return Decimal(choices.integer(1, most)) / subunits(currency)


def _plain(choices: Choices, currency: str) -> Price:
    return Price.plain(choices.integer(1, 500), _unit_price(choices, currency))


def _unit_price(choices: Choices, currency: str) -> Decimal:
    return Decimal(choices.integer(1, choices.choose((999, 25_000)))) / subunits(currency)


def _fine(choices: Choices, currency: str) -> Price:
    """Units and prices with more decimals than Xero keeps."""
    places = choices.integer(3, 15)
    units = Decimal(choices.integer(1, 10**6)).scaleb(-choices.integer(0, 6))
    return Price.plain(units, Decimal(choices.integer(1, 10 ** (places + 1))).scaleb(-places))


def _tiered(choices: Choices, currency: str) -> Price:
    """Graduated or volume tiers: an amount that no unit price explains."""
    units = choices.choose(("3", "7", "0.333333", "1000000", "12.5"))
    return Price.of_amount(units, _amount(choices, currency))


def _package(choices: Choices, currency: str) -> Price:
    size, units = choices.integer(10, 1000), choices.integer(1, 10_000)
    return Price.of_amount(units, -(-units // size) * _unit_price(choices, currency))


def _percentage(choices: Choices, currency: str) -> Price:
    """A share of the value moved plus a fixed fee for each event."""
    value = Decimal(choices.integer(1, 10**7)) / 100
    rate = Decimal(choices.integer(1, 500)) / 10_000
    fixed = choices.integer(0, 20) * Decimal(30) / subunits(currency)
    return Price.of_amount(value, rounded(value * rate, 15) + fixed)


def _nothing(choices: Choices, currency: str) -> Price:
    """A zero fee: nothing used, or used for free."""
    return choices.choose(
        (
            Price.plain(0, 0),
            Price.plain(0, Decimal("0.05")),
            Price.plain("0.0", "12.000000000000001"),
            Price.plain(choices.integer(1, 100), 0),
            Price.plain("0.333333", "0.000000000000001"),
        )
    )
