"""Secrets at rest: bytes in, encrypted bytes out, and back with any key that ever encrypted.

To rotate, put a new key in front; ``renewed`` is what rows are encrypted anew with.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from consumer.domain.errors import Halt


class Vault:
    """Fernet keys (32 bytes, URL-safe Base64): the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError, without any part of a key, where one is malformed or none is given."""
        try:
            fernets = [Fernet(key) for key in keys]
        except ValueError:
            fernets = []
        if not fernets:
            raise ValueError("must be one or more Fernet keys (32 bytes, URL-safe Base64)")
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)

    def encrypt(self, clear: bytes) -> bytes:
        """Encrypted and authenticated with the first key."""
        return self._fernet.encrypt(clear)

    def decrypt(self, stored: bytes) -> bytes:
        """What ``encrypt`` was given.

        Raises:
            Halt: none of the keys fits, or the stored bytes were changed.
        """
        try:
            return self._fernet.decrypt(stored)
        except InvalidToken:
            raise Halt(
                "undecryptable",
                "A stored secret cannot be decrypted with any of the encryption keys.",
                "Add the key that encrypted it to the end of LAGO_XERO_ENCRYPTION_KEYS.",
            ) from None

    def renewed(self, stored: bytes) -> bytes | None:
        """The same with the first key; None if that encrypted it already. Halt as ``decrypt``."""
        try:
            self._first.decrypt(stored)
        except InvalidToken:
            return self.encrypt(self.decrypt(stored))
        return None
