"""Lago's REST API: a question in, the objects that it answers with out. It is only read.

Every call is bounded in time and size; the key goes into a header and nowhere else. Of an invoice's fees
the API shows what webhooks show, though its reference lists their taxes too: those are on the fee itself
(``GET /fees/{id}``), and are asked for one by one where they matter.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic_core import from_json

from consumer.adapters.reaching import Forbidden, Resolve, open_client, resolve, send, web_url
from consumer.domain.reconciling import ListedKind, Period
from consumer.domain.reconciling.listed import FINAL_STATUSES
from consumer.ports import Answer, Question, Unanswered, Why
from consumer.ports.reconciling import Listing

Json = dict[str, Any]
Params = Sequence[tuple[str, str]]

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes; no larger message is decoded either."""
PER_PAGE = 100
MAX_PAGES = 100
CALL_TIMEOUT = 30.0
QUESTION_TIMEOUT = 120.0
"""Seconds for all calls of one question: a few thousand fees, one after another."""
_WHY: Mapping[int, Why] = {401: "refused", 403: "forbidden", 404: "missing", 429: "throttled"}


def unusable(url: str) -> str | None:
    """What is wrong with the base address, the end of a sentence; None if nothing."""
    found = web_url(url)
    if found is None or found.query or found.fragment:
        return "it is not an http(s) address without user name and query"
    if found.path.rstrip("/").endswith("/api/v1"):
        return "leave /api/v1 out"
    if found.scheme == "http" and found.host not in ("localhost", "127.0.0.1", "::1"):
        return "plain HTTP is for this machine only"
    return None


class HttpLagoApi:
    """``LagoApi`` and ``LagoLists`` over HTTP. ``url`` is the base without /api/v1; timeouts in seconds."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = CALL_TIMEOUT,
        question_timeout: float = QUESTION_TIMEOUT,
        max_answer: int = MAX_ANSWER,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._timeout = timeout
        self._question_timeout = question_timeout
        self._max_answer = max_answer
        self._resolve = resolve
        headers = {"accept": "application/json", "authorization": f"Bearer {key}"}
        self._client = open_client(tls, headers)

    async def organization(self) -> UUID:
        """The organization that the key belongs to."""
        try:
            found = _object(await self._get("organizations"), "organization")
        except Unanswered as error:
            if error.why != "missing":
                raise
            said = "This Lago does not tell whose a key is (GET /organizations): a newer one does."
            raise Unanswered("missing", said) from None
        id = _uuid(found.get("lago_id"))
        if id is None:
            raise Unanswered("unreadable", "Lago's organization has no lago_id.")
        return id

    async def ask(self, question: Question) -> Sequence[Answer]:
        """All that Lago says; of payments there may be none."""
        try:
            async with asyncio.timeout(self._question_timeout):
                return [answer async for answer in self._answers(question)]
        except TimeoutError:
            pass
        raise Unanswered("unavailable", "Lago's API takes too long for all of the answer.")

    async def _answers(self, question: Question) -> AsyncIterator[Answer]:
        id = question.lago_id
        match question.kind:
            case "invoice" | "invoice_taxes":
                invoice = await self._one("invoice", f"invoices/{id}", id)
                if question.kind == "invoice_taxes":
                    await self._add_taxes(_parts(invoice, "fees"))
                yield Answer("invoice", invoice)
            case "credit_note" | "credit_note_taxes" | "credit":
                note = await self._one("credit_note", f"credit_notes/{id}", id)
                if question.kind == "credit_note_taxes":
                    items = _parts(note, "items")
                    await self._add_taxes(i["fee"] for i in items if isinstance(i.get("fee"), dict))
                yield Answer("credit_note", note)
            case "customer":
                name = question.external_id
                if not name or name in (".", ".."):  # no path can name him
                    raise Unanswered("missing", "The customer has no id of yours to ask for.")
                customer = await self._one("customer", f"customers/{quote(name, safe='')}", id)
                yield Answer("customer", customer)
            case "payments":
                for payment in await self._payments(id):
                    yield Answer("payment", payment)

    async def page(self, kind: ListedKind, period: Period, number: int) -> Listing:
        """A page of the finalized and voided invoices issued in the period, of its credit notes, or of all
        payments: Lago filters those by no date. The newest are first."""
        params = [("per_page", str(PER_PAGE)), ("page", str(number))]
        if kind != "payment":
            params += [
                ("issuing_date_from", period.first.isoformat()),
                ("issuing_date_to", period.last.isoformat()),
            ]
        if kind == "invoice":
            params += [("statuses[]", status) for status in FINAL_STATUSES]
        name = f"{kind}s"
        body = await self._get(name, params)
        objects, meta = _parts(body, name), _object(body, "meta")
        pages = meta.get("total_pages")
        return Listing(
            tuple(objects), _following(meta, number), pages if isinstance(pages, int) else 0
        )

    async def _one(self, kind: str, path: str, id: UUID) -> Json:
        """The object; one that goes by its name but is another is not it."""
        found = _object(await self._get(path), kind)
        if _uuid(found.get("lago_id")) != id:
            raise Unanswered("missing", f"Lago answers with another {kind.replace('_', ' ')}.")
        return found

    async def _add_taxes(self, fees: Iterable[Json]) -> None:
        """Complete the fees with their taxes; one that Lago has no more stays as it is."""
        for fee in fees:
            id = _uuid(fee.get("lago_id"))
            if id is None or fee.get("applied_taxes") is not None:
                continue
            try:
                found = await self._one("fee", f"fees/{id}", id)
            except Unanswered as error:
                if error.why != "missing":
                    raise
                continue
            if isinstance(found.get("applied_taxes"), list):
                fee["applied_taxes"] = found["applied_taxes"]

    async def _payments(self, invoice_id: UUID) -> list[Json]:
        """From all pages."""
        payments: list[Json] = []
        page = 1
        for _ in range(MAX_PAGES):
            asked = [
                ("invoice_id", str(invoice_id)),
                ("per_page", str(PER_PAGE)),
                ("page", str(page)),
            ]
            body = await self._get("payments", asked)
            payments += _parts(body, "payments")
            following = _following(_object(body, "meta"), page)
            if following is None:
                return payments
            page = following
        raise Unanswered("unreadable", f"The invoice has more than {MAX_PAGES} pages of payments.")

    async def _get(self, path: str, params: Params = ()) -> Json:
        """One call's JSON object."""
        try:
            async with asyncio.timeout(self._timeout):
                status, headers, body = await self._exchange(path, params)
        except Forbidden as error:
            why = str(error)
        except (TimeoutError, OSError, httpx.HTTPError) as error:
            why = type(error).__name__
        else:
            return _read(status, headers, body)
        # Raised here, not in the handler: httpx's errors carry the request with its key, and an
        # error's context would keep them.
        raise Unanswered("unavailable", f"Lago's API was not reached ({why}).")

    async def _exchange(self, path: str, params: Params) -> tuple[int, httpx.Headers, bytes | None]:
        request = httpx.Request("GET", f"{self._base}/{path}", params=list(params) or None)
        response = await send(self._client, request, timeout=self._timeout, resolve=self._resolve)
        try:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > self._max_answer:
                    return response.status_code, response.headers, None
            return response.status_code, response.headers, bytes(body)
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()


def _read(status: int, headers: httpx.Headers, body: bytes | None) -> Json:
    if status != 200:
        why = _WHY.get(status, "unavailable")
        raise Unanswered(why, f"Lago's API answered with status {status}.", _wait(headers))
    try:
        found = from_json(body, allow_inf_nan=False) if body is not None else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = "is too large" if body is None else "is no JSON object"
        raise Unanswered("unreadable", f"What Lago's API answered {said}.")
    return found


def _wait(headers: httpx.Headers) -> float | None:
    """Seconds until Lago's window resets, or another's ``Retry-After``."""
    for name in ("x-ratelimit-reset", "retry-after"):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _object(body: Json, name: str) -> Json:
    found = body.get(name)
    if not isinstance(found, dict):
        raise Unanswered("unreadable", f"What Lago's API answered has no {name}.")
    return found


def _parts(body: Json, name: str) -> Any:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unanswered("unreadable", f"What Lago's API answered has no list of {name}.")
    return found


def _following(meta: Json, page: int) -> int | None:
    """The next page's number; one that does not go on ends the list."""
    following = meta.get("next_page")
    return following if isinstance(following, int) and following > page else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
