"""Scratch: what bears on one another comes on one page, and nothing is forgotten or told twice."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from consumer.adapters.scratch import Scratch
from consumer.domain.objects import Facet, Object, ObjectKey, ObjectKind, Stamp

ORGANIZATION = uuid4()


def thing(kind: ObjectKind, customer: UUID | None = None, invoices: Sequence[UUID] = ()) -> Object:
    id = uuid4()
    owner = id if kind == "customer" else customer
    facets = {"content": Facet(Stamp(2, 7, 9, "ab"), {"of": str(id)})}
    return Object(ObjectKey(kind, id), ORGANIZATION, facets, owner, invoice_ids=tuple(invoices))


def test_what_was_put_is_there_as_it_was_put_last() -> None:
    scratch = Scratch()
    one = thing("invoice", uuid4())
    assert scratch.get([one.key]) == {}
    scratch.put([one])
    newer = Object(one.key, ORGANIZATION, {}, one.customer_id)
    assert scratch.get([one.key]) == {one.key: one}
    scratch.put([newer])
    assert scratch.get([one.key]) == {one.key: newer}
    assert [scratch.first(b"\xab"), scratch.first(b"\xab"), scratch.has_seen("ab")] == [
        True,
        False,
        True,
    ]
    scratch.close()


def test_families_stay_together_also_where_a_payment_does_not_name_its_customer() -> None:
    scratch = Scratch()
    objects: list[Object] = []
    for _ in range(3):
        who = thing("customer")
        objects.append(who)
        for _ in range(4):
            bill = thing("invoice", who.customer_id)
            paid = thing("payment", None, [bill.key.lago_id])
            note = thing("credit_note", who.customer_id, [bill.key.lago_id])
            objects += [note, paid, bill]
    scratch.put(objects)
    pages = list(scratch.pages(5))
    told = {one.key: one for page in pages for one in page}
    assert told == {one.key: one for one in objects}
    for page in pages:
        keys = [one.key for one in page]
        assert len(keys) == len(set(keys))
        invoices = {one.key.lago_id for one in page if one.key.kind == "invoice"}
        assert {id for one in page for id in one.invoice_ids} <= invoices
        owners = {one.customer_id for one in page} - {None}
        assert owners == {one.key.lago_id for one in page if one.key.kind == "customer"}
    others = [one for one in objects if one.key.kind != "customer"]
    assert sum(one.key.kind != "customer" for page in pages for one in page) == len(others)
    scratch.close()
