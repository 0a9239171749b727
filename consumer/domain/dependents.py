"""Dependents: documents refused for their archived contacts in, what becomes of both out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumer.domain import causes
from consumer.domain.merging import Traced
from consumer.domain.outcomes import Failed, Member, archived, invoices_archived
from consumer.domain.refusals import ARCHIVED
from consumer.domain.settlement import Settlement

AT_REST = ("synced", "ready", "failed")
"""States of a contact's document that may be changed by what its invoices tell of it."""


def settle_dependents(
    settlement: Settlement,
    traced: Sequence[tuple[Member, Traced]],
    contacts: Mapping[int, Member],
) -> None:
    """They follow a merged contact; of one that is of no use, the contact fails and they wait for it.

    Args:
        traced: what has become of the contact that each was sent with.
        contacts: the documents of their contacts, held, by their ids.
    """
    settled: set[int] = set()
    for member, found in traced:
        contact = contacts.get(member.contact or 0)
        if contact is None:
            settlement.refuse(member, member.refused or archived())
            continue
        id, stands = contact.document_id, contact.stands
        newer, erased = member.stands.wanted != member.sent, stands.cause == causes.ERASED
        if member.invoices_contact == found.path[0] and not newer:
            _settle_left(settlement, member, found)
            continue
        if newer or stands.xero_id != found.path[0] or (found.merged and id in settled):
            settlement.unsend([member], "refused")  # another version, or another contact by now
        elif stands.state not in AT_REST or (stands.wanted is None and not erased):
            settlement.once_more(member)
        elif found.merged:
            settlement.merge(contact, found)
            settlement.unsend([member], "refused")
        elif found.active is not None:
            settlement.once_more(member)
        elif erased:  # the contact is left as it is: people restore it, or link him to another
            settlement.refuse(member, member.refused or archived())
        else:
            known = (stands.state, stands.code) == ("failed", ARCHIVED)
            if not known and id not in settled:
                settlement.failed.append(Failed(contact, member.refused or archived()))
            settlement.hold(member, causes.document(id))
        settled.add(id)


def _settle_left(settlement: Settlement, member: Member, found: Traced) -> None:
    """A credit note follows its invoice, whose contact the customer has left."""
    if found.merged:
        settlement.followed.append((member, found.path[-1]))
        settlement.unsend([member], "refused")
    elif found.active is not None:
        settlement.once_more(member)
    else:
        settlement.refuse(member, invoices_archived(member.refused))
