"""Bodies, batches and errors: what Xero answers to whole requests."""

from __future__ import annotations

import pytest

from tests.unit.simulator import TENANT, ZERO, messages, simulated

MISSING = "11111111-2222-4333-8444-555555555555"


async def test_envelope() -> None:
    async with simulated() as lab:
        answer = await lab.call("PUT", "Contacts", {"Contacts": [{"Name": "A"}]})
    body = answer.json()
    assert (body["Status"], body["DateTimeUTC"]) == ("OK", "/Date(1790000000000)/")
    assert len(body["Id"]) == 36
    assert body["ProviderName"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert len(answer.headers["xero-correlation-id"]) == 36


async def test_each_element_is_answered_in_order_with_200() -> None:
    sent = [{"Name": "A"}, {"Name": ""}, {"Name": "B"}]
    async with simulated() as lab:
        answer = await lab.call("PUT", "Contacts", {"Contacts": sent})
    shown = answer.json()["Contacts"]
    assert answer.json()["Status"] == "OK"
    assert [one["StatusAttributeString"] for one in shown] == ["OK", "ERROR", "OK"]
    assert [one["HasValidationErrors"] for one in shown] == [False, True, False]
    assert [one["ContactID"] == ZERO for one in shown] == [False, True, False]
    assert [one["Name"] for one in shown] == ["A", "", "B"]


async def test_even_when_all_failed_the_answer_is_200() -> None:
    async with simulated() as lab:
        answer = await lab.call("PUT", "Contacts", {"Contacts": [{"Name": ""}]})
    assert (answer.status_code, answer.json()["Status"]) == (200, "OK")


@pytest.mark.parametrize("query", [{}, {"summarizeErrors": "true"}, {"SUMMARIZEERRORS": "true"}])
async def test_summarised_errors_hide_what_was_saved(query: dict[str, str]) -> None:
    sent = {"Contacts": [{"Name": "A"}, {"Name": ""}, {"Name": "B"}]}
    async with simulated() as lab:
        answer = await lab.http.put(
            "/api.xro/2.0/Contacts", params=query, headers=lab.headers, json=sent
        )
        names = [one["Name"] for one in (await lab.get("Contacts"))["Contacts"]]
    body = answer.json()
    assert (answer.status_code, body["ErrorNumber"]) == (400, 10)
    assert (body["Type"], body["Message"]) == (
        "ValidationException",
        "A validation exception occurred",
    )
    assert [messages(one) for one in body["Elements"]] == [["Contact Name cannot be empty."]]
    assert names == ["First", "A", "B"]


async def test_default_mode_has_no_status_word() -> None:
    async with simulated() as lab:
        answer = await lab.http.put(
            "/api.xro/2.0/Contacts", headers=lab.headers, json={"Contacts": [{"Name": "A"}]}
        )
    assert answer.status_code == 200
    assert "StatusAttributeString" not in answer.json()["Contacts"][0]


async def test_one_bare_object_is_taken() -> None:
    async with simulated() as lab:
        answer = await lab.call("PUT", "Invoices", lab.invoice(InvoiceNumber="A-1"))
    assert [one["InvoiceNumber"] for one in answer.json()["Invoices"]] == ["A-1"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"\xff{}", b'{"Invoices": [{"Total": NaN}]}'])
async def test_unreadable_bodies(body: bytes) -> None:
    async with simulated() as lab:
        answer = await lab.call("PUT", "Invoices", body)
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 14)
    assert answer.json()["Type"] == "PostDataInvalidException"
    assert "Elements" not in answer.json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"Date": "soon"},
        {"Contact": {"ContactID": "no-guid"}},
        {"Contact": "name"},
        {"LineItems": [{"Quantity": "many"}]},
        {"LineItems": [{"UnitAmount": 1e13}]},
        {"LineAmountTypes": "Gross"},
        {"SentToContact": "perhaps"},
    ],
)
async def test_a_field_of_the_wrong_type_spoils_the_whole_batch(wrong: dict[str, object]) -> None:
    async with simulated() as lab:
        good, bad = lab.invoice(InvoiceNumber="A-1"), lab.invoice(**wrong)
        answer = await lab.call("PUT", "Invoices", {"Invoices": [good, bad]})
        books = await lab.control("GET", f"books/{TENANT}")
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 14)
    assert books["invoices"] == []


@pytest.mark.parametrize("body", [{}, {"Invoices": []}, {"Bills": [{"Type": "ACCREC"}]}])
async def test_missing_collection(body: dict[str, object]) -> None:
    async with simulated() as lab:
        answer = await lab.call("PUT", "Invoices", body)
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 17)
    assert answer.json()["Type"] == "NoDataProcessedException"


async def test_body_above_three_and_a_half_megabytes_is_refused() -> None:
    async with simulated() as lab:
        contact = b'{"Contacts": [{"Name": "A"}]}'
        over = await lab.call("PUT", "Contacts", contact.ljust(3_500_001))
        fits = await lab.call("PUT", "Contacts", contact.ljust(3_500_000))
    assert (over.status_code, fits.status_code) == (413, 200)


async def test_body_must_be_json() -> None:
    async with simulated() as lab:
        answer = await lab.call(
            "PUT", "Contacts", b"<Contacts/>", headers={"Content-Type": "text/xml"}
        )
    assert answer.status_code == 415


async def test_without_accept_the_answer_is_xml_and_the_work_is_done() -> None:
    async with simulated() as lab:
        lab.headers["Accept"] = "*/*"
        answer = await lab.call("PUT", "Contacts", {"Contacts": [{"Name": "A"}]})
        lab.headers["Accept"] = "application/json"
        found = await lab.get("Contacts", where='Name=="A"')
    assert answer.text.startswith("<?xml")
    assert len(found["Contacts"]) == 1


@pytest.mark.parametrize("kind", ["Contacts", "Invoices"])
async def test_unknown_id_in_a_batch(kind: str) -> None:
    key = {"Contacts": "ContactID", "Invoices": "InvoiceID"}[kind]
    async with simulated() as lab:
        good = {"Name": "A"} if kind == "Contacts" else lab.invoice(InvoiceNumber="A-1")
        sent = {kind: [good, {key: MISSING, "Reference": "r"}]}
        whole = await lab.call("POST", kind, sent)
        saved = [await lab.call("GET", "Invoices/A-1"), await lab.get("Contacts")]
        await lab.control("POST", "settings", {"unknown_id_in_batch": "element"})
        single = await lab.call("POST", kind, sent)
    assert (whole.status_code, whole.content) == (404, b"")
    assert saved[0].status_code == 404
    assert len(saved[1]["Contacts"]) == 1
    assert [len(messages(one)) for one in single.json()[kind]] == [0, 1]


@pytest.mark.parametrize(("method", "path"), [("PATCH", "Invoices"), ("GET", "Nonsense")])
async def test_what_is_not_there_is_not_implemented(method: str, path: str) -> None:
    async with simulated() as lab:
        answer = await lab.call(method, path, {} if method == "PATCH" else None)
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (501, 20)
