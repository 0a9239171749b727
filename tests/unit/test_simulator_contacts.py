"""Which contacts Xero takes, and what it says to the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator import TENANT, ZERO, Lab, messages, simulated

TAKEN_NAME = (
    "The contact name {} is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)
TAKEN_NUMBER = (
    "The contact number {} is already assigned to another contact. "
    "The contact number must be unique across all contacts."
)
TAKEN_ACCOUNT = "The Account Number already exists. Please enter a different Account Number."
ARCHIVED = (
    "The specified contact details matched an archived contact. "
    "Archived contacts cannot currently be edited via the API."
)


async def put(lab: Lab, **fields: Any) -> dict[str, Any]:
    return (await lab.write("PUT", "Contacts", fields))[0]


async def archive(lab: Lab, contact_id: str, **more: str) -> None:
    order = {"action": "archive", "contact_id": contact_id, **more}
    await lab.control("POST", f"books/{TENANT}/contacts", order)


def long(name: str, limit: int) -> str:
    return f"The field {name} must be a string with a maximum length of {limit}."


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("Name", 255),
        ("ContactNumber", 50),
        ("AccountNumber", 50),
        ("FirstName", 255),
        ("LastName", 255),
        ("TaxNumber", 50),
    ],
)
async def test_text_limits(name: str, limit: int) -> None:
    async with simulated() as lab:
        fits = await put(lab, **{"Name": "Fits", name: "x" * limit})
        over = await put(lab, **{"Name": "Over", name: "y" * (limit + 1)})
    assert messages(fits) == []
    assert (messages(over), over["ContactID"]) == ([long(name, limit)], ZERO)


@pytest.mark.parametrize(
    ("slot", "name", "limit"),
    [
        ("Addresses", "AddressLine1", 500),
        ("Addresses", "AddressLine4", 500),
        ("Addresses", "City", 255),
        ("Addresses", "Region", 255),
        ("Addresses", "PostalCode", 50),
        ("Addresses", "Country", 50),
        ("Phones", "PhoneNumber", 50),
        ("Phones", "PhoneAreaCode", 10),
        ("Phones", "PhoneCountryCode", 20),
    ],
)
async def test_slot_limits(slot: str, name: str, limit: int) -> None:
    kind = {"Addresses": ("AddressType", "POBOX"), "Phones": ("PhoneType", "DEFAULT")}[slot]
    async with simulated() as lab:
        fits = await put(lab, Name="Fits", **{slot: [{kind[0]: kind[1], name: "x" * limit}]})
        over = await put(lab, Name="Over", **{slot: [{kind[0]: kind[1], name: "x" * (limit + 1)}]})
    assert (messages(fits), messages(over)) == ([], [long(name, limit)])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Name": ""}, "Contact Name cannot be empty."),
        ({"ContactNumber": "n"}, "Contact Name cannot be empty."),
        ({"Name": "A <b>"}, "Contact Name cannot contain the characters < and >."),
        ({"Name": " A"}, "Contact Name cannot contain leading, trailing or consecutive spaces."),
        ({"Name": "A  B"}, "Contact Name cannot contain leading, trailing or consecutive spaces."),
        ({"Name": "A", "EmailAddress": "nobody"}, "Email address must be valid."),
        ({"Name": "A", "EmailAddress": "a@b.test,c@d.test"}, "Email address must be valid."),
        (
            {"Name": "A", "Addresses": [{"AddressType": "POBOX", "Country": "NZ1"}]},
            "Country can only contain letters.",
        ),
        ({"Name": "A", "Addresses": [{"AddressType": "HOME"}]}, "AddressType is not valid."),
        (
            {"Name": "A", "ContactPersons": [{"FirstName": "P"}] * 6},
            "A contact can have a maximum of 5 ContactPersons.",
        ),
    ],
)
async def test_field_rules(fields: dict[str, Any], message: str) -> None:
    async with simulated() as lab:
        shown = await put(lab, **fields)
    assert messages(shown) == [message]
    assert (shown["ContactID"], shown["HasValidationErrors"]) == (ZERO, True)


async def test_spaces_and_email_are_switches() -> None:
    async with simulated(name_spaces="trimmed", email_validated=False) as lab:
        shown = await put(lab, Name=" A  B ", EmailAddress="nobody")
    assert (shown["Name"], shown["EmailAddress"]) == ("A B", "nobody")


async def test_names_ignore_case_and_accents_also_within_a_batch() -> None:
    async with simulated() as lab:
        one, two = await lab.write("PUT", "Contacts", {"Name": "Café Ole"}, {"Name": "CAFE olé"})
    assert messages(one) == []
    assert messages(two) == [TAKEN_NAME.format("CAFE olé")]


async def test_name_is_free_again_when_archived_but_numbers_are_not() -> None:
    fields = {"Name": "Acme", "ContactNumber": "c1", "AccountNumber": "a1"}
    async with simulated() as lab:
        first = await put(lab, **fields)
        taken = await put(lab, **fields)
        await archive(lab, first["ContactID"])
        after = await put(lab, **fields)
        renamed = await put(lab, Name="Acme")
    numbers = [TAKEN_NUMBER.format("c1"), TAKEN_ACCOUNT]
    assert messages(taken) == [TAKEN_NAME.format("Acme"), *numbers]
    assert messages(after) == numbers
    assert messages(renamed) == []


@pytest.mark.parametrize("overwrites", [False, True])
async def test_put_of_a_known_contact_number(overwrites: bool) -> None:
    async with simulated(put_contact_overwrites_on_contact_number=overwrites) as lab:
        shown = await put(lab, Name="Renamed", ContactNumber="first")
    if overwrites:
        assert (shown["ContactID"], shown["Name"]) == (lab.contact_id, "Renamed")
    else:
        assert messages(shown) == [TAKEN_NUMBER.format("first")]


@pytest.mark.parametrize("match", ["ContactID", "ContactNumber", "Name"])
async def test_post_updates_what_it_finds(match: str) -> None:
    async with simulated() as lab:
        keys = {"ContactID": lab.contact_id, "ContactNumber": "first", "Name": "FIRST"}
        (shown,) = await lab.write(
            "POST", "Contacts", {match: keys[match], "EmailAddress": "a@b.test"}
        )
    assert (shown["ContactID"], shown["EmailAddress"]) == (lab.contact_id, "a@b.test")


async def test_what_is_left_out_survives_and_empty_text_clears() -> None:
    address = {"AddressType": "POBOX", "AddressLine1": "1 Road", "City": "Town"}
    async with simulated() as lab:
        known = {"ContactID": lab.contact_id}
        full = {**known, "EmailAddress": "a@b.test", "TaxNumber": "T1", "Addresses": [address]}
        await lab.write("POST", "Contacts", full)
        change = {
            **known,
            "EmailAddress": "",
            "Addresses": [{"AddressType": "POBOX", "City": "Village"}],
        }
        (shown,) = await lab.write("POST", "Contacts", change)
    assert (shown["EmailAddress"], shown["TaxNumber"], shown["Name"]) == ("", "T1", "First")
    assert shown["Addresses"] == [
        {"AddressType": "STREET"},
        {"AddressType": "POBOX", "AddressLine1": "1 Road", "City": "Village"},
    ]
    assert [one["PhoneType"] for one in shown["Phones"]] == ["DDI", "DEFAULT", "FAX", "MOBILE"]


async def test_persons_are_replaced_as_a_set() -> None:
    async with simulated() as lab:
        for names in (["A", "B"], ["C"]):
            persons = [{"FirstName": name} for name in names]
            (shown,) = await lab.write(
                "POST", "Contacts", {"ContactID": lab.contact_id, "ContactPersons": persons}
            )
    assert [one["FirstName"] for one in shown["ContactPersons"]] == ["C"]


async def test_failed_update_echoes_the_request_over_what_is_stored() -> None:
    async with simulated() as lab:
        await put(lab, Name="Other")
        change = {"ContactID": lab.contact_id, "Name": "other", "EmailAddress": "x@y.test"}
        (shown,) = await lab.write("POST", "Contacts", change)
        stored = (await lab.get(f"Contacts/{lab.contact_id}"))["Contacts"][0]
    assert (shown["ContactID"], shown["Name"]) == (lab.contact_id, "other")
    assert (shown["ContactNumber"], shown["EmailAddress"]) == ("first", "x@y.test")
    assert (stored["Name"], stored["EmailAddress"]) == ("First", "")


async def test_archived_contacts_cannot_be_edited() -> None:
    async with simulated() as lab:
        await archive(lab, lab.contact_id)
        (shown,) = await lab.write("POST", "Contacts", {"ContactNumber": "first", "Name": "New"})
    assert messages(shown) == [ARCHIVED]


async def test_restored_a_contact_can_be_edited_again_unless_its_name_is_taken() -> None:
    restore = {"action": "restore"}
    async with simulated() as lab:
        await archive(lab, lab.contact_id)
        order = {**restore, "contact_id": lab.contact_id}
        shown = await lab.control("POST", f"books/{TENANT}/contacts", order)
        assert shown["ContactStatus"] == "ACTIVE"
        (edited,) = await lab.write("POST", "Contacts", {"ContactNumber": "first", "Name": "New"})
        assert messages(edited) == []
        await archive(lab, lab.contact_id)
        heir = await put(lab, Name="New")
        refused = await lab.http.post(f"/sandbox/books/{TENANT}/contacts", json=order)
        assert (refused.status_code, "already assigned" in refused.text) == (400, True)
        await archive(lab, heir["ContactID"], action="merge", into=lab.contact_id)
        order = {**restore, "contact_id": heir["ContactID"]}
        refused = await lab.http.post(f"/sandbox/books/{TENANT}/contacts", json=order)
        assert (refused.status_code, "merged" in refused.text) == (400, True)


async def test_merged_contact_hands_over_its_credit_notes() -> None:
    async with simulated() as lab:
        heir = await put(lab, Name="Heir")
        line = {"Description": "Less", "Quantity": 1, "UnitAmount": 5}
        contact = {"ContactID": lab.contact_id}
        note = {"Type": "ACCRECCREDIT", "Contact": contact, "LineItems": [line]}
        (made,) = await lab.write("PUT", "CreditNotes", note)
        assert messages(made) == []
        await archive(lab, lab.contact_id, action="merge", into=heir["ContactID"])
        moved = (await lab.get(f"CreditNotes/{made['CreditNoteID']}"))["CreditNotes"][0]
    assert moved["Contact"]["ContactID"] == heir["ContactID"]


async def test_merged_contact_names_its_heir_and_hands_over_its_invoices() -> None:
    async with simulated() as lab:
        heir = await put(lab, Name="Heir")
        await lab.saved_invoice(InvoiceNumber="A-1")
        order = {"action": "merge", "contact_id": lab.contact_id, "into": heir["ContactID"]}
        await lab.control("POST", f"books/{TENANT}/contacts", order)
        merged = (await lab.get(f"Contacts/{lab.contact_id}"))["Contacts"][0]
        invoice = (await lab.get("Invoices/A-1"))["Invoices"][0]
    assert (merged["ContactStatus"], merged["MergedToContactID"]) == ("ARCHIVED", heir["ContactID"])
    assert invoice["Contact"]["ContactID"] == heir["ContactID"]


async def test_contact_by_number_in_the_path() -> None:
    async with simulated() as lab:
        made = await put(lab, Name="Slash", ContactNumber="a/b c")
        found = await lab.get("Contacts/a%2Fb%20c")
        missing = await lab.call("GET", "Contacts/nobody")
    assert found["Contacts"][0]["ContactID"] == made["ContactID"]
    assert (missing.status_code, missing.content) == (404, b"")
    assert missing.headers["content-type"] == "text/html"


async def test_post_by_id() -> None:
    async with simulated() as lab:
        path = f"Contacts/{lab.contact_id}"
        updated = await lab.call("POST", path, {"Contacts": [{"TaxNumber": "T9"}]})
        bad = await lab.call("POST", path, {"Name": ""})
        missing = await lab.call("POST", f"Contacts/{TENANT}", {"Name": "X"})
    assert updated.json()["Contacts"][0]["TaxNumber"] == "T9"
    # summarizeErrors=false was sent and is not obeyed here.
    assert (bad.status_code, missing.status_code) == (400, 404)
    assert messages(bad.json()["Elements"][0]) == ["Contact Name cannot be empty."]


async def test_post_by_id_may_obey_summarize_errors() -> None:
    async with simulated(by_id_honours_summarize_errors=True) as lab:
        bad = await lab.call("POST", f"Contacts/{lab.contact_id}", {"Name": ""})
    assert bad.status_code == 200
    assert bad.json()["Contacts"][0]["StatusAttributeString"] == "ERROR"
