"""What the use cases need of the outside: Protocols, and the values that cross them, by transaction."""

from consumer.ports.accounting import Accounting, Budget, Call
from consumer.ports.announcements import Notice, Outbox, Sink, Webhook
from consumer.ports.charts import Alarm, Charts, Redrawn, Whose
from consumer.ports.connections import Connections, Stored, Wish
from consumer.ports.database import Unavailable, Unstorable
from consumer.ports.identity import (
    Authorisation,
    Authorisations,
    Consent,
    Consenting,
    TenantRef,
    Tenants,
    Tokens,
    TokenSet,
)
from consumer.ports.inbox import Inbox, Incoming, Ingested
from consumer.ports.kafka import (
    EPOCH,
    LAST,
    Message,
    MessageTooLarge,
    Publisher,
    Record,
    Source,
    SourceHealth,
)
from consumer.ports.ledger import (
    Absent,
    ByHand,
    Doubtful,
    Fate,
    Freezing,
    Frozen,
    Ledger,
    Other,
    Sent,
    Sighting,
)

__all__ = [
    "EPOCH",
    "LAST",
    "Absent",
    "Accounting",
    "Alarm",
    "Authorisation",
    "Authorisations",
    "Budget",
    "ByHand",
    "Call",
    "Charts",
    "Connections",
    "Consent",
    "Consenting",
    "Doubtful",
    "Fate",
    "Freezing",
    "Frozen",
    "Inbox",
    "Incoming",
    "Ingested",
    "Ledger",
    "Message",
    "MessageTooLarge",
    "Notice",
    "Other",
    "Outbox",
    "Publisher",
    "Record",
    "Redrawn",
    "Sent",
    "Sighting",
    "Sink",
    "Source",
    "SourceHealth",
    "Stored",
    "TenantRef",
    "Tenants",
    "TokenSet",
    "Tokens",
    "Unavailable",
    "Unstorable",
    "Webhook",
    "Whose",
    "Wish",
]
