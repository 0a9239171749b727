"""The webhook's posts: notices in, groups, message ids and bodies out."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from consumer.announce.wording import said
from consumer.ports import Notice
from schemas.error_event import (
    MAX_FAILURES,
    CustomerError,
    DocumentRef,
    Failure,
    FailurePost,
    ProviderError,
)


def grouped(notices: Iterable[Notice]) -> list[list[Notice]]:
    """Groups of one post each: one connection, same number of attempts, oldest first.

    What failed together is so posted again together, and keeps its message id.
    """
    groups: dict[tuple[str | None, int], list[Notice]] = defaultdict(list)
    for notice in sorted(notices, key=lambda n: n.id):
        groups[notice.connection_code, notice.attempts].append(notice)
    return [
        group[start : start + MAX_FAILURES]
        for group in groups.values()
        for start in range(0, len(group), MAX_FAILURES)
    ]


def message_id(group: Sequence[Notice]) -> str:
    """The same for the same failures, whenever they are posted."""
    names = ",".join(f"{notice.id}:{notice.created_at.timestamp()}" for notice in group)
    return "msg_" + hashlib.sha256(names.encode()).hexdigest()[:32]


def failure_post(group: Sequence[Notice]) -> FailurePost:
    """The body of one post. Raises ValueError where a notice does not fit the schema."""
    return FailurePost(
        timestamp=max(notice.created_at for notice in group),
        connection_code=group[0].connection_code,
        connection_name=group[0].connection_name,
        failures=tuple(_failure(notice) for notice in group),
    )


def _failure(notice: Notice) -> Failure:
    document = None
    if notice.document_kind is not None and notice.lago_id is not None:
        document = DocumentRef(
            kind=notice.document_kind, lago_id=notice.lago_id, number=notice.number
        )
    return Failure(
        id=message_id([notice]).replace("msg_", "failure_"),
        organization_id=notice.organization_id,
        accounting_provider_customer_error=CustomerError(
            lago_customer_id=notice.customer_id,
            external_customer_id=notice.external_customer_id,
            accounting_provider_code=notice.connection_code,
            provider_error=ProviderError(message=said(notice.sentence), error_code=notice.code),
        ),
        document=document,
        hint=said(notice.hint),
        attempts=notice.failing_attempts,
        event_key=notice.event_key,
        failed_at=notice.created_at,
    )
