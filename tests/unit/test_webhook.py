"""The outbound webhook against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook as Verifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consumer.adapters.http import HttpServer, application
from consumer.adapters.webhook import HttpWebhook
from consumer.domain.errors import Halt, Throttled

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Answers with ``status``; keeps what it got."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.hang = asyncio.Event()
        routes = [
            Route("/hook", self.hook, methods=["POST"]),
            Route("/moved", self.moved, methods=["POST"]),
            Route("/slow", self.slow, methods=["POST"]),
        ]
        self.server = HttpServer(Starlette(routes=routes), "127.0.0.1", 0)

    async def hook(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        return Response(status_code=self.status)

    async def moved(self, request: Request) -> Response:
        return RedirectResponse("/hook", status_code=307)

    async def slow(self, request: Request) -> Response:
        await self.hang.wait()
        return Response(status_code=204)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server.port}{path}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.server.start()
    yield receiver
    receiver.hang.set()
    await receiver.server.stop()


async def refusal(webhook: HttpWebhook) -> Throttled:
    try:
        with pytest.raises(Throttled) as caught:
            await webhook.post("msg_1", b"{}")
    finally:
        await webhook.close()
    return caught.value


def to(*addresses: str) -> Resolver:
    return Resolver(addresses)


class Resolver:
    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return self.addresses


async def test_a_post_is_signed_as_the_standard_says(receiver: Receiver) -> None:
    webhook = HttpWebhook(receiver.url(), SECRET)
    await webhook.post("msg_1", b'{"a":"\xc3\xa9"}')
    await webhook.close()
    [(headers, body)] = receiver.got
    assert Verifier(SECRET).verify(body, headers) == {"a": "é"}
    assert headers["webhook-id"] == "msg_1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{receiver.server.port}"
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(SECRET).verify(body + b" ", headers)


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for ``name`` with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        signed.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


async def test_tls_is_verified_for_the_name_not_the_address(tmp_path: Path) -> None:
    file = certificate(tmp_path, "hooks.test")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=file)
    async with server:
        webhook = HttpWebhook(
            f"https://hooks.test:{port}/", SECRET, tls=trust, resolve=to("127.0.0.1")
        )
        await webhook.post("msg_1", b"{}")
        await webhook.close()
        for name, context in (("other.test", trust), ("hooks.test", None)):
            url = f"https://{name}:{port}/"
            error = await refusal(HttpWebhook(url, SECRET, tls=context, resolve=to("127.0.0.1")))
            assert error.code == "webhook_unavailable"
            assert "ConnectError" in error.sentence


async def test_a_name_is_resolved_and_its_checked_address_used(receiver: Receiver) -> None:
    webhook = HttpWebhook(receiver.url(host="hooks.test"), SECRET, resolve=to("127.0.0.1"))
    await webhook.post("msg_1", b"{}")
    await webhook.close()
    [(headers, _)] = receiver.got
    assert headers["host"] == f"hooks.test:{receiver.server.port}"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "webhook_unavailable"),
        (503, "webhook_unavailable"),
        (429, "webhook_unavailable"),
        (408, "webhook_unavailable"),
        (410, "webhook_refused"),
        (401, "webhook_refused"),
        (404, "webhook_refused"),
        (422, "webhook_content"),
        (413, "webhook_content"),
    ],
)
async def test_what_a_status_means(receiver: Receiver, status: int, code: str) -> None:
    receiver.status = status
    error = await refusal(HttpWebhook(receiver.url(), SECRET))
    assert error.code == code
    assert str(status) in error.sentence


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    error = await refusal(HttpWebhook(receiver.url("/moved"), SECRET))
    assert error.code == "webhook_refused"
    assert receiver.got == []


async def test_the_whole_post_has_an_end(receiver: Receiver) -> None:
    error = await refusal(HttpWebhook(receiver.url("/slow"), SECRET, timeout=0.2))
    assert error.code == "webhook_unavailable"


async def test_nobody_listening() -> None:
    server = HttpServer(application(lambda: None, nothing, CollectorRegistry()), "127.0.0.1", 0)
    await server.start()
    await server.stop()
    url = f"http://127.0.0.1:{server.port}/"
    assert (await refusal(HttpWebhook(url, SECRET))).code == "webhook_unavailable"


async def nothing() -> dict[str, str | None]:
    return {}


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "fd00:ec2::254",
        "224.0.0.1",
    ],
)
@pytest.mark.parametrize("also", [[], ["127.0.0.1"]])
async def test_forbidden_addresses(receiver: Receiver, address: str, also: list[str]) -> None:
    url = receiver.url(host="hooks.test")
    error = await refusal(
        HttpWebhook(url, SECRET, allow_http=True, resolve=to(*also, address), timeout=2)
    )
    assert error.code == "webhook_refused"
    assert receiver.got == []


async def test_plain_http_beyond_this_machine_needs_leave(receiver: Receiver) -> None:
    url = receiver.url(host="hooks.test")
    error = await refusal(HttpWebhook(url, SECRET, resolve=to("192.0.2.1"), timeout=2))
    assert error.code == "webhook_refused"
    assert "plain HTTP" in error.sentence
    # With leave the next address is tried when one cannot be reached.
    webhook = HttpWebhook(url, SECRET, allow_http=True, resolve=to("127.0.0.2", "127.0.0.1"))
    await webhook.post("msg_1", b"{}")
    await webhook.close()
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "url", ["ftp://example.test/", "https://", "https://user:pw@example.test/", "nonsense"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Halt) as caught:
        HttpWebhook(url, SECRET)
    assert caught.value.code == "webhook_url"
    assert "pw" not in caught.value.sentence


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(Halt) as caught:
        HttpWebhook("https://example.test/", secret)
    assert caught.value.code == "webhook_secret"
