"""An idempotency key and its request in; the cached answer, a refusal or a free hand out."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from consumer.sandbox.xero.answers import Answer, ApiError, refused

MAX_KEY = 128
METHODS = frozenset({"POST", "PUT", "PATCH"})


def fingerprint(method: str, url: str, body: bytes) -> str:
    """What makes two requests the same one: method, URL and body. The tenant is a header."""
    digest = hashlib.sha256(f"{method} {url}\n".encode())
    digest.update(body)
    return digest.hexdigest()


@dataclass(slots=True)
class Entry:
    """One key of one app; ``answer`` is None while the first call is in flight."""

    print: str
    began: float
    done: asyncio.Event
    answer: Answer | None = None
    elements: int = 0

    def finish(self, answer: Answer, elements: int) -> None:
        """Keep the answer, whatever it is, and how many elements were sent for it."""
        self.answer = answer
        self.elements = elements
        self.done.set()


class Keys:
    """The keys of all apps, forgotten a fixed time after their first call."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def find(self, app: str, key: str, request: str, now: float, life: float) -> Entry | None:
        """The entry of a key. ApiError: the key is too long or belongs to another request."""
        if len(key) > MAX_KEY:
            raise ApiError(refused(f"Idempotency Key must not exceed {MAX_KEY} characters."))
        self._prune(now, life)
        entry = self._entries.get((app, key))
        if entry is not None and entry.print != request:
            raise ApiError(refused(f"Idempotency Key: {key} is used with a different request."))
        return entry

    def begin(self, app: str, key: str, request: str, now: float) -> Entry:
        """Take a key for a call that starts now."""
        entry = Entry(request, now, asyncio.Event())
        self._entries[app, key] = entry
        self._entries.move_to_end((app, key))
        return entry

    def drop(self, app: str, key: str) -> None:
        """Free the key of a call that ended without an answer; those who wait for it go on."""
        entry = self._entries.pop((app, key), None)
        if entry is not None:
            entry.done.set()

    def _prune(self, now: float, life: float) -> None:
        while self._entries:
            oldest = next(iter(self._entries))
            if now - self._entries[oldest].began < life:
                return
            del self._entries[oldest]
