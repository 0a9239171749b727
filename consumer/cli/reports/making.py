"""Making a report: what a run has found in, the report as it is filed out."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version

from consumer.cli.documents import xero_link
from consumer.domain.reconciling import NOTED, Discrepancy, Total
from consumer.domain.reconciling.totals import Figures
from consumer.reconcile import Reconciled
from schemas.reconciliation import (
    ControlTotal,
    Difference,
    LagoSide,
    Reconciliation,
    ReportedException,
    Sums,
    ToCome,
)


def report_of(found: Reconciled) -> Reconciliation:
    """The whole report, with its hash."""
    subject = found.subject
    return Reconciliation(
        connection=subject.code,
        organisation=subject.organisation,
        tenant_id=subject.tenant_id,
        first=found.period.first,
        last=found.period.last,
        read_at={kind: at for kind, at in sorted(found.as_of.items()) if kind in subject.kinds},
        compared_at=found.compared_at,
        calls=found.calls,
        unverified=found.unverified,
        lago=LagoSide(
            compared=found.lago.why is None,
            said=found.lago.told,
            calls=found.lago.calls,
            unverified=found.lago.unverified,
        ),
        agrees=all(total.agrees for total in found.totals),
        counts=found.counts,
        totals=tuple(_total(total) for total in found.totals),
        to_come=tuple(ToCome(**asdict(one)) for one in found.to_come),
        exceptions=tuple(
            _exception(one, found)
            for one in sorted(found.exceptions, key=lambda one: one.name in NOTED)
        ),
        version=version("lago-xero"),
    ).sealed()


def _total(total: Total) -> ControlTotal:
    return ControlTotal(
        kind=total.kind,
        currency=total.currency,
        status=total.status,
        ledger=_sums(total.ledger),
        xero=_sums(total.xero),
        agrees=total.agrees,
    )


def _sums(figures: Figures) -> Sums:
    names = ("count", "net", "tax", "gross", "paid", "credited", "outstanding")
    return Sums(**dict(zip(names, figures, strict=True)))


def _exception(one: Discrepancy, found: Reconciled) -> ReportedException:
    theirs = "lago" if one.against_lago else "xero"
    return ReportedException(
        **{"class": one.name},
        kind=one.kind,
        document=one.document_id,
        lago_id=one.lago_id,
        xero_id=one.xero_id,
        number=one.number,
        on=one.on,
        dated=one.dated,
        currency=one.currency,
        amount=one.amount,
        cause=one.cause,
        differences=tuple(
            Difference(**{"field": each.field, "ledger": each.ours, theirs: each.theirs})
            for each in one.differences
        ),
        first_seen=found.first_seen.get(one.key) or one.since or found.compared_at,
        repair=one.repair,
        safety=one.safety,
        repaired=one.key in found.repaired,
        show=None if one.document_id is None else f"lago-xero show doc:{one.document_id}",
        link=xero_link(one.kind, one.xero_id, found.subject.short_code),
    )
