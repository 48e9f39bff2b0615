"""Employees and the org chart that they refer to: pure rules, without storage or wire."""
