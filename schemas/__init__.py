"""The wire formats: what is read from Lago, written to Xero and announced."""
