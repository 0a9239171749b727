"""Benchmarks: measured and shown, never asserted; ``make bench`` runs them, no test run does."""
