"""Customers as Lago serializes them: choices in, payloads out (lago.md 1, *customer*)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer.sandbox.lago.catalogue import BillingEntity, Organization
from consumer.sandbox.lago.choices import Choices
from consumer.sandbox.lago.clock import instant, iso, later

Json = dict[str, Any]

PLAIN_NAMES = (
    "Kauri Analytics Ltd",
    "Harbour & Sons",
    "Blue Ridge Software",
    "Nordlicht GmbH",
    "Atelier Dupré",
    "Tisza Kft.",
    "Sakura Trading",
    "Gulf Data WLL",
)
ODD_NAMES = (
    "  Two  Spaces   Inc ",
    "Angle <Brackets> & Co",
    "Łódź Ürünleri Ñandú ß",
    "株式会社サクラ",
    "مؤسسة الخليج",
    "Rocket 🚀 Labs",
    "Tab\tand\nnewline",
    "'; DROP TABLE contacts; --",
    "Very long name " * 20,
    "é" * 255,
    "x",
)
_CITIES: Mapping[str, tuple[str, str, str | None]] = {
    "NZ": ("Auckland", "1010", "Auckland"),
    "US": ("Portland", "97201", "OR"),
    "DE": ("Berlin", "10115", None),
    "FR": ("Paris", "75001", None),
    "GB": ("Leeds", "LS1 4AP", None),
    "HU": ("Budapest", "1051", None),
    "JP": ("東京", "100-0001", None),
    "KW": ("Kuwait City", "13001", None),
}
_EMAILS = (
    "billing@example.test",
    "ap@example.test,cfo@example.test",
    " ap@example.test , second@example.test",
    None,
    "",
)


def customer(
    *,
    lago_id: str,
    external_id: str,
    entity: BillingEntity,
    at: str,
    sequential_id: int = 1,
    **facts: Any,
) -> Json:
    """A customer as customer webhooks show him; ``facts`` replace any field.

    ``integration_customers`` is ``[]`` unless given; ``nested`` leaves it out.
    """
    address = {
        "address_line1": "1 High Street",
        "address_line2": None,
        "city": _CITIES[entity.country][0],
        "zipcode": _CITIES[entity.country][1],
        "state": _CITIES[entity.country][2],
        "country": entity.country,
    }
    return {
        "lago_id": lago_id,
        "billing_entity_code": entity.code,
        "external_id": external_id,
        "account_type": "customer",
        "name": "Kauri Analytics Ltd",
        "firstname": None,
        "lastname": None,
        "customer_type": "company",
        "sequential_id": sequential_id,
        "slug": f"{entity.prefix}-{sequential_id:03}",
        "created_at": at,
        "updated_at": at,
        **address,
        "email": "billing@example.test",
        "url": None,
        "phone": None,
        "logo_url": None,
        "legal_name": None,
        "legal_number": None,
        "currency": entity.currencies[0],
        "tax_identification_number": None,
        "timezone": None,
        "applicable_timezone": entity.timezone,
        "net_payment_term": None,
        "external_salesforce_id": None,
        "finalize_zero_amount_invoice": "inherit",
        "billing_configuration": {
            "invoice_grace_period": None,
            "payment_provider": None,
            "payment_provider_code": None,
            "document_locale": None,
        },
        "shipping_address": dict.fromkeys(address),
        "skip_invoice_custom_sections": False,
        "metadata": [],
        "integration_customers": [],
        **facts,
    }


def generate_customer(
    choices: Choices,
    *,
    organization: Organization | None = None,
    entity: BillingEntity | None = None,
    currency: str | None = None,
    account_type: str | None = None,
    odd: bool | None = None,
    linked: bool = True,
    sequential_id: int | None = None,
) -> Json:
    """A customer of any kind that Lago allows; what is not given is drawn.

    Args:
        odd: names that Xero dislikes or that are missing; drawn when None.
        linked: whether links with other systems may be drawn; False gives an empty list.
    """
    organization = organization or Organization()
    entity = entity or choices.choose(organization.entities)
    number = choices.integer(1, 999) if sequential_id is None else sequential_id
    stamp = iso(instant(choices))
    facts: Json = {
        **_names(choices, choices.chance(40) if odd is None else odd),
        **_addresses(choices, entity),
        "account_type": account_type or ("partner" if choices.chance(5) else "customer"),
        "email": choices.choose(_EMAILS),
        "phone": choices.choose((None, "+64 9 555 0100", "0800 OFFICE ext. 12")),
        "currency": currency or choices.choose((None, *entity.currencies)),
        "tax_identification_number": choices.choose((None, "DE123456789", "12-345-678", "")),
        "net_payment_term": choices.choose((None, 0, 14, 30)),
        "integration_customers": _links(choices, organization) if linked else [],
    }
    lago_id = choices.uuid()
    return customer(
        lago_id=lago_id,
        external_id=choices.choose((f"cust_{number}", f"crm/{number}", lago_id, f"客户-{number}")),
        entity=entity,
        at=stamp,
        sequential_id=number,
        **facts,
    )


def updated(choices: Choices, before: Json, *, seconds: int | None = None, **facts: Any) -> Json:
    """The customer after an edit, ``seconds`` later; 0 is an edit within Lago's same second."""
    gap = choices.integer(0, 3 * 86_400) if seconds is None else seconds
    changes = facts or {"phone": f"+64 9 555 {choices.integer(0, 9999):04}"}
    return {**before, **changes, "updated_at": later(before["updated_at"], gap)}


def nested(payload: Json) -> Json:
    """The customer as invoice webhooks show him: nothing is said about links."""
    return {name: value for name, value in payload.items() if name != "integration_customers"}


def _names(choices: Choices, odd: bool) -> Json:
    plain = choices.choose(PLAIN_NAMES)
    company: Json = {"customer_type": "company", "name": plain, "legal_name": plain}
    if not odd:
        return choices.choose(
            (company, {"customer_type": "individual", "name": "Ana Kovács", "firstname": "Ana"})
        )
    strange = choices.choose(ODD_NAMES)
    return choices.choose(
        (
            {"customer_type": "company", "name": strange},
            {"customer_type": None, "name": None, "legal_name": strange},
            {"customer_type": "individual", "name": None, "firstname": "Ana", "lastname": "Kovács"},
            {"customer_type": "individual", "name": "", "firstname": None, "lastname": "Tane"},
            {"customer_type": None, "name": None, "legal_name": None},
        )
    )


def _addresses(choices: Choices, entity: BillingEntity) -> Json:
    country = choices.choose((entity.country, *_CITIES))
    city, zipcode, state = _CITIES[country]
    if choices.chance(20):
        billing: Json = dict.fromkeys(
            ("address_line1", "address_line2", "city", "zipcode", "state", "country")
        )
    else:
        billing = {
            "address_line1": choices.choose(("1 High Street", "Straße des 17. Juni 135")),
            "address_line2": choices.choose((None, "Level 3", "")),
            "city": city,
            "zipcode": zipcode,
            "state": state,
            "country": country,
        }
    shipping = {**billing, "address_line1": "Dock 7"} if choices.chance(30) else {}
    return {**billing, "shipping_address": {**dict.fromkeys(billing), **shipping}}


def _links(choices: Choices, organization: Organization) -> list[Json]:
    links = []
    if organization.connections and choices.chance(40):
        code = choices.choose(organization.connections)
        links.append(link(choices, "xero", code, choices.choose((None, choices.uuid()))))
    for kind, code in (("netsuite", "ns-main"), ("anrok", "anrok"), ("hubspot", "hub")):
        if choices.chance(10):
            links.append(link(choices, kind, code, str(choices.integer(1, 99_999))))
    return choices.shuffle(links)


_CATEGORIES = {"xero": "accounting", "netsuite": "accounting", "anrok": "tax", "hubspot": "crm"}


def link(choices: Choices, kind: str, code: str, external_customer_id: str | None) -> Json:
    """One entry of ``integration_customers``; for Xero the external id is a ContactID."""
    recent = {"code": code, "is_default": True, "category": _CATEGORIES[kind]}
    return {
        "lago_id": choices.uuid(),
        "external_customer_id": external_customer_id,
        "type": kind,
        "integration_code": code,
        # Only Lago of July 2026 and later writes these three.
        **(recent if choices.chance(50) else {}),
        "sync_with_provider": external_customer_id is None or choices.chance(50),
        **({"subsidiary_id": "2"} if kind == "netsuite" else {}),
    }
