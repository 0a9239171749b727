"""Reconciling: what the ledger says and what Xero shows in; control totals and exceptions out."""

from consumer.domain.reconciling.behind import Held, behind, in_residuals, unknown_to_lago
from consumer.domain.reconciling.comparing import compare
from consumer.domain.reconciling.exceptions import (
    AGAINST_LAGO,
    CLASSES,
    NOTED,
    PERSISTED,
    Discrepancy,
    ExceptionClass,
)
from consumer.domain.reconciling.listed import LISTED, Listed, ListedKind, listed
from consumer.domain.reconciling.period import Period, parse_period
from consumer.domain.reconciling.sides import (
    Allocated,
    Entry,
    MirrorKind,
    Shown,
    Sides,
    mirror_kind,
)
from consumer.domain.reconciling.totals import ToCome, Total, control_totals, to_come

__all__ = [
    "AGAINST_LAGO",
    "CLASSES",
    "LISTED",
    "NOTED",
    "PERSISTED",
    "Allocated",
    "Discrepancy",
    "Entry",
    "ExceptionClass",
    "Held",
    "Listed",
    "ListedKind",
    "MirrorKind",
    "Period",
    "Shown",
    "Sides",
    "ToCome",
    "Total",
    "behind",
    "compare",
    "control_totals",
    "in_residuals",
    "listed",
    "mirror_kind",
    "parse_period",
    "to_come",
    "unknown_to_lago",
]
