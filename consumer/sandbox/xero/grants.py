"""Who may reach which organisations: an app, the users that let it in, and their connections."""

from __future__ import annotations

from dataclasses import dataclass, field

USER = "owner"
"""The user where a test does not care."""


@dataclass(slots=True)
class Connection:
    """A tenant that a client may reach."""

    connection_id: str
    auth_event_id: str
    tenant_id: str
    created: int


@dataclass(slots=True)
class Client:
    """An app. A custom connection has no refresh tokens; others have no client credentials.

    Without a secret it is public: it proves itself by PKCE alone. ``connections`` by user and id.
    """

    client_id: str
    client_secret: str
    custom_connection: bool
    redirect_uris: tuple[str, ...] = ()
    connections: dict[str, dict[str, Connection]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for: an app, the user who let it in, and to what."""

    client: Client
    user: str
    scope: str
    event: str

    @property
    def connections(self) -> dict[str, Connection]:
        """What the user has connected, by the connection's id."""
        return self.client.connections.setdefault(self.user, {})
