"""Disconnect: a connection's code in; its tenant parked, the link at Xero ended, tokens forgotten."""

from __future__ import annotations

from consumer.apply.connecting import known
from consumer.domain.consent import stand_in
from consumer.domain.errors import Halt, Throttled, Unauthorised
from consumer.ports import Authorisation, Connections, Stored, Tenants


class Disconnect:
    """Ends what ``connect`` or a custom connection began; safe to repeat."""

    def __init__(self, connections: Connections, tenants: Tenants) -> None:
        self.connections = connections
        self.tenants = tenants

    async def run(self, code: str, who: str) -> tuple[str, ...]:
        """What was done, a line each. First nothing more is sent, then Xero is told.

        Raises:
            Halt: no such connection; or Xero cannot be told now, the tenant is parked all the same.
        """
        stored = await self.connections.stored()
        asked = known(stored, code)
        tenant_id = asked.connection.tenant_id
        if tenant_id == stand_in(code):
            raise Halt("not_connected", f"{code} is connected to no organisation yet.")
        await self.connections.park(code, who)
        sharing = [c for c, s in stored.items() if s.connection.tenant_id == tenant_id]
        lines = [f"~ {c}: nothing more is sent" for c in sorted(sharing)]
        lines.append(await self._end(asked))
        if await self.connections.forget_tokens(code):
            lines.append("~ its tokens are forgotten; no other tenant uses them")
        return tuple(lines)

    async def _end(self, asked: Stored) -> str:
        client = asked.authorisation or Authorisation(-1, asked.client_id, asked.secret)
        try:
            for ref in await self.tenants.tenants(client):
                if ref.id == asked.connection.tenant_id:
                    await self.tenants.disconnect(client, ref.link)
                    return f"~ {ref.name or ref.id}: disconnected at Xero"
        except Unauthorised as error:
            return f"  Xero lets us in no more ({error.code}); see Connected apps there"
        except Throttled as error:
            raise Halt(
                error.code, error.sentence, "Nothing more is sent; run disconnect again later."
            ) from None
        return "  Xero had disconnected it already"
