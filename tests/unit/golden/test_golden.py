"""Golden pairs: these messages of Lago's in → exactly these requests to Xero out.

Each file of ``cases`` is one rule of ACCOUNTING.md, named by its section; ``rules.yaml`` is the index. The
bodies were worked out by hand from the rules, never copied from what the service sent. A case says:

``rule``        the rule in our words
``settings``    how the connection differs from that of ``common.yaml``; ``second`` is another connection
``chart``       how Xero's organisation differs, from the beginning or from then on
``before``      messages whose documents Xero has already
``lago``        the messages, by type, with the fields that matter; messages.py fills in the others
``xero``        the requests, in order, all of them but those of contacts (``contacts: true`` shows them too);
                each element is whole with what ``common.yaml`` says of its request
``not sent``    the documents that Xero does not get, or not any more, and why
``told``        what people are told
``then``        what comes later, in the same words; ``patience: over`` where no message came for long
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from consumer.domain.chart import Account, Chart, Item, Organisation, TaxRate
from consumer.domain.mapping import Connection
from consumer.domain.wishes import connection_of
from schemas.connections import parse
from tests.unit.golden.messages import record, with_ids, without_ids
from tests.unit.golden.paper import Ledger, Sent

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.yaml"))
COMMON = yaml.safe_load((HERE / "common.yaml").read_text())
KEYS = {"rule", "settings", "second", "contacts", "before"}
SAYS = {"chart", "lago", "xero", "not sent", "told", "patience"}


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_golden(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    assert case.keys() - KEYS - SAYS <= {"then"}
    ledger = Ledger(_connections(case), _chart(case.get("chart", {})))
    ledger.hear(map(record, case.get("before", ())))
    for says in ({key: case[key] for key in SAYS & case.keys()}, *case.get("then", ())):
        assert says.keys() <= SAYS
        ledger.told.clear()
        if "chart" in says:
            ledger.chart = _chart(says["chart"])
        over = says.get("patience") == "over"
        sent = ledger.hear(map(record, says.get("lago", ())), patience_over=over)
        shown = [one for one in sent if case.get("contacts") or one.operation.kind != "contact"]
        assert [one for request in shown for one in _elements(request)] == [
            _expected(one) for one in says.get("xero", ())
        ]
        assert (ledger.apart(), ledger.told) == (says.get("not sent", []), says.get("told", []))


def _elements(sent: Sent) -> Iterator[tuple[str, str, Any]]:
    """Method and path, collection, element; each number as it goes on the wire."""
    path = f"{sent.operation.method} {without_ids(sent.path)}"
    if not sent.body:
        return iter([(path, "", None)])
    body = json.loads(without_ids(sent.body.decode()))
    if not sent.operation.collection:
        return iter([(path, "", body)])
    [(collection, elements)] = body.items()
    return iter([(path, collection, element) for element in elements])


def _expected(request: Mapping[str, Any]) -> tuple[str, str, Any]:
    [(path, element)] = request.items()
    common = COMMON["requests"][path]
    query = f"?{common['query']}" if "query" in common else ""
    whole = with_changes(common.get("element") or {}, element) if element is not None else None
    return path.removesuffix(" with lines") + query, common.get("collection", ""), whole


def with_changes(known: Any, changes: Any) -> Any:
    """The common words with what a case changes; null takes a key away."""
    if not isinstance(changes, dict) or not isinstance(known, dict):
        return changes
    both = {**known, **{key: with_changes(known.get(key), new) for key, new in changes.items()}}
    return {key: value for key, value in both.items() if value is not None}


def _connections(case: Mapping[str, Any]) -> list[Connection]:
    asked = [with_changes(COMMON["connection"], case.get("settings") or {})]
    if "second" in case:
        asked.append(with_changes(asked[0], case["second"]))
    text = with_ids(yaml.safe_dump({"connections": asked}))
    connections = parse(text).connections
    return [
        connection_of(one, one.xero.tenant_id or UUID(int=n), n)
        for n, one in enumerate(connections, 1)
    ]


def _chart(changes: Mapping[str, Any]) -> Chart:
    said = with_changes(COMMON["chart"], changes)
    return Chart(
        organisation=Organisation(**said["organisation"]),
        accounts={code: Account(code, "REVENUE") for code in said["items"].values()},
        items={code: Item(code, account or None) for code, account in said["items"].items()},
        tax_rates={code: TaxRate(code, Decimal(rate)) for code, rate in said["tax_rates"].items()},
    )
