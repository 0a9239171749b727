"""Topics in memory: a fake ``Publisher``."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.ports import Message, MessageTooLarge


class FakePublisher:
    """Keeps what was published; ``limit`` bytes a message, ``away`` refuses everything."""

    def __init__(self, *, limit: int = 1_000_000) -> None:
        self.published: list[Message] = []
        self.limit = limit
        self.away = False

    async def start(self) -> None:
        """Connect."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """One outcome a message, in order."""
        return [self._publish(message) for message in messages]

    def _publish(self, message: Message) -> Exception | None:
        if self.away:
            return ConnectionError("the broker is away")
        size = len(message.key or b"") + len(message.value or b"")
        size += sum(len(name) + len(value) for name, value in message.headers)
        if size > self.limit:
            return MessageTooLarge(f"{size} bytes")
        self.published.append(message)
        return None

    async def stop(self) -> None:
        """Disconnect."""
