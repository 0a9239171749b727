"""A webhook's receiver on a loopback port: signed posts in, the failures they tell of out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer.adapters.http import HttpServer


@dataclass
class Receiver:
    """What came in at ``url``; a failure that is told twice counts once."""

    url: str = ""
    posts: int = 0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their ids."""

    def codes(self) -> Counter[str]:
        """How often each of the consumer's codes was told."""
        return Counter(
            one["accounting_provider_customer_error"]["provider_error"]["error_code"]
            for one in self.failures.values()
        )


@asynccontextmanager
async def receiving(secret: str) -> AsyncIterator[Receiver]:
    """Receive until the block ends. ``secret`` is ``whsec_…``; what it did not sign is refused."""
    signer = Webhook(secret)
    received = Receiver()

    async def take(request: Request) -> Response:
        try:
            post = signer.verify(await request.body(), dict(request.headers))
        except WebhookVerificationError:
            return Response("not signed with the secret", 401)
        received.posts += 1
        received.failures |= {failure["id"]: failure for failure in post["failures"]}
        return Response(status_code=204)

    server = HttpServer(Starlette(routes=[Route("/hook", take, methods=["POST"])]), "127.0.0.1", 0)
    await server.start()
    received.url = f"http://127.0.0.1:{server.port}/hook"
    try:
        yield received
    finally:
        await server.stop()
