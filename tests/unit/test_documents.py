"""Where a document belongs (DESIGN, *Documents*), and where a customer does (*Home*)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from consumer.domain.contacts import with_link
from consumer.domain.documents import Planned, Rest, Stands, rest
from consumer.domain.fingerprints import DRAFTED
from consumer.domain.homes import choose_home, moving, settled
from consumer.domain.mapping import Connection
from consumer.domain.objects import Facet, Object, ObjectKey, Stamp

A, B = b"a", b"b"
ID = uuid4()
PLANNED = Planned("invoice", uuid4(), uuid4(), 1, uuid4(), A)
D = DRAFTED + A
DRAFT = Stands("synced", None, D, D, ID, "DRAFT")

TABLE: dict[str, tuple[str, Stands, Planned | None, Rest]] = {
    "new": ("invoice", Stands("waiting"), PLANNED, Rest("ready")),
    "as wanted": ("invoice", Stands("synced", None, A, A, ID), PLANNED, Rest("synced")),
    "contact changed": ("contact", Stands("synced", None, B, B, ID), PLANNED, Rest("ready")),
    "posted invoice changed": (
        "invoice",
        Stands("synced", None, B, B, ID),
        PLANNED,
        Rest("synced", drift=True),
    ),
    "failed, nothing new": (
        "invoice",
        Stands("failed", "tax:x@a", A),
        PLANNED,
        Rest("failed", "tax:x@a"),
    ),
    "failed, a new version": ("invoice", Stands("failed", None, B), PLANNED, Rest("ready")),
    "void of an unsent one": (
        "invoice",
        Stands("ready", None, A),
        replace(PLANNED, wanted=None, hold="lago:voided"),
        Rest("skipped", "lago:voided"),
    ),
    "void of a sent one": (
        "invoice",
        Stands("synced", None, A, A, ID),
        replace(PLANNED, wanted=None, hold="lago:voided"),
        Rest("ready", "lago:voided"),
    ),
    "void of a paid one": (
        "invoice",
        Stands("synced", None, A, A, ID),
        replace(PLANNED, wanted=None, hold="lago:voided", stays="void_with_money"),
        Rest("synced", "void_with_money"),
    ),
    "voided in Xero too": (
        "invoice",
        Stands("sending", "lago:voided", None, None, ID),
        None,
        Rest("skipped", "lago:voided"),
    ),
    "a void that Xero refused, nothing new": (
        "invoice",
        Stands("failed", "lago:voided", None, A, ID),
        replace(PLANNED, wanted=None, hold="lago:voided"),
        Rest("failed", "lago:voided"),
    ),
    "a wait that failed, still nothing new": (
        "invoice",
        Stands("failed", "content:i"),
        replace(PLANNED, wanted=None, hold="content:i", waits=True),
        Rest("failed", "content:i"),
    ),
    "a wait that failed, voided now": (
        "invoice",
        Stands("failed", "content:i"),
        replace(PLANNED, wanted=None, hold="lago:voided"),
        Rest("skipped", "lago:voided"),
    ),
    "switched off after posting": (
        "invoice",
        Stands("synced", None, A, A, ID),
        replace(PLANNED, wanted=None, hold="syncs:invoices@a", stays="syncs:invoices@a"),
        Rest("synced", "syncs:invoices@a"),
    ),
    "only poor messages": (
        "invoice",
        Stands("waiting"),
        replace(PLANNED, wanted=None, hold="content:i", waits=True),
        Rest("waiting", "content:i"),
    ),
    "settled, voided meanwhile": (
        "invoice",
        Stands("sending", "lago:voided", None, A, ID),
        None,
        Rest("ready", "lago:voided"),
    ),
    "dissolved, voided meanwhile": (
        "invoice",
        Stands("ready", "lago:voided", None),
        None,
        Rest("skipped", "lago:voided"),
    ),
    "a draft, as Lago's": ("invoice", DRAFT, replace(PLANNED, wanted=D), Rest("synced")),
    "a draft, finalized": ("invoice", DRAFT, PLANNED, Rest("ready")),
    "a draft, approved by hand": (
        "invoice",
        replace(DRAFT, status="AUTHORISED"),
        PLANNED,
        Rest("ready"),
    ),
    "final, a draft for its period is locked": (
        "invoice",
        replace(DRAFT, wanted=A, synced=A),
        PLANNED,
        Rest("ready"),
    ),
    "final and approved, changed": (
        "invoice",
        replace(DRAFT, wanted=A, synced=A, status="AUTHORISED"),
        replace(PLANNED, wanted=B),
        Rest("synced", drift=True),
    ),
    "a draft, voided with money": (
        "invoice",
        replace(DRAFT, state="waiting", cause="lock@a", wanted=A, synced=A),
        replace(PLANNED, wanted=None, hold="lago:voided", stays="void_with_money"),
        Rest("synced", "void_with_money"),
    ),
    "a draft, voided with money while it was sent": (
        "invoice",
        Stands("sending", "void_with_money", None, A, ID, "DRAFT"),
        None,
        Rest("synced", "void_with_money"),
    ),
    "a draft, voided by report": (
        "invoice",
        replace(DRAFT, wanted=A, synced=A),
        replace(PLANNED, wanted=None, hold="lago:voided", stays="policy:voids@a"),
        Rest("ready", "lago:voided"),
    ),
    "a draft, switched off": (
        "invoice",
        DRAFT,
        replace(PLANNED, wanted=None, hold="policy:drafts@a", stays="policy:drafts@a"),
        Rest("synced", "policy:drafts@a"),
    ),
    "a draft, final without its fees": (
        "invoice",
        DRAFT,
        replace(PLANNED, wanted=None, hold="content:i", stays="content:i", waits=True),
        Rest("waiting", "content:i"),
    ),
    "a draft whose wait for its fees failed, voided": (
        "invoice",
        replace(DRAFT, state="failed", cause="content:i", wanted=None),
        replace(PLANNED, wanted=None, hold="lago:voided", stays="void_refused"),
        Rest("ready", "lago:voided"),
    ),
    "a credit whose note will not be there, for another reason by now": (
        "allocation",
        Stands("failed", "unplaced:n"),
        replace(PLANNED, wanted=None, hold="start_date@a", stays="start_date@a"),
        Rest("failed", "unplaced:n"),
    ),
    "a line that nothing clears, of a note that was to be": (
        "refund",
        Stands("failed", "uncleared:n", A),
        replace(PLANNED, wanted=None, hold="self_billed", stays="self_billed"),
        Rest("failed", "uncleared:n"),
    ),
    "a credit whose note will not be there, of a voided invoice": (
        "allocation",
        Stands("failed", "unplaced:n"),
        replace(PLANNED, wanted=None, hold="lago:voided"),
        Rest("skipped", "lago:voided"),
    ),
    "a credit whose note is there after all": (
        "allocation",
        Stands("failed", "unplaced:n"),
        PLANNED,
        Rest("ready"),
    ),
    "a draft whose deletion Xero refused, nothing new": (
        "invoice",
        replace(DRAFT, state="failed", cause=None, wanted=None),
        replace(PLANNED, wanted=None, hold="lago:deleted"),
        Rest("failed"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_where_a_document_belongs(name: str) -> None:
    kind, stands, planned, expected = TABLE[name]
    assert rest(kind, stands, planned) == expected


NOW = datetime(2026, 5, 1, tzinfo=UTC)
ORGANIZATION = uuid4()
NZ = Connection(1, "nz", ORGANIZATION, uuid4(), billing_entities=frozenset({"nz"}))
EU = Connection(2, "eu", ORGANIZATION, uuid4(), billing_entities=frozenset({"eu"}))


def _customer(entity: str, links: list[dict[str, Any]] | None, **facts: Any) -> Object:
    lago_id = uuid4()
    content = {"lago_id": str(lago_id), "billing_entity_code": entity}
    facets = {"content": Facet(Stamp(0), content)}
    if links is not None:
        facets["links"] = Facet(Stamp(0), links)
    return Object(ObjectKey("customer", lago_id), ORGANIZATION, facets, lago_id, **facts)


def _home(customer: Object, *connections: Connection, now: datetime = NOW) -> int | None:
    patience = timedelta(minutes=10)
    return choose_home(customer, connections, now=now, patience=patience).connection_id


def test_a_link_wins_over_the_billing_entity_and_over_an_old_home() -> None:
    to_eu = [{"type": "xero", "integration_code": "eu"}]
    assert _home(_customer("nz", to_eu), NZ, EU) == EU.id
    assert _home(_customer("nz", to_eu, connection_id=NZ.id), NZ, EU) == EU.id
    assert _home(_customer("nz", [{"type": "hubspot", "integration_code": "eu"}]), NZ, EU) == NZ.id


def test_a_home_once_chosen_stays() -> None:
    assert _home(_customer("eu", [], connection_id=NZ.id), NZ, EU) == NZ.id


def test_an_unlinked_customer_of_several_connections_waits_for_a_link() -> None:
    customer = _customer("nz", None, first_seen=NOW)
    waiting = choose_home(customer, [NZ, EU], now=NOW, patience=timedelta(minutes=10))
    assert (waiting.connection_id, waiting.until) == (None, NOW + timedelta(minutes=10))
    assert _home(customer, NZ, EU, now=NOW + timedelta(minutes=11)) == NZ.id
    assert _home(customer, NZ) == NZ.id, "with one connection there is nothing to wait for"
    assert _home(_customer("nz", []), NZ, EU) == NZ.id, "a list without a link says so"


def test_the_default_takes_who_nobody_serves_and_linked_connections_take_nobody() -> None:
    default = replace(EU, billing_entities=frozenset(), default=True)
    linked = replace(NZ, customers="linked")
    assert _home(_customer("other", []), NZ, default) == default.id
    assert _home(_customer("other", []), NZ, EU) is None
    assert _home(_customer("nz", []), linked) is None
    assert _home(_customer("x", []), replace(NZ, billing_entities=frozenset())) == NZ.id
    assert _home(_customer("x", []), replace(NZ, organization_id=uuid4())) is None


# ── What a person says of a home ──────────────────────────────────────────────────────────────────


def _at_home(customer: Object, *connections: Connection) -> Object:
    home = choose_home(customer, connections, now=NOW, patience=timedelta(minutes=10))
    return settled(customer, home, connections)


def _says(customer: Object, *codes: str) -> Object:
    links = [{"type": "xero", "integration_code": code} for code in codes]
    return replace(customer, facets={**customer.facets, "links": Facet(Stamp(1), links)})


def test_a_move_is_done_once_and_lagos_next_link_undoes_it() -> None:
    customer = _at_home(moving(_customer("nz", [], connection_id=NZ.id), "eu", [NZ, EU]), NZ, EU)
    assert (customer.connection_id, customer.value("moved")) == (EU.id, None)
    assert _at_home(customer, NZ, EU) is customer
    assert _at_home(_says(customer, "nz"), NZ, EU).connection_id == NZ.id


def test_the_link_that_a_move_went_over_counts_no_more_until_lago_changes_it() -> None:
    linked = _says(_customer("nz", [], connection_id=NZ.id), "nz")
    moved = _at_home(moving(linked, "eu", [NZ, EU]), NZ, EU)
    assert moved.connection_id == EU.id
    assert _at_home(_says(moved, "nz"), NZ, EU).connection_id == EU.id
    unlinked = _at_home(_says(moved), NZ, EU)
    assert (unlinked.connection_id, unlinked.value("moved")) == (EU.id, None)
    assert _at_home(_says(unlinked, "nz"), NZ, EU).connection_id == NZ.id


def test_a_persons_link_is_a_home_for_who_has_none() -> None:
    nobodys = with_link(_customer("other", None, first_seen=NOW), "eu", uuid4())
    assert _home(nobodys, NZ, EU) == EU.id
    assert (
        _home(with_link(_customer("nz", [], connection_id=NZ.id), "eu", uuid4()), NZ, EU) == NZ.id
    )
