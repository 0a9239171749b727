"""Facts in, HTTP answers out: Xero's envelope, its dates and the shape of each kind of error."""

from __future__ import annotations

import calendar
import datetime
import json
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
PROVIDER_NAME = "Lago consumer (sandbox)"
JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer ready to be sent; ``media_type`` None sends no Content-Type."""

    status: int
    body: bytes = b""
    media_type: str | None = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> Answer:
        """The same answer with further headers."""
        return replace(self, headers=self.headers + headers)

    def as_xml(self) -> Answer:
        """What a caller gets who did not ask for JSON: a bare body, for the status alone counts."""
        if self.media_type != JSON_TYPE or self.status in (401, 403):
            return self
        tag = "Response" if self.status < 300 else "ApiException"
        body = f'<?xml version="1.0" encoding="utf-8"?><{tag}></{tag}>'
        return replace(self, body=body.encode(), media_type="text/xml; charset=utf-8")


class ApiError(Exception):
    """Ends the handling of a call with an answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _plain(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def dump(value: object) -> bytes:
    """JSON bytes; a lone surrogate becomes a question mark."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def json_answer(status: int, value: object) -> Answer:
    """Any JSON value as an answer."""
    return Answer(status, dump(value))


def guid() -> str:
    """A new id."""
    return str(uuid.uuid4())


def stamp(at: int) -> str:
    """Milliseconds since 1970 as Xero writes UpdatedDateUTC."""
    return f"/Date({at}+0000)/"


def calendar_date(day: datetime.date) -> str:
    """A calendar date in Xero's JSON notation."""
    return f"/Date({calendar.timegm(day.timetuple()) * 1000}+0000)/"


def date_string(day: datetime.date) -> str:
    """A calendar date as in DateString."""
    return f"{day.isoformat()}T00:00:00"


def envelope(at: int, collection: str, elements: list[Json], **more: object) -> Answer:
    """A successful answer: Xero says "OK" even when every element failed."""
    body: Json = {
        "Id": guid(),
        "Status": "OK",
        "ProviderName": PROVIDER_NAME,
        "DateTimeUTC": f"/Date({at})/",
        **more,
        collection: elements,
    }
    return json_answer(200, body)


def _numbered(number: int, kind: str, message: str, status: int = 400, **more: object) -> Answer:
    body = {"ErrorNumber": number, "Type": kind, "Message": message, **more}
    return json_answer(status, body)


def validation(elements: list[Json]) -> Answer:
    """400 with the elements that failed."""
    return _numbered(
        10, "ValidationException", "A validation exception occurred", Elements=elements
    )


def refused(message: str) -> Answer:
    """400 for the whole request, without elements."""
    return _numbered(10, "ValidationException", message)


def post_data_invalid(detail: str) -> Answer:
    """400: the body cannot be read."""
    message = f"JSON for post data was invalid,{detail}"
    return _numbered(14, "PostDataInvalidException", message)


def query_invalid(message: str) -> Answer:
    """400: a filter or an order cannot be read."""
    return _numbered(16, "QueryParseException", message)


def nothing_processed(kind: str) -> Answer:
    """400: the body lacks the expected collection."""
    return _numbered(
        17,
        "NoDataProcessedException",
        "No data has been processed for this endpoint. "
        f"This endpoint is expecting {kind} data to be specifed in the request body.",
    )


def not_implemented() -> Answer:
    """501: Xero does not know the method, or this simulator does not have it yet."""
    return _numbered(
        20, "ApiMethodNotImplementedException", "The Api Method called is not implemented", 501
    )


def _problem(status: int, title: str, detail: str, *headers: tuple[str, str]) -> Answer:
    body: Json = {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": guid(),
        "Extensions": {},
    }
    return Answer(status, dump(body), JSON_TYPE, headers)


def unauthorized(detail: str) -> Answer:
    """401 for an unknown or expired access token."""
    return _problem(401, "Unauthorized", detail)


def insufficient_scope() -> Answer:
    """401: the token lacks the scope; the misspelling is Xero's."""
    header = ("WWW-Authenticate", 'Bearer error="insufficent_scope"')
    return _problem(401, "Unauthorized", "AuthorizationUnsuccessful", header)


def forbidden() -> Answer:
    """403: the tenant is missing, wrong or disconnected."""
    return _problem(403, "Forbidden", "AuthenticationUnsuccessful")


def conflict() -> Answer:
    """409: the idempotency key is in use by a call in flight (undocumented)."""
    return _problem(409, "Conflict", "A request with this Idempotency-Key is being processed")


def server_error() -> Answer:
    """500, which may or may not have saved the work."""
    return _problem(
        500,
        "An error occurred",
        "An error occurred in Xero. Check the API Status page "
        "http://status.developer.xero.com for current service status.",
    )


def not_found() -> Answer:
    """404 as recorded: empty, and not JSON."""
    return Answer(404, b"", "text/html")


def throttled(problem: str, retry_after: int | None) -> Answer:
    """429: no body and no content type. ``retry_after`` in real seconds."""
    headers = [("X-Rate-Limit-Problem", problem)]
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    return Answer(429, b"", None, tuple(headers))


def offline() -> Answer:
    """503 of one organisation."""
    return Answer(503, b"The Organisation is offline", "text/plain; charset=utf-8")


def precondition_failed() -> Answer:
    """412."""
    return Answer(412, b"Precondition Failed", "text/html")


def unsupported_media() -> Answer:
    """415: the body is not JSON."""
    return Answer(415, b"Unsupported Media Type", "text/html")


def too_large() -> Answer:
    """413: the body is above what Xero takes in practice."""
    return Answer(413, b"Request Entity Too Large", "text/html")


def garbage() -> Answer:
    """200 with a body that no client can read."""
    return Answer(200, b'<html><body>Bad gateway</body></html>\x00\xff{"Id":', "text/html")
