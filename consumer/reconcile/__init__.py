"""Reconciling: a connection and a period in; the sides compared, exceptions and what was repaired out."""

from consumer.reconcile.lago import Lago, LagoCompared
from consumer.reconcile.reading import Reader
from consumer.reconcile.reading_lago import LagoReader
from consumer.reconcile.running import Reconcile, Reconciled

__all__ = ["Lago", "LagoCompared", "LagoReader", "Reader", "Reconcile", "Reconciled"]
