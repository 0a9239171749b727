"""Fees that carry only a tax rate in, the Lago tax codes of each and their Xero tax type out.

A webhook's fee has no tax codes; the ``applied_taxes`` of its invoice or credit note have, with the
sum that each was applied to. A fee's codes are a set of them whose rates sum to the fee's rate,
chosen so that those sums come out (ACCOUNTING.md 3, *Tax type*).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from consumer.domain.money import ZERO
from consumer.domain.translate.taxes import fee_rate
from schemas import lago

Codes = tuple[str, ...]
"""The sorted codes of the taxes of one fee; () for a fee without a tax."""

_MOST_TAXES_A_FEE = 5
_MOST_STEPS = 10_000
_SAME_RATE = Decimal("0.0001")


def possible_codes(
    applied: Sequence[lago.AppliedTax] | None, fees: Sequence[lago.Fee], nets: Sequence[Decimal]
) -> list[set[Codes]]:
    """For each fee the sets of codes it can have; one where Lago's figures leave no choice.

    Empty where no set of the document's taxes has the fee's rate.

    Args:
        applied: the document's taxes.
        nets: what of each fee is in the document in Lago subunits, less its discount.
    """
    taxes = {tax.tax_code: tax for tax in applied or () if tax.tax_code}
    options = [_options(fee, taxes) for fee in fees]
    _settle(fees, options, nets, taxes)
    return options


def provider_codes(applied: Sequence[lago.AppliedTax] | None) -> frozenset[str]:
    """Codes of taxes that a provider computed: Lago says null where its own tax's id would be."""
    return frozenset(
        tax.tax_code
        for tax in applied or ()
        if tax.tax_code and tax.lago_tax_id is None and "lago_tax_id" in tax.model_fields_set
    )


def discounted(fee: lago.Fee) -> Decimal:
    """The whole fee in Lago subunits after its discount: what ``fees_amount_cents`` sums."""
    return Decimal(fee.amount_cents) - (fee.precise_coupons_amount_cents or ZERO)


def _options(fee: lago.Fee, taxes: Mapping[str, lago.AppliedTax]) -> set[Codes]:
    """The sets whose rates sum to the fee's."""
    if fee.applied_taxes is not None and all(tax.tax_code for tax in fee.applied_taxes):
        return {tuple(sorted(tax.tax_code for tax in fee.applied_taxes if tax.tax_code))}
    rate = fee_rate(fee)
    sizes = range(min(len(taxes), _MOST_TAXES_A_FEE) + 1)
    sets = [codes for size in sizes for codes in combinations(sorted(taxes), size)]
    if rate is None:
        return {codes for codes in sets if _sum(codes, taxes) > 0}
    return {codes for codes in sets if abs(_sum(codes, taxes) - rate) < _SAME_RATE}


def _sum(codes: Codes, taxes: Mapping[str, lago.AppliedTax]) -> Decimal:
    return sum((taxes[code].tax_rate or ZERO for code in codes), ZERO)


def _settle(
    fees: Sequence[lago.Fee],
    options: list[set[Codes]],
    nets: Sequence[Decimal],
    taxes: Mapping[str, lago.AppliedTax],
) -> None:
    """Reduce ``options`` in place to those with which the sum of every tax fits.

    Where the figures allow it, a fee that bears tax bears none of 0 % beside it.
    """
    usual = [_without_idle(sets, taxes) for sets in options]
    # Lago makes each tax's sum of discounted or partly credited fees whole.
    fractions = any(fee.precise_coupons_amount_cents for fee in fees) or any(n % 1 for n in nets)
    slack = Decimal(1) if fractions else ZERO
    fitting = _fitting(usual, nets, taxes, slack) or _fitting(options, nets, taxes, slack)
    options[:] = fitting or usual
    _settle_free(fees, options, nets)


def _without_idle(sets: set[Codes], taxes: Mapping[str, lago.AppliedTax]) -> set[Codes]:
    """The sets without a tax of 0 %, or all of them where there is none."""
    return {codes for codes in sets if codes and all(taxes[c].tax_rate for c in codes)} or sets


def _fitting(
    options: Sequence[set[Codes]],
    nets: Sequence[Decimal],
    taxes: Mapping[str, lago.AppliedTax],
    slack: Decimal,
) -> list[set[Codes]]:
    """The options with which the taxes' sums come out within ``slack``; [] where none do."""
    undecided = [i for i, sets in enumerate(options) if len(sets) > 1]
    priced = sorted((i for i in undecided if nets[i] >= 1), key=lambda i: -nets[i])
    contested = {code for i in priced for codes in options[i] for code in codes}
    left = {c: Decimal(base) for c in contested if (base := _base(taxes[c])) is not None}
    for net, sets in zip(nets, options, strict=True):
        if len(sets) == 1:
            for code in next(iter(sets)):
                if code in left:
                    left[code] -= net
    slack += sum((nets[i] for i in undecided if 0 < nets[i] < 1), ZERO)
    search = _Search([nets[i] for i in priced], [options[i] for i in priced], left, slack)
    seen = search.run()
    if seen is None:
        return []
    found = list(options)
    for i, sets in zip(priced, seen, strict=True):
        found[i] = sets
    return found


def _settle_free(
    fees: Sequence[lago.Fee], options: list[set[Codes]], nets: Sequence[Decimal]
) -> None:
    """A fee below one subunit moves no sum: it takes the codes of the fees with its rate, else the
    fewest."""
    for i, fee in enumerate(fees):
        if nets[i] >= 1 or len(options[i]) < 2:
            continue
        peers = [
            next(iter(options[j]))
            for j, peer in enumerate(fees)
            if nets[j] >= 1 and len(options[j]) == 1 and fee_rate(peer) == fee_rate(fee)
        ]
        fitting = [codes for codes in peers if codes in options[i]]
        taxed = [codes for codes in options[i] if codes] or list(options[i])
        options[i] = {fitting[0] if fitting else min(taxed, key=lambda c: (len(c), c))}


def _base(tax: lago.AppliedTax) -> int | None:
    """What the tax was applied to: an invoice's word for it, else a credit note's."""
    return tax.base_amount_cents if tax.fees_amount_cents is None else tax.fees_amount_cents


@dataclass(frozen=True, slots=True)
class _Search:
    """All ways to give each fee one of its options such that the taxes' sums come out.

    Fees in falling order of ``nets``; ``left`` is what each contested tax must still sum to.
    """

    nets: Sequence[Decimal]
    options: Sequence[set[Codes]]
    left: Mapping[str, Decimal]
    slack: Decimal

    def run(self) -> list[set[Codes]] | None:
        """The options seen in any way, for each fee.

        None where no way fits or where trying would take too many steps.
        """
        seen: list[set[Codes]] = [set() for _ in self.nets]
        reach = self._reach()
        stack: list[tuple[dict[str, Decimal], tuple[Codes, ...]]] = [(dict(self.left), ())]
        for _ in range(_MOST_STEPS):
            if not stack:
                break
            left, chosen = stack.pop()
            if len(chosen) == len(self.nets):
                for codes, found in zip(chosen, seen, strict=True):
                    found.add(codes)
                continue
            net = self.nets[len(chosen)]
            for codes in self.options[len(chosen)]:
                after = {c: amount - net if c in codes else amount for c, amount in left.items()}
                if self._can_end(after, reach[len(chosen) + 1]):
                    stack.append((after, (*chosen, codes)))
        return seen if not stack and all(seen) else None

    def _reach(self) -> list[dict[str, Decimal]]:
        """For each depth and tax the most that the fees from there on can add."""
        reach = [dict.fromkeys(self.left, ZERO)]
        for net, sets in zip(reversed(self.nets), reversed(self.options), strict=True):
            possible = {code for codes in sets for code in codes}
            last = reach[-1]
            reach.append({c: last[c] + (net if c in possible else ZERO) for c in last})
        return reach[::-1]

    def _can_end(self, left: Mapping[str, Decimal], reach: Mapping[str, Decimal]) -> bool:
        return all(-self.slack <= left[c] <= reach[c] + self.slack for c in left)
