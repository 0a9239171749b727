"""The connections file: what is read from it, and how each mistake is told."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel

from schemas.connections import (
    Connection,
    Mappings,
    Policies,
    SecretSource,
    Syncs,
    XeroClient,
    parse,
)
from schemas.mistakes import Mistakes

EXAMPLE = Path(__file__).parents[2] / "deploy" / "connections.example.yaml"

MINIMAL = """
connections:
  - code: acme
    organization_id: 1a901a90-1a90-1a90-1a90-1a901a901a90
    xero: {client_id: abc, client_secret: {env: ACME_XERO_SECRET}}
    mappings:
      fallback_item: {item: LAGO, account: "200"}
      payment_account: "880"
      no_tax: ZERORATED
      outside_tax: NONE
"""


def mistakes(text: str) -> list[str]:
    """The lines that ``text`` is refused with."""
    with pytest.raises(Mistakes) as refused:
        parse(text)
    return str(refused.value).split("\n")


def with_(old: str, new: str, text: str = MINIMAL) -> str:
    """The minimal file with one part replaced."""
    assert old in text
    return text.replace(old, new, 1)


def test_the_example_is_read() -> None:
    [acme] = parse(EXAMPLE.read_text(encoding="utf-8")).connections
    assert acme.organization_id == UUID("1a901a90-1a90-1a90-1a90-1a901a901a90")
    assert acme.start_date == date(2026, 1, 1)
    assert acme.serves.billing_entities == ("acme-nz",)
    assert acme.mappings.payment_account == {"default": "880"}
    assert acme.mappings.taxes["vat_20"].tax_type == "OUTPUT2"
    assert acme.mappings.entities["acme-eu"].billable_metrics["storage"].item == "STOR-EU"
    assert acme.mappings.entities["acme-eu"].fallback_item is None


@pytest.mark.parametrize("part", [Connection, XeroClient, SecretSource, Syncs, Policies, Mappings])
def test_the_example_shows_every_key(part: type[BaseModel]) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert [key for key in part.model_fields if not re.search(rf"\b{key}:", text)] == []


def test_what_may_be_left_out() -> None:
    [acme] = parse(MINIMAL).connections
    assert acme.customers == "create"
    assert acme.xero.tenant_id is None
    assert acme.syncs.invoices
    assert acme.policies.zero_invoices == "post"
    assert not acme.default
    assert acme.number_prefix == ""


def test_payment_accounts_by_currency() -> None:
    text = with_('payment_account: "880"', 'payment_account: {default: "880", EUR: "881"}')
    [acme] = parse(text).connections
    assert acme.mappings.payment_account == {"default": "880", "EUR": "881"}


def test_a_tax_type_is_a_word_or_a_mapping() -> None:
    text = with_("no_tax: ZERORATED", "no_tax: {tax_type: ZERORATED}")
    assert parse(text) == parse(MINIMAL)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("code: acme", "code: [a]", "connections[0].code: must be text"),
        ("code: acme", "name: Acme", "connections[0].code: is missing"),
        ("code: acme", "code: ''", "connections[0].code: is empty"),
        (
            "    xero:",
            "    cstomers: create\n    xero:",
            "connections[0].cstomers: is not a known key; did you mean customers?",
        ),
        (
            "    xero:",
            "    serves: {entities: [a]}\n    xero:",
            "connections[0].serves.entities: is not a known key; did you mean billing_entities?",
        ),
        (
            "    xero:",
            "    syncs: {qqq: 1}\n    xero:",
            "connections[0].syncs.qqq: is not a known key; known here: invoices, credit_notes, payments",
        ),
        (
            "    xero:",
            "    customers: some\n    xero:",
            "connections[0].customers: input should be 'create' or 'linked'",
        ),
        (
            "    xero:",
            "    start_date: soon\n    xero:",
            "connections[0].start_date: must be a date like 2026-01-31",
        ),
        (
            "    xero:",
            "    number_prefix: é\n    xero:",
            "connections[0].number_prefix: must be printable ASCII",
        ),
        (
            "1a901a90-1a90-1a90-1a90-1a901a901a90",
            "acme",
            "connections[0].organization_id: must be an id like "
            "1a901a90-1a90-1a90-1a90-1a901a901a90",
        ),
        (
            '{item: LAGO, account: "200"}',
            "{item: LAGO, account: 0200}",
            "connections[0].mappings.fallback_item.account: "
            'is a number to YAML; put it in quotes: "0200"',
        ),
        (
            '{item: LAGO, account: "200"}',
            "{tax_type: NONE}",
            "connections[0].mappings.fallback_item: names neither an item nor an account",
        ),
        (
            '"880"',
            "{EUR: '881'}",
            "connections[0].mappings.payment_account: names no default; "
            'write {default: "880", EUR: "881"}',
        ),
        (
            '"880"',
            "{default: '880', euro: '881'}",
            "connections[0].mappings.payment_account.euro: must be default or a currency like EUR",
        ),
        (
            "no_tax: ZERORATED",
            "no_tax: NO",
            "connections[0].mappings.no_tax: is true or false to YAML; put the word in quotes",
        ),
        (
            "no_tax: ZERORATED",
            "no_tax: 2026-01-01",
            "connections[0].mappings.no_tax: is a date to YAML; put it in quotes",
        ),
        (
            "outside_tax: NONE",
            "outside_tax: NONE\n      taxes: {20: OUTPUT2}",
            'connections[0].mappings.taxes.20: is a number to YAML; put it in quotes: "20"',
        ),
        (
            "outside_tax: NONE",
            "outside_tax: NONE\n      taxes: {a.b: 7}",
            "connections[0].mappings.taxes['a.b']: is a number to YAML; put it in quotes: \"7\"",
        ),
        (
            "outside_tax: NONE",
            "outside_tax: NONE\n      entities: {eu: {payment_acount: '1'}}",
            "connections[0].mappings.entities.eu.payment_acount: is not a known key; "
            "known here: fallback_item, subscription_fee, minimum_commitment, coupon, "
            "prepaid_credit, prepaid_granted_credit, credit_note, no_tax, outside_tax, "
            "provider_tax, taxes, billable_metrics, add_ons",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_path(old: str, new: str, line: str) -> None:
    assert mistakes(with_(old, new)) == [line]


@pytest.mark.parametrize("key", ["fallback_item", "payment_account", "no_tax", "outside_tax"])
def test_mandatory_mappings(key: str) -> None:
    lines = [line for line in MINIMAL.splitlines() if not line.strip().startswith(f"{key}:")]
    [said] = mistakes("\n".join(lines))
    path, _, hint = said.partition(": is missing; ")
    assert path == f"connections[0].mappings.{key}"
    assert hint


def test_a_client_that_persons_let_in() -> None:
    xero = "client_secret: {env: ACME_XERO_SECRET}"
    [acme] = parse(with_(xero, f"{xero}, consent: true")).connections
    assert acme.xero.consent
    [public] = parse(with_(xero, "consent: true")).connections
    assert (public.xero.client_secret, public.xero.consent) == (None, True)


@pytest.mark.parametrize("written", ["{client_id: abc}", "{client_id: abc, consent: false}"])
def test_only_a_client_that_persons_let_in_may_have_no_secret(written: str) -> None:
    [said] = mistakes(with_("{client_id: abc, client_secret: {env: ACME_XERO_SECRET}}", written))
    assert said == (
        "connections[0].xero.client_secret: is missing; "
        "say where it is, {env: NAME}; only with consent: true may it be left out"
    )


def test_all_mistakes_at_once() -> None:
    text = with_("code: acme", "code: 7", with_("no_tax: ZERORATED", "no_tx: Z"))
    paths = {line.partition(": ")[0] for line in mistakes(text)}
    assert paths == {
        "connections[0].code",
        "connections[0].mappings.no_tax",
        "connections[0].mappings.no_tx",
    }


@pytest.mark.parametrize(
    "written",
    ["hunter2", "[hunter2]", "{hunter2}", "{value: hunter2}", "{env: 'hunter2!'}", "{env: X, file: hunter2}"],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_and_not_repeated(written: str) -> None:
    [said] = mistakes(with_("{env: ACME_XERO_SECRET}", written))
    assert said.startswith("connections[0].xero.client_secret")
    assert "hunter2" not in said


def test_a_key_given_twice() -> None:
    [said] = mistakes(MINIMAL + "      no_tax: NONE\n")
    assert said.startswith("connections[0].mappings.no_tax: is given twice, in line 9 and in line")


def test_a_code_given_twice() -> None:
    both = MINIMAL + MINIMAL.removeprefix("\nconnections:\n")
    assert mistakes(both) == ["connections[1].code: 'acme' is taken by connections[0]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "connections: is missing; the file is empty"),
        ("# nothing\n", "connections: is missing; the file is empty"),
        ("{}", "connections: is missing"),
        ("connections: []", "connections: is empty"),
        ("connections: {a: 1}", "connections: must be a list"),
        ("connections: [null]", "connections[0]: must be a mapping of keys to values"),
        ("- a", "file: must be a mapping of keys to values"),
        ("a: \x00", "file: is not YAML"),
        ("a: *x", "line 1, column 4: is not YAML; found undefined alias 'x'"),
        ("[" * 5000, "file: is not YAML"),
    ],
)
def test_what_is_no_connections_file(text: str, said: str) -> None:
    assert mistakes(text) == [said]


def test_no_python_objects_are_made() -> None:
    [said] = mistakes("connections: !!python/object/apply:os.getcwd []")
    assert "is not YAML" in said


CLEARS = "    policies: {consumed_credits: negative_line}\n    mappings:"


def test_the_policy_that_clears_needs_its_account() -> None:
    [line] = mistakes(with_("    mappings:", CLEARS))
    assert line.startswith(
        "connections[0].mappings.clearing_account: is missing; consumed_credits:"
    )
    text = with_("    mappings:", CLEARS + '\n      clearing_account: "890"')
    [acme] = parse(text).connections
    assert (acme.mappings.clearing_account, acme.policies.refunds) == ("890", "at_once")


def test_the_clearing_account_is_one_for_all_currencies() -> None:
    text = with_("    mappings:", '    mappings:\n      clearing_account: {default: "890"}')
    assert mistakes(text) == ["connections[0].mappings.clearing_account: must be text"]
