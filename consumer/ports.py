"""What the use cases need of the outside: Protocols and the values that cross them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from consumer.domain.answers import Reply, Saved, Verdict
from consumer.domain.chart import Chart
from consumer.domain.consent import Request
from consumer.domain.errors import Unauthorised, Undecodable
from consumer.domain.events import Event
from consumer.domain.mapping import Connection
from consumer.domain.objects import as_of
from consumer.domain.operations import Method
from consumer.domain.translate.types import Note

# ── Kafka ─────────────────────────────────────────────────────────────────────────────────────────

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
"""The last timestamp that we take, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record, bytes as received. ``timestamp`` in milliseconds since 1970, or what its
    producer took for that."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def appended(self) -> int:
        """``timestamp`` within the calendar: Kafka believes a producer any number."""
        return min(max(self.timestamp, 0), LAST)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record on its way into the inbox: its event, or why it is dead.

    ``digest`` is the SHA-256 of the value's bytes, the event's key.
    """

    record: Record
    digest: bytes
    event: Event | None = None
    error: Undecodable | None = None

    @property
    def appended_at(self) -> datetime:
        """When Kafka got it."""
        return EPOCH + timedelta(milliseconds=self.record.appended)

    def as_of(self, first: datetime) -> Incoming:
        """As if its record had been appended at ``first``, when the same value came already."""
        appended = (first - EPOCH) // timedelta(milliseconds=1)
        told = self.event
        if told is not None:
            contributions = tuple(as_of(news, appended) for news in told.contributions)
            told = replace(told, contributions=contributions)
        return replace(self, record=replace(self.record, timestamp=appended), event=told)

    @property
    def lago_key(self) -> str | None:
        """Lago's own unique key of the message, for people."""
        for name, value in self.record.headers:
            if name.lower() == "x-lago-unique-key" and value is not None:
                return value.decode("ascii", "replace").replace("\0", "?")[:200]
        return None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one batch changed: events merged, events dead, tenants with something to send."""

    merged: int = 0
    dead: int = 0
    tenants: frozenset[UUID] = frozenset()


class Unavailable(Exception):
    """The database is away, or lost patience with us: nothing of the transaction happened, or, if
    the answer to its commit was lost, all of it; both are safe to repeat."""


class Unstorable(Exception):
    """The database refuses a value of the batch."""


class Inbox(Protocol):
    """Where events become objects and documents, a batch a transaction."""

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that need no decoding: seen before, and not dead."""

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """Store a batch, all or nothing. Digests must differ within it.

        Raises:
            Unstorable: halve the batch to find the record.
        """


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What the watchdog and the readiness probe look at. Ages in seconds."""

    assigned: bool
    """Partitions are assigned (or the group has more members than partitions)."""
    poll_age: float
    """Since the client last came back from a poll."""
    stuck_age: float
    """Since the position last moved although the end of a partition lies ahead; 0 if none does."""


class Source(Protocol):
    """The consumer group's side of Kafka, one batch at a time."""

    async def start(self) -> None:
        """Join the group."""

    async def poll(self, timeout: float) -> Sequence[Record]:
        """The next batch, in partition order; empty when ``timeout`` seconds brought none."""

    async def hold(self, timeout: float) -> None:
        """Stay in the group for up to ``timeout`` seconds without taking records."""

    async def commit(self) -> None:
        """Commit the offsets after the last batch, but only of partitions still held since then."""

    def health(self) -> SourceHealth:
        """Never blocks."""

    async def stop(self) -> None:
        """Leave the group; bounded in time, never raises."""


@dataclass(frozen=True, slots=True)
class Message:
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Appends to a topic, acknowledged by all in-sync replicas."""

    async def start(self) -> None:
        """Connect."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """One outcome a message, in order: None where the broker acknowledged it.

        A message that is too large for the topic gives ``MessageTooLarge``.
        """

    async def stop(self) -> None:
        """Flush and disconnect; bounded in time, never raises."""


class MessageTooLarge(Exception):
    """The topic does not take a message of this size."""


# ── Xero ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Consent:
    """The token set of a consent when it was read, in clear: never log this. Times in seconds.

    ``generation`` grows with each set that is saved. Without tokens nobody has consented.
    """

    generation: int
    access_token: str = ""
    refresh_token: str = ""
    life: float = 0.0
    """Of the access token when it was new."""
    good_for: float = 0.0
    """What was left of it."""

    def __repr__(self) -> str:
        return f"Consent(generation={self.generation})"


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A token set that Xero has just given, in clear: never log this. Times in seconds."""

    access_token: str
    refresh_token: str
    life: float
    good_for: float

    def __repr__(self) -> str:
        return "TokenSet()"


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One OAuth2 client of ours at Xero. ``client_secret`` is in clear: never log this.

    ``stored`` is secret and tokens as they are kept: it tells whether they are others since. A custom
    connection has no ``consent``; a client that proves itself by PKCE alone has no secret.
    """

    id: int
    client_id: str
    client_secret: str
    stored: bytes = b""
    consent: Consent | None = None

    def __repr__(self) -> str:
        return f"Authorisation(id={self.id})"


class Tokens(Protocol):
    """Access tokens, fetched early and by one task at a time."""

    async def token(self, authorisation: Authorisation) -> str:
        """A token good for at least another minute.

        Raises:
            Unauthorised: the identity server refuses the client; only a person can mend it.
            Throttled: it cannot be had now (network, 5xx, 429).
        """

    def forget(self, authorisation: Authorisation, token: str) -> None:
        """``token`` was refused with 401: the next call fetches another."""

    async def renew(self, authorisation: Authorisation) -> None:
        """Renew a consent's token set whatever it is worth; raises as ``token`` does."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the Accounting API.

    ``path`` is relative to the API's base and includes the query. ``first_byte_by`` is an instant
    of the monotonic clock after which the call must not start; ``timeout`` (seconds) bounds it all.
    """

    tenant_id: UUID
    token: str
    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    body: bytes | None = None
    idempotency_key: str | None = None
    if_modified_since: datetime | None = None
    first_byte_by: float = float("inf")
    timeout: float = 90.0

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path.partition('?')[0]})"


class Accounting(Protocol):
    """Xero's Accounting API."""

    async def call(self, call: Call) -> Reply:
        """Send it and read the whole answer, whatever its status.

        Raises:
            NotExecuted: certainly no byte left (connect failure, ``first_byte_by`` passed).
            Doubt: something may have left and no complete answer came.
        """


# ── Announcements ─────────────────────────────────────────────────────────────────────────────────

Sink = Literal["dead_letter", "webhook"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One failure to announce on one sink, with what is needed to say it.

    ``key`` to ``headers`` are those of the record that made the failing version; None where no
    record did (a parked authorisation).
    """

    id: int
    sink: Sink
    error_class: str
    code: str
    sentence: str
    hint: str
    created_at: datetime
    attempts: int
    failing_attempts: int = 1
    """How often the document was tried before it failed."""
    event_key: str | None = None
    """The event's digest in hex."""
    document_id: int | None = None
    document_kind: str | None = None
    lago_id: UUID | None = None
    number: str | None = None
    organization_id: UUID | None = None
    connection_code: str | None = None
    connection_name: str | None = None
    customer_id: UUID | None = None
    external_customer_id: str | None = None
    appended_at: datetime | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Outbox(Protocol):
    """Failures recorded in the transaction that made them, waiting to be announced."""

    async def claim(self, sink: Sink, limit: int, lease: float) -> Sequence[Notice]:
        """The oldest due notices, hidden from other claimers for ``lease`` seconds."""

    async def done(self, ids: Sequence[int]) -> None:
        """They are announced."""

    async def later(self, failures: Sequence[tuple[int, float, str]]) -> None:
        """(id, seconds to wait, why): counted as an attempt, claimable again after the wait."""


class Webhook(Protocol):
    """The outbound webhook."""

    async def post(self, message_id: str, body: bytes) -> None:
        """Sign and post one message.

        Raises:
            Throttled: not taken now (network, 5xx, 429, any non-2xx); try again later.
        """


# ── Budget ────────────────────────────────────────────────────────────────────────────────────────


class Budget(Protocol):
    """Every call to the Accounting API is counted before it is made."""

    async def take(self, tenant_id: UUID, purpose: str, method: str, path: str) -> UUID | float:
        """Count one call: its id (also its idempotency key), or the seconds to wait first."""

    async def answered(self, request_id: UUID, reply: Reply | None) -> None:
        """What came of it; None when it was not executed or nothing came."""


# ── The ledger ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Frozen:
    """A request as it was written down before its call: these bytes, this key, these documents."""

    request_id: UUID
    tenant_id: UUID
    authorisation_id: int
    purpose: str
    method: Method
    path: str
    body: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one document, or ``noticed``: what else is announced of it.

    ``accepted_after`` is in seconds since Kafka got its record.
    """

    kind: str
    state: str
    code: str | None = None
    accepted_after: float | None = None


@dataclass(frozen=True, slots=True)
class Freezing:
    """What looking for a tenant's work gave: a request or None, and what failed on the way."""

    frozen: Frozen | None = None
    fates: tuple[Fate, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An open request whose outcome is to be found out."""

    frozen: Frozen
    started_at: datetime
    resend: bool
    """No answer at all came and the key still lives: send it again, unchanged."""
    why: str = "no_answer"
    members: tuple[Sent, ...] = ()
    final_in: float = 0.0
    """Seconds until nothing of it can arrive at Xero any more: what is not there will not come."""
    looks: int = 0
    """Look-ups so far that told nothing."""

    @property
    def final(self) -> bool:
        """What is not in Xero now will not come."""
        return self.final_in <= 0


@dataclass(frozen=True, slots=True)
class Sent:
    """One document of an open request: its number in Lago's or our marker, and its frozen JSON."""

    position: int
    lago_id: UUID
    number: str | None
    element: bytes
    xero_id: UUID | None = None
    """Xero's, where it was known before."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Xero does not have it."""


@dataclass(frozen=True, slots=True)
class Other:
    """Xero has something else under its number."""

    sentence: str


Sighting = Saved | Absent | Other
"""What a look-up shows of one document."""


class Ledger(Protocol):
    """Documents and the requests that carry them; each method is one short transaction."""

    async def due(self, limit: int) -> tuple[Sequence[tuple[UUID, int]], float]:
        """Tenants with work as (tenant, authorisation), and seconds until the next has some."""

    async def freeze(self, tenant_id: UUID) -> Freezing:
        """Write down the tenant's next request, if its budget allows one."""

    async def settle(
        self, request_id: UUID, verdict: Verdict | None, reply: Reply | None
    ) -> Sequence[Fate]:
        """Record an answer, exactly once: to a closed request it changes nothing.

        A verdict of None says that the request was certainly not executed.
        """

    async def doubtful(
        self, limit: int, each: int, without: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        """Open requests that are due to be looked at, each with its tenant: at most ``each`` of a
        tenant, none of the tenants in ``without``."""

    async def take_doubt(self, request_id: UUID) -> Doubtful | None:
        """Claim one for a while; None if another pod has it or it is closed."""

    async def resolve(self, request_id: UUID, sightings: Mapping[int, Sighting]) -> Sequence[Fate]:
        """Record what a look-up showed, by position."""

    async def postpone(self, request_id: UUID, seconds: float) -> None:
        """Look again later."""

    async def look_failed(self, request_id: UUID, why: str, wait: float) -> int:
        """A look-up told nothing: look again after ``wait`` seconds. After many its documents are
        announced, once; returns how many were now."""

    async def park(
        self, tenant_id: UUID, error: Unauthorised, authorisation: Authorisation | None
    ) -> bool:
        """Stop the tenant, or all that the given authorisation reaches, unless it was applied anew
        since it was read; True if this call was the one that stopped them."""

    async def block(self, tenant_id: UUID, seconds: float, why: str) -> None:
        """Nothing of this tenant is sent for a while."""

    async def release(self, limit: int) -> int:
        """Release documents whose cause has gone; returns how many causes were worked on."""

    async def expire(self, limit: int) -> Sequence[Fate]:
        """Fail what waited too long for something unknown."""

    async def end_patience(self, limit: int) -> int:
        """Plan again what waited long enough for a home or a payment; returns how many documents."""


class Authorisations(Protocol):
    """The clients we act through, with their secrets and tokens; one transaction a method."""

    async def get(self, id: int) -> Authorisation:
        """Decrypted; read again when the connections change."""

    async def claim(self, id: int, generation: int, lease: float) -> bool:
        """The right to renew that generation for ``lease`` seconds, unless another has it."""

    async def unclaim(self, id: int, generation: int, *, done: bool) -> None:
        """Give it up; not ``done`` says that Xero may have answered what we never got."""

    async def save(self, id: int, generation: int, tokens: TokenSet) -> bool:
        """Replace that generation; False if another set was saved meanwhile, which then counts."""

    async def resting(self, idle: float, limit: int) -> Sequence[tuple[UUID, int]]:
        """(a tenant, authorisation) of consents that nobody renewed for ``idle`` seconds, or whose
        renewal somebody left unfinished."""


# ── Connections ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A Xero organisation that an authorisation reaches; ``link`` is the connection's id there."""

    id: UUID
    name: str
    link: str = field(default="", compare=False)


class Tenants(Tokens, Protocol):
    """Tokens, and the organisations they reach."""

    async def tenants(self, authorisation: Authorisation) -> Sequence[TenantRef]:
        """All of them; raises as ``token`` does."""

    async def disconnect(self, authorisation: Authorisation, link: str) -> None:
        """End one connection at Xero, if it is there; raises as ``token`` does."""


class Consenting(Protocol):
    """How a person lets us in."""

    def consent_url(self, request: Request) -> str:
        """The page at which he consents."""

    async def redeem(self, request: Request, client_secret: str, code: str) -> TokenSet:
        """The token set that a consent's code gives, once; raises as ``token`` does."""

    async def reached(self, tokens: TokenSet) -> Sequence[TenantRef]:
        """The organisations it reaches; raises as ``token`` does."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A connection as it stands; ``secret`` in clear: never log this.

    ``authorisation`` is that of a consent, None of a custom connection.
    """

    connection: Connection
    client_id: str
    secret: str
    parked: bool
    chart: Chart | None
    authorisation: Authorisation | None = None

    def __repr__(self) -> str:
        return f"Stored({self.connection.code})"


@dataclass(frozen=True, slots=True)
class Wish:
    """A connection as it shall stand; ``secret`` in clear: never log this.

    Without a chart its tenant is parked: nobody has let us into it. ``consent`` tells that the client
    is let in by persons, ``authorised`` that one has.
    """

    connection: Connection
    client_id: str
    secret: str
    chart: Chart | None
    consent: bool = False
    authorised: bool = True

    def __repr__(self) -> str:
        return f"Wish({self.connection.code})"


class Connections(Protocol):
    """Where connections are kept."""

    async def stored(self) -> Mapping[str, Stored]:
        """All of them by code."""

    async def rates(self, codes: Sequence[str]) -> Mapping[str, Mapping[str, Decimal]]:
        """Of those that there are, Lago's newest tax rates in percent by tax code."""

    async def store(
        self,
        wishes: Sequence[Wish],
        who: str,
        changes: Sequence[str],
        tokens: TokenSet | None = None,
    ) -> None:
        """All or nothing; what failed or waits for want of them is released.

        ``tokens`` are those of a consent to the wishes' client, which is one then.
        """

    async def park(self, code: str, who: str) -> None:
        """Nothing more is sent to the connection's tenant: somebody disconnects it."""

    async def forget_tokens(self, code: str) -> bool:
        """Forget the tokens behind the connection, unless they serve a tenant that is not
        disconnected; tells whether they are gone."""


# ── Charts ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Alarm:
    """A mapping that no longer fits, as it is announced."""

    code: str
    sentence: str
    hint: str


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What reading a chart has shown: a line for each change, and what does not fit since."""

    changes: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()


@dataclass(frozen=True, slots=True)
class Whose:
    """A connection, and the tenant whose chart it uses; ``parked``: nobody may ask for that now."""

    code: str
    tenant_id: UUID
    authorisation_id: int
    parked: bool


class Charts(Protocol):
    """Where charts are kept."""

    async def claim(self, every: float, lease: float) -> tuple[UUID, int] | None:
        """A tenant, with its authorisation, whose chart was last read ``every`` seconds ago or
        before; no other pod gets it for ``lease`` seconds."""

    async def postpone(self, tenant_id: UUID, seconds: float) -> None:
        """It could not be read now."""

    async def whose(self, codes: Sequence[str] | None) -> Sequence[Whose]:
        """The connections of these codes, or all."""

    async def keep(self, tenant_id: UUID, chart: Chart, who: str) -> Redrawn:
        """Store it as it is now: what it breaks is announced once, what it mends is released."""
