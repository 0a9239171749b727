"""Reaching hosts of somebody's choosing: a request in, the beginning of its answer out.

The address is chosen by whoever sets it, but a name may be pointed elsewhere later: each request
resolves the name, checks every address and connects to one of those it has checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port in, IP addresses out; OSError when there are none."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOUD_METADATA = ipaddress.ip_network("fd00:ec2::/32")
"""Where one cloud serves its machines' credentials; the others use link-local addresses."""


class Forbidden(Exception):
    """The host must not be reached; the text says why."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def web_url(text: str) -> httpx.URL | None:
    """An http(s) address without a user name; None if it is none."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    return url if url.scheme in ("http", "https") and url.host and not url.userinfo else None


def open_client(tls: ssl.SSLContext | None, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """A client for ``send``, to be closed by the caller: TLS is verified, redirects and proxies are
    not followed."""
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        verify=tls or ssl.create_default_context(),
        headers={"user-agent": "lago-xero", **headers},
    )


async def send(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    timeout: float,
    plain: bool = False,
    resolve: Resolve = resolve,
) -> httpx.Response:
    """Send it to the first address of its host that takes a connection; the body is still to be read,
    and the answer to be closed.

    Args:
        timeout: seconds for each step of it; the caller bounds the whole.
        plain: HTTP without TLS may leave this machine.

    Raises:
        Forbidden: the name resolves to what must not be reached.
        httpx.HTTPError, OSError: no answer.
    """
    url, host = request.url, request.url.host
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = await resolve(host, port)
    for text in addresses:
        _guard(text, url, plain=plain)
    failure: httpx.HTTPError = httpx.ConnectError("no address")
    for address in addresses:
        attempt = client.build_request(
            request.method,
            url.copy_with(host=address),
            content=request.content,
            headers={**request.headers, "host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": host, "timeout": httpx.Timeout(timeout).as_dict()},
        )
        try:
            return await client.send(attempt, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
    raise failure


async def reach(url: str, *, plain: bool = False, resolve: Resolve = resolve) -> None:
    """Connect to the host of an address, as ``send`` would, and send nothing.

    Raises:
        Forbidden: the name resolves to what must not be reached.
        OSError: no connection.
    """
    found = httpx.URL(url)
    port = found.port or (443 if found.scheme == "https" else 80)
    addresses = await resolve(found.host, port)
    for text in addresses:
        _guard(text, found, plain=plain)
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            failure = error
            continue
        writer.close()
        return
    raise failure


def _guard(text: str, url: httpx.URL, *, plain: bool) -> None:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if _forbidden(address):
        raise Forbidden(f"{url.host} resolves to {address}")
    if url.scheme == "http" and not plain and not address.is_loopback:
        raise Forbidden("plain HTTP beyond this machine")


def _forbidden(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in CLOUD_METADATA
    )
