"""The error tree: each branch answers one question, what happens next?

A code is stable and machine-readable; the sentence says what is wrong, the hint what to do. Neither
carries personal data: they go to logs, topics and webhooks.
"""

from __future__ import annotations


class ConsumerError(Exception):
    """What went wrong, with a stable code, a sentence and a hint."""

    def __init__(self, code: str, sentence: str, hint: str = "", cause: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.hint = hint
        self.cause = cause
        """What must change before a repetition can succeed, e.g. ``tax:vat_20``; may be empty."""


class Reject(ConsumerError):
    """Can never succeed as it is: the record is dead or the document failed; announced."""


class Undecodable(Reject):
    """The record is not a Lago message; the sentence names the field path."""


class Inconsistent(Reject):
    """Lago's own figures disagree."""


class Unmapped(Reject):
    """A mapping is missing or ambiguous; saving one releases the document."""


class Refused(Reject):
    """Xero refused the document, or would."""


class BelowCent(Refused):
    """``amount_below_cent``: nothing is to be posted; the document's next amount makes up for it."""

    def __init__(self) -> None:
        super().__init__("amount_below_cent", "The amount is less than a cent, Xero's least.")


class StillDraft(Refused):
    """``still_draft``: its period is locked yet, and Xero has it as a draft already."""

    def __init__(self, cause: str) -> None:
        super().__init__("still_draft", "Its period is still locked in Xero.", "", cause)


class Retry(ConsumerError):
    """May succeed later."""


class Throttled(Retry):
    """Xero asked to wait."""


class NotExecuted(Retry):
    """The request certainly did nothing."""


class Doubt(ConsumerError):
    """Sent, outcome unknown: the request is resolved before anything else happens."""


class Halt(ConsumerError):
    """Nothing of this scope can go on; somebody must act."""


class Unauthorised(Halt):
    """The authorisation is refused: its tenants are parked."""


class TooManyRejects(Halt):
    """So many records in a row that only we can be at fault for: the service stops."""


def fault(error: Exception) -> Refused:
    """``translator_fault``: what a document fails with that we stumble over ourselves."""
    return Refused(
        "translator_fault",
        f"Planning or translating the document failed with {type(error).__name__}.",
        "This is a fault of ours: report it with the document's number; retry it with a new version.",
    )
