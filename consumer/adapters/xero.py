"""Xero's Accounting API over HTTP: one call in, its complete answer or a certain failure out.

What decides between "nothing happened" and "in doubt" is whether a byte may have left, and that is
observed, not guessed from the kind of error: httpcore reports the moment before it writes a
request's headers, when the connection stands and TLS is agreed. The last check of
``first_byte_by`` happens there, so that a process that was stopped while connecting sends nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx

from consumer.domain.answers import Limits, Reply
from consumer.domain.errors import Doubt, NotExecuted
from consumer.ports import Call

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes. A page of 1,000 contacts is about 3 MB."""
MAX_CONNECTIONS = 200
KEEP_ALIVE = 15.0
"""Seconds. Short, for a connection that the other side closes while we write is a doubt."""


def open_client() -> httpx.AsyncClient:
    """The HTTP client for Xero's hosts, to be closed by the caller.

    TLS is verified, redirects are not followed, cookies are not kept (one client serves all
    tenants). A proxy is taken from the environment, but never for this machine.
    """
    try:
        release = version("lago-xero")
    except PackageNotFoundError:
        release = "0"
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"User-Agent": f"lago-xero/{release}", "Accept": "application/json"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE,
        ),
        mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
    )


class XeroAccounting:
    """``Accounting`` over a client of ``open_client``; ``clock`` is the monotonic clock."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        api_url: str,
        clock: Callable[[], float] = time.monotonic,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self._client = client
        self._api_url = api_url.rstrip("/")
        self._clock = clock
        self._max_answer = max_answer

    async def call(self, call: Call) -> Reply:
        """Send it and read the whole answer, whatever its status.

        Raises:
            NotExecuted: certainly no byte left: no connection, or ``first_byte_by`` passed.
            Doubt: something may have left and no complete answer came within ``timeout``.
        """
        departure = _Departure(call, self._clock)
        try:
            async with asyncio.timeout(call.timeout):
                return await self._exchange(call, departure)
        except (httpx.HTTPError, OSError, _Abandoned) as error:
            what = str(error) if isinstance(error, _Abandoned) else type(error).__name__
        # Raised here, not in the handler: httpx's errors carry the request with its token, and an
        # error's context would keep them.
        if departure.left:
            raise Doubt(
                "no_answer",
                f"No complete answer came from Xero ({what}).",
                "Nothing to do: it is looked up before anything is sent again.",
            )
        raise NotExecuted(
            "not_sent",
            f"Xero was not reached ({what}).",
            "Check the network if this lasts; it is tried again.",
        )

    async def _exchange(self, call: Call, departure: _Departure) -> Reply:
        patience = departure.patience()
        async with self._client.stream(
            call.method,
            f"{self._api_url}/{call.path}",
            content=call.body,
            headers=_headers(call),
            timeout=httpx.Timeout(call.timeout, connect=patience, pool=patience),
            extensions={"trace": departure},
        ) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > self._max_answer:
                    raise _Abandoned("the answer is too large")
            return Reply(
                status=response.status_code,
                body=bytes(body),
                limits=_limits(response.headers),
                correlation=response.headers.get("xero-correlation-id"),
            )


class _Abandoned(Exception):
    """We gave the call up ourselves."""


class _Departure:
    """Watches one request leave: may a byte be under way, and is it not too late to begin?

    A process can still be stopped between this check and the system call; nothing in user space
    closes that gap of microseconds. It is what surplus answers are recorded for.
    """

    def __init__(self, call: Call, clock: Callable[[], float]) -> None:
        self._call = call
        self._clock = clock
        self.left = False

    def patience(self) -> float:
        """Seconds that are left to get a connection."""
        left = min(self._call.timeout, self._call.first_byte_by - self._clock())
        if left <= 0:
            raise _Abandoned("too late to begin")
        return left

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace hook; an error raised here closes the connection unused."""
        if event.endswith("send_request_headers.started"):
            if info["request"].method == b"CONNECT":  # to a proxy, not to Xero
                return
            self.patience()
            self.left = True
        elif event.endswith("send_request_body.started") and self.left and self._call.body:
            # Headers are away, so this is a doubt; but without its body nothing is executed late.
            self.patience()


def _headers(call: Call) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {call.token}",
        "xero-tenant-id": str(call.tenant_id),
    }
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if call.idempotency_key is not None:
        headers["Idempotency-Key"] = call.idempotency_key
    if call.if_modified_since is not None:
        headers["If-Modified-Since"] = _http_date(call.if_modified_since)
    return headers


def _http_date(moment: datetime) -> str:
    """RFC 1123 in whole seconds, rounded down so that nothing is missed."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _limits(headers: httpx.Headers) -> Limits:
    def whole(name: str) -> int | None:
        value = _number(headers.get(name))
        return None if value is None else int(value)

    return Limits(
        problem=headers.get("x-rate-limit-problem"),
        retry_after=_number(headers.get("retry-after")),
        minute_left=whole("x-minlimit-remaining"),
        day_left=whole("x-daylimit-remaining"),
        app_minute_left=whole("x-appminlimit-remaining"),
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(value, 0.0) if math.isfinite(value) else None
