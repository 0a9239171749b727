"""The dead-letter record: a notice in, the record as received with its story in the headers out."""

from __future__ import annotations

import hashlib

from consumer.announce.wording import BOUND, said
from consumer.ports import Message, Notice
from schemas.dead_letter import CONNECT, OURS

UNSENT = frozenset({"x-lago-signature"})
"""A JSON web token there carries the whole body once more."""


def dead_letter(notice: Notice, topic: str, version: str) -> Message:
    """The record as received, with what went wrong in its headers.

    ``__connect.errors.*`` as Kafka Connect writes them, so that tools for those read ours too, and
    our own. Headers that an earlier dead letter gave the record are replaced.
    """
    kept = [
        (name, value or b"")
        for name, value in notice.headers
        if name.lower() not in UNSENT and not name.startswith((CONNECT, OURS))
    ]
    failed_at = notice.created_at.isoformat()
    facts: dict[str, object] = {
        f"{CONNECT}topic": notice.topic,
        f"{CONNECT}partition": notice.partition,
        f"{CONNECT}offset": notice.offset,
        f"{CONNECT}connector.name": "lago-xero",
        f"{CONNECT}stage": "TASK_PUT" if notice.document_id is not None else "VALUE_CONVERTER",
        f"{CONNECT}exception.class.name": notice.error_class,
        f"{CONNECT}exception.message": said(notice.sentence),
        f"{OURS}notice": notice.id,
        f"{OURS}code": notice.code,
        f"{OURS}class": notice.error_class,
        f"{OURS}hint": said(notice.hint) or None,
        f"{OURS}kind": notice.document_kind,
        f"{OURS}document": notice.lago_id,
        f"{OURS}number": notice.number,
        f"{OURS}organization": notice.organization_id,
        f"{OURS}connection": notice.connection_code,
        f"{OURS}attempts": notice.failing_attempts,
        # A notice is one failure; another failure of the same document is another notice.
        f"{OURS}first_failed_at": failed_at,
        f"{OURS}last_failed_at": failed_at,
        f"{OURS}event_key": notice.event_key,
        f"{OURS}version": version,
    }
    if notice.pruned:
        facts[f"{OURS}value.kept"] = "no longer"
    added = [(name, _text(value)) for name, value in facts.items() if value is not None]
    # Without its bytes it must not look like the end of a key, which null means on a compacted topic.
    value = b"" if notice.pruned else notice.value
    return Message(topic, notice.key, value, (*kept, *added))


def _text(value: object) -> bytes:
    return str(value)[:BOUND].encode("utf-8", "replace")


def whole(message: Message, notice: Notice) -> Message:
    """As it is."""
    return message


def without_value(message: Message, notice: Notice) -> Message:
    """With the value's size, digest and place instead of the value."""
    value = notice.value or b""
    kept = f"ledger event {notice.event_key}" if notice.event_key else "ledger"
    about: dict[str, object] = {
        f"{OURS}value.size": len(value),
        f"{OURS}value.sha256": hashlib.sha256(value).hexdigest(),
        f"{OURS}value.kept": kept,
    }
    added = tuple((name, _text(fact)) for name, fact in about.items())
    return Message(message.topic, message.key, b"", (*message.headers, *added))


def bare(message: Message, notice: Notice) -> Message:
    """Without the original headers too, for a header can be as large as a value."""
    small = without_value(message, notice)
    ours = tuple(h for h in small.headers if h[0].startswith((CONNECT, OURS)))
    return Message(small.topic, small.key, small.value, ours)
