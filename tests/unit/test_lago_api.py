"""Lago's API over real HTTP: what is asked for, what comes back, and what never does."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Sequence
from datetime import date
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from consumer.adapters.lago_api import HttpLagoApi, unusable
from consumer.domain.reconciling import Period
from consumer.ports import Question, QuestionKind, Unanswered
from consumer.sandbox.lago import (
    LagoApi,
    RandomChoices,
    generate_customer,
    generate_invoice,
    link,
    payment,
    serve_api,
)

KEY = "lago-key-do-not-show"
ORGANIZATION = "5a1e0000-0000-4000-8000-000000000001"
Json = dict[str, Any]


@pytest.fixture
def lago() -> LagoApi:
    return LagoApi(ORGANIZATION, KEY)


@pytest.fixture
async def url(lago: LagoApi) -> AsyncIterator[str]:
    async with serve_api(lago) as base:
        yield base


@pytest.fixture
async def api(url: str) -> AsyncIterator[HttpLagoApi]:
    api = HttpLagoApi(url, KEY)
    yield api
    await api.close()


@pytest.fixture
def choices() -> RandomChoices:
    return RandomChoices(Random(3))


def _asked(kind: QuestionKind, thing: Json, external_id: str | None = None) -> Question:
    return Question(kind, UUID(thing["lago_id"]), external_id=external_id)


async def _unanswered(api: HttpLagoApi, question: Question) -> Unanswered:
    with pytest.raises(Unanswered) as caught:
        await api.ask(question)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def test_the_key_tells_its_organization(api: HttpLagoApi) -> None:
    assert await api.organization() == UUID(ORGANIZATION)


async def test_a_lago_that_does_not_tell_its_organization(lago: LagoApi, api: HttpLagoApi) -> None:
    lago.faults.append(Response("{}", status_code=404))
    with pytest.raises(Unanswered, match="newer") as caught:
        await api.organization()
    assert caught.value.why == "missing"


async def test_an_invoice_has_its_customers_links_and_asks_once(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices
) -> None:
    who = generate_customer(choices)
    who["integration_customers"] = [link(choices, "xero", "acme", None)]
    invoice = generate_invoice(choices, customer=who)
    lago.add("customer", who)
    lago.add("invoice", invoice)
    [answer] = await api.ask(_asked("invoice", invoice))
    assert answer.kind == "invoice"
    assert answer.object["customer"]["integration_customers"] == who["integration_customers"]
    assert [fee["lago_id"] for fee in answer.object["fees"]] == [
        fee["lago_id"] for fee in invoice["fees"]
    ]
    assert lago.calls == [f"invoices/{invoice['lago_id']}"]


async def test_fees_taxes_are_asked_for_fee_by_fee_where_they_matter(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices
) -> None:
    invoice = generate_invoice(choices, invoice_type="subscription")
    gone = invoice["fees"][0]["lago_id"]
    lago.add("invoice", invoice)
    lago.taxes = {fee["lago_id"]: [{"tax_code": "odd"}] for fee in invoice["fees"]}
    lago.faults.append(JSONResponse(invoice_body := {"invoice": invoice}))
    lago.faults.append(Response(status_code=404))
    [answer] = await api.ask(_asked("invoice_taxes", invoice))
    taxes = {fee["lago_id"]: fee.get("applied_taxes") for fee in answer.object["fees"]}
    assert taxes.pop(gone) is None
    assert all(one == [{"tax_code": "odd"}] for one in taxes.values())
    assert len(lago.calls) == 1 + len(invoice_body["invoice"]["fees"])


@pytest.mark.parametrize("name", ["cust_1", "crm/7", "客户-9", "50%", "a b?c=d#e", "..%2f", "a+b"])
async def test_a_customer_is_asked_for_by_any_id_of_yours(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices, name: str
) -> None:
    who = {**generate_customer(choices), "external_id": name}
    lago.add("customer", who)
    [answer] = await api.ask(_asked("customer", who, name))
    assert answer.object["lago_id"] == who["lago_id"]
    assert "integration_customers" in answer.object


@pytest.mark.parametrize("name", [None, "", ".", ".."])
async def test_a_name_that_no_path_can_hold_is_not_asked_for(
    lago: LagoApi, api: HttpLagoApi, name: str | None
) -> None:
    assert (await _unanswered(api, Question("customer", uuid4(), 1, name))).why == "missing"
    assert lago.calls == []


async def test_another_customer_under_the_name_is_not_he(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices
) -> None:
    who = generate_customer(choices)
    lago.add("customer", who)
    asked = Question("customer", uuid4(), external_id=who["external_id"])
    assert (await _unanswered(api, asked)).why == "missing"


@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
async def test_all_pages_of_payments(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices, count: int
) -> None:
    invoice = generate_invoice(choices)
    lago.add("payment", *(payment(choices, [invoice], amount_cents=n) for n in range(count)))
    lago.add("payment", payment(choices, [generate_invoice(choices)]))
    answers = await api.ask(_asked("payments", invoice))
    assert sorted(a.object["amount_cents"] for a in answers) == list(range(count))
    assert len(lago.calls) == max(1, -(-count // 100))


async def test_pages_that_do_not_end_are_given_up(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices
) -> None:
    lago.faults.extend(
        JSONResponse({"payments": [], "meta": {"next_page": n + 2}}) for n in range(200)
    )
    asked = _asked("payments", generate_invoice(choices))
    assert (await _unanswered(api, asked)).why == "unreadable"
    lago.faults.clear()
    lago.faults.append(JSONResponse({"payments": [], "meta": {"next_page": 1}}))
    assert await api.ask(asked) == []


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "refused"), (403, "forbidden"), (404, "missing"), (429, "throttled"),
     (500, "unavailable"), (502, "unavailable"), (422, "unavailable"), (204, "unavailable")],
)  # fmt: skip
async def test_what_statuses_mean(lago: LagoApi, api: HttpLagoApi, status: int, why: str) -> None:
    lago.faults.append(Response("{}", status_code=status))
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == why


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"X-RateLimit-Reset": "2.5"}, 2.5), ({"Retry-After": "7"}, 7.0), ({}, None),
     ({"X-RateLimit-Reset": "soon", "Retry-After": "3"}, 3.0), ({"X-RateLimit-Reset": "-1"}, None),
     ({"X-RateLimit-Reset": "inf"}, None), ({"Retry-After": "Wed, 21 Oct 2026"}, None)],
)  # fmt: skip
async def test_how_long_lago_asks_to_wait(
    lago: LagoApi, api: HttpLagoApi, headers: dict[str, str], wait: float | None
) -> None:
    lago.faults.append(Response("{}", status_code=429, headers=headers))
    assert (await _unanswered(api, Question("invoice", uuid4()))).wait == wait


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"[]", b'"invoice"', b"{}", b'{"invoice": null}', b'{"invoice": []}',
     b'{"invoice": {"lago_id": NaN}}', b"\xff\xfe", b'{"invoice": {', b"[" * 100_000],
)  # fmt: skip
async def test_what_is_no_answer(lago: LagoApi, api: HttpLagoApi, body: bytes) -> None:
    lago.faults.append(Response(body))
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unreadable"


@pytest.mark.parametrize(
    "body", [{}, {"payments": {}}, {"payments": [1], "meta": {}}, {"payments": []}]
)
async def test_what_is_no_page_of_payments(lago: LagoApi, api: HttpLagoApi, body: Json) -> None:
    lago.faults.append(JSONResponse(body))
    assert (await _unanswered(api, Question("payments", uuid4()))).why == "unreadable"


async def test_an_answer_without_end_is_cut_off(lago: LagoApi, url: str) -> None:
    api = HttpLagoApi(url, KEY, max_answer=1000)
    lago.faults.append(JSONResponse({"invoice": {"lago_id": "x" * 1000}}))
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unreadable"
    await api.close()


async def test_whoever_is_slow_is_not_waited_for(lago: LagoApi, url: str) -> None:
    lago.slow = asyncio.Event()
    for call, question in ((0.2, 9.0), (9.0, 0.2)):
        api = HttpLagoApi(url, KEY, timeout=call, question_timeout=question)
        assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unavailable"
        await api.close()
    lago.slow.set()


async def test_nobody_there_is_unavailable(url: str) -> None:
    async with serve_api(LagoApi(ORGANIZATION, KEY)) as closed:
        pass
    api = HttpLagoApi(closed, KEY)
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unavailable"
    await api.close()


async def test_redirects_are_not_followed(lago: LagoApi, api: HttpLagoApi) -> None:
    lago.faults.append(RedirectResponse("/api/v1/organizations"))
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unavailable"
    assert len(lago.calls) == 1


@pytest.mark.parametrize(
    ("base", "address"),
    [("https://api.lago.test", "169.254.169.254"), ("https://api.lago.test", "fd00:ec2::254"),
     ("https://api.lago.test", "::ffff:169.254.169.254"), ("http://localhost", "192.0.2.1")],
)  # fmt: skip
async def test_the_key_is_sent_to_nobody_it_must_not_reach(
    lago: LagoApi, url: str, base: str, address: str
) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", address]

    port = url.rpartition(":")[2]
    api = HttpLagoApi(f"{base}:{port}", KEY, resolve=resolve)
    assert (await _unanswered(api, Question("invoice", uuid4()))).why == "unavailable"
    assert lago.calls == []
    await api.close()


@pytest.mark.parametrize(
    ("base", "wrong"),
    [("https://api.getlago.com", None), ("https://api.eu.getlago.com/", None),
     ("http://127.0.0.1:3000", None), ("http://localhost:3000/lago", None),
     ("https://api.getlago.com/api/v1", "api/v1"), ("https://api.getlago.com/api/v1/", "api/v1"),
     ("http://lago.internal", "HTTP"), ("http://localhost.evil.test", "HTTP"), ("ftp://lago", "http"),
     ("https://user:pw@lago.test", "user"), ("https://lago.test/?key=1", "query"), ("lago", "http")],
)  # fmt: skip
def test_addresses_that_can_be_used(base: str, wrong: str | None) -> None:
    said = unusable(base)
    assert said is None if wrong is None else wrong in (said or "")


# ── Lists ─────────────────────────────────────────────────────────────────────────────────────────

MAY = Period(date(2026, 5, 1), date(2026, 5, 31))


async def test_lists_are_asked_for_by_day_and_status_a_page_at_a_time(
    lago: LagoApi, api: HttpLagoApi, choices: RandomChoices
) -> None:
    one = {**generate_invoice(choices), "status": "finalized", "issuing_date": "2026-05-31"}
    first = {**one, "lago_id": str(uuid4()), "issuing_date": "2026-05-01", "status": "voided"}
    lago.add("invoice", first, one)
    for other in (
        {"issuing_date": "2026-06-01"},
        {"issuing_date": "2026-04-30"},
        {"status": "draft"},
    ):
        lago.add("invoice", {**one, "lago_id": str(uuid4()), **other})
    page = await api.page("invoice", MAY, 1)
    assert [each["lago_id"] for each in page.objects] == [one["lago_id"], first["lago_id"]]
    assert not any("fees" in each for each in page.objects)
    assert (page.following, page.pages) == (None, 1)
    assert lago.calls == [
        "invoices?per_page=100&page=1&issuing_date_from=2026-05-01&issuing_date_to=2026-05-31"
        "&statuses%5B%5D=finalized&statuses%5B%5D=voided"
    ]
    lago.add("payment", *(payment(choices, [one], amount_cents=1) for _ in range(201)))
    assert (await api.page("credit_note", MAY, 1)).objects == ()
    pages = [await api.page("payment", MAY, number) for number in (1, 2, 3)]
    assert [(len(each.objects), each.following, each.pages) for each in pages] == [
        (100, 2, 3), (100, 3, 3), (1, None, 3),
    ]  # fmt: skip
    assert len({each["lago_id"] for page in pages for each in page.objects}) == 201


async def test_a_list_that_does_not_go_on_ends(lago: LagoApi, api: HttpLagoApi) -> None:
    for following in (1, 0, "2", None):
        meta = {"next_page": following}
        lago.faults.append(JSONResponse({"invoices": [], "meta": meta}))
        assert (await api.page("invoice", MAY, 1)).following is None
    broken: list[Json] = [{"invoices": [1], "meta": {}}, {"invoices": []}, {"meta": {}}]
    for body in broken:
        lago.faults.append(JSONResponse(body))
        with pytest.raises(Unanswered) as caught:
            await api.page("invoice", MAY, 1)
        assert caught.value.why == "unreadable"
