"""The dead-letter topic's producer: messages in, an outcome for each out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
)

from consumer.adapters.kafka.cluster import Cluster
from consumer.domain.errors import Halt
from consumer.ports import Message, MessageTooLarge

log = structlog.get_logger(__name__)

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class KafkaPublisher:
    """``Publisher`` with an idempotent producer, acknowledged by all in-sync replicas.

    ``timeout`` (seconds) bounds one publishing, ``max_bytes`` one message before compression.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        timeout: float = 15.0,
        stop_timeout: float = 10.0,
        max_bytes: int = 1_000_000,
    ) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._stop_timeout = stop_timeout
        self._max_bytes = max_bytes
        self._producer: Any = None
        self._spoilt = False

    async def start(self) -> None:
        """Connect.

        Raises:
            Halt: Kafka cannot be reached or refuses us.
        """
        producer = AIOKafkaProducer(
            **self._cluster.options(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_request_size=self._max_bytes,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await producer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await self._close(producer)
            raise self._cluster.unusable(error) from error
        self._producer, self._spoilt = producer, False

    async def publish(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Publish all at once; one that fails does not take the others along.

        The broker refuses a whole batch for one large message, so what was refused is sent again
        one by one. A timeout leaves open whether the message was appended: sent again, it may be
        there twice.
        """
        deadline = asyncio.get_running_loop().time() + self._timeout
        if error := await self._unready():
            return [error] * len(messages)
        outcomes = list(await asyncio.gather(*(self._send(m, deadline) for m in messages)))
        if len(messages) > 1:
            for i, outcome in enumerate(outcomes):
                if isinstance(outcome, MessageTooLarge | OutOfOrderSequenceNumber):
                    outcomes[i] = await self._unready() or await self._send(messages[i], deadline)
        return outcomes

    async def _unready(self) -> Exception | None:
        """Replace a spoilt producer; why that failed, or None.

        A refused batch has used up its sequence numbers, so that aiokafka's idempotent producer
        can never again write to that partition.
        """
        if self._producer is not None and not self._spoilt:
            return None
        await self.stop()
        try:
            await self.start()
        except Halt as error:
            return error
        return None

    async def _send(self, message: Message, deadline: float) -> Exception | None:
        value = message.value
        if message.key is None and value is None:
            value = b""  # aiokafka sends no record without both
        try:
            async with asyncio.timeout_at(deadline):
                sent = await self._producer.send(
                    message.topic, value, message.key, headers=list(message.headers)
                )
                try:
                    await sent
                except KafkaError:
                    self._spoilt = True
                    raise
        except TOO_LARGE as error:
            return MessageTooLarge(str(error))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is this message's outcome)
            return error
        return None

    async def stop(self) -> None:
        """Flush and disconnect; bounded in time, never raises."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._close(producer)

    async def _close(self, producer: Any) -> None:
        try:
            async with asyncio.timeout(self._stop_timeout):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("producer_stop_failed", error=type(error).__name__)
