"""Reports of a reconciliation: what a run has found in; JSON, a table, CSV or a page to file out."""

from consumer.cli.reports.making import report_of
from consumer.cli.reports.rendering import RENDERERS, Format

__all__ = ["RENDERERS", "Format", "report_of"]
