"""Settlement: what Xero did with the documents of a request in, what becomes of each of them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from consumer.domain import causes
from consumer.domain.answers import Refusal, Saved
from consumer.domain.documents import Rest, Stands, rest
from consumer.domain.fingerprints import is_drafted
from consumer.domain.lookup import ALREADY_PAID, LOOK_FIRST, RESTORED
from consumer.domain.merging import Traced
from consumer.domain.operations import REMADE
from consumer.domain.outcomes import (
    Failed,
    Kept,
    Member,
    Noticed,
    Unsent,
    archived,
    changed_in_xero,
    differing,
    taken,
)
from consumer.domain.refusals import ARCHIVED, hint_of
from consumer.domain.translate.contact import name_suffix

GIVE_UP_ALONE = 8
"""So often a document is tried in a request of its own that Xero answers without an outcome."""
DRAFT_REFUSED = "draft_refused"
"""Why a request is looked up of which Xero refused to change some drafts, or to void what may be void."""
UNCOUNTED = (
    *("not_executed", "throttled", "unauthorised", "scope", "forbidden"),
    *(LOOK_FIRST, RESTORED),
)
"""Outcomes that say nothing of the document: they are no attempts."""


class Settlement:
    """Gathers what becomes of the members, so that each table gets one statement.

    Args:
        backoff: seconds until the next try after so many attempts.
    """

    def __init__(self, backoff: Callable[[int], float]) -> None:
        self.backoff = backoff
        self.kept: list[Kept] = []
        self.unsent: list[Unsent] = []
        self.failed: list[Failed] = []
        self.noticed: list[Noticed] = []
        self.replanned: list[Member] = []
        """To be planned anew: contacts that Lago has linked while they were being created, and what
        it has told another amount of."""
        self.surpluses: list[tuple[Member, UUID]] = []
        """What Xero has of ours once too often, to be removed there."""
        self.followed: list[tuple[Member, UUID]] = []
        """Credit notes whose invoices are on other contacts by now, and on which."""
        self.unfinished: list[Member] = []
        """To be planned anew as well: drafts whose final content has not been told yet, and invoices
        that were voided meanwhile: that they stay is to be told, or that they are not there."""
        self.closed: list[tuple[int, str]] = []
        """Positions whose outcome is known, and which it is."""

    @property
    def turned(self) -> list[Member]:
        """The documents of which those that wait for them look again.

        Dependents follow what Xero has, and what is not to be there any more; a void waits for what is
        on its invoice to be sent, however that ends.
        """
        turned = [kept.member for kept in self.kept]
        turned += [one.member for one in self.unsent if one.rest.state == "skipped"]
        ended = [one.member for one in self.unsent] + [one.member for one in self.failed]
        return turned + [one for one in ended + self.replanned if one.kind in REMADE]

    def keep(self, member: Member, answer: Saved, outcome: str) -> None:
        """Xero has it (``accepted``, ``adopted``, ``found``), or has removed it."""
        # A contact found under our number may be older than this request: it is updated next.
        older = outcome == "found" and member.kind == "contact"
        synced = b"" if older else member.sent
        xero_id: UUID | None = answer.xero_id
        linked = member.link is not None and member.link != xero_id
        if linked and member.stands.xero_id is not None:
            self._plan_again(member)
            return
        deleted = member.stands.draft and answer.status == "DELETED"
        if member.sent is None and (member.kind in REMADE or deleted):
            xero_id = None  # what Lago tells of again is another one in Xero
        elif linked:
            self.notice(member, answer, "linked_elsewhere", {"linked": str(member.link)})
            xero_id, synced = member.link, member.stands.wanted  # made in vain: the link counts
        status = answer.status or member.stands.status
        now = replace(member.stands, state="sending", synced=synced, xero_id=xero_id, status=status)
        if _stays_draft(member, now):
            said = "Xero leaves the document a draft, though it was told to approve it."
            self.refuse(member, Refusal("status_invalid", said, hint_of("status_invalid")))
            return
        target = rest(member.kind, now)
        self._plan_further(member, now, target)
        self.kept.append(Kept(member, xero_id, synced, target, answer, linked=linked))
        self.closed.append((member.position, outcome))
        if target.drift:
            self.notice(member, answer, "drift", {})
        if member.sent is not None:
            if difference := differing(member, answer):  # synced all the same
                refusal, amounts = difference
                self.notice(member, answer, "totals_differ", amounts, refusal)
            # Of a draft it is told once it is approved: until then it may be sent any number of times.
            for finding, facts in () if now.draft else member.notes.items():
                self.notice(member, answer, finding, facts)
        elif (
            member.kind == "allocation" or member.clears
        ) and member.stands.cause == causes.in_lago("voided"):
            amount = {"amount": str(member.expected.get("total"))}
            self.notice(member, answer, "credit_freed_by_void", amount)

    def by_hand(self, member: Member, theirs: Saved) -> None:
        """A person has entered the money in Xero: it counts as ours, and is never removed."""
        if member.stands.wanted != member.sent:
            self._plan_again(member)
            return
        settled = Rest("synced", causes.PAID_BY_HAND)
        answer = Saved(theirs.xero_id)  # what is theirs is not compared
        self.kept.append(Kept(member, None, member.sent, settled, answer, theirs.xero_id))
        self.closed.append((member.position, "by_hand"))
        self.notice(member, theirs, "paid_by_hand", {})

    def _plan_further(self, member: Member, now: Stands, target: Rest) -> None:
        """How long a draft may wait for its content, what people are told of an invoice that was voided
        while it was sent, and why it is left out if it is not in Xero, is for planning to say."""
        awaits = now.open and causes.awaits_news(target.cause)
        left = member.kind == "invoice" and causes.is_left(target.cause)
        if (target.state == "synced" and (awaits or left)) or (target.state == "skipped" and left):
            self.unfinished.append(member)

    def merge(self, member: Member, traced: Traced) -> None:
        """A person has merged the contact into another: that one is used from now on."""
        into, was = traced.path[-1], member.stands
        now = replace(was, state="sending", xero_id=into)
        if member.leaves_linked and was.wanted is not None:
            now = replace(now, synced=was.wanted)
        merged = tuple(dict.fromkeys((*was.merged, *traced.path[:-1])))
        kept = Kept(
            member, into, now.synced, rest("contact", now), Saved(into), linked=True, merged=merged
        )
        self.kept.append(kept)
        facts = {"into": str(into)}
        self.noticed.append(Noticed(member, traced.path[0], "contact_merged", facts))

    def trace(self, member: Member, traced: Traced) -> None:
        """Xero shows the member's contact as archived: what has become of it."""
        if member.link is not None and member.link not in traced.path:
            self._plan_again(member)
        elif traced.merged:
            self.merge(member, traced)
            self.closed.append((member.position, "found"))
        elif traced.active is not None:
            self.once_more(member)
        else:
            self.refuse(member, member.refused or archived())

    def once_more(self, member: Member) -> None:
        """What Xero refused its contact for has passed meanwhile, as it seems."""
        if member.attempts >= GIVE_UP_ALONE:
            self.refuse(member, member.refused or archived())
        else:
            self.unsend([member], "refused", delay=self.backoff(member.attempts))

    def hold(self, member: Member, cause: str) -> None:
        """Not in Xero: it waits, without a failure of its own."""
        waits = Rest("waiting", cause)
        self.unsent.append(Unsent(member, waits, 0.0, None, member.suffix, member.attempts, "held"))
        self.closed.append((member.position, "dissolved"))

    def notice(
        self,
        member: Member,
        answer: Saved,
        finding: str,
        facts: Mapping[str, Any],
        refusal: Refusal | None = None,
    ) -> None:
        """A finding of the member; with a refusal it is announced too."""
        self.noticed.append(Noticed(member, answer.xero_id, finding, facts, refusal))

    def refuse(self, member: Member, refusal: Refusal) -> None:
        """Failed and announced, unless Lago has said something newer meanwhile."""
        if member.stands.wanted != member.sent:
            self.unsend([member], "refused")
        elif member.link is not None:
            self._plan_again(member)
        else:
            self.failed.append(Failed(member, refusal))
            self.closed.append((member.position, "refused"))

    def refused_draft(self, member: Member, refusal: Refusal) -> bool:
        """Whether Xero does not let us change or delete what was a draft when we asked: somebody has
        approved or deleted it, or our own call had arrived before."""
        asked = member.stands.open if member.sent is not None else member.stands.draft
        return asked and refusal.code in ("status_invalid", "has_money", "void_with_money")

    def refused_void(self, member: Member, refusal: Refusal) -> bool:
        """Whether Xero does not let us void what it has no more, as it may be: a person was faster."""
        voids = member.sent is None and member.kind in ("invoice", "credit_note")
        return voids and not member.stands.draft and refusal.code == "status_invalid"

    def rename(self, member: Member, refusal: Refusal) -> None:
        """Another active contact has the name: the next try shows a suffix, then a second one."""
        customer = member.customer
        suffixes = [name_suffix(customer, 1), name_suffix(customer, 2)] if customer else []
        position = suffixes.index(member.suffix) + 1 if member.suffix in suffixes else 0
        if position < len(suffixes):
            self.unsend([member], "renamed", suffix=suffixes[position])
        else:
            self.refuse(member, refusal)

    def wait(self, member: Member, refusal: Refusal) -> None:
        """Xero may take it later."""
        self.unsend([member], refusal.code, delay=self.backoff(member.attempts))

    def unsend(
        self,
        members: Iterable[Member],
        outcome: str,
        *,
        delay: float = 0.0,
        suffix: str | None = None,
        batch_limit: int | None = None,
    ) -> None:
        """Certainly not in Xero: back to where it belongs, with a new key next time."""
        for member in members:
            # Another amount, or none yet, is for planning to say: the row has what was sent.
            changed = member.kind in REMADE and member.stands.wanted != member.sent
            if member.link is not None or changed:
                self._plan_again(member)
                continue
            now = member.stands
            target = rest(member.kind, replace(now, state="ready"))
            self._plan_further(member, now, target)
            self.unsent.append(
                Unsent(
                    member,
                    target,
                    delay,
                    batch_limit or member.batch_limit,
                    member.suffix if suffix is None else suffix,
                    member.attempts - (outcome in UNCOUNTED),
                    outcome,
                )
            )
            self.closed.append((member.position, "dissolved"))

    def _plan_again(self, member: Member) -> None:
        self.replanned.append(member)
        self.closed.append((member.position, "dissolved"))

    def dissolve(self, doubt: str, absent: Sequence[Member], size: int, said: str = "") -> None:
        """Xero has none of these: send again, halved if the batch itself seems to be at fault.

        Args:
            doubt: why the request's outcome was unknown.
            size: how many of its members were still open.
            said: by Xero, about the whole request.
        """
        if doubt in ("number_taken", ARCHIVED):
            unheld = taken("Xero says the number is taken, but shows no holder.")
            changed = changed_in_xero("Xero refuses to change this draft.")
            for member in absent:
                self.refuse(member, member.refused or (changed if member.stands.open else unheld))
            return
        if doubt == ALREADY_PAID:
            for member in absent:
                if member.refused is not None:
                    self.refuse(member, member.refused)
            return
        if doubt == DRAFT_REFUSED:
            changed = changed_in_xero("Xero refuses to change this draft.")
            for member in absent:
                self.refuse(member, member.refused or changed)
            return
        if doubt in ("no_answer", LOOK_FIRST, RESTORED):
            self.unsend(absent, doubt)
            return
        final = doubt.startswith("whole_") or doubt == "key_reused"
        if size == 1 and (final or any(m.attempts >= GIVE_UP_ALONE for m in absent)):
            refusal = Refusal(
                "request_refused",
                f"Xero refuses the whole request ({doubt}): {said or 'it names no reason.'}",
                "Look at the document in Lago for unusual values; Xero's support can trace it.",
            )
            for member in absent:
                self.refuse(member, refusal)
            return
        delay = 0.0 if size > 1 else max((self.backoff(m.attempts) for m in absent), default=0.0)
        self.unsend(absent, doubt, delay=delay, batch_limit=max(1, size // 2))


def _stays_draft(member: Member, now: Stands) -> bool:
    """Whether a draft that had nothing to be told but that it is final is one still: to tell it again would
    go on for ever. (What a lock date keeps a draft is not sent for that.)"""
    again = member.sent is not None and member.sent == member.stands.synced
    return again and member.stands.draft and now.draft and not is_drafted(member.sent)
