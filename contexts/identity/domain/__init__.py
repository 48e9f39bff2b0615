"""Accounts, sessions, tenants and signing keys, without I/O."""
