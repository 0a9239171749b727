"""The outbound webhook: a message in, one signed POST out (Standard Webhooks)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook as Signer

from consumer.adapters.reaching import Forbidden, Resolve, open_client, resolve, send, web_url
from consumer.domain.errors import Halt, Throttled

CONTENT = frozenset({400, 413, 415, 422})
"""Statuses by which a receiver refuses what was posted, rather than that it was."""
LATER = frozenset({408, 425, 429})


class HttpWebhook:
    """``Webhook`` over HTTP. ``secret`` is ``whsec_…``; ``timeout`` (seconds) bounds a post.

    HTTPS is required but for this machine, or where ``allow_http`` says otherwise.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        allow_http: bool = False,
        timeout: float = 15.0,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        """Raises Halt where the address or the secret cannot be used."""
        self._url = _checked(url)
        self._signer = _signer(secret)
        self._plain = allow_http
        self._timeout = timeout
        self._resolve = resolve
        self._client = open_client(tls, {"content-type": "application/json"})

    async def post(self, message_id: str, body: bytes) -> None:
        """Sign and post one message; done when the receiver answers 2xx.

        Raises:
            Throttled: not taken. Code ``webhook_content`` where the receiver refuses what was
                posted (400, 413, 415, 422), ``webhook_refused`` where it refuses altogether (other
                3xx and 4xx, or an address that must not be reached), else ``webhook_unavailable``.
        """
        now = datetime.now(UTC)
        signed = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message_id, now, body.decode()),
        }
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._send(signed, body)
        except Forbidden as error:
            raise _not_taken("webhook_refused", str(error)) from error
        except (TimeoutError, OSError, httpx.HTTPError) as error:
            raise _not_taken("webhook_unavailable", type(error).__name__) from error
        if 200 <= status < 300:
            return
        if status in CONTENT:
            raise _not_taken("webhook_content", f"status {status}")
        if 300 <= status < 500 and status not in LATER:
            raise _not_taken("webhook_refused", f"status {status}")
        raise _not_taken("webhook_unavailable", f"status {status}")

    async def _send(self, signed: dict[str, str], body: bytes) -> int:
        answer = await send(
            self._client,
            httpx.Request("POST", self._url, content=body, headers=signed),
            timeout=self._timeout,
            plain=self._plain,
            resolve=self._resolve,
        )
        await answer.aclose()  # the answer's body means nothing to us
        return answer.status_code

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()


def _checked(text: str) -> httpx.URL:
    url = web_url(text)
    if url is None:
        raise Halt(
            "webhook_url",
            "LAGO_XERO_WEBHOOK_URL is not an http(s) address without a user name.",
            "Give an address such as https://example.com/hooks/xero.",
        )
    return url


def _signer(secret: str) -> Signer:
    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise Halt(
            "webhook_secret",
            "LAGO_XERO_WEBHOOK_SECRET is not whsec_ and 24 to 64 bytes in Base64.",
            "Make one with: echo whsec_$(openssl rand -base64 32)",
        )
    return Signer(key)


def _not_taken(code: str, why: str) -> Throttled:
    return Throttled(code, f"The webhook was not taken: {why}.", "Check the receiver.")
