"""Endpoints, their secrets, addresses that may be dialled, and when an attempt is repeated."""
