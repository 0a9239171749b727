"""Explaining: where a document stands in, one sentence for people out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from consumer.domain import causes

_HELD = {
    causes.SELF_BILLED: "Lago marks it as self-billed; such invoices are not posted",
    causes.PARTNER: "the customer is a partner account; partners are not posted",
    causes.ERASED: "the customer's data was erased here; it is left as it is until Lago tells of him again",
    "lago:payment_failed": "the payment failed in Lago",
    "lago:payment_refunded": "the payment was given back",
    "lago:payment_reversed": "the payment was reversed",
    "lago:payment_pending": "the payment has not succeeded yet",
    "lago:payment_processing": "the payment has not succeeded yet",
    causes.REFUND_FAILED: "the refund failed in Lago",
    causes.CREDIT_VOIDED: "Lago voided the credit note",
    causes.CREDIT_USED: "Lago voided its credit after it was used; what is open stays for a person",
    causes.IN_RESIDUAL: "the money was posted before the payment's message came",
    causes.NOTHING_OPEN: "the invoice had nothing open when the payment came",
    causes.NO_EXCESS: "the payment has no more than its invoice had open",
    causes.REFUND_NOT_BEGUN: "Lago has not begun the refund",
    causes.ELSEWHERE: "the credit note is in another Xero organisation",
    causes.DEDUCTED: "an invoice has the credit as a negative line",
    causes.ALLOCATED: "its credit is allocated to the invoice",
    causes.SURPLUS: "Xero had it once too often; that one has been removed",
    causes.NOTHING_CHARGED: "Lago voided it; nothing was due on it, and Xero voids no paid invoice",
    causes.VOID_REFUSED: "Lago voided it, but Xero keeps it; a person must decide",
    causes.VOID_WITH_MONEY: "Lago voided it, but money was received on it; a person must decide",
}
_KINDS = {
    "tax": "it lacks a Xero tax type for the Lago tax {key}",
    "billable_metric": "it lacks a mapping of the billable metric {key}",
    "add_on": "it lacks a mapping of the add-on {key}",
}


def explain(
    state: str,
    cause: str | None,
    code: str | None = None,
    said: str | None = None,
    *,
    drift: bool = False,
    draft: bool = False,
    other: str | None = None,
) -> str:
    """One sentence: what the document waits for, why it was skipped, how it failed.

    ``drift`` tells that Lago changed it after it was posted for good, ``draft`` that Xero has it as a
    draft. ``other`` is what ``another`` says of the document that the cause names, where it is known.
    """
    why = _cause(cause, other)
    if draft and state == "synced":
        return f"Xero has it as a draft{f', though {why}' if cause else ', as Lago does'}."
    if draft and state == "waiting":
        return f"Xero has it as a draft; it waits: {why}."
    if state == "synced" and cause == causes.BELOW_CENT:
        return "It is less than a cent: Xero gets it with the next amount on the same document."
    if state == "synced" and cause == causes.PAID_BY_HAND:
        return "Somebody has entered it in Xero by hand; nothing was sent."
    if state == "synced" and drift:
        return "Xero has it as it was posted; Lago has changed it since."
    if state == "synced":
        return f"Xero has it, though {why}." if cause else "Xero has it as Lago says."
    if state == "ready":
        return "It is sent as soon as the organisation's call limits allow."
    if state == "sending":
        return "It is in a request whose outcome is not known yet."
    if state == "failed":
        wants = f"; it waits: {why}" if cause else ""
        return f"It failed as {code}: {(said or '').rstrip('.')}{wants}."
    if state == "skipped":
        if cause is not None and cause.startswith(causes.DOCUMENT):
            which = other or f"document {cause.partition(':')[2]}"
            return f"It is not posted: {which} is not posted either."
        return f"It is not posted: {why}."
    return f"It waits: {why}."


def another(id: int, kind: str, name: object, failed_as: str | None) -> str:
    """How a document is named that another one waits for; ``name`` is its number or Lago id."""
    failed = f", which failed as {failed_as}," if failed_as else ""
    return f"{kind.replace('_', ' ')} {name} (document {id}){failed}"


def explain_finding(name: str, facts: Mapping[str, Any], xero_id: UUID | None = None) -> str:
    """What a finding of that class tells a person; ``facts`` and Xero's id as recorded with it."""
    match name:
        case "drift":
            return "Lago changed it after it was posted; Xero keeps it as it was"
        case "linked_elsewhere":
            linked = facts.get("linked")
            return f"contact {xero_id} is left in Xero: the customer is linked to contact {linked}"
        case "contact_merged":
            return (
                f"contact {xero_id} was merged in Xero into {facts.get('into')}, which is used now"
            )
        case "credit_left_behind":
            amounts = ", ".join(f"{amount} {code}" for code, amount in sorted(facts.items()))
            return f"credit of {amounts} stays with this contact, which the customer has left"
        case "paid_by_hand":
            return f"payment {xero_id}, entered in Xero by hand, counts as this one"
        case "surplus" if facts.get("removed"):
            return f"Xero had {xero_id} beside what was asked for; it is removed by itself"
        case "surplus":
            return f"Xero has {xero_id} beside what was asked for: remove what is too much there"
        case "credit_voided":
            return "Lago voided what was left of its credit; in Xero that is open still"
        case "dispute_lost":
            return "a dispute over its payment was lost; Lago changes no balance for that"
        case "inter_entity":
            return "the credit is a line of the invoice: its note is in another Xero organisation"
        case "credit_freed_by_void":
            return (
                f"{facts.get('amount')} of credit is free again in Xero; Lago does not give it back"
            )
        case "money_on_void":
            amount = facts.get("amount")
            return f"Lago received {amount} on an invoice that it voided; none of it is in Xero"
        case "offset_left_open":
            return (
                f"{facts.get('amount')} was offset on an invoice that is not posted, or may not be "
                "offset there: it stays open on the note"
            )
        case "refund_left_open":
            return f"{facts.get('amount')} was paid back, but not posted: it stays open on the note"
        case "fallback_used" | "prepaid_on_fallback":
            of = ", ".join(facts.get("of", ()))
            return f"the fallback item took {facts.get('amount')} for want of a mapping: {of}"
        case "tax_override":
            return (
                f"Lago's tax is off rate × amount by {facts.get('amount')} in all; Xero got Lago's"
            )
        case "subcent":
            return f"{facts.get('amount')} of Lago's amount is below Xero's cent"
        case "prepaid_unsplit":
            return f"Lago does not tell how much of the {facts.get('amount')} of credit was granted"
        case "totals_differ":
            pairs = (f"{part} {b} instead of {a}" for part, (a, b) in sorted(facts.items()))
            return f"Xero saved it with {', '.join(pairs)}"
    if "said" in facts:  # by a reconciliation
        found = name.removeprefix("reconcile_")
        return f"reconciling found it {found}: {str(facts['said']).rstrip('.')}"
    return name.replace("_", " ")


def _cause(cause: str | None, other: str | None) -> str:
    """The cause as the end of a sentence."""
    if cause is None:
        return "no cause is recorded"
    if cause in _HELD:
        return _HELD[cause]
    name, _, code = cause.partition("@")
    kind, _, key = name.partition(":")
    where = f" in connection {code}" if code else ""
    match kind:
        case "doc":
            return f"{other or f'document {key}'} must be in Xero first"
        case "draft":
            return f"{other or f'document {key}'} must be more than a draft in Xero first"
        case "room":
            return "something must be taken off the invoice or credit note in Xero first"
        case "ignored":
            return "a person has set it aside"
        case "paused":
            return f"a person has paused connection {code}"
        case "scope":
            return f"Xero has not let our client do that{where}"
        case "unplaced":
            return f"its invoice leaves it to credit note {key}, which is not posted"
        case "uncleared":
            return (
                f"its invoice has it on the clearing account, but credit note {key} is not posted"
            )
        case "contact":
            return f"the contact of customer {key} is not known{where}"
        case "invoice" | "credit_note":
            return f"no message about the {kind.replace('_', ' ')} {key} has come yet"
        case "lago_invoice":
            return f"no message about the invoice {key} has come yet"
        case "split":
            return "Lago's messages do not tell yet how the payment is split among its invoices"
        case "lock":
            return f"its date lies in a period that Xero has locked{where}"
        case "home":
            return f"no connection serves customer {key} yet"
        case "lago":
            return f"its status in Lago is {key}"
        case "content":
            return "no message with its fees has come yet"
        case "plan" | "object":
            return "it is being planned again"
        case "residual":
            return "Lago counts the money on the invoice, but no payment's message has come yet"
        case "policy" if key == "residual":
            return f"no message tells of its payment, and residual_payments says ignore{where}"
        case "policy" if key == "drafts":
            return f"it is a draft in Lago, and the policy for drafts says skip{where}"
        case "policy" if key == "consumed_credits":
            return f"consumed_credits has the invoice take its credit in another way{where}"
        case "policy" if key == "refunds":
            return (
                f"the refund has not succeeded in Lago yet, and refunds says when_succeeded{where}"
            )
        case "policy" if key == "voids":
            return f"Lago voided it, and the policy for voids says report{where}"
        case "policy":
            return f"the policy for zero invoices says skip, or it has no lines{where}"
        case "syncs":
            return f"{key} are switched off{where}"
        case "start_date":
            return f"it is older than the start date{where}"
    text = _KINDS.get(kind, "it lacks the mapping {kind}").format(kind=kind, key=key)
    return f"{text}{where}"
