"""A webhook receiver: signed posts in, the failures they tell of out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook

Json = dict[str, Any]
SECRET = "whsec_YWNjZXB0YW5jZS10ZXN0cy1zaWduaW5nLWtleQ=="


@dataclass
class Receiver:
    """What was posted to ``url``, each post verified and counted once by its message id."""

    url: str
    posts: dict[str, Json] = field(default_factory=dict)

    @property
    def failures(self) -> list[Json]:
        """All failures told of, in the order of their posts."""
        return [failure for post in self.posts.values() for failure in post["failures"]]

    def codes(self) -> list[str]:
        """Their codes, sorted."""
        return sorted(code_of(failure) for failure in self.failures)


def code_of(failure: Json) -> str:
    """The consumer's code of a failure."""
    return str(failure["accounting_provider_customer_error"]["provider_error"]["error_code"])


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free loopback port."""
    signer = Webhook(SECRET)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:]
                pairs = (line.partition(":")[::2] for line in lines if line)
                headers = {name.strip().lower(): value.strip() for name, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                signer.verify(body, headers)
                received.posts[headers["webhook-id"]] = json.loads(body)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    received = Receiver(f"http://127.0.0.1:{port}/hook")
    try:
        yield received
    finally:
        server.close()
