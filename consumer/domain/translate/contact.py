"""A Lago customer in, the Xero contact out: a legal name, our marker, addresses, cleared fields.

Xero's limits are kept by cutting visibly, never by refusing (xero.md 5, Contact).
"""

from __future__ import annotations

import unicodedata
from uuid import UUID

from consumer.domain.translate.descriptions import clip, plain
from schemas import lago, xero

MAX_NAME = 255


def translate_contact(
    customer: lago.Customer, *, suffix: str = "", contact_id: UUID | None = None
) -> xero.Contact:
    """The contact to create, or to update where ``contact_id`` is given.

    A field that Lago does not have is sent as an empty string: it clears what Xero kept.
    """
    return xero.Contact(
        contact_id=contact_id,
        contact_number=str(customer.lago_id),
        name=contact_name(customer, suffix),
        first_name=clip(plain(customer.firstname), 255),
        last_name=clip(plain(customer.lastname), 255),
        email_address=_email(customer.email),
        tax_number=clip(plain(customer.tax_identification_number), 50),
        addresses=(
            _address("POBOX", customer),
            _address("STREET", customer.shipping_address or lago.Address()),
        ),
        phones=(xero.Phone(phone_number=clip(plain(customer.phone), 50)),),
    )


def contact_name(customer: lago.Customer, suffix: str = "") -> str:
    """``name``, else ``legal_name``, else first and last, else ``external_id``; with the suffix.

    Xero takes no angle brackets and no edge or double spaces (xero.md 5).
    """
    full = f"{customer.firstname or ''} {customer.lastname or ''}"
    candidates = (customer.name, customer.legal_name, full, customer.external_id)
    legal = (_legal(text) for text in candidates)
    name = next((text for text in legal if text), str(customer.lago_id))
    return clip(name, MAX_NAME - len(suffix)) + suffix


def name_suffix(customer: lago.Customer, attempt: int) -> str:
    """What makes a name that another contact has unique: the external id, then Lago's id too."""
    external = clip(_legal(customer.external_id), 100)
    if attempt == 1 and external:
        return f" ({external})"
    return f" ({str(customer.lago_id)[:8]})"


def name_key(name: str) -> str:
    """The form under which Xero compares names: case and accents ignored."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _legal(text: str | None) -> str:
    return plain((text or "").replace("<", "(").replace(">", ")"))


def _email(emails: str | None) -> str:
    """The first of Lago's comma-separated addresses; one too long for Xero is left out."""
    first = next((part for part in map(str.strip, (emails or "").split(",")) if part), "")
    first = plain(first)
    return first if len(first) <= 255 else ""


def _address(kind: str, address: lago.Address) -> xero.Address:
    country = "".join(c for c in plain(address.country) if c.isalpha() or c == " ")
    return xero.Address(
        address_type="POBOX" if kind == "POBOX" else "STREET",
        address_line1=clip(plain(address.address_line1), 500),
        address_line2=clip(plain(address.address_line2), 500),
        city=clip(plain(address.city), 255),
        region=clip(plain(address.state), 255),
        postal_code=clip(plain(address.zipcode), 50),
        country=clip(country.strip(), 50),
    )
