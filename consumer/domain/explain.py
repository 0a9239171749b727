"""Explaining: where a document stands in, one sentence for people out."""

from __future__ import annotations

_HELD = {
    "self_billed": "Lago marks it as self-billed; such invoices are not posted",
    "partner": "the customer is a partner account; partners are not posted",
    "void_with_money": "Lago voided it, but money was received on it; a person must decide",
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
) -> str:
    """One sentence: what the document waits for, why it was skipped, how it failed.

    ``drift`` tells that Lago changed it after it was posted for good.
    """
    if state == "synced" and drift:
        return "Xero has it as it was posted; Lago has changed it since."
    if state == "synced":
        return f"Xero has it, though {_cause(cause)}." if cause else "Xero has it as Lago says."
    if state == "ready":
        return "It is sent as soon as the organisation's call limits allow."
    if state == "sending":
        return "It is in a request whose outcome is not known yet."
    if state == "failed":
        wants = f"; it waits: {_cause(cause)}" if cause else ""
        return f"It failed as {code}: {(said or '').rstrip('.')}{wants}."
    if state == "skipped":
        return f"It is not posted: {_cause(cause)}."
    return f"It waits: {_cause(cause)}."


def _cause(cause: str | None) -> str:
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
            return f"document {key} must be in Xero first"
        case "contact":
            return f"the contact of customer {key} is not known{where}"
        case "home":
            return f"no connection serves customer {key} yet"
        case "lago":
            return f"its status in Lago is {key}"
        case "content":
            return "no message with its fees has come yet"
        case "plan":
            return "it is being planned again"
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
