"""A contact element in, a saved contact or Xero's complaints about it out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from consumer.sandbox.xero import reading, rendering
from consumer.sandbox.xero.answers import Json, guid
from consumer.sandbox.xero.batches import Kind, Outcome, refusal
from consumer.sandbox.xero.books import Books, Contact
from consumer.sandbox.xero.call import Call

ARCHIVED = (
    "The specified contact details matched an archived contact. "
    "Archived contacts cannot currently be edited via the API."
)
LENGTHS = {
    "Name": 255,
    "ContactNumber": 50,
    "AccountNumber": 50,
    "FirstName": 255,
    "LastName": 255,
    "EmailAddress": 255,
    "CompanyNumber": 50,
    "TaxNumber": 50,
    "BankAccountDetails": 255,
    "AccountsReceivableTaxType": 50,
    "AccountsPayableTaxType": 50,
    "DefaultCurrency": 3,
}
ADDRESS_LENGTHS = {
    **{f"AddressLine{number}": 500 for number in range(1, 5)},
    "City": 255,
    "Region": 255,
    "PostalCode": 50,
    "Country": 50,
    "AttentionTo": 255,
}
PHONE_LENGTHS = {"PhoneNumber": 50, "PhoneAreaCode": 10, "PhoneCountryCode": 20}
PERSON_FIELDS = ("FirstName", "LastName", "EmailAddress")
MAX_PERSONS = 5
SHAPE: reading.Shape = {
    **dict.fromkeys(LENGTHS, reading.text),
    "ContactID": reading.identity,
    "ContactStatus": reading.text,
    "Addresses": [{"AddressType": reading.text, **dict.fromkeys(ADDRESS_LENGTHS, reading.text)}],
    "Phones": [{"PhoneType": reading.text, **dict.fromkeys(PHONE_LENGTHS, reading.text)}],
    "ContactPersons": [
        {**dict.fromkeys(PERSON_FIELDS, reading.text), "IncludeInEmails": reading.flag}
    ],
}
KIND = Kind(
    "Contacts",
    "Contact",
    "ContactID",
    "HasValidationErrors",
    frozenset(SHAPE),
    SHAPE,
)
_EMAIL = re.compile(r"^[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@,;<>]+$")
_COUNTRY = re.compile(r"^[A-Za-z ]*$")


def too_long(name: str, limit: int) -> str:
    """The complaint about a text (the wording is ours)."""
    return f"The field {name} must be a string with a maximum length of {limit}."


def find(books: Books, element: Json) -> Contact | None:
    """The contact an element means: by id, by ContactNumber, then by the name of an active one."""
    if contact_id := reading.identity(element, "ContactID"):
        return books.contacts.get(contact_id)
    number = reading.text(element, "ContactNumber")
    if number and (found := books.contact_by_number(number)):
        return found
    name = reading.text(element, "Name")
    return books.contact_by_name(name) if name else None


def put(call: Call, element: Json) -> Outcome:
    """Create; an existing name or number is an error."""
    number = reading.text(element, "ContactNumber")
    if call.settings.put_contact_overwrites_on_contact_number and number:
        return write(call, element, call.books.contact_by_number(number))
    return write(call, element, None)


def post(call: Call, element: Json) -> Outcome:
    """Create or update."""
    stored = find(call.books, element)
    if stored is None and reading.identity(element, "ContactID"):
        return refusal(KIND, element, None, ["The Contact could not be found."])
    return write(call, element, stored)


def write(call: Call, element: Json, stored: Contact | None) -> Outcome:
    """Save an element over what is stored, whole or not at all."""
    shown = None if stored is None else rendering.contact(stored)
    if stored is not None and stored.status == "ARCHIVED":
        return refusal(KIND, element, shown, [ARCHIVED])
    contact = Contact(guid()) if stored is None else replace(stored)
    contact.updated = call.at
    errors = _fill(call, contact, element) + _taken(call.books, contact)
    if errors:
        return refusal(KIND, element, shown, errors)
    call.books.keep_contact(contact)
    return Outcome(rendering.contact(contact))


def _fill(call: Call, contact: Contact, element: Json) -> list[str]:
    texts, errors = _texts(element, LENGTHS)
    contact.texts = {**contact.texts, **texts}
    name = contact.texts.get("Name", "")
    if call.settings.name_spaces == "trimmed":
        name = contact.texts["Name"] = " ".join(name.split())
    elif name != name.strip() or "  " in name:
        errors.append("Contact Name cannot contain leading, trailing or consecutive spaces.")
    if not name.strip():
        errors.append("Contact Name cannot be empty.")
    if "<" in name or ">" in name:
        errors.append("Contact Name cannot contain the characters < and >.")
    email = texts.get("EmailAddress")
    if email and call.settings.email_validated and not _EMAIL.match(email):
        errors.append("Email address must be valid.")
    status = reading.text(element, "ContactStatus")
    if status in ("ACTIVE", "ARCHIVED"):
        contact.status = status
    elif status is not None:
        errors.append("ContactStatus is not valid.")
    contact.addresses, wrong = _slots(
        element, "Addresses", "AddressType", rendering.ADDRESS_TYPES, ADDRESS_LENGTHS, contact
    )
    errors += wrong
    if any(not _COUNTRY.match(each.get("Country", "")) for each in contact.addresses.values()):
        errors.append("Country can only contain letters.")
    contact.phones, wrong = _slots(
        element, "Phones", "PhoneType", rendering.PHONE_TYPES, PHONE_LENGTHS, contact
    )
    return errors + wrong + _persons(contact, element)


def _texts(element: Json, lengths: dict[str, int]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    errors = []
    for name, limit in lengths.items():
        value = reading.text(element, name)
        if value is None:
            continue
        found[name] = value
        if len(value) > limit:
            errors.append(too_long(name, limit))
    return found, errors


def _slots(
    element: Json,
    collection: str,
    slot_name: str,
    slots: tuple[str, ...],
    lengths: dict[str, int],
    contact: Contact,
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Addresses or telephones by slot; what is left out of a slot survives."""
    kept = dict(contact.addresses if collection == "Addresses" else contact.phones)
    errors: list[str] = []
    for one in reading.objects(element, collection) or ():
        slot = reading.text(one, slot_name) or ""
        if slot not in slots:
            errors.append(f"{slot_name} is not valid.")
            continue
        texts, wrong = _texts(one, lengths)
        kept[slot] = {**kept.get(slot, {}), **texts}
        errors += wrong
    return kept, errors


def _persons(contact: Contact, element: Json) -> list[str]:
    persons = reading.objects(element, "ContactPersons")
    if persons is None:
        return []
    contact.persons = [
        {
            **{name: reading.text(one, name) or "" for name in PERSON_FIELDS},
            "IncludeInEmails": reading.flag(one, "IncludeInEmails") or False,
        }
        for one in persons
    ]
    if len(persons) > MAX_PERSONS:
        return [f"A contact can have a maximum of {MAX_PERSONS} ContactPersons."]
    return []


def _taken(books: Books, contact: Contact) -> list[str]:
    """Names are unique among active contacts; ContactNumber and AccountNumber among all."""

    def other(look: Callable[[str], Contact | None], value: str) -> bool:
        found = look(value) if value else None
        return found is not None and found.contact_id != contact.contact_id

    errors = []
    if contact.status == "ACTIVE" and other(books.contact_by_name, contact.name):
        errors.append(
            f"The contact name {contact.name} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    number = contact.texts.get("ContactNumber", "")
    if other(books.contact_by_number, number):
        errors.append(
            f"The contact number {number} is already assigned to another contact. "
            "The contact number must be unique across all contacts."
        )
    if other(books.contact_by_account_number, contact.texts.get("AccountNumber", "")):
        errors.append("The Account Number already exists. Please enter a different Account Number.")
    return errors


def resolve(call: Call, element: Json | None) -> tuple[Contact | None, list[str]]:
    """The contact of a document: an id alone refers to it, anything more writes it."""
    if not element:
        return None, ["A Contact must be specified for this type of transaction"]
    more = {name for name, value in element.items() if value is not None} - {"ContactID"}
    contact_id = reading.identity(element, "ContactID")
    found = find(call.books, element)
    if contact_id and found is None:
        return None, ["The Contact could not be found."]
    if found is not None and found.status == "ARCHIVED":
        return None, [ARCHIVED]
    if found is not None and not more:
        return found, []
    if not {"Name", "ContactNumber"} & more and found is None:
        return None, ["A Contact must be specified for this type of transaction"]
    outcome = write(call, element, found)
    if outcome.errors:
        return None, list(outcome.errors)
    return call.books.contacts[outcome.shown["ContactID"]], []


def archive(books: Books, contact_id: str, at: int, merged_to: str | None = None) -> Contact:
    """What an accountant does in Xero itself. KeyError: no such contact."""
    contact = replace(books.contacts[contact_id], status="ARCHIVED", updated=at)
    contact.merged_to = merged_to
    books.keep_contact(contact)
    return contact


def merge(books: Books, contact_id: str, into: str, at: int) -> Contact:
    """Archive it for another, which gets all its documents, as an accountant does. KeyError: no such
    contact."""
    target = books.contacts[into].contact_id
    for one in list(books.invoices.values()):
        if one.contact_id == contact_id:
            books.keep_invoice(replace(one, contact_id=target, updated=at))
    for note in list(books.credit_notes.values()):
        if note.contact_id == contact_id:
            moved = replace(note, contact_id=target, updated=at)
            books.credit_notes[note.credit_note_id] = moved
    for money in list(books.bank_transactions.values()):
        if money.contact_id == contact_id:
            paid = replace(money, contact_id=target, updated=at)
            books.bank_transactions[money.transaction_id] = paid
    return archive(books, contact_id, at, into)


def restore(books: Books, contact_id: str, at: int) -> Contact:
    """Undo ``archive`` as an accountant does. KeyError: no such contact; ValueError: it was merged, or
    another active contact has its name."""
    stored = books.contacts[contact_id]
    if stored.merged_to is not None:
        raise ValueError("a merged contact cannot be restored")
    contact = replace(stored, status="ACTIVE", updated=at)
    if taken := _taken(books, contact):
        raise ValueError("; ".join(taken))
    books.keep_contact(contact)
    return contact
