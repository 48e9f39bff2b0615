"""Webhooks: endpoints and their log for people, and the process that gives delivery what was published."""
