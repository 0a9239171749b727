"""A webhook's receiver on a loopback port: signed posts in, the failures they tell of out."""

from __future__ import annotations

import asyncio
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

Json = dict[str, Any]


@dataclass
class Receiver:
    """What was posted to ``url``: each post verified, and counted once by its message id.

    ``delay`` is how many seconds it takes to answer what it has taken.
    """

    url: str = ""
    delay: float = 0.0
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
async def receiving(secret: str) -> AsyncIterator[Receiver]:
    """Receive until the block ends. ``secret`` is ``whsec_…``; what it did not sign is refused."""
    signer = Webhook(secret)
    received = Receiver()

    async def take(request: Request) -> Response:
        try:
            post = signer.verify(await request.body(), dict(request.headers))
        except WebhookVerificationError:
            return Response("not signed with the secret", 401)
        received.posts[request.headers["webhook-id"]] = post
        await asyncio.sleep(received.delay)
        return Response(status_code=204)

    server = HttpServer(Starlette(routes=[Route("/hook", take, methods=["POST"])]), "127.0.0.1", 0)
    await server.start()
    received.url = f"http://127.0.0.1:{server.port}/hook"
    try:
        yield received
    finally:
        await server.stop()
