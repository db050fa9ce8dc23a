"""Clients of the API, polite and not: what they ask, and how many at once."""
