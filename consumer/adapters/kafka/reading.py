"""A fetched partition's bytes in, its batches of records out, whatever their headers are called.

Kafka takes any bytes as a header's name; aiokafka's reader raises where they are not UTF-8, and
seeking does not help: a batch is fetched and read from its first record on. Such a batch is read
here, the odd bytes of a name written as ``\\xff``. All else is left to aiokafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecord, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint


def read_any_header() -> None:
    """Make aiokafka's consumers of this process read so: they offer no other way in."""
    fetcher.MemoryRecords = Records


class Records(_MemoryRecordsPy):  # type: ignore[misc]
    """aiokafka's ``MemoryRecords``, giving ``Batch``."""

    def next_batch(self) -> Any:
        """The next batch, None after the last."""
        raw = self._next_slice
        batch = super().next_batch()
        return batch if batch is None or raw is None else Batch(batch, raw)


class Batch:
    """A batch as aiokafka made it, but for the iteration over its records."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:  # only format 2 has headers
            return _records(self._raw)

    def __next__(self) -> Any:  # of a control batch, which the fetcher does not iterate over
        return next(self._batch)


def _records(raw: memoryview) -> Iterator[Any]:
    """The records of a batch of format 2."""
    batch = iter(_DefaultRecordBatchPy(raw))  # uncompressed from here on
    cursor = _Cursor(batch._buffer, batch._pos)
    for _ in range(batch._num_records):
        cursor.number()  # length
        cursor.number()  # attributes: none are in use
        delta = cursor.number()
        in_order = batch.timestamp_type == batch.LOG_APPEND_TIME
        timestamp = batch.max_timestamp if in_order else batch.first_timestamp + delta
        offset = batch.base_offset + cursor.number()
        key, value = cursor.bytes(), cursor.bytes()
        headers = [
            ((cursor.bytes() or b"").decode("utf-8", "backslashreplace"), cursor.bytes())
            for _ in range(cursor.number())
        ]
        yield DefaultRecord(offset, timestamp, batch.timestamp_type, key, value, headers)


class _Cursor:
    """A place in a buffer of Kafka's numbers and byte strings."""

    def __init__(self, buffer: bytearray, position: int) -> None:
        self._buffer = buffer
        self._position = position

    def number(self) -> int:
        """A zigzag varint."""
        number, self._position = decode_varint(self._buffer, self._position)
        return int(number)

    def bytes(self) -> bytes | None:
        """None for a length below nought."""
        length = self.number()
        if length < 0:
            return None
        start, self._position = self._position, self._position + length
        return bytes(self._buffer[start : self._position])
