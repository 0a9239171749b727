"""A Lago customer in, the Xero contact out; and how its name avoids those of others."""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

from consumer.domain.translate.descriptions import clip, plain
from schemas import lago, xero

MAX_NAME = 255
_SUFFIX_ID = 60
_EMAIL = re.compile(r"[\x21-\x7e]+@[\x21-\x7e]+")
_BRACKETS = str.maketrans("<>", "()")


def translate_contact(
    customer: lago.Customer,
    *,
    suffix: str = "",
    contact_id: UUID | None = None,
    linked: bool = False,
) -> xero.Contact:
    """The contact to create, or to update where ``contact_id`` is given (ACCOUNTING.md 7).

    What Lago leaves out is not sent (Xero keeps it); what Lago says is null is sent as "" and so
    cleared. Texts beyond Xero's limits are cut, shown by an ellipsis.

    Args:
        suffix: of ``name_suffix``, where another contact has the name; never cut.
        linked: a person made it: its ContactNumber is his, and ours may be another contact's.
    """
    said = customer.model_fields_set
    return xero.Contact(
        contact_id=contact_id,
        contact_number=None if linked else str(customer.lago_id),
        name=contact_name(customer, suffix),
        first_name=_said(customer.firstname, 255) if "firstname" in said else None,
        last_name=_said(customer.lastname, 255) if "lastname" in said else None,
        email_address=_email(customer.email) if "email" in said else None,
        tax_number=(
            _said(customer.tax_identification_number, 50)
            if "tax_identification_number" in said
            else None
        ),
        addresses=_addresses(customer),
        phones=(
            (xero.Phone(phone_number=_said(_first(customer.phone), 50)),) if "phone" in said else ()
        ),
    )


def contact_name(customer: lago.Customer, suffix: str = "") -> str:
    """A legal name of at most 255 characters that ends with ``suffix``.

    Xero takes no angle brackets and no spaces at the edges or doubled (xero.md 5).
    """
    person = " ".join(part for part in (customer.firstname, customer.lastname) if part)
    candidates = (customer.name, customer.legal_name, person, customer.external_id)
    names = (plain(_visible(name)).translate(_BRACKETS) for name in candidates if name)
    name = next((name for name in names if name), str(customer.lago_id))
    legal_suffix = suffix.translate(_BRACKETS).rstrip()
    return clip(name, MAX_NAME - len(legal_suffix)).rstrip() + legal_suffix


def name_key(name: str) -> str:
    """The form under which Xero compares names: without case and accents."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return plain("".join(c for c in folded if not unicodedata.combining(c) and _is_visible(c)))


def name_suffix(customer: lago.Customer, attempt: int) -> str:
    """What tells this customer from another of the same name; the same at every call.

    Attempt 1 gives Lago's external id, 2 the first part of the lago_id, later ones all of it.
    """
    external_id = clip(plain(_visible(customer.external_id or "")), _SUFFIX_ID)
    choices = [external_id] if external_id else []
    choices += [str(customer.lago_id)[:8], str(customer.lago_id)]
    return f" ({choices[min(max(attempt, 1), len(choices)) - 1]})"


def _addresses(customer: lago.Customer) -> tuple[xero.Address, ...]:
    """POBOX from the billing address, STREET from the shipping address, where Lago says any."""
    addresses = []
    if customer.model_fields_set & lago.Address.model_fields.keys():
        addresses.append(_address("POBOX", customer))
    if "shipping_address" in customer.model_fields_set:
        addresses.append(_address("STREET", customer.shipping_address or lago.Address()))
    return tuple(addresses)


def _address(kind: xero.AddressType, address: lago.Address) -> xero.Address:
    return xero.Address(
        address_type=kind,
        address_line1=_said(address.address_line1, 500),
        address_line2=_said(address.address_line2, 500),
        city=_said(address.city, 255),
        region=_said(address.state, 255),
        postal_code=_said(address.zipcode, 50),
        country=re.sub(r"[^A-Za-z]", "", address.country or "")[:50],
    )


def _said(text: str | None, limit: int) -> str:
    return clip(plain(text), limit)


def _first(listed: str | None) -> str:
    """The first of comma-separated values."""
    return next((part.strip() for part in (listed or "").split(",") if part.strip()), "")


def _email(listed: str | None) -> str:
    """The first address; "" for what Xero would refuse, so that it does not hold up the contact."""
    first = _first(listed)
    return first if len(first) <= 255 and _EMAIL.fullmatch(first) else ""


def _visible(text: str) -> str:
    return "".join(c for c in text if _is_visible(c))


def _is_visible(char: str) -> bool:
    """Not a zero-width or formatting character, which would hide a clash."""
    return unicodedata.category(char) != "Cf"
