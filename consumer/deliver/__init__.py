"""Deliver: documents that are ready in, Xero following them out."""
