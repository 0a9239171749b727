"""ACCOUNTING.md 7, contacts: names, addresses, and what an absent or a null field says."""

from __future__ import annotations

import json
import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from consumer.domain.translate import name_key, name_suffix, translate_contact
from consumer.domain.translate.contact import contact_name
from schemas import lago
from tests.strategies import customers

JSON = dict[str, Any]
ID = "11111111-2222-4333-8444-555555555555"


def customer(**said: Any) -> lago.Customer:
    return lago.Customer.model_validate({"lago_id": ID, **said})


def sent(*, contact_id: UUID | None = None, suffix: str = "", **said: Any) -> JSON:
    contact = translate_contact(customer(**said), suffix=suffix, contact_id=contact_id)
    found: JSON = json.loads(contact.body())
    return found


def test_whole_customer() -> None:
    assert sent(
        external_id="crm-1",
        name="Kauri Analytics Ltd",
        firstname="Ana",
        lastname="Kovács",
        legal_name="Kauri Ltd",
        email="ap@example.test, cfo@example.test",
        phone="+64 9 555 0100",
        tax_identification_number="12-345-678",
        currency="NZD",
        address_line1="1 High Street",
        address_line2=None,
        city="Auckland",
        zipcode="1010",
        state="Auckland",
        country="NZ",
        shipping_address={"address_line1": "Dock 7", "country": "NZ"},
    ) == {
        "ContactNumber": ID,
        "Name": "Kauri Analytics Ltd",
        "FirstName": "Ana",
        "LastName": "Kovács",
        "EmailAddress": "ap@example.test",
        "TaxNumber": "12-345-678",
        "Addresses": [
            {
                "AddressType": "POBOX",
                "AddressLine1": "1 High Street",
                "AddressLine2": "",
                "City": "Auckland",
                "Region": "Auckland",
                "PostalCode": "1010",
                "Country": "NZ",
            },
            {
                "AddressType": "STREET",
                "AddressLine1": "Dock 7",
                "AddressLine2": "",
                "City": "",
                "Region": "",
                "PostalCode": "",
                "Country": "NZ",
            },
        ],
        "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "+64 9 555 0100"}],
    }


def test_absent_fields_are_not_sent() -> None:
    assert sent(name="A") == {"ContactNumber": ID, "Name": "A", "Addresses": [], "Phones": []}


def test_null_fields_clear() -> None:
    cleared = sent(
        name="A", firstname=None, email=None, phone=None, tax_identification_number=None, city=None
    )
    assert (cleared["FirstName"], cleared["EmailAddress"], cleared["TaxNumber"]) == ("", "", "")
    assert cleared["Phones"] == [{"PhoneType": "DEFAULT", "PhoneNumber": ""}]
    assert cleared["Addresses"][0]["City"] == ""
    assert "LastName" not in cleared


def test_update_names_the_contact() -> None:
    contact = UUID(int=7)
    assert sent(name="A", contact_id=contact)["ContactID"] == str(contact)


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"name": "N", "legal_name": "L", "firstname": "F", "external_id": "E"}, "N"),
        ({"name": None, "legal_name": "L", "firstname": "F", "external_id": "E"}, "L"),
        ({"name": " ", "firstname": "F", "lastname": "G", "external_id": "E"}, "F G"),
        ({"name": "", "lastname": "G", "external_id": "E"}, "G"),
        ({"external_id": "E"}, "E"),
        ({"name": "\u200b"}, ID),
    ],
)
def test_contact_name_falls_back(said: JSON, name: str) -> None:
    assert contact_name(customer(**said)) == name


@pytest.mark.parametrize(
    ("said", "legal"),
    [
        ("  Two  Spaces   Inc ", "Two Spaces Inc"),
        ("Angle <Brackets> & Co", "Angle (Brackets) & Co"),
        ("Tab\tand\nnewline", "Tab and newline"),
        ("株式会社サクラ", "株式会社サクラ"),
        ("Zero\u200bwidth", "Zerowidth"),
    ],
)
def test_contact_name_is_made_legal(said: str, legal: str) -> None:
    assert contact_name(customer(name=said)) == legal


def test_long_name_is_cut_but_its_suffix_kept() -> None:
    name = contact_name(customer(name="x" * 300), " (crm-1)")
    assert len(name) == 255
    assert name.endswith("x… (crm-1)")


def test_name_length_counts_as_dotnet_does() -> None:
    name = contact_name(customer(name="🚀" * 200))
    assert len(name.encode("utf-16-le")) // 2 <= 255
    assert name.endswith("🚀…")


def test_suffixes_differ_and_the_last_is_unique() -> None:
    who = customer(name="A", external_id="crm-1")
    assert [name_suffix(who, attempt) for attempt in (1, 2, 3, 4)] == [
        " (crm-1)",
        " (11111111)",
        f" ({ID})",
        f" ({ID})",
    ]
    assert name_suffix(customer(name="A"), 1) == " (11111111)"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Atelier Dupré", "ATELIER DUPRE", True),
        ("Straße", "STRASSE", True),
        ("A\u200b  b", "a b", True),
        ("Acme", "Acme Ltd", False),
    ],
)
def test_name_key_compares_as_xero_does(one: str, other: str, same: bool) -> None:
    assert (name_key(one) == name_key(other)) is same


# ── Fields ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "email"),
    [
        (" ap@example.test , second@example.test", "ap@example.test"),
        ("no address", ""),
        ("ä@example.test", ""),
        ("", ""),
    ],
)
def test_first_usable_email_is_sent(said: str, email: str) -> None:
    assert sent(name="A", email=said)["EmailAddress"] == email


def test_country_has_letters_only() -> None:
    assert sent(name="A", country="N.Z. 1")["Addresses"][0]["Country"] == "NZ"


def test_long_fields_are_cut_to_xeros_limits() -> None:
    body = sent(name="A", firstname="f" * 300, phone="1" * 60, zipcode="9" * 60)
    assert body["FirstName"] == "f" * 254 + "…"
    assert body["Phones"][0]["PhoneNumber"] == "1" * 49 + "…"
    assert body["Addresses"][0]["PostalCode"] == "9" * 49 + "…"


@given(customers())
def test_every_customer_has_a_legal_name(payload: JSON) -> None:
    contact = translate_contact(lago.Customer.model_validate(payload))
    assert contact.name == " ".join(contact.name.split())
    assert not set(contact.name) & set("<>")
    assert 1 <= len(contact.name.encode("utf-16-le")) // 2 <= 255
    assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in contact.name)
    assert contact.contact_number == payload["lago_id"]
