"""Plumbing that is written once and knows no business noun (a closed list of modules)."""
