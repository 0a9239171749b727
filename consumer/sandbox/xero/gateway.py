"""Every call to the simulated Xero, from its arrival to the last byte of its answer.

Order: log, authorise, count against the limits, fault, body, idempotency key, work, answer. The
work itself never awaits, so that no other call sees half of it.
"""

from __future__ import annotations

import asyncio
import math
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from consumer.sandbox.xero import answers, endpoints, reading
from consumer.sandbox.xero.answers import Answer, ApiError
from consumer.sandbox.xero.arrivals import Arrival
from consumer.sandbox.xero.call import Call, parse_query
from consumer.sandbox.xero.faults import Fault
from consumer.sandbox.xero.grants import Grant
from consumer.sandbox.xero.idempotency import METHODS, fingerprint
from consumer.sandbox.xero.identity import Session
from consumer.sandbox.xero.limits import Admission
from consumer.sandbox.xero.scopes import permitted
from consumer.sandbox.xero.settings import IDEMPOTENCY_LIFE, MAX_BODY_BYTES
from consumer.sandbox.xero.world import World

API = "/api.xro/2.0/"
AUTHORIZE = "/identity/connect/authorize"
TOKEN = "/connect/token"  # noqa: S105
TRANSPORT = "transport"
"""Where the server leaves the connection's transport in the scope's state."""
_DRIPS_PER_SECOND = 100
_INSTEAD = {
    "401": lambda: answers.unauthorized("AuthenticationUnsuccessful"),
    "403": answers.forbidden,
    "412": answers.precondition_failed,
    "503": answers.offline,
}


class ConnectionCut(ConnectionResetError):
    """The connection ends without a byte of an answer; in-process clients see it raised."""


class Gateway:
    """The ASGI application behind the identity server's and the Accounting API's paths."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP call."""
        request = Request(scope, receive)
        world = self._world
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "replace")
        arrival = world.arrivals.add(
            world.wall(), world.clock(), scope["method"], raw_path, scope["query_string"].decode()
        )
        arrival.idempotency_key = request.headers.get("idempotency-key")
        arrival.tenant_id = request.headers.get("xero-tenant-id")
        visit = Visit(world, request, arrival)
        try:
            answer = await visit.answer()
            arrival.status = answer.status or None
            await self._deliver(visit, answer, scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            arrival.answered = world.clock()
            visit.leave()

    async def _deliver(
        self, visit: Visit, answer: Answer, scope: Scope, receive: Receive, send: Send
    ) -> None:
        fault = visit.fault
        kind = fault.kind if fault else None
        if kind in ("reply_lost", "close_before"):
            visit.leave()
            await _cut(scope, receive)
            return
        if kind == "garbage":
            answer = answers.garbage().with_headers(*answer.headers)
        elif scope["path"].startswith(API) and not _wants_json(visit.request):
            answer = answer.as_xml()
        headers = [
            ("Content-Length", str(len(answer.body))),
            ("Xero-Correlation-Id", answers.guid()),
            *visit.headers,
            *answer.headers,
        ]
        if answer.media_type is not None:
            headers.append(("Content-Type", answer.media_type))
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        if answer.status == 204:
            raw = raw[1:]
        if fault is None or kind != "drip":
            visit.leave()
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        if fault is not None and kind == "drip":
            await _drip(answer.body, fault.seconds, send)
        else:
            await send({"type": "http.response.body", "body": answer.body})


class Visit:
    """One call being served."""

    def __init__(self, world: World, request: Request, arrival: Arrival) -> None:
        self.request = request
        self.headers: tuple[tuple[str, str], ...] = ()
        self.fault: Fault | None = None
        self._world = world
        self._arrival = arrival
        self._admission: Admission | None = None

    def leave(self) -> None:
        """Give the slot back."""
        if self._admission is not None:
            self._admission.leave()

    async def answer(self) -> Answer:
        """The answer that Xero decides on; the fault may keep it from the caller."""
        try:
            return await self._decide()
        except ApiError as refusal:
            return refusal.answer

    async def _decide(self) -> Answer:
        path = self.request.scope["path"]
        session: Session | None = None
        grant: Grant | None = None
        world = self._world
        if path not in (TOKEN, AUTHORIZE):
            authorization = self.request.headers.get("authorization")
            grant = world.identity.bearer(authorization, world.clock())
            self._arrival.client_id = grant.client.client_id
        if grant is not None and path.startswith(API):
            session = self._enter(grant, path)
        self.fault = world.faults.take(
            session.tenant_id if session else None, self._arrival.method, path
        )
        if self.fault is not None:
            self._arrival.fault = self.fault.kind
        body = await self.request.body()
        if refusal := self._refused_by_fault():
            return refusal
        if session is not None:
            return await self._api(session, body)
        await self._wait("slow")
        answer = self._identity(grant, path, body)
        await self._wait("slow_after")
        return answer

    def _enter(self, grant: Grant, path: str) -> Session:
        world = self._world
        collection = path.removeprefix(API).partition("/")[0]
        if not permitted(grant.scope, self.request.method, collection):
            raise ApiError(answers.insufficient_scope())
        tenant = self.request.headers.get("xero-tenant-id")
        session = world.identity.session(grant, tenant)
        self._arrival.tenant_id = session.tenant_id
        if session.tenant_id not in world.books:
            raise ApiError(answers.forbidden())
        admission = world.limits.enter(
            world.settings, world.clock(), session.client_id, session.tenant_id
        )
        self._admission = admission
        self.headers = admission.headers
        self._arrival.in_flight = admission.in_flight
        self._arrival.problem = admission.problem
        if admission.refusal is not None:
            raise ApiError(admission.refusal)
        return session

    async def _wait(self, kind: str, latency: float = 0.0) -> None:
        seconds = latency
        if self.fault is not None and self.fault.kind == kind:
            seconds += self.fault.seconds
        if seconds:
            await asyncio.sleep(seconds)

    def _refused_by_fault(self) -> Answer | None:
        """Answers given at the door: nothing is done and no key is used up."""
        if self.fault is None:
            return None
        if self.fault.kind == "429":
            self._arrival.problem = "minute"
            return answers.throttled("minute", max(1, math.ceil(self.fault.seconds)))
        if self.fault.kind == "close_before":
            return Answer(0)
        make = _INSTEAD.get(self.fault.kind)
        return make() if make else None

    def _identity(self, grant: Grant | None, path: str, body: bytes) -> Answer:
        if self.fault is not None and self.fault.kind in ("500_before", "whole_400"):
            return self._broken()
        answer = self._open(path, body) if grant is None else self._connections(grant, path)
        return answers.server_error() if self._fails_after else answer

    def _open(self, path: str, body: bytes) -> Answer:
        """What needs no token: it is how one comes by a token."""
        world, request = self._world, self.request
        if (request.method, path) == ("POST", TOKEN):
            return world.identity.token(
                world.settings,
                body,
                request.headers.get("authorization"),
                world.clock(),
                world.wall(),
            )
        if (request.method, path) == ("GET", AUTHORIZE):
            identity = world.identity
            return identity.consents.authorise(
                identity.clients, request.query_params, world.books, world.clock(), world.at()
            )
        raise ApiError(answers.not_found())

    def _connections(self, grant: Grant, path: str) -> Answer:
        world, method = self._world, self.request.method
        if method == "GET" and path == "/connections":
            names = {key: books.organisation.name for key, books in world.books.items()}
            event = parse_query(self._arrival.query).get("autheventid")
            return answers.json_answer(200, world.identity.connections(grant, names, event))
        if method == "DELETE" and path.startswith("/connections/"):
            return world.identity.disconnect(grant, path.removeprefix("/connections/"))
        raise ApiError(answers.not_found())

    @property
    def _fails_after(self) -> bool:
        return self.fault is not None and self.fault.kind == "500_after"

    def _broken(self) -> Answer:
        whole = self.fault is not None and self.fault.kind == "whole_400"
        return (
            answers.refused("A validation exception occurred")
            if whole
            else (answers.server_error())
        )

    async def _api(self, session: Session, body: bytes) -> Answer:
        """Under an idempotency key once, otherwise every time."""
        key = self._arrival.idempotency_key
        if not key or self.request.method not in METHODS:
            return await self._work(session, body)
        world = self._world
        url = f"{self._arrival.path}?{self._arrival.query}"
        request = fingerprint(self.request.method, url, body)
        life = IDEMPOTENCY_LIFE * world.settings.time_scale
        entry = world.keys.find(session.client_id, key, request, world.clock(), life)
        if entry is not None and entry.answer is None:
            choice = world.settings.concurrent_same_key
            if choice == "conflict":
                raise ApiError(answers.conflict())
            if choice == "execute":
                return await self._work(session, body)
            await entry.done.wait()
        if entry is not None and entry.answer is not None:
            self._arrival.replay = True
            self._arrival.elements = entry.elements
            return entry.answer
        entry = world.keys.begin(session.client_id, key, request, world.clock())
        try:
            answer = await self._work(session, body)
        except BaseException:
            world.keys.drop(session.client_id, key)
            raise
        entry.finish(answer, self._arrival.elements)
        return answer

    async def _work(self, session: Session, body: bytes) -> Answer:
        await self._wait("slow", self._world.settings.latency)
        answer = self._execute(session, body)
        await self._wait("slow_after")
        return answer

    def _execute(self, session: Session, body: bytes) -> Answer:
        """The work, without an await from here on."""
        if self.fault is not None and self.fault.kind in ("500_before", "whole_400"):
            return self._broken()
        try:
            answer = endpoints.respond(self._call(session, body))
        except ApiError as refusal:
            answer = refusal.answer
        return answers.server_error() if self._fails_after else answer

    def _call(self, session: Session, body: bytes) -> Call:
        world = self._world
        method = self.request.method
        document: answers.Json = {}
        if method in METHODS:
            if len(body) > MAX_BODY_BYTES:
                raise ApiError(answers.too_large())
            media_type = self.request.headers.get("content-type", "").partition(";")[0]
            if media_type.strip().lower() not in ("application/json", "text/json"):
                raise ApiError(answers.unsupported_media())
            document = reading.document(body)
            self._arrival.elements = reading.count(document)
        parts = self._arrival.path.partition(API)[2].strip("/").split("/")
        return Call(
            method=method,
            path=tuple(unquote(part) for part in parts if part),
            query=parse_query(self._arrival.query),
            books=world.books[session.tenant_id],
            settings=world.settings,
            at=world.at(),
            document=document,
            if_modified_since=self.request.headers.get("if-modified-since"),
        )


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "").lower()


async def _cut(scope: Scope, receive: Receive) -> None:
    """End the connection under the caller; without a transport (in-process) raise."""
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionCut("the connection was cut before a byte of the answer")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drip(body: bytes, seconds: float, send: Send) -> None:
    """One byte at a time; of a large body as many as keep to the time."""
    writes = max(1, min(len(body), int(seconds * _DRIPS_PER_SECOND)))
    size = math.ceil(len(body) / writes)
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / writes)
        chunk = body[start : start + size]
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
