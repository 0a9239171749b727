"""Which overpayments the simulated Xero takes, and what it says to the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator import CLIENT, TENANT, Lab, messages, simulated

SCOPE = "accounting.contacts accounting.payments accounting.banktransactions"


def over(lab: Lab, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "RECEIVE-OVERPAYMENT",
        "Contact": {"ContactID": lab.contact_id},
        "BankAccount": {"Code": "090"},
        "Date": "2026-10-03",
        "LineAmountTypes": "NoTax",
        "CurrencyCode": "NZD",
        "Reference": "slip",
        "LineItems": [{"Description": "Too much", "LineAmount": 2.5}],
        **fields,
    }


async def granted(lab: Lab, scope: str = SCOPE) -> None:
    form = {"grant_type": "client_credentials", "scope": scope}
    answer = await lab.http.post("/connect/token", data=form, auth=CLIENT)
    lab.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def test_one_is_a_bank_transaction_and_the_contacts_credit() -> None:
    async with simulated() as lab:
        await granted(lab)
        [made] = await lab.write("PUT", "BankTransactions", over(lab))
        assert (made["Total"], made["Status"]) == (2.5, "AUTHORISED")
        assert "Reference" not in made
        [credit] = (await lab.call("GET", "Overpayments")).json()["Overpayments"]
        assert (credit["OverpaymentID"], credit["RemainingCredit"]) == (made["OverpaymentID"], 2.5)
        books = await lab.control("GET", f"books/{TENANT}")
        assert [one["RemainingCredit"] for one in books["overpayments"]] == [2.5]
        path = f"BankTransactions/{made['BankTransactionID']}"
        gone = (await lab.call("POST", path, {"Status": "DELETED"})).json()["BankTransactions"][0]
        assert gone["Status"] == "VOIDED"
        again = await lab.call("POST", path, {"Status": "DELETED"})
        assert again.status_code == 400
        [credit] = (await lab.call("GET", "Overpayments")).json()["Overpayments"]
        assert (credit["Status"], credit["RemainingCredit"]) == ("VOIDED", 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"Type": "RECEIVE"}, "only RECEIVE-OVERPAYMENT"),
        ({"BankAccount": {"Code": "880"}}, "of type BANK"),
        ({"BankAccount": {"Code": "881"}}, "currency must be"),
        ({"CurrencyCode": "XXX"}, "not subscribed"),
        ({"LineAmountTypes": "Exclusive"}, "NoTax"),
        ({"Contact": None}, "Contact must be specified"),
        ({"LineItems": []}, "One line item"),
        ({"LineItems": [{"Description": "x", "LineAmount": 0}]}, "greater than zero"),
        ({"LineItems": [{"LineAmount": 1}]}, "Description must"),
        (
            {"LineItems": [{"Description": "x", "LineAmount": 1, "AccountCode": "200"}]},
            "not a valid code",
        ),
    ],
)
async def test_what_is_refused(fields: dict[str, Any], said: str) -> None:
    async with simulated() as lab:
        await granted(lab)
        [refused] = await lab.write("PUT", "BankTransactions", over(lab, **fields))
        assert any(said in message for message in messages(refused)), messages(refused)


async def test_the_scope_is_its_own_and_the_reference_a_switch() -> None:
    async with simulated(overpayment_keeps_reference=True) as lab:
        await granted(lab, "accounting.payments accounting.contacts")
        answer = await lab.call("PUT", "BankTransactions", {"BankTransactions": [over(lab)]})
        assert answer.status_code == 401
        assert answer.json()["Detail"] == "AuthorizationUnsuccessful"
        await granted(lab)
        line = {"Description": "x", "LineAmount": 1, "AccountCode": "610"}
        [made] = await lab.write("PUT", "BankTransactions", over(lab, LineItems=[line]))
        assert made["Reference"] == "slip"
