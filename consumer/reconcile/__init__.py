"""Reconciling: a connection and a period in; both sides compared, exceptions and what was repaired out."""

from consumer.reconcile.reading import Reader
from consumer.reconcile.running import Reconcile, Reconciled

__all__ = ["Reader", "Reconcile", "Reconciled"]
