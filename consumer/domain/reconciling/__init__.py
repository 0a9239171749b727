"""Reconciling: what the ledger says and what Xero shows in; control totals and exceptions out."""

from consumer.domain.reconciling.comparing import compare
from consumer.domain.reconciling.exceptions import (
    CLASSES,
    NOTED,
    PERSISTED,
    Action,
    Discrepancy,
    ExceptionClass,
    Safety,
)
from consumer.domain.reconciling.period import Period, parse_period
from consumer.domain.reconciling.sides import (
    Allocated,
    Entry,
    MirrorKind,
    Shown,
    Sides,
    mirror_kind,
)
from consumer.domain.reconciling.totals import Total, control_totals

__all__ = [
    "CLASSES",
    "NOTED",
    "PERSISTED",
    "Action",
    "Allocated",
    "Discrepancy",
    "Entry",
    "ExceptionClass",
    "MirrorKind",
    "Period",
    "Safety",
    "Shown",
    "Sides",
    "Total",
    "compare",
    "control_totals",
    "mirror_kind",
    "parse_period",
]
