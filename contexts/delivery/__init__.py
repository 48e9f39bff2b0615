"""Webhooks: where a tenant wants to hear of its events, and every delivery there."""
