"""The outbound webhook: a message in, one signed POST out (Standard Webhooks).

The address is chosen by whoever sets it, but a name may be pointed elsewhere later: each post
resolves the name, checks every address and connects to one of those it has checked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook as Signer

from consumer.domain.errors import Halt, Throttled

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port in, IP addresses out; OSError when there are none."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOUD_METADATA = ipaddress.ip_network("fd00:ec2::/32")
"""Where one cloud serves its machines' credentials; the others use link-local addresses."""
CONTENT = frozenset({400, 413, 415, 422})
"""Statuses by which a receiver refuses what was posted, rather than that it was."""
LATER = frozenset({408, 425, 429})


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


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
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=timeout,
            trust_env=False,
            verify=tls or ssl.create_default_context(),
            headers={"content-type": "application/json", "user-agent": "lago-xero"},
        )

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
        host, url = self._url.host, self._url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self._resolve(host, port)
        self._guard(addresses)
        failure: httpx.HTTPError = httpx.ConnectError("no address")
        for address in addresses:
            request = self._client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={**signed, "host": url.netloc.decode("ascii")},
                extensions={
                    "sni_hostname": host,
                    "timeout": httpx.Timeout(self._timeout).as_dict(),
                },
            )
            try:
                answer = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            await answer.aclose()  # the answer's body means nothing to us
            return answer.status_code
        raise failure

    def _guard(self, addresses: Sequence[str]) -> None:
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            if _forbidden(address):
                raise _not_taken("webhook_refused", f"{self._url.host} resolves to {address}")
            if self._url.scheme == "http" and not self._plain and not address.is_loopback:
                raise _not_taken("webhook_refused", "plain HTTP beyond this machine")

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()


def _forbidden(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in CLOUD_METADATA
    )


def _checked(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
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
