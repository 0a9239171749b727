"""The sample company: a simulated Xero in; two organisations made in it and the connections file
that follows the generated Lago events into them out.

``python -m consumer.sandbox.sample CONTROL_URL`` prints that file, for a simulated Xero that runs
elsewhere; the clients' secret comes from SANDBOX_XERO_SECRET.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml

from consumer.sandbox.lago import UNMAPPED, Organization

Json = dict[str, Any]

CURRENCIES = ("NZD", "USD", "EUR", "GBP", "JPY", "HUF", "KWD")
TENANTS = (("acme-nz", "NZ", "NZD"), ("acme-eu", "DE", "EUR"))
"""Code of the connection and of the billing entity it serves, country, base currency."""
SECRET = "SANDBOX_XERO_SECRET"  # noqa: S105 - the variable's name
"""The environment variable from which the connections file takes the clients' secret."""
MAPPINGS: Json = {
    "fallback_item": {"item": "LAGO", "account": "200"},
    "payment_account": "880",
    "subscription_fee": {"item": "SUB"},
    "minimum_commitment": {"item": "MIN"},
    "coupon": {"item": "DISC"},
    "prepaid_credit": {"item": "PREPAID", "account": "825"},
    "credit_note": {"item": "CN"},
    "no_tax": "ZERORATED",
    "outside_tax": "NONE",
    "taxes": {"vat_20": "OUTPUT2", "gst_15": "OUTPUT15", "vat_5": "RROUTPUT", "vat_0": "ZERORATED"},
    "billable_metrics": {"storage": {"item": "STOR"}, "seats": {"item": "SEATS"}},
    "add_ons": {"setup": {"item": "SETUP"}},
}
"""Codes of the chart that every simulated organisation has; one Lago tax is left out on purpose."""
_HEAD = f"""\
# Two simulated Xero organisations, for the events of `lago-xero sandbox produce`. The Lago tax
# {UNMAPPED.code} has no mapping, on purpose: its invoices fail as tax_unmapped. Add it to both
# `taxes` ({UNMAPPED.code}: OUTPUT2 will do here; doctor tells that its rate is another), apply again, and
# they go out.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The secret of both clients, and the text of the connections file."""

    secret: str
    connections: str

    def write(self, file: Path) -> Path:
        """Write the connections file."""
        file.write_text(self.connections, encoding="utf-8")
        return file


async def make_sample(
    control_url: str, organization: Organization, secret: str | None = None
) -> Sample:
    """Two organisations in the simulated Xero with a client each, connected to ``organization``.

    What is there already, known by its name, is kept; so it may be repeated with the same ``secret``.
    Without one it is a new one.
    """
    secret = secret or secrets.token_hex(16)
    connections: list[Json] = []
    async with httpx.AsyncClient(base_url=control_url) as control:
        there = {
            one["Name"]: one["OrganisationID"] for one in (await control.get("/tenants")).json()
        }
        for code, country, currency in TENANTS:
            tenant_id, client_id = there.get(code) or str(uuid4()), f"sandbox-{code}"
            tenant = {
                "tenant_id": tenant_id,
                "name": code,
                "country_code": country,
                "base_currency": currency,
                "currencies": CURRENCIES,
            }
            client = {"client_id": client_id, "client_secret": secret, "tenant_ids": [tenant_id]}
            if code not in there:
                (await control.post("/tenants", json=tenant)).raise_for_status()
            (await control.post("/clients", json=client)).raise_for_status()
            connections.append(
                {
                    "code": code,
                    "organization_id": organization.organization_id,
                    "xero": {
                        "tenant_id": tenant_id,
                        "client_id": client_id,
                        "client_secret": {"env": SECRET},
                    },
                    "serves": {"billing_entities": [code]},
                    "mappings": deepcopy(MAPPINGS),  # the same twice would be an alias in YAML
                }
            )
    return Sample(secret, _HEAD + yaml.safe_dump({"connections": connections}, sort_keys=False))


def main() -> None:
    """Make the sample where the argument says and print its connections file."""
    if len(sys.argv) != 2 or not os.environ.get(SECRET):
        sys.exit(f"usage: {SECRET}=… python -m consumer.sandbox.sample CONTROL_URL")
    try:
        sample = asyncio.run(make_sample(sys.argv[1], Organization(), os.environ[SECRET]))
    except httpx.HTTPError as error:
        sys.exit(f"the simulated Xero at {sys.argv[1]} does not answer: {error}")
    sys.stdout.write(sample.connections)


if __name__ == "__main__":
    main()
